// SPDX-License-Identifier: GPL-2.0

//! `fs_context_operations`: how a stackable filesystem is mounted.

use super::{
    devices::Devices,
    inode,
    object::Object,
    rights::{self, Recent},
    stack::Layer,
    super_block::NewSuper,
    Dentry,
    FileSystem,
    Path,
    Stacked, //
};
use crate::{bindings, mm::SuperBlock, workqueue::ReclaimQueue};
use core::{marker::PhantomData, sync::atomic::AtomicU32};
use kernel::{
    alloc::flags,
    error::from_result,
    ffi::c_int,
    prelude::*,
    str::{CStrExt, CString},
    sync::aref::ARef, //
};

/// The names of filesystems that keep a file which is removed, by another name, for as long as there is
/// a dentry of it. A stack has one, and may have it for good.
const KEEP_REMOVED: [&CStr; 2] = [c"nfs", c"nfs4"];

/// What has been asked for.
#[derive(Default)]
struct Asked {
    lower: Option<(Path, CString)>,
}

/// A mount that is being made, or changed, `struct fs_context`.
///
/// # Invariants
///
/// The context is one of this library. What has been asked for is in its private data, and is used
/// by this only.
struct Context<'a> {
    raw: *mut bindings::fs_context,
    asked: &'a mut Asked,
}

impl Context<'_> {
    /// # Safety
    ///
    /// `fc` must be what an operation of [`Operations::CONTEXT`] was called with, which has not
    /// returned; this is made once for each call.
    unsafe fn from_raw(fc: *mut bindings::fs_context) -> Self {
        // INVARIANT: Only one operation is called at a time: the context has a lock.
        Self {
            raw: fc,
            // SAFETY: init_fs_context() has put it there, and free() is called after all others.
            asked: unsafe { &mut *bindings::sp_fs_context_private(fc).cast() },
        }
    }

    /// The error for what is not possible, for the reason that the task that mounts gets to read.
    fn refuse(&self, reason: &CStr) -> Error {
        // SAFETY: By the type invariant the context is valid. The message ends with a zero, and is
        // copied.
        unsafe { bindings::sp_fs_context_invalid(self.raw, reason.as_char_ptr()) };
        EINVAL
    }

    /// The superblock, where there is one already.
    fn super_block(&self) -> Option<&Stacked<SuperBlock>> {
        // SAFETY: By the type invariant the context is valid.
        let sb = unsafe { bindings::sp_fs_context_super(self.raw) };
        // SAFETY: The context keeps the root of that, which has been filled.
        (!sb.is_null()).then(|| unsafe { Stacked::from_raw(sb) })
    }

    /// The folder below can only be named once.
    fn set_lower(&mut self, value: &CStr) -> Result {
        let lower = Path::directory(value).inspect_err(|_| {
            self.refuse(c"there is no such folder for the filesystem below");
        })?;
        self.asked.lower = Some((lower, value.try_into()?));
        Ok(())
    }

    /// Everything but the flags of the mount stays as it is.
    fn check_changes(&self) -> Result {
        let (Some((lower, _)), Some(sb)) = (&self.asked.lower, self.super_block()) else {
            return Ok(());
        };
        if !sb.layer().lower.is_same(lower) {
            return Err(self.refuse(c"the folder of the filesystem below cannot be changed"));
        }
        Ok(())
    }

    fn fill<T: FileSystem>(&mut self, new: &NewSuper<'_>) -> Result {
        let Some((lower, option)) = self.asked.lower.take() else {
            return Err(self.refuse(c"the folder of the filesystem below is missing"));
        };
        if !new.inherit(&lower) {
            return Err(self.refuse(c"the filesystem below is itself stacked, and too high"));
        }
        let lower_root: ARef<Dentry> = lower.dentry().into();
        let lower_super = lower_root.super_block();
        if KEEP_REMOVED.contains(&lower_super.type_name()) {
            return Err(self.refuse(c"NFS cannot be below: it keeps files that are removed"));
        }
        if !lower.is_plain() {
            return Err(self.refuse(c"the mount below must not be idmapped"));
        }
        let lower_inode = lower_root.inode().ok_or(ENOENT)?;
        let layer = Layer {
            lower,
            credential: rights::current(),
            recent: Recent::new(),
            devices: Devices::new()?,
            queue: ReclaimQueue::unbound(T::NAME)?,
            option,
            seen: AtomicU32::new(lower_super.error()),
        };
        let sb = new.set_layer::<T>(KBox::new(layer, flags::GFP_KERNEL)?)?;
        let inode = Stacked::get(sb, &lower_inode, inode::prepare::<T>)?;
        new.set_root(inode, lower_root)
    }
}

