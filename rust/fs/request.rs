// SPDX-License-Identifier: GPL-2.0

//! Reads and writes of user space.

use super::{
    folio::bytes,
    stack::Stacked,
    Buffer,
    File, //
};
use crate::{
    bindings,
    mm::HeldRange, //
};
use core::ops::Range;
use kernel::{page::PAGE_SIZE, prelude::*};

/// A read or a write that a file is asked for.
///
/// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
pub struct Request<'a>(&'a mut bindings::kiocb);

impl<'a> Request<'a> {
    /// # Safety
    ///
    /// `raw` must be valid for `'a`, of an open file of this library, and be used by this only.
    pub(super) unsafe fn from_raw(raw: *mut bindings::kiocb) -> Self {
        // SAFETY: By the requirements it is used by this only, and stays.
        Self(unsafe { &mut *raw })
    }

    /// The file.
    #[inline]
    pub fn file(&self) -> &'a Stacked<File> {
        // SAFETY: It stays for as long as the request.
        unsafe { Stacked::<File>::from_raw(self.0.ki_filp) }
    }

    /// Where in the file, in bytes.
    #[inline]
    pub fn position(&self) -> i64 {
        self.0.ki_pos
    }

    /// Whether it is to go past the page cache (O_DIRECT).
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.0.ki_flags as u32 & bindings::SP_IOCB_DIRECT != 0
    }

    /// Whether it is to fail with EAGAIN where it would have to wait (RWF_NOWAIT).
    #[inline]
    pub fn is_nowait(&self) -> bool {
        self.0.ki_flags as u32 & bindings::SP_IOCB_NOWAIT != 0
    }

    /// How much of a write the limits of the file, the task and the filesystem let through, in
    /// bytes; O_APPEND moves the request to the end of the file. The inode is locked.
    pub fn check_write(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        if self.file().inode().is_immutable() {
            return Err(EPERM);
        }
        // SAFETY: Both are valid.
        bytes(unsafe { bindings::generic_write_checks(self.0, buffer.as_raw()) })
    }

    /// Reads through the page cache. Sleeps.
    pub fn read_cached(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        // SAFETY: Both are valid.
        bytes(unsafe { bindings::filemap_read(self.0, buffer.as_raw(), 0) })
    }

    /// Writes to the page cache. Sleeps; the inode is locked.
    pub fn write_cached(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        // SAFETY: Both are valid.
        bytes(unsafe { bindings::generic_perform_write(self.0, buffer.as_raw()) })
    }

    /// What has been written goes to the medium, if the file was opened for that (O_DSYNC).
    /// Sleeps; the inode is not locked.
    pub fn sync_written(&mut self, written: usize) -> Result<usize> {
        // SAFETY: The request is valid.
        bytes(unsafe { bindings::sp_write_sync(self.0, written as isize) })
    }

    /// Reads from, or writes to, the file below without a page cache, at this position. Sleeps.
    ///
    /// The pages of a buffer in user space are pinned before: with folios locked, nothing may be
    /// faulted in, and it may be a mapping of this very file. `around` is called for a range of bytes
    /// at a time, of at most [`HeldRange::MAX_BYTES`] from the beginning of a page on, and calls what
    /// it is given once that is held.
    pub(super) fn transfer(
        &mut self,
        buffer: &mut Buffer<'_>,
        write: bool,
        mut around: impl FnMut(Range<i64>, &mut dyn FnMut() -> Result<usize>) -> Result<usize>,
    ) -> Result<usize> {
        let lower = self.file().lower();
        let mut total = 0;
        while buffer.length() > 0 {
            let mut pos = self.position();
            let limit = HeldRange::MAX_BYTES - pos as usize % PAGE_SIZE;
            let (expected, result) = buffer.limited(limit, |buffer| {
                let pinned = match buffer.pin(lower.inode().is_in_memory()) {
                    Ok(pinned) => pinned,
                    Err(error) => return (0, Err(error)),
                };
                let expected = pinned
                    .as_ref()
                    .map_or(buffer.length(), |pinned| pinned.length());
                let result = around(pos..pos + expected as i64, &mut || match &pinned {
                    Some(pinned) => pinned.transfer(lower, &mut pos, write),
                    None => buffer.transfer(lower, &mut pos, write),
                });
                let done = *result.as_ref().unwrap_or(&0);
                if let Some(pinned) = pinned {
                    pinned.release(!write && done > 0);
                    buffer.revert(expected - done);
                }
                (expected, result)
            });
            let done = *result.as_ref().unwrap_or(&0);
            self.0.ki_pos += done as i64;
            total += done;
            match result {
                Err(error) if total == 0 => return Err(error),
                Ok(done) if done == expected => {}
                _ => break,
            }
        }
        Ok(total)
    }
}
