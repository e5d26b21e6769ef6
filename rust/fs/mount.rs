// SPDX-License-Identifier: GPL-2.0

//! `fs_context_operations`: how a stackable filesystem is mounted.

use super::{
    dentry,
    devices::Devices,
    inode,
    rights::Recent,
    stack::{self, Layer, Upper},
    super_block::Super,
    xattr,
    Dentry,
    FileSystem,
    Path,
    Queue, //
};
use crate::bindings;
use core::{marker::PhantomData, ptr, sync::atomic::AtomicU32};
use kernel::{
    alloc::flags,
    cred::Credential,
    error::{from_result, to_result},
    ffi::c_int,
    prelude::*,
    str::CString,
    sync::aref::ARef, //
};

/// The names of filesystems that keep a file which is removed, by another name, for as long as there is
/// a dentry of it. A stack has one, and may have it for good.
const KEEP_REMOVED: [&CStr; 2] = [c"nfs", c"nfs4"];

/// A mount that is being made.
#[derive(Default)]
struct Mounting {
    lower: Option<(Path, CString)>,
}

/// # Safety
///
/// To be called by the kernel, for a new context.
pub(super) unsafe extern "C" fn init_fs_context<T: FileSystem>(
    fc: *mut bindings::fs_context,
) -> c_int {
    from_result(|| {
        let mounting = KBox::new(Mounting::default(), flags::GFP_KERNEL)?;
        let operations = &Context::<T>::OPERATIONS;
        // SAFETY: The caller passes a context that nobody else has yet.
        unsafe { bindings::sp_fs_context_init(fc, operations, KBox::into_raw(mounting).cast()) };
        Ok(0)
    })
}

struct Context<T>(PhantomData<T>);

