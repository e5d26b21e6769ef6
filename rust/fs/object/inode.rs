// SPDX-License-Identifier: GPL-2.0

//! Inodes.

use super::{idmap, object, Object};
use crate::{
    bindings,
    mm::{Mapping, SuperBlock},
};
use core::ptr;
use kernel::{error::to_result, prelude::*};

object! {
    /// An inode.
    ///
    /// To drop the last reference may sleep.
    ///
    /// # Invariants
    ///
    /// It has a reference for as long as the Rust reference lives.
    ///
    /// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
    Inode, inode, ihold, iput
}

impl Object for Inode {
    type Raw = bindings::inode;

    fn super_block(&self) -> &SuperBlock {
        // SAFETY: The field is set when the inode is made, which keeps the superblock.
        unsafe { SuperBlock::from_raw((*self.as_raw()).i_sb) }
    }
}

impl Inode {
    /// The size, in bytes.
    #[inline]
    pub fn size(&self) -> i64 {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_i_size_read(self.as_raw()) }
    }

    /// Whether it is a file of tmpfs: its page cache is all that there is of it.
    pub fn is_in_memory(&self) -> bool {
        self.cache().must_be_unmapped() == Ok(true)
    }

    /// Type and permissions, as in `st_mode`.
    #[inline]
    pub fn mode(&self) -> u32 {
        // SAFETY: The inode is valid; a mode that changes meanwhile is as good as any.
        unsafe { ptr::addr_of!((*self.as_raw()).i_mode).read_volatile() }.into()
    }

    /// Whether it is a regular file.
    #[inline]
    pub fn is_regular(&self) -> bool {
        self.mode() & bindings::SP_S_IFMT == bindings::SP_S_IFREG
    }

    /// Whether no process may change it (`FS_IMMUTABLE_FL`).
    #[inline]
    pub fn is_immutable(&self) -> bool {
        // SAFETY: The inode is valid; flags that change meanwhile are as good as any.
        let flags = unsafe { ptr::addr_of!((*self.as_raw()).i_flags).read_volatile() };
        flags & bindings::SP_S_IMMUTABLE != 0
    }

    /// Whether it is a directory.
    #[inline]
    pub fn is_directory(&self) -> bool {
        self.mode() & bindings::SP_S_IFMT == bindings::SP_S_IFDIR
    }

    /// Locks it (`i_rwsem`) until the guard is dropped. Sleeps.
    pub fn lock(&self) -> InodeGuard<'_> {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_inode_lock(self.as_raw()) };
        InodeGuard(self)
    }

    /// Whether the caller, with its credentials, may do what `mask` (`MAY_*`) says. May sleep
    /// unless that says that it must not.
    pub fn permission(&self, mask: i32) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe { bindings::inode_permission(idmap(), self.as_raw(), mask) })
    }

    /// The page cache.
    pub(in crate::fs) fn cache(&self) -> &Mapping {
        // SAFETY: The field is set when the inode is made, which keeps its mapping.
        unsafe { Mapping::from_raw((*self.as_raw()).i_mapping) }
    }

    /// The number.
    pub(in crate::fs) fn number(&self) -> u64 {
        // SAFETY: The inode is valid, and its number does not change once others see it.
        unsafe { (*self.as_raw()).i_ino }
    }
}

/// A locked inode. See [`Inode::lock`].
pub struct InodeGuard<'a>(&'a Inode);

impl Drop for InodeGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: It was locked when the guard was made.
        unsafe { bindings::sp_inode_unlock(self.0.as_raw()) };
    }
}
