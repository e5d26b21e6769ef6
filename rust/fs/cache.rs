// SPDX-License-Identifier: GPL-2.0

//! What is done to the page cache of an inode as a whole.

use super::{stack::Upper, Inode};
use crate::bindings;
use kernel::{error::to_result, prelude::*};

/// No folio gets into the page cache of the inode, nor becomes writable in a mapping, while this is
/// there (`invalidate_lock`, exclusively).
pub struct Exclusive<'a>(&'a Upper<Inode>);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        // SAFETY: It was locked when this was made.
        unsafe { bindings::sp_filemap_invalidate_unlock(self.0.as_raw()) };
    }
}

/// Nobody has [`Exclusive`] while this is there (`invalidate_lock`, shared).
pub struct Shared<'a>(&'a Upper<Inode>);

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        // SAFETY: It was locked when this was made.
        unsafe { bindings::sp_filemap_invalidate_unlock_shared(self.0.as_raw()) };
    }
}

impl Upper<Inode> {
    /// Writes back all that is dirty, and waits for it; what fails now is said now. Sleeps.
    pub fn write_and_wait(&self) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe {
            bindings::filemap_write_and_wait_range(self.mapping(), 0, bindings::SP_LLONG_MAX)
        })
    }

    /// Keeps the page cache as it is. Sleeps; the inode is locked.
    pub fn exclude(&self) -> Exclusive<'_> {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_filemap_invalidate_lock(self.as_raw()) };
        Exclusive(self)
    }

    /// Keeps others from changing the page cache as a whole. Sleeps.
    pub fn share(&self) -> Shared<'_> {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_filemap_invalidate_lock_shared(self.as_raw()) };
        Shared(self)
    }

    /// What is stored in the file from its end to `position` through a mapping does not become part
    /// of it when it grows. Sleeps; the inode is locked.
    pub fn zero_behind_end(&self, position: i64) {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_zero_behind_end(self.as_raw(), position) };
    }
}

impl Exclusive<'_> {
    /// Makes the file longer, if it is shorter than `size`. Sleeps.
    pub fn extend(&self, size: i64) {
        if size > self.0.size() {
            self.0.zero_behind_end(size);
            // SAFETY: The inode is valid, and locked.
            unsafe { bindings::sp_i_size_write(self.0.as_raw(), size) };
        }
    }

    /// Sets the size, and drops what is behind it from the page cache. Sleeps.
    pub fn truncate(&self, size: i64) {
        // SAFETY: The inode is valid, and locked.
        unsafe { bindings::truncate_setsize(self.0.as_raw(), size) };
    }

    /// Sets the size to that of the file below; nothing is cached behind it.
    pub fn copy_size(&self) {
        // SAFETY: Both inodes are valid, and this one is locked.
        unsafe { bindings::sp_i_size_write(self.0.as_raw(), self.0.lower().size()) };
    }

    /// Drops these bytes from the page cache, written back or not; whole pages go, and the rest of
    /// others is zero. Sleeps.
    pub fn discard(&self, first: i64, last: i64) {
        // SAFETY: The inode is valid.
        unsafe { bindings::truncate_pagecache_range(self.0.as_raw(), first, last) };
    }

    /// Takes the folios with these bytes out of the page cache and out of all mappings, so that they
    /// are read again. What is dirty is written back before. Sleeps; EBUSY where somebody holds one.
    pub fn invalidate(&self, first: i64, last: i64) -> Result {
        let mapping = self.0.mapping();
        // SAFETY: The mapping is valid.
        to_result(unsafe { bindings::filemap_write_and_wait_range(mapping, first, last) })?;
        let page = |byte: i64| (byte >> bindings::PAGE_SHIFT) as usize;
        // SAFETY: As above.
        to_result(unsafe {
            bindings::invalidate_inode_pages2_range(mapping, page(first), page(last))
        })
    }
}
