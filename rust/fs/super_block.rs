// SPDX-License-Identifier: GPL-2.0

//! `super_operations` of a stackable filesystem.

use super::{
    node,
    stack::{self, Layer, Upper},
    Dentry,
    FileSystem, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    str::CStrExt, //
};

pub(super) struct Super<T>(PhantomData<T>);

impl<T: FileSystem> Super<T> {
    pub(super) const OPERATIONS: bindings::super_operations = bindings::super_operations {
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
        // SAFETY: The caller passes a superblock with its layer.
        let layer = unsafe { stack::layer(sb) };
        let lower = layer.lower.dentry().super_block().as_raw();
        // SAFETY: The caller passes the superblock, and the path keeps the one below.
        unsafe { bindings::sp_super_sync(sb, lower, layer.seen.as_ptr()) }
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
            let path = Upper::<Dentry>::from_raw(dentry).path()?;
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
            let layer = Upper::<Dentry>::from_raw(root).layer();
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
