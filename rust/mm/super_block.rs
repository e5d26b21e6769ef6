// SPDX-License-Identifier: GPL-2.0

//! A superblock, and what keeps it from being frozen.

use crate::bindings;
use kernel::types::Opaque;

/// A mounted filesystem, `struct super_block`.
///
/// # Invariants
///
/// The superblock is not freed for as long as the Rust reference lives.
///
/// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
#[repr(transparent)]
pub struct SuperBlock(Opaque<bindings::super_block>);

// SAFETY: What the methods look at does not change while the filesystem is mounted, or has a lock.
unsafe impl Sync for SuperBlock {}

impl SuperBlock {
    /// Borrows a superblock that C owns.
    ///
    /// # Safety
    ///
    /// `raw` must be a valid superblock, which stays for the lifetime `'a`: an inode, a dentry or a
    /// mount of it is kept for as long.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::super_block) -> &'a Self {
        // SAFETY: `SuperBlock` is transparent over `bindings::super_block`; the caller vouches for
        // the rest.
        // INVARIANT: The caller does so for the type invariant, too.
        unsafe { &*raw.cast() }
    }

    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// The number of the filesystem's device. Any context.
    pub(crate) fn device(&self) -> bindings::dev_t {
        // SAFETY: By the type invariant the superblock is valid; the number does not change.
        unsafe { (*self.as_raw()).s_dev }
    }

    /// The size that a file may have, in bytes. Any context.
    pub(crate) fn max_bytes(&self) -> i64 {
        // SAFETY: By the type invariant the superblock is valid; the number does not change.
        unsafe { (*self.as_raw()).s_maxbytes }
    }

    /// The bytes of the block device that the filesystem is on; 0 if it is on none. Any context.
    pub(crate) fn device_size(&self) -> u64 {
        // SAFETY: By the type invariant the superblock is valid.
        unsafe { bindings::sp_super_device_size(self.as_raw()) }
    }

    /// Keeps the filesystem from being frozen until the guard is dropped (`sb_start_write()`).
    /// Sleeps while it is frozen.
    ///
    /// To be taken before `i_rwsem`, `mmap_lock` and all locks of the filesystem, and by a task
    /// that has not got it yet.
    pub fn start_write(&self) -> FreezeProtection<'_> {
        self.protect(false)
    }

    /// The same for a store through a mapping (`sb_start_pagefault()`). Sleeps while it is frozen.
    ///
    /// To be taken with `mmap_lock` or the lock of the area held, before `invalidate_lock` and the
    /// locks of folios.
    pub fn start_fault(&self) -> FreezeProtection<'_> {
        self.protect(true)
    }

    fn protect(&self, fault: bool) -> FreezeProtection<'_> {
        // SAFETY: By the type invariant the superblock is valid.
        unsafe { bindings::sp_freeze_protect(self.as_raw(), fault) };
        // INVARIANT: Right above.
        FreezeProtection { sb: self, fault }
    }
}

/// Protection of a change against freezing of the filesystem. See [`SuperBlock::start_write`] and
/// [`SuperBlock::start_fault`].
///
/// # Invariants
///
/// It was taken from the superblock, for a `fault` or not, and is given back once.
pub struct FreezeProtection<'a> {
    sb: &'a SuperBlock,
    fault: bool,
}

impl Drop for FreezeProtection<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it was taken, and this gives it back once.
        unsafe { bindings::sp_freeze_unprotect(self.sb.as_raw(), self.fault) }
    }
}
