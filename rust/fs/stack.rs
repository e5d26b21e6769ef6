// SPDX-License-Identifier: GPL-2.0

//! What a stackable filesystem keeps about the one below it.
//!
//! | of | is kept | until |
//! | --- | --- | --- |
//! | a mount | the folder below, and who mounted it | it is gone |
//! | a dentry | the dentry below | it is released |
//! | an inode | the inode below, and a file to write it through | it is evicted |
//! | an open file | the file below that was opened with it | it is closed |

use super::{
    devices::Devices,
    gate::Gate,
    rights::Recent,
    stale,
    writer::Writer,
    Dentry,
    File,
    Inode,
    Lower,
    Path, //
};
use crate::bindings;
use core::{
    ops::Deref,
    ptr,
    ptr::NonNull,
    sync::atomic::{fence, AtomicBool, AtomicU32, Ordering}, //
};
use kernel::{
    alloc::flags,
    cred::Credential,
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_uint, c_void},
    fs::LocalFile,
    prelude::*,
    str::CString,
    sync::aref::{ARef, AlwaysRefCounted}, //
};

/// What a mount is stacked on.
pub struct Layer {
    pub(super) lower: Path,
    pub(super) credential: ARef<Credential>,
    pub(super) recent: Recent,
    pub(super) devices: Devices,
    pub(super) queue: super::Queue,
    pub(super) option: CString,
    /// The errors of the filesystem below that were told here.
    pub(super) seen: AtomicU32,
}

impl Layer {
    /// The folder below.
    pub fn lower(&self) -> &Path {
        &self.lower
    }

    /// The number of a device below, as it is here; `own` is that of the filesystem.
    pub(super) fn device(
        &self,
        lower: bindings::dev_t,
        own: bindings::dev_t,
    ) -> Result<bindings::dev_t> {
        if lower == self.lower.dentry().device() {
            return Ok(own);
        }
        self.devices.get(lower)
    }
}

/// An object of a filesystem that this library has registered.
///
/// # Invariants
///
/// The private data of the object, and of its superblock, are what is set here.
#[repr(transparent)]
pub struct Upper<T>(T);

impl<T> Deref for Upper<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: The references are those of the object.
unsafe impl<T: AlwaysRefCounted> AlwaysRefCounted for Upper<T> {
    fn inc_ref(&self) {
        self.0.inc_ref()
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: The caller gives away a reference; the type is transparent.
        unsafe { T::dec_ref(object.cast()) }
    }
}

/// # Safety
///
/// The superblock must be one of this library's, and stay so for `'a`.
pub(super) unsafe fn layer<'a>(sb: *mut bindings::super_block) -> &'a Layer {
    // SAFETY: fill_super() puts a layer there, which goes after all that is of the superblock.
    unsafe { &*(*sb).s_fs_info.cast() }
}

