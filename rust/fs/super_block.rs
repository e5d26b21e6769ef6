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
        // SAFETY: By the requirements it stays.
        Self(unsafe { SuperBlock::from_raw(sb) })
    }

    /// Takes over what a filesystem has from the one below, and the limits of the mount there.
    /// False where it cannot be stacked on that: it would be too high, or is of the same kind.
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
        // SAFETY: By the type invariant no other task uses the superblock; kill_super() takes the
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
        // superblock used by this task only.
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
    /// `sb` must be of this library, and mounted: the caller of `->sync_fs` holds its `s_umount`
    /// until this returns.
    unsafe extern "C" fn sync_fs(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        if wait == 0 {
            return 0;
        }
        // SAFETY: `s_umount` keeps the superblock, and with it its layer, whose path keeps the
        // superblock below.
        unsafe {
            let layer = Stacked::<SuperBlock>::from_raw(sb).layer();
            let lower = layer.lower.dentry().super_block().as_raw();
            bindings::sp_super_sync(sb, lower, layer.seen.as_ptr())
        }
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, and alive until this returns: the caller of `->statfs`
    /// holds a reference to it, or to the superblock, of which it is the root. `buffer` is the
    /// caller's.
    unsafe extern "C" fn statfs(
        dentry: *mut bindings::dentry,
        buffer: *mut bindings::kstatfs,
    ) -> c_int {
        // SAFETY: The caller of `->statfs` keeps the dentry and the buffer until this returns.
        from_result(|| unsafe {
            let path = Stacked::<Dentry>::from_raw(dentry).path()?;
            to_result(bindings::vfs_statfs(path.as_raw(), buffer))?;
            bindings::sp_kstatfs_set_type(buffer, T::MAGIC);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `root` must be of this library, and alive until this returns: the mount that is shown keeps
    /// it, with `namespace_sem` held. `seq` is the caller's.
    unsafe extern "C" fn show_options(
        seq: *mut bindings::seq_file,
        root: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The caller of `->show_options` keeps both until this returns.
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
/// `sb` must be of this library, with `s_umount` held for writing: deactivate_locked_super() calls
/// this once, when the last active reference is gone.
pub(super) unsafe extern "C" fn kill_super(sb: *mut bindings::super_block) {
    // SAFETY: No task can reach the superblock any more but those that walk a path without
    // references, which synchronize_rcu() waits for. Inodes and dentries use the layer, so it goes
    // after them; there is none where filling failed early.
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
