// SPDX-License-Identifier: GPL-2.0

//! `super_operations` of a stackable filesystem.

use super::{
    dentry::{self, NewDentry},
    node,
    object::Object,
    stack::{Layer, Stacked},
    xattr,
    Dentry,
    FileSystem,
    Inode,
    Path, //
};
use crate::{bindings, mm::SuperBlock};
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    str::CStrExt,
    sync::aref::ARef, //
};

impl SuperBlock {
    /// The name of the type of filesystem.
    pub(super) fn type_name(&self) -> &CStr {
        // SAFETY: The superblock is valid, and keeps its type, whose name is a string.
        unsafe { CStr::from_char_ptr((*(*self.as_raw()).s_type).name) }
    }

    /// The error of writing that was the last until now, so that later ones are others.
    pub(super) fn error(&self) -> u32 {
        // SAFETY: The superblock is valid.
        unsafe { bindings::sp_super_error(self.as_raw()) }
    }
}

/// A superblock that is being filled.
///
/// # Invariants
///
/// The superblock is new, and used by this task only.
pub(super) struct NewSuper<'a>(&'a SuperBlock);

impl<'a> NewSuper<'a> {
    /// # Safety
    ///
    /// `sb` must be new, stay for `'a`, and be used by this only.
    pub(super) unsafe fn from_raw(sb: *mut bindings::super_block) -> Self {
        // INVARIANT: By the requirements.
        // SAFETY: As above.
        Self(unsafe { SuperBlock::from_raw(sb) })
    }

    /// Takes over what a filesystem has from the one below, and the limits of the mount there. False
    /// where it cannot be stacked on that: it would be too high, or is of the same kind.
    pub(super) fn inherit(&self, lower: &Path) -> bool {
        // SAFETY: By the type invariant; the path is valid.
        unsafe { bindings::sp_super_inherit(self.0.as_raw(), lower.as_raw()) }
    }

    /// Makes it one of this library.
    pub(super) fn set_layer<T: FileSystem>(
        &self,
        layer: KBox<Layer>,
    ) -> Result<&'a Stacked<SuperBlock>> {
        let sb = self.0.as_raw();
        let folds = layer.lower.dentry().folds();
        // SAFETY: By the type invariant nobody else uses the superblock; kill_super() takes the
        // layer, whatever comes.
        unsafe {
            (*sb).s_fs_info = KBox::into_raw(layer).cast();
            (*sb).s_magic = T::MAGIC;
            (*sb).s_op = &Super::<T>::OPERATIONS;
            (*sb).s_xattr = xattr::HANDLERS.0.as_ptr().cast();
            bindings::set_default_d_op(
                sb,
                if folds {
                    &dentry::FOLDING
                } else {
                    &dentry::OPERATIONS
                },
            );
            to_result(bindings::super_setup_bdi(sb))?;
            Ok(Stacked::from_raw(sb))
        }
    }

    /// Gives it a root, which is `lower` below.
    pub(super) fn set_root(&self, inode: ARef<Stacked<Inode>>, lower: ARef<Dentry>) -> Result {
        // SAFETY: The function takes the reference, in any case. The root is new, and the
        // superblock nobody else's.
        unsafe {
            let root = bindings::d_make_root(ARef::into_raw(inode).cast().as_ptr());
            if root.is_null() {
                return Err(ENOMEM);
            }
            NewDentry::from_raw(root).set_lower(lower);
            (*self.0.as_raw()).s_root = root;
        }
        Ok(())
    }
}

struct Super<T>(PhantomData<T>);

impl<T: FileSystem> Super<T> {
    const OPERATIONS: bindings::super_operations = bindings::super_operations {
        free_inode: Some(node::free_inode),
        evict_inode: Some(node::evict_inode),
        sync_fs: Some(Self::sync_fs),
        statfs: Some(Self::statfs),
        show_options: Some(Self::show_options),
        ..pin_init::zeroed()
    };

    /// What is below is synchronized, too: what has been written back from here is there.
    ///
    /// # Safety
    ///
    /// To be called by the kernel, for a superblock of this type.
    unsafe extern "C" fn sync_fs(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        if wait == 0 {
            return 0;
        }
        // SAFETY: The caller passes a superblock of this library, and the path keeps the one below.
        unsafe {
            let layer = Stacked::<SuperBlock>::from_raw(sb).layer();
            let lower = layer.lower.dentry().super_block().as_raw();
            bindings::sp_super_sync(sb, lower, layer.seen.as_ptr())
        }
    }

    /// # Safety
    ///
    /// As for [`Super::sync_fs`], with a dentry of it.
    unsafe extern "C" fn statfs(
        dentry: *mut bindings::dentry,
        buffer: *mut bindings::kstatfs,
    ) -> c_int {
        // SAFETY: The caller passes both.
        from_result(|| unsafe {
            let path = Stacked::<Dentry>::from_raw(dentry).path()?;
            to_result(bindings::vfs_statfs(path.as_raw(), buffer))?;
            bindings::sp_kstatfs_set_type(buffer, T::MAGIC);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As for [`Super::statfs`].
    unsafe extern "C" fn show_options(
        seq: *mut bindings::seq_file,
        root: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The caller passes both.
        unsafe {
            let layer = Stacked::<Dentry>::from_raw(root).layer();
            let option = layer.option.as_char_ptr();
            bindings::sp_show_option(seq, T::LOWER_OPTION.as_char_ptr(), option);
        }
        0
    }
}

/// # Safety
///
/// To be called by the kernel, for a superblock of this library, as the last use of it.
pub(super) unsafe extern "C" fn kill_super(sb: *mut bindings::super_block) {
    // SAFETY: The caller passes it. Inodes and dentries use the layer, so it goes after them.
    unsafe {
        bindings::sp_super_write_back(sb);
        bindings::kill_anon_super(sb);
        // Who walks a path without references may still be comparing names.
        bindings::synchronize_rcu();
        let layer: *mut c_void = (*sb).s_fs_info;
        if !layer.is_null() {
            drop(KBox::<Layer>::from_raw(layer.cast()));
        }
    }
}