/// `file_system_type.init_fs_context`
///
/// # Safety
///
/// `fc` must be a new context that alloc_fs_context() calls this for: no other task can find it
/// yet.
pub(super) unsafe extern "C" fn init_fs_context<T: FileSystem>(
    fc: *mut bindings::fs_context,
) -> c_int {
    from_result(|| {
        let asked = KBox::new(Asked::default(), flags::GFP_KERNEL)?;
        let operations = &Operations::<T>::CONTEXT;
        // SAFETY: No other task can find the context before this has returned.
        unsafe { bindings::sp_fs_context_init(fc, operations, KBox::into_raw(asked).cast()) };
        Ok(0)
    })
}

struct Operations<T>(PhantomData<T>);

impl<T: FileSystem> Operations<T> {
    const CONTEXT: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(Self::free),
        dup: None,
        parse_param: Some(Self::parse_param),
        parse_monolithic: None,
        get_tree: Some(Self::get_tree),
        reconfigure: Some(Self::reconfigure),
    };

    /// # Safety
    ///
    /// `fc` must be a context that init_fs_context() has set up: put_fs_context() calls this last,
    /// when no other task can find it any more.
    unsafe extern "C" fn free(fc: *mut bindings::fs_context) {
        // SAFETY: init_fs_context() has put it there. Nothing uses the context after this.
        drop(unsafe { KBox::<Asked>::from_raw(bindings::sp_fs_context_private(fc).cast()) });
    }

    /// # Safety
    ///
    /// `fc` must be a context that init_fs_context() has set up. No other operation of it runs
    /// meanwhile: fsconfig(2) holds its `uapi_mutex`, and mount(2) has the context to itself.
    /// `parameter` is the caller's, with its strings, until this returns.
    unsafe extern "C" fn parse_param(
        fc: *mut bindings::fs_context,
        parameter: *mut bindings::fs_parameter,
    ) -> c_int {
        // SAFETY: The caller of `->parse_param` keeps the parameter and its strings until this
        // returns, and no other operation of the context runs meanwhile.
        let (mut context, key, value) = unsafe {
            let value = bindings::sp_fs_parameter_string(parameter);
            (
                Context::from_raw(fc),
                CStr::from_char_ptr(bindings::sp_fs_parameter_key(parameter)),
                (!value.is_null()).then(|| CStr::from_char_ptr(value)),
            )
        };
        if key != T::LOWER_OPTION {
            return -(bindings::ENOPARAM as c_int);
        }
        from_result(|| context.set_lower(value.ok_or(EINVAL)?).map(|()| 0))
    }

    /// # Safety
    ///
    /// `fc` must be a context that init_fs_context() has set up. No other operation of it runs
    /// meanwhile: fsconfig(2) holds its `uapi_mutex`, and mount(2) has the context to itself.
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: No other operation of the context runs meanwhile. fill_super() is called before
        // this returns, with this context and a new superblock.
        unsafe { bindings::get_tree_nodev(fc, Some(Self::fill_super)) }
    }

    /// # Safety
    ///
    /// `sb` must be new, with `s_umount` held for writing, and `fc` the context that it is made
    /// for: get_tree_nodev() calls this before another task can use the superblock.
    unsafe extern "C" fn fill_super(
        sb: *mut bindings::super_block,
        fc: *mut bindings::fs_context,
    ) -> c_int {
        // SAFETY: Until this has returned the superblock has no root, so that no other task uses it
        // (`SB_BORN`). The context is the one of get_tree(), which does not look at it meanwhile.
        let (new, mut context) = unsafe { (NewSuper::from_raw(sb), Context::from_raw(fc)) };
        from_result(|| context.fill::<T>(&new).map(|()| 0))
    }

    /// Before it becomes read-only, what is dirty is written back.
    ///
    /// # Safety
    ///
    /// `fc` must be a context that init_fs_context() has set up. No other operation of it runs
    /// meanwhile: fsconfig(2) holds its `uapi_mutex`, and mount(2) has the context to itself. It is
    /// one for a superblock of this library that is mounted, whose `s_umount` is held for writing.
    unsafe extern "C" fn reconfigure(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: No other operation of the context runs meanwhile, and its root keeps the
        // superblock.
        unsafe {
            match Context::from_raw(fc).check_changes() {
                Ok(()) => bindings::sp_super_reconfigure(fc),
                Err(error) => error.to_errno(),
            }
        }
    }
}
