// SPDX-License-Identifier: GPL-2.0

//! Reads and writes of user space.

use super::{
    folio::{bytes, Segments},
    stack::Stacked,
    File, Lower,
};
use crate::{
    bindings,
    mm::HeldRange, //
};
use core::{marker::PhantomData, ops::Range, ptr};
use kernel::{alloc::flags, page::PAGE_SIZE, prelude::*};

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
        bytes(unsafe { bindings::generic_write_checks(self.0, buffer.0) })
    }

    /// Reads through the page cache. Sleeps.
    pub fn read_cached(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        // SAFETY: Both are valid.
        bytes(unsafe { bindings::filemap_read(self.0, buffer.0, 0) })
    }

    /// Writes to the page cache. Sleeps; the inode is locked.
    pub fn write_cached(&mut self, buffer: &mut Buffer<'_>) -> Result<usize> {
        // SAFETY: Both are valid.
        bytes(unsafe { bindings::generic_perform_write(self.0, buffer.0) })
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
                    .map_or(buffer.length(), |pinned| pinned.length);
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

/// The memory of a read or a write.
///
/// C header: [`include/linux/uio.h`](srctree/include/linux/uio.h)
pub struct Buffer<'a>(*mut bindings::iov_iter, PhantomData<&'a ()>);

impl Buffer<'_> {
    /// # Safety
    ///
    /// `raw` must be valid for the lifetime of this.
    pub(super) unsafe fn from_raw(raw: *mut bindings::iov_iter) -> Self {
        Self(raw, PhantomData)
    }

    /// What is left of it, in bytes.
    #[inline]
    pub fn length(&self) -> usize {
        // SAFETY: The iterator is valid.
        unsafe { bindings::sp_iter_count(self.0) }
    }

    /// Calls `f` with no more than the next `limit` bytes of it.
    fn limited<R>(&mut self, limit: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: The iterator is valid.
        let rest = unsafe { bindings::sp_iter_hide(self.0, limit) };
        let result = f(self);
        // SAFETY: The iterator is valid, and this is what was hidden.
        unsafe { bindings::sp_iter_unhide(self.0, rest) };
        result
    }

    fn revert(&mut self, bytes: usize) {
        // SAFETY: The iterator is valid, and has advanced that far.
        unsafe { bindings::iov_iter_revert(self.0, bytes) };
    }

    /// Pins the pages of all that is left of it, and goes on behind them; none if that is not needed.
    ///
    /// Where some cannot be pinned, what comes before is transferred if it may be a `part`.
    fn pin(&mut self, part: bool) -> Result<Option<Pinned>> {
        // SAFETY: The iterator is valid.
        if !unsafe { bindings::sp_iter_will_pin(self.0) } {
            return Ok(None);
        }
        let mut pinned = Pinned::new(self.length())?;
        while self.length() > 0 {
            let Err(error) = pinned.add_segment(self) else {
                continue;
            };
            if pinned.length == 0 || !part {
                self.revert(pinned.length);
                return Err(error);
            }
            break;
        }
        Ok(Some(pinned))
    }

    fn transfer(&mut self, file: Lower<'_>, pos: &mut i64, write: bool) -> Result<usize> {
        transfer(file, self.0, pos, write)
    }
}

/// The caller has kept, if it writes, the filesystem below from being frozen ([`Lower::start_write`]).
fn transfer(
    file: Lower<'_>,
    iter: *mut bindings::iov_iter,
    pos: &mut i64,
    write: bool,
) -> Result<usize> {
    // SAFETY: All are valid, and the caller passes an iterator that is, too.
    bytes(file.act(|file| unsafe {
        if write {
            bindings::sp_file_write_direct(file, iter, pos)
        } else {
            bindings::sp_file_read_direct(file, iter, pos)
        }
    }))
}

/// Pages of user space that stay where they are.
///
/// # Invariants
///
/// The pages are pinned (`FOLL_PIN`), and the segments are within them.
struct Pinned {
    /// Room for the pages of the next segment.
    room: KVVec<*mut bindings::page>,
    pages: KVVec<*mut bindings::page>,
    segments: KVVec<bindings::bio_vec>,
    length: usize,
    dirty: bool,
}

impl Pinned {
    /// Nothing, with room for a segment of that many bytes.
    fn new(length: usize) -> Result<Self> {
        let pages = length.div_ceil(PAGE_SIZE) + 1;
        Ok(Self {
            room: KVVec::from_elem(ptr::null_mut(), pages, flags::GFP_KERNEL)?,
            pages: KVVec::new(),
            segments: KVVec::new(),
            length: 0,
            dirty: false,
        })
    }

    /// Pins the next segment of `buffer`, which goes on behind it.
    fn add_segment(&mut self, buffer: &mut Buffer<'_>) -> Result {
        // Before anything is pinned.
        self.pages.reserve(self.room.len(), flags::GFP_KERNEL)?;
        self.segments.reserve(self.room.len(), flags::GFP_KERNEL)?;
        let mut array: *mut *mut bindings::page = self.room.as_mut_ptr();
        let mut offset = 0;
        // SAFETY: The iterator is valid, and the array has as many elements as is said.
        let length = bytes(unsafe {
            bindings::iov_iter_extract_pages(
                buffer.0,
                &mut array,
                self.room.len() << bindings::PAGE_SHIFT,
                self.room.len() as u32,
                0,
                &mut offset,
            )
        })?;
        if length == 0 {
            return Err(EFAULT);
        }
        self.length += length;
        let mut left = length;
        let pages = (offset + length).div_ceil(PAGE_SIZE);
        for &page in self.room.iter().take(pages) {
            let part = left.min(PAGE_SIZE - offset);
            let segment = bindings::bio_vec {
                bv_page: page,
                bv_len: part as u32,
                bv_offset: offset as u32,
            };
            // INVARIANT: The page has been pinned. There is room for both.
            self.pages.push(page, flags::GFP_KERNEL)?;
            self.segments.push(segment, flags::GFP_KERNEL)?;
            left -= part;
            offset = 0;
        }
        Ok(())
    }

    fn transfer(&self, file: Lower<'_>, pos: &mut i64, write: bool) -> Result<usize> {
        let direction = if write {
            bindings::SP_ITER_SOURCE
        } else {
            bindings::SP_ITER_DEST
        };
        // By type invariant the pages are there.
        let mut iter = Segments::new(direction, &self.segments);
        transfer(file, iter.as_raw(), pos, write)
    }

    /// Unpins them; `dirty` says that they have been written to.
    fn release(mut self, dirty: bool) {
        self.dirty = dirty;
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: By type invariant. It may lock the folios, so no lock of a page cache is held.
        unsafe {
            let count = self.pages.len();
            bindings::unpin_user_pages_dirty_lock(self.pages.as_mut_ptr(), count, self.dirty);
        }
    }
}