impl<T: FileSystem> Context<T> {
    const OPERATIONS: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(Self::free),
        dup: None,
        parse_param: Some(Self::parse_param),
        parse_monolithic: None,
        get_tree: Some(Self::get_tree),
        reconfigure: Some(Self::reconfigure),
    };

    /// # Safety
    ///
    /// `fc` must be a context of this type; nobody else may use it.
    unsafe fn mounting<'a>(fc: *mut bindings::fs_context) -> &'a mut Mounting {
        // SAFETY: init_fs_context() put it there, and free() has not been called.
        unsafe { &mut *bindings::sp_fs_context_private(fc).cast() }
    }

    /// # Safety
    ///
    /// To be called by the kernel, for a context of this type.
    unsafe extern "C" fn free(fc: *mut bindings::fs_context) {
        // SAFETY: init_fs_context() put it there.
        drop(unsafe { KBox::<Mounting>::from_raw(bindings::sp_fs_context_private(fc).cast()) });
    }

    /// # Safety
    ///
    /// As for [`Context::free`].
    unsafe extern "C" fn parse_param(
        fc: *mut bindings::fs_context,
        parameter: *mut bindings::fs_parameter,
    ) -> c_int {
        // SAFETY: Both strings live as long as the parameter.
        let (key, value) = unsafe {
            let value = bindings::sp_fs_parameter_string(parameter);
            (
                CStr::from_char_ptr(bindings::sp_fs_parameter_key(parameter)),
                (!value.is_null()).then(|| CStr::from_char_ptr(value)),
            )
        };
        if key != T::LOWER_OPTION {
            return -(bindings::ENOPARAM as c_int);
        }
        from_result(|| {
            let value = value.ok_or(EINVAL)?;
            let lower = Path::directory(value).inspect_err(|_| {
                // SAFETY: The context is valid.
                unsafe { invalid(fc, c"there is no such folder for the filesystem below") }
            })?;
            // SAFETY: The context is this one's, and its lock is held.
            unsafe { Self::mounting(fc) }.lower = Some((lower, value.try_into()?));
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Context::free`].
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: The context is valid, and fill_super() gets what it expects.
        unsafe { bindings::get_tree_nodev(fc, Some(Self::fill_super)) }
    }

    /// Everything but the flags of the mount stays as it is. Before it becomes read-only, what is
    /// dirty is written back.
    ///
    /// # Safety
    ///
    /// As for [`Context::free`], with a mount that there is.
    unsafe extern "C" fn reconfigure(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: The caller passes a context of this type, and its superblock is one of this
        // library.
        unsafe {
            if let Some((lower, _)) = &Self::mounting(fc).lower {
                if !Self::layer(fc).lower.is_same(lower) {
                    invalid(fc, c"the folder of the filesystem below cannot be changed");
                    return EINVAL.to_errno();
                }
            }
            bindings::sp_super_reconfigure(fc)
        }
    }

    /// # Safety
    ///
    /// As for [`Context::reconfigure`].
    unsafe fn layer<'a>(fc: *mut bindings::fs_context) -> &'a Layer {
        // SAFETY: The caller vouches for it; the mount keeps its superblock.
        unsafe { stack::layer(bindings::sp_fs_context_super(fc)) }
    }

    /// # Safety
    ///
    /// As for [`Context::free`], with a new superblock.
    unsafe extern "C" fn fill_super(
        sb: *mut bindings::super_block,
        fc: *mut bindings::fs_context,
    ) -> c_int {
        // SAFETY: The caller passes both.
        from_result(|| unsafe { Self::fill(sb, fc) }.map(|()| 0))
    }

    /// # Safety
    ///
    /// As for [`Context::fill_super`].
    unsafe fn fill(sb: *mut bindings::super_block, fc: *mut bindings::fs_context) -> Result {
        // SAFETY: The context is this one's, and its lock is held.
        let Some((lower, option)) = unsafe { Self::mounting(fc) }.lower.take() else {
            // SAFETY: The context is valid.
            unsafe { invalid(fc, c"the folder of the filesystem below is missing") };
            return Err(EINVAL);
        };
        let lower_super = lower.dentry().super_block().as_raw();
        // SAFETY: Both superblocks are valid, and the new one is the caller's alone.
        unsafe {
            bindings::sp_super_inherit(sb, lower_super);
            if (*sb).s_stack_depth > bindings::SP_STACK_DEPTH_MAX as c_int
                || ptr::eq((*sb).s_type, (*lower_super).s_type)
            {
                invalid(fc, c"the filesystem below is itself stacked, and too high");
                return Err(EINVAL);
            }
        }
        // SAFETY: As above.
        unsafe { bindings::sp_super_restrict(sb, lower.as_raw()) };
        // SAFETY: The superblock keeps its type, whose name is a string.
        let below = unsafe { CStr::from_char_ptr((*(*lower_super).s_type).name) };
        if KEEP_REMOVED.contains(&below) {
            // SAFETY: The context is valid.
            unsafe { invalid(fc, c"NFS cannot be below: it keeps files that are removed") };
            return Err(EINVAL);
        }
        if !lower.is_plain() {
            // SAFETY: The context is valid.
            unsafe { invalid(fc, c"the mount below must not be idmapped") };
            return Err(EINVAL);
        }
        let lower_root: ARef<Dentry> = lower.dentry().into();
        let lower_inode = lower_root.inode().ok_or(ENOENT)?;
        // SAFETY: The credentials of a running task are valid.
        let credential = unsafe { Credential::from_ptr(bindings::sp_current_cred()) };
        // SAFETY: The function has returned a reference.
        let credential = unsafe { ARef::from_raw(ptr::NonNull::from(credential)) };
        let layer = Layer {
            lower,
            credential,
            recent: Recent::new(),
            devices: Devices::new()?,
            queue: Queue::new(T::NAME)?,
            option,
            // SAFETY: The path keeps the superblock below.
            seen: AtomicU32::new(unsafe { bindings::sp_super_error(lower_super) }),
        };
        let layer = KBox::new(layer, flags::GFP_KERNEL)?;
        // SAFETY: The superblock is the caller's alone; kill_super() takes what is put there.
        unsafe {
            (*sb).s_fs_info = KBox::into_raw(layer).cast();
            (*sb).s_magic = T::MAGIC;
            (*sb).s_op = &Super::<T>::OPERATIONS;
            (*sb).s_xattr = xattr::HANDLERS.0.as_ptr().cast();
            let folds = bindings::sp_d_folds(lower_root.as_raw());
            bindings::set_default_d_op(
                sb,
                if folds {
                    &dentry::FOLDING
                } else {
                    &dentry::OPERATIONS
                },
            );
            to_result(bindings::super_setup_bdi(sb))?;
        }
        // SAFETY: The superblock has its layer now.
        let inode = unsafe { Upper::get(sb, &lower_inode, inode::prepare::<T>) }?;
        let raw = ARef::into_raw(inode).cast().as_ptr();
        // SAFETY: The function takes the reference, in any case.
        let root = unsafe { bindings::d_make_root(raw) };
        if root.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The root is new.
        unsafe {
            Upper::<Dentry>::from_raw(root).set_lower(lower_root);
            (*sb).s_root = root;
        }
        Ok(())
    }
}

/// # Safety
///
/// The context must be valid.
unsafe fn invalid(fc: *mut bindings::fs_context, message: &CStr) {
    // SAFETY: As above; the message ends with a zero.
    unsafe { bindings::sp_fs_context_invalid(fc, message.as_char_ptr()) }
}