impl Upper<Dentry> {
    /// # Safety
    ///
    /// As for [`Dentry::from_raw`]; and it must be of a filesystem of this library.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::dentry) -> &'a Self {
        // INVARIANT: By the requirements.
        // SAFETY: As above, and the type is transparent.
        unsafe { &*raw.cast() }
    }

    /// What the mount is stacked on.
    pub fn layer(&self) -> &Layer {
        // SAFETY: By type invariant; a dentry keeps its superblock.
        unsafe { layer(self.raw_super()) }
    }

    /// The directory that it is in now.
    pub fn parent(&self) -> ARef<Self> {
        // SAFETY: The parent is of the same filesystem; the type is transparent.
        unsafe { ARef::from_raw(ARef::into_raw(self.0.parent()).cast()) }
    }

    /// The inode; none if there is nothing of that name.
    pub fn inode(&self) -> Option<ARef<Upper<Inode>>> {
        let inode = self.0.inode()?;
        // SAFETY: The inode is of the same filesystem; the type is transparent.
        Some(unsafe { ARef::from_raw(ARef::into_raw(inode).cast()) })
    }

    /// The dentry below; ESTALE while it has none.
    pub fn lower(&self) -> Result<&Dentry> {
        // SAFETY: By type invariant. The field is set once, before others see the dentry.
        let raw: *mut bindings::dentry = unsafe { (*self.as_raw()).d_fsdata.cast() };
        if raw.is_null() {
            return Err(stale());
        }
        // SAFETY: release() gives the reference back, no sooner.
        Ok(unsafe { Dentry::from_raw(raw) })
    }

    /// The place below.
    pub fn path(&self) -> Result<Path> {
        self.layer().lower().at(self.lower()?)
    }

    /// # Safety
    ///
    /// Nobody else may know the dentry yet, and it must have none below.
    pub(super) unsafe fn set_lower(&self, lower: ARef<Dentry>) {
        let raw = ARef::into_raw(lower).as_ptr();
        // SAFETY: The caller vouches for it.
        unsafe { (*self.as_raw()).d_fsdata = raw.cast() };
    }

    /// Whether it stands for the same below as it does here; `flags` are those of path walking.
    ///
    /// While a name is changing here, it has changed below, or has not, and here it is yet to: then
    /// it is current, as it was for who came a moment before. Only what disagrees while nothing
    /// changes here has been changed below. Sleeps.
    fn is_current(&self, flags: u32) -> Result<bool> {
        let parent = self.parent().inode().ok_or_else(stale)?;
        let Some(quiet) = parent.names_are_quiet() else {
            return Ok(true);
        };
        let lower = self.lower()?;
        // SAFETY: The dentry is valid.
        let asked = unsafe { bindings::sp_d_revalidate(lower.as_raw(), flags) };
        to_result(asked.min(0))?;
        let inode = self.inode();
        let expected = inode
            .as_ref()
            .map_or(ptr::null_mut(), |inode| inode.lower().as_raw());
        // SAFETY: All are valid, and the dentry has one below, as its parent has.
        let agree = unsafe { bindings::sp_d_agree(self.as_raw(), lower.as_raw(), expected) };
        if agree && asked > 0 || parent.names_have_changed_since(quiet) {
            return Ok(true);
        }
        // SAFETY: Both are valid.
        unsafe { bindings::sp_d_drop_moved(self.as_raw(), lower.as_raw()) };
        Ok(false)
    }
}

/// `dentry_operations.d_release`
///
/// # Safety
///
/// To be called by the kernel, for a dentry of this library.
pub(super) unsafe extern "C" fn release(dentry: *mut bindings::dentry) {
    // SAFETY: It was set by set_lower(), or is NULL, which dput() ignores.
    unsafe { bindings::dput((*dentry).d_fsdata.cast()) };
}

/// `dentry_operations.d_revalidate`
///
/// # Safety
///
/// As for [`release`].
pub(super) unsafe extern "C" fn revalidate(
    _: *mut bindings::inode,
    _: *const bindings::qstr,
    dentry: *mut bindings::dentry,
    flags: c_uint,
) -> c_int {
    if flags & bindings::SP_LOOKUP_RCU != 0 {
        return ECHILD.to_errno();
    }
    // SAFETY: The caller passes a valid dentry of this library.
    let dentry = unsafe { Upper::<Dentry>::from_raw(dentry) };
    from_result(|| {
        let current = dentry.is_current(flags)?;
        if let Some(inode) = dentry.inode().filter(|_| current) {
            inode.copy_attributes();
        }
        Ok(current.into())
    })
}

/// `dentry_operations.d_hash`, where the filesystem below has its own.
///
/// # Safety
///
/// As for [`release`].
pub(super) unsafe extern "C" fn hash(
    dentry: *const bindings::dentry,
    name: *mut bindings::qstr,
) -> c_int {
    // SAFETY: The caller passes both; that of the root below looks at its superblock only.
    unsafe {
        let dentry = Upper::<Dentry>::from_raw(dentry.cast_mut());
        bindings::sp_d_hash(dentry.layer().lower.dentry().as_raw(), name)
    }
}

