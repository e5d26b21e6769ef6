// SPDX-License-Identifier: GPL-2.0

//! An inode, and what is kept with it.

use super::{
    gate::Gate,
    object::Object,
    stack::Stacked,
    writer::Writer,
    Inode, //
};
use crate::{bindings, mm::SuperBlock};
use core::{
    ptr,
    ptr::NonNull,
    sync::atomic::{fence, AtomicBool, AtomicU32, Ordering}, //
};
use kernel::{
    alloc::flags,
    ffi::{c_int, c_void},
    prelude::*,
    sync::aref::ARef, //
};

/// What an inode keeps.
///
/// Its memory stays until no task can look at the inode's hash chain any more: `lower` is compared
/// there, but not followed once the inode has been evicted.
pub(super) struct Node {
    lower: *mut bindings::inode,
    pub(super) writer: Writer,
    stores: Gate,
    writeback: Gate,
    no_room: AtomicBool,
    /// Of a directory: odd while a name in it is changing.
    names: AtomicU32,
}

/// Names that are changing. See [`Stacked::<Inode>::change_names`].
pub(super) struct ChangingNames<'a>(&'a AtomicU32);

impl Drop for ChangingNames<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// What finds or makes an inode.
struct Wanted<'a> {
    lower: &'a Inode,
    node: Option<KBox<Node>>,
}

/// # Safety
///
/// `inode` must be in the hash of inodes, of this library, and `wanted` a [`Wanted`]:
/// iget5_locked() calls this with its own argument, in a read-side section of RCU.
unsafe extern "C" fn is_wanted(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
    // SAFETY: The node of an inode in the hash is freed after a grace period only, by free_inode().
    // `wanted` is on the stack of get(), which waits for iget5_locked().
    let (node, wanted) = unsafe {
        (
            &*(*inode).i_private.cast::<Node>(),
            &*wanted.cast::<Wanted<'_>>(),
        )
    };
    ptr::eq(node.lower, wanted.lower.as_raw()).into()
}

