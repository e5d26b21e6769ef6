// SPDX-License-Identifier: GPL-2.0

//! Memory that is read from or written to, and its pages while they are pinned.

use super::{
    folio::{bytes, Segments},
    Lower, //
};
use crate::bindings;
use core::{marker::PhantomData, ptr};
use kernel::{alloc::flags, page::PAGE_SIZE, prelude::*};

/// The memory of a read or a write.
///
/// C header: [`include/linux/uio.h`](srctree/include/linux/uio.h)
pub struct Buffer<'a>(*mut bindings::iov_iter, PhantomData<&'a ()>);

impl Buffer<'_> {
    #[inline]
    pub(super) fn as_raw(&mut self) -> *mut bindings::iov_iter {
        self.0
    }

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
    pub(super) fn limited<R>(&mut self, limit: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: The iterator is valid.
        let rest = unsafe { bindings::sp_iter_hide(self.0, limit) };
        let result = f(self);
        // SAFETY: The iterator is valid, and this is what was hidden.
        unsafe { bindings::sp_iter_unhide(self.0, rest) };
        result
    }

    pub(super) fn revert(&mut self, bytes: usize) {
        // SAFETY: The iterator is valid, and has advanced that far.
        unsafe { bindings::iov_iter_revert(self.0, bytes) };
    }

    /// Pins the pages of all that is left of it, and goes on behind them; none if that is not needed.
    ///
    /// Where some cannot be pinned, what comes before is transferred if it may be a `part`.
    pub(super) fn pin(&mut self, part: bool) -> Result<Option<Pinned>> {
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

    pub(super) fn transfer(
        &mut self,
        file: Lower<'_>,
        pos: &mut i64,
        write: bool,
    ) -> Result<usize> {
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
pub(super) struct Pinned {
    /// Room for the pages of the next segment.
    room: KVVec<*mut bindings::page>,
    pages: KVVec<*mut bindings::page>,
    segments: KVVec<bindings::bio_vec>,
    length: usize,
    dirty: bool,
}

impl Pinned {
    /// The bytes of all that is pinned.
    pub(super) fn length(&self) -> usize {
        self.length
    }

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

    pub(super) fn transfer(&self, file: Lower<'_>, pos: &mut i64, write: bool) -> Result<usize> {
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
    pub(super) fn release(mut self, dirty: bool) {
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