/// `dentry_operations.d_compare`, where the filesystem below has its own. The dentry may have none
/// below yet.
///
/// # Safety
///
/// As for [`release`].
pub(super) unsafe extern "C" fn compare(
    dentry: *const bindings::dentry,
    len: c_uint,
    characters: *const c_char,
    name: *const bindings::qstr,
) -> c_int {
    // SAFETY: As for hash().
    unsafe {
        let dentry = Upper::<Dentry>::from_raw(dentry.cast_mut());
        let root = dentry.layer().lower.dentry().as_raw();
        bindings::sp_d_compare(root, len, characters, name)
    }
}

/// What an inode keeps.
///
/// Its memory stays until nobody can look at the inode's hash chain any more: `lower` is compared
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

/// Names that are changing. See [`Upper::<Inode>::change_names`].
pub(super) struct ChangingNames<'a>(&'a AtomicU32);

impl Drop for ChangingNames<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// What finds or makes an inode.
struct Wanted {
    lower: *mut bindings::inode,
    node: Option<KBox<Node>>,
}

/// # Safety
///
/// To be called by iget5_locked() with a [`Wanted`].
unsafe extern "C" fn is_wanted(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
    // SAFETY: An inode in the hash has a node; the caller passes the other.
    let (node, wanted) = unsafe {
        (
            &*(*inode).i_private.cast::<Node>(),
            &*wanted.cast::<Wanted>(),
        )
    };
    ptr::eq(node.lower, wanted.lower).into()
}

/// # Safety
///
/// As for [`is_wanted`].
unsafe extern "C" fn set_node(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
    // SAFETY: The caller passes it.
    let wanted = unsafe { &mut *wanted.cast::<Wanted>() };
    let Some(mut node) = wanted.node.take() else {
        return ENOMEM.to_errno();
    };
    // SAFETY: Whoever wants it has a reference.
    unsafe { bindings::ihold(wanted.lower) };
    node.lower = wanted.lower;
    // SAFETY: The inode is new, and nobody else knows it.
    unsafe { (*inode).i_private = KBox::into_raw(node).cast() };
    0
}