/// # Safety
///
/// `inode` must be new, and `wanted` a [`Wanted`] that nothing else uses: iget5_locked() calls this
/// with its own argument, before the inode is in the hash. Does not sleep.
unsafe extern "C" fn set_node(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
    // SAFETY: `wanted` is on the stack of get(), which waits for iget5_locked().
    let wanted = unsafe { &mut *wanted.cast::<Wanted<'_>>() };
    let Some(mut node) = wanted.node.take() else {
        return ENOMEM.to_errno();
    };
    // evict_inode() gives the reference back.
    node.lower = ARef::into_raw(ARef::from(wanted.lower)).cast().as_ptr();
    // SAFETY: No other task finds the inode before it is in the hash.
    unsafe { (*inode).i_private = KBox::into_raw(node).cast() };
    0
}

impl Stacked<Inode> {
    /// The inode of `sb` for that one below; `prepare` is called for a new one.
    pub(super) fn get(
        sb: &Stacked<SuperBlock>,
        lower: &Inode,
        prepare: fn(&Self),
    ) -> Result<ARef<Self>> {
        if !lower
            .super_block()
            .is(sb.layer().lower.dentry().super_block())
        {
            return Err(EXDEV);
        }
        // SAFETY: The inode is valid.
        if !unsafe { bindings::sp_inode_is_supported(lower.as_raw()) } {
            return Err(Error::from_errno(-(bindings::EREMOTE as c_int)));
        }
        let node = Node {
            lower: ptr::null_mut(),
            writer: Writer::new()?,
            stores: Gate::new(),
            writeback: Gate::new(),
            names: AtomicU32::new(0),
            no_room: AtomicBool::new(false),
        };
        let mut wanted = Wanted {
            lower,
            node: Some(KBox::new(node, flags::GFP_KERNEL)?),
        };
        // SAFETY: Both functions are called with `wanted`, before this returns, as they require it.
        let raw = unsafe {
            bindings::iget5_locked(
                sb.as_raw(),
                lower.as_raw() as u64,
                Some(is_wanted),
                Some(set_node),
                ptr::from_mut(&mut wanted).cast(),
            )
        };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: It is a new reference to an inode that has its node; the type is transparent.
        let inode: ARef<Self> = unsafe { ARef::from_raw(raw.cast()) };
        // SAFETY: Both are valid.
        if unsafe { bindings::sp_inode_prepare(inode.as_raw(), lower.as_raw()) } {
            inode.copy_attributes();
            prepare(&inode);
            // SAFETY: The inode is new, so that this task has locked it; now it can be used.
            unsafe { bindings::unlock_new_inode(inode.as_raw()) };
        }
        Ok(inode)
    }

    #[inline]
    pub(super) fn node(&self) -> &Node {
        // SAFETY: By type invariant.
        unsafe { &*(*self.as_raw()).i_private.cast() }
    }

    /// Inside are those who make a page writable in a mapping.
    pub(super) fn stores(&self) -> &Gate {
        &self.node().stores
    }

    /// Inside are those who write pages back.
    pub(super) fn writeback(&self) -> &Gate {
        &self.node().writeback
    }

    /// From here on names in this directory change, which is locked, until the guard is dropped:
    /// here and below.
    pub(super) fn change_names(&self) -> ChangingNames<'_> {
        let names = &self.node().names;
        names.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        ChangingNames(names)
    }

    /// None while a name in this directory is changing.
    pub(super) fn names_are_quiet(&self) -> Option<u32> {
        let names = self.node().names.load(Ordering::Acquire);
        (names % 2 == 0).then_some(names)
    }

    /// Whether one has begun to, or has, since that was returned.
    pub(super) fn names_have_changed_since(&self, quiet: u32) -> bool {
        fence(Ordering::SeqCst);
        self.node().names.load(Ordering::Relaxed) != quiet
    }

    /// Whether what is written to the file below sets its times then, and not before.
    pub(super) fn sets_times(&self) -> bool {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_inode_sets_times(self.lower().as_raw()) }
    }

    /// Whether something has stayed dirty for want of room below.
    pub(super) fn no_room(&self) -> &AtomicBool {
        &self.node().no_room
    }

    /// The inode below.
    #[inline]
    pub fn lower(&self) -> &Inode {
        // SAFETY: The node has a reference until the inode is evicted.
        unsafe { Inode::from_raw(self.node().lower) }
    }

    /// Takes over all attributes but the size.
    pub fn copy_attributes(&self) {
        // SAFETY: Both inodes are valid.
        unsafe { bindings::sp_inode_copy_attributes(self.as_raw(), self.lower().as_raw()) };
    }
}

/// `super_operations.evict_inode`
///
/// # Safety
///
/// `inode` must be of this library, and have no reference any more: evict() calls this once, when
/// nothing is being written back any more (`I_FREEING`).
pub(super) unsafe extern "C" fn evict_inode(inode: *mut bindings::inode) {
    // SAFETY: The inode has its node until free_inode() is called, and no other task can get a
    // reference to it. That to the inode below is the node's: is_wanted() compares the pointer
    // later, and does not follow it.
    unsafe {
        let node = &*(*inode).i_private.cast::<Node>();
        bindings::sp_inode_report_lost(inode, node.lower);
        bindings::truncate_inode_pages_final(ptr::addr_of_mut!((*inode).i_data));
        bindings::clear_inode(inode);
        node.writer.forget();
        bindings::iput(node.lower);
    }
}

/// `super_operations.free_inode`, after a grace period.
///
/// # Safety
///
/// `inode` must be of this library, or one that set_node() was not called for. destroy_inode()
/// calls this once, after a grace period of RCU.
pub(super) unsafe extern "C" fn free_inode(inode: *mut bindings::inode) {
    // SAFETY: No task can find the inode any more, and none that had found it is still looking.
    unsafe {
        let node: *mut Node = (*inode).i_private.cast();
        if !node.is_null() {
            drop(KBox::from_raw(node));
        }
        bindings::free_inode_nonrcu(inode);
    }
}
