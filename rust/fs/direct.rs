// SPDX-License-Identifier: GPL-2.0

//! Reads and writes past the page cache, which agrees with them.

use super::{
    queue::NoFs,
    stack::Stacked,
    Buffer,
    File,
    FileSystem,
    Inode,
    Request, //
};
use crate::mm::{FreezeProtection, HeldRange, Missing, RangeError, Sleep, StableRange};
use core::ops::Range;
use kernel::prelude::*;

impl Request<'_> {
    /// Reads from the file below without a page cache, at this position. Sleeps; no folio is locked.
    ///
    /// What was dirty before is written back, and while a part of the file is read no task stores
    /// or writes to the pages of it that are cached, or writes them back.
    pub fn read_direct(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        let file = self.file();
        let inode = file.inode();
        // All of it, since the file below is as long as this one only then.
        inode.write_and_wait()?;
        self.transfer(buffer, false, |range, read| {
            inode.write_and_wait_range(range.clone())?;
            let _nofs = NoFs::new();
            let _held = hold(inode, &range, Missing::Skip)?;
            read()
        })
    }

    /// Writes to the file below without a page cache, at this position. Sleeps; the inode is locked,
    /// and no folio is.
    ///
    /// While a part of the file is written its pages are held, those that are not cached, too; then
    /// they go. Where one is pinned it stays, and is read from below. Who reads or stores later
    /// finds what was written, and there is nothing older that could be written back.
    pub fn write_direct<T: FileSystem>(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        let file = self.file();
        let inode = file.inode();
        // The file below is to be as long as this one.
        inode.write_and_wait()?;
        self.transfer(buffer, true, |range, write| {
            let (held, writing, _nofs) = hold_clean(file, &range)?;
            let result = write();
            let end = match &result {
                Ok(written) if *written > 0 => range.start + *written as i64,
                _ => 0,
            };
            // A page with the end of the file is not to be read again as if it still ended there.
            if end > inode.size() && holds(&held, inode.size()) {
                inode.set_size(end);
            }
            renew::<T>(file, &held);
            drop((held, writing));
            inode.extend(end);
            result
        })
    }
}

/// Memory is allocated with `GFP_NOFS`.
fn hold(inode: &Stacked<Inode>, range: &Range<i64>, missing: Missing) -> Result<HeldRange> {
    let range = range.start as u64..range.end as u64;
    let held = HeldRange::take(inode.cache(), range, missing, Sleep::Killable)?;
    Ok(held)
}

/// Holds the range, of which nothing is dirty, with the right to write below.
///
/// That is taken before folios are locked: the task that has it may be waiting for one, with the
/// filesystem below about to be frozen. And it is taken after the range was written back, for which
/// a thread of the kernel needs it.
fn hold_clean<'a>(
    file: &'a Stacked<File>,
    range: &Range<i64>,
) -> Result<(HeldRange, FreezeProtection<'a>, NoFs)> {
    let inode = file.inode();
    // No task stores until the folios are locked. What was pinned before can get dirty.
    let _stores = inode.hold_stores()?;
    for _ in 0..StableRange::MAX_RETRIES {
        inode.write_and_wait_range(range.clone())?;
        let writing = file.lower().start_write();
        let nofs = NoFs::new();
        let held = hold(inode, range, Missing::Create)?;
        if !held.is_dirty() {
            return Ok((held, writing, nofs));
        }
    }
    Err(RangeError::Busy.into())
}

/// Whether the page with the byte at `pos` is held.
fn holds(held: &HeldRange, pos: i64) -> bool {
    let within = |folio: &Range<u64>| folio.contains(&(pos as u64));
    held.folios().iter().any(|folio| within(&folio.range()))
}

/// What is read again is what is below now.
fn renew<T: FileSystem>(file: &Stacked<File>, held: &HeldRange) {
    for folio in held.folios() {
        // A device that writes to the page does so for those who have the file.
        let filled = folio.is_pinned()
            && folio.is_uptodate()
            && T::fill(file.inode(), Some(file), &folio.by_ref()).is_ok();
        if !filled {
            folio.remove();
        }
    }
}