impl Upper<Inode> {
    /// # Safety
    ///
    /// As for [`Inode::from_raw`]; and it must be of a filesystem of this library, and not evicted.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::inode) -> &'a Self {
        // INVARIANT: By the requirements.
        // SAFETY: As above, and the type is transparent.
        unsafe { &*raw.cast() }
    }

    /// The inode of `sb` for that one below; `prepare` is called for a new one.
    ///
    /// # Safety
    ///
    /// `sb` must be a superblock of this library.
    pub(super) unsafe fn get(
        sb: *mut bindings::super_block,
        lower: &Inode,
        prepare: fn(&Self),
    ) -> Result<ARef<Self>> {
        // SAFETY: The caller vouches for it.
        let expected = unsafe { layer(sb) }.lower.dentry().raw_super();
        if lower.raw_super() != expected {
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
            lower: lower.as_raw(),
            node: Some(KBox::new(node, flags::GFP_KERNEL)?),
        };
        // SAFETY: The functions get what they expect.
        let raw = unsafe {
            bindings::iget5_locked(
                sb,
                lower.as_raw() as u64,
                Some(is_wanted),
                Some(set_node),
                ptr::from_mut(&mut wanted).cast(),
            )
        };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: It is a new reference to an inode that has its node.
        let inode: ARef<Self> = unsafe { ARef::from_raw(raw.cast()) };
        // SAFETY: The inode is valid.
        if unsafe { bindings::sp_inode_is_new(raw.as_ptr()) } {
            // SAFETY: The inode is new: nobody else changes it.
            unsafe {
                (*raw.as_ptr()).i_ino = (*lower.as_raw()).i_ino;
                bindings::sp_i_size_write(raw.as_ptr(), lower.size());
            }
            // SAFETY: As above.
            unsafe { bindings::sp_inode_prepare(raw.as_ptr()) };
            inode.copy_attributes();
            prepare(&inode);
            // SAFETY: As above; now it can be used.
            unsafe { bindings::unlock_new_inode(raw.as_ptr()) };
        }
        Ok(inode)
    }

    pub(super) fn node(&self) -> &Node {
        // SAFETY: By type invariant.
        unsafe { &*(*self.as_raw()).i_private.cast() }
    }

    /// What the mount is stacked on.
    pub fn layer(&self) -> &Layer {
        // SAFETY: By type invariant; an inode keeps its superblock.
        unsafe { layer(self.raw_super()) }
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
    fn names_are_quiet(&self) -> Option<u32> {
        let names = self.node().names.load(Ordering::Acquire);
        (names % 2 == 0).then_some(names)
    }

    /// Whether one has begun to, or has, since that was returned.
    fn names_have_changed_since(&self, quiet: u32) -> bool {
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
/// To be called by the kernel, for an inode of this library.
pub(super) unsafe extern "C" fn evict_inode(inode: *mut bindings::inode) {
    // SAFETY: The caller passes an inode that nobody else uses.
    unsafe {
        bindings::sp_inode_report_lost(inode, (*(*inode).i_private.cast::<Node>()).lower);
        bindings::truncate_inode_pages_final(ptr::addr_of_mut!((*inode).i_data));
        bindings::clear_inode(inode);
    }
    // SAFETY: It has its node.
    let node = unsafe { &*(*inode).i_private.cast::<Node>() };
    node.writer.forget();
    // SAFETY: The node's reference; nobody follows the pointer any more.
    unsafe { bindings::iput(node.lower) };
}

/// `super_operations.free_inode`, after a grace period.
///
/// # Safety
///
/// As for [`evict_inode`].
pub(super) unsafe extern "C" fn free_inode(inode: *mut bindings::inode) {
    // SAFETY: The caller passes an inode that nobody can see any more.
    unsafe {
        let node: *mut Node = (*inode).i_private.cast();
        if !node.is_null() {
            drop(KBox::from_raw(node));
        }
        bindings::free_inode_nonrcu(inode);
    }
}

impl Upper<File> {
    /// # Safety
    ///
    /// As for [`File::from_raw`]; and it must be of a filesystem of this library, and open.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::file) -> &'a Self {
        // INVARIANT: By the requirements.
        // SAFETY: As above, and the type is transparent.
        unsafe { &*raw.cast() }
    }

    /// The inode.
    pub fn inode(&self) -> &Upper<Inode> {
        // SAFETY: By type invariant; a file keeps its inode.
        unsafe { Upper::<Inode>::from_raw(self.0.inode().as_raw()) }
    }

    /// The open file with that descriptor; EXDEV if it is no regular file of the same filesystem as
    /// this one.
    pub fn sibling(&self, descriptor: u32) -> Result<ARef<Self>> {
        let file = LocalFile::fget(descriptor)?;
        // SAFETY: It keeps the file.
        let file = unsafe { File::from_raw(file.as_ptr()) };
        if file.inode().raw_super() != self.inode().raw_super() || !file.inode().is_regular() {
            return Err(EXDEV);
        }
        // SAFETY: It is an open file of this filesystem; the type is transparent.
        Ok(unsafe { Self::from_raw(file.as_raw()) }.into())
    }

    /// Whether it can be written to, and its inode is written back.
    pub(super) fn is_written_back(&self) -> bool {
        self.is_writable() && self.inode().is_regular()
    }

    /// The file below.
    pub fn lower(&self) -> Lower<'_> {
        // SAFETY: It was put there when this was opened, and stays until this is released.
        Lower::new(unsafe { File::from_raw((*self.as_raw()).private_data.cast()) })
    }
}

/// `file_operations.release`
///
/// # Safety
///
/// To be called by the kernel, for an open file of this library.
pub(super) unsafe extern "C" fn close(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The caller passes it.
    let upper = unsafe { Upper::<File>::from_raw(file) };
    if upper.is_written_back() {
        upper.inode().end_writing();
    }
    // SAFETY: It was put there when the file was opened.
    unsafe { bindings::fput((*file).private_data.cast()) };
    0
}
