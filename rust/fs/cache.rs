// SPDX-License-Identifier: GPL-2.0

//! What is done to the page cache of an inode as a whole.

use super::{gate, stack::Stacked, Inode};
use crate::{
    bindings,
    mm::Writeback, //
};
use core::{ops::Range, sync::atomic::Ordering};
use kernel::{error::to_result, page::PAGE_SIZE, prelude::*};

/// Nothing of the inode is under writeback while this is there, nor gets there: what is done to the
/// file below meanwhile is not undone by older data. Who wants to write back waits, or does so
/// later.
pub struct NoWriteback<'a> {
    inode: &'a Stacked<Inode>,
    _closed: gate::Closed<'a>,
}

/// No page of the inode becomes writable in a mapping while this is there: after all has been
/// written back, nothing is dirty. A task that stores to one waits.
pub struct NoStores<'a> {
    _closed: gate::Closed<'a>,
}

impl Stacked<Inode> {
    /// Writes back all that is dirty, and waits for it; what fails now is said now. Sleeps.
    pub fn write_and_wait(&self) -> Result {
        self.write_and_wait_range(0..bindings::SP_LLONG_MAX)
    }

    /// The same for these bytes, of which there are some.
    pub fn write_and_wait_range(&self, range: Range<i64>) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe {
            bindings::sp_write_and_wait_range(self.as_raw(), range.start, range.end - 1)
        })
    }

    /// What could not be written to the file below. Where that may pass, for want of room, it stays
    /// dirty, and the next one who brings the file down tries again; returns whether it does.
    ///
    /// The error is kept for fsync(2), but not that of trying again, which is the same: who tried
    /// gets that, and syncfs(2), which `syncs` says.
    pub(super) fn failed_to_write(&self, folio: &Writeback, error: Error, syncs: bool) -> bool {
        let passes = wants_room(error);
        if passes {
            folio.mark_dirty();
        }
        let again = passes && self.no_room().swap(true, Ordering::Relaxed);
        let (raw, error) = (self.as_raw(), error.to_errno());
        // SAFETY: The inode is valid, and so is its superblock.
        unsafe {
            if !again {
                bindings::sp_mapping_set_error(raw, error);
            } else if syncs {
                bindings::sp_super_set_error(raw, error);
            }
        }
        passes
    }

    /// Writes back what there was no room for, if there is such data: while there still is none, who
    /// wants to write more gets an error. Sleeps; the inode is locked.
    pub fn find_room(&self) -> Result {
        if self.no_room().load(Ordering::Relaxed) {
            self.write_and_wait()?;
        }
        Ok(())
    }

    /// To be called when all that was to be written back has been, or has failed.
    pub(super) fn all_written(&self) {
        if self.cache().is_written() {
            self.no_room().store(false, Ordering::Relaxed);
        }
        self.close_idle_writer();
    }

    /// Makes the file below as long as this one: it is not while the page with the end of the file
    /// has not been written back. Sleeps; the inode is locked.
    pub fn settle_size(&self) -> Result {
        let size = self.size();
        if size > self.lower().size() {
            self.write_and_wait_range(size - 1..size)?;
        }
        Ok(())
    }

    /// Sleeps, until all that is being written back has been written below; `EINTR` on a fatal
    /// signal. The inode is locked, and no folio is.
    pub fn hold_writeback(&self) -> Result<NoWriteback<'_>> {
        Ok(NoWriteback {
            inode: self,
            _closed: self.writeback().close()?,
        })
    }

    /// Sleeps; `EINTR` on a fatal signal. No folio is locked, and it comes before
    /// [`hold_writeback`](Self::hold_writeback).
    pub fn hold_stores(&self) -> Result<NoStores<'_>> {
        Ok(NoStores {
            _closed: self.stores().close()?,
        })
    }

    /// How many bytes may have no room below yet, in whole pages. May sleep.
    pub(super) fn unwritten(&self) -> u64 {
        (self.cache().unwritten() as u64) << bindings::PAGE_SHIFT
    }

    /// The blocks, of 512 bytes, of the file, which has `lower` of them below: those that are not
    /// written yet count, but not more than the file has room for.
    pub(super) fn blocks_with(&self, lower: u64, unwritten: u64) -> u64 {
        let all = (self.size() as u64).next_multiple_of(PAGE_SIZE as u64);
        lower.max((lower + (unwritten >> 9)).min(all >> 9))
    }

    /// Makes the file longer, if it is shorter than `size`. Sleeps; the inode is locked.
    pub fn extend(&self, size: i64) {
        if size > self.size() {
            self.zero_behind_end(size);
            self.set_size(size);
        }
    }

    /// The size, and nothing else. The inode is locked.
    pub(super) fn set_size(&self, size: i64) {
        // SAFETY: The inode is valid, and locked.
        unsafe { bindings::sp_i_size_write(self.as_raw(), size) };
    }

    /// What is stored in the file from its end to `position` through a mapping does not become part
    /// of it when it grows. Sleeps; the inode is locked.
    pub fn zero_behind_end(&self, position: i64) {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_zero_behind_end(self.as_raw(), position) };
    }
}

/// Whether there may be room later.
fn wants_room(error: Error) -> bool {
    error == ENOSPC || error == ENOMEM || error == Error::from_errno(-(bindings::EDQUOT as i32))
}

impl Drop for NoWriteback<'_> {
    fn drop(&mut self) {
        // What was dirty may be gone.
        self.inode.close_idle_writer();
    }
}

/// All of them sleep; the inode is locked.
impl NoWriteback<'_> {
    /// Sets the size, and drops what is behind it from the page cache.
    pub fn truncate(&self, size: i64) {
        // SAFETY: The inode is valid, and locked.
        unsafe { bindings::truncate_setsize(self.inode.as_raw(), size) };
    }

    /// Drops these bytes from the page cache, written back or not; whole pages go, and the rest of
    /// others is zero, as the bytes have to be below by now.
    pub fn discard(&self, range: Range<i64>) {
        // SAFETY: The inode is valid.
        unsafe {
            bindings::truncate_pagecache_range(self.inode.as_raw(), range.start, range.end - 1)
        };
    }

    /// Drops the pages with these bytes from the page cache where they are clean, so that they are
    /// read again.
    pub fn forget_clean(&self, range: Range<i64>) {
        let page = |byte: i64| (byte >> bindings::PAGE_SHIFT) as usize;
        let (first, last) = (page(range.start), page(range.end - 1));
        // SAFETY: The inode is valid. Dirty ones stay, and that is no failure here.
        unsafe {
            bindings::invalidate_inode_pages2_range(self.inode.cache().as_raw(), first, last)
        };
    }

    /// Drops all pages from that with the byte `from` on, so that they are read again, and takes
    /// over the size of the file below. What was dirty is lost.
    pub fn forget_behind(&self, from: i64) {
        let size = self.inode.lower().size();
        // SAFETY: The inode is valid, and locked.
        unsafe { bindings::sp_forget_behind(self.inode.as_raw(), from, size) };
    }
}
