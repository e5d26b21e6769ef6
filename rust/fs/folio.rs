// SPDX-License-Identifier: GPL-2.0

//! Folios on their way between a file and the one below it.

use super::File;
use crate::bindings;
use core::{marker::PhantomData, ops::Range};
use kernel::{error::to_result, prelude::*};

/// A locked folio of the page cache.
///
/// # Invariants
///
/// The folio is valid, and locked by whoever has this.
///
/// C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
pub struct Folio<'a>(*mut bindings::folio, PhantomData<&'a ()>);

impl<'a> Folio<'a> {
    /// # Safety
    ///
    /// The folio must be in the page cache and locked, and both nobody else's business for `'a`.
    pub(super) unsafe fn from_raw(raw: *mut bindings::folio) -> Self {
        // INVARIANT: By the requirements.
        Self(raw, PhantomData)
    }

    /// Where it begins in the file, in bytes.
    pub fn position(&self) -> i64 {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_folio_pos(self.0) }
    }

    /// Its size, in bytes.
    pub fn size(&self) -> usize {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_folio_size(self.0) }
    }

    /// How many of its bytes are within a file of that size.
    pub fn within(&self, size: i64) -> usize {
        (size - self.position()).clamp(0, self.size() as i64) as usize
    }

    /// Whether all of it is what the file contains.
    pub fn is_uptodate(&self) -> bool {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_folio_is_uptodate(self.0) }
    }

    /// Makes these bytes of it zero, as far as it has them.
    pub fn zero(&mut self, range: Range<usize>) {
        let end = range.end.min(self.size());
        if range.start < end {
            // SAFETY: By type invariant, and the range is within the folio.
            unsafe { bindings::sp_folio_zero(self.0, range.start, end) };
        }
    }

    pub(super) fn mark_uptodate(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_folio_mark_uptodate(self.0) };
    }

    pub(super) fn mark_dirty(&mut self) {
        // SAFETY: By type invariant; it is in the page cache.
        unsafe { bindings::folio_mark_dirty(self.0) };
    }

    pub(super) fn unlock(self) {
        // SAFETY: By type invariant.
        unsafe { bindings::folio_unlock(self.0) };
    }

    /// The folio is under writeback from now on, and unlocked.
    pub(super) fn start_writeback(self) -> Written<'a> {
        // SAFETY: By type invariant; it is clean, and not under writeback.
        unsafe {
            bindings::__folio_start_writeback(self.0, false);
            bindings::folio_unlock(self.0);
        }
        // INVARIANT: Since it has just begun.
        Written(self.0, PhantomData)
    }
}

/// A folio under writeback, which ends when this is dropped. Nobody can change it.
///
/// # Invariants
///
/// The folio is valid and under writeback.
pub struct Written<'a>(*mut bindings::folio, PhantomData<&'a ()>);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::folio_end_writeback(self.0) };
    }
}

/// The first `len` bytes of a folio, for vfs_iter_read() and vfs_iter_write().
struct Part {
    vec: bindings::bio_vec,
    iter: bindings::iov_iter,
}

impl Part {
    fn of(folio: *mut bindings::folio, done: usize, len: usize) -> Self {
        Self {
            vec: bindings::bio_vec {
                // The first page is where the folio begins, and the others follow.
                bv_page: folio.cast(),
                bv_offset: done as u32,
                bv_len: (len - done) as u32,
            },
            iter: bindings::iov_iter::default(),
        }
    }

    /// To be called again wherever this has been moved to.
    fn iter(&mut self, direction: u32) -> &mut bindings::iov_iter {
        let len = self.vec.bv_len as usize;
        // SAFETY: The iterator and its only segment are here, both.
        unsafe { bindings::iov_iter_bvec(&mut self.iter, direction, &self.vec, 1, len) };
        &mut self.iter
    }
}

impl File {
    /// Reads `len` bytes of the folio from where it is in the file; what the file does not have is
    /// zero, and so is the rest of the folio. Sleeps.
    pub fn fill(&self, folio: &mut Folio<'_>, len: usize) -> Result {
        let mut pos = folio.position();
        let mut done = 0;
        let len = len.min(folio.size());
        while done < len {
            let mut part = Part::of(folio.0, done, len);
            let iter = part.iter(bindings::SP_ITER_DEST);
            // SAFETY: The file is valid, and the folio locked.
            let read = unsafe { bindings::vfs_iter_read(self.as_raw(), iter, &mut pos, 0) };
            if read == 0 {
                break;
            }
            done += bytes(read)?;
        }
        folio.zero(done..folio.size());
        Ok(())
    }

    /// Writes the first `len` bytes of the folio to where it is in the file. Sleeps; ENOSPC and
    /// whatever else the filesystem says.
    pub fn write_folio(&self, folio: &Written<'_>, len: usize) -> Result {
        // SAFETY: By type invariant.
        let mut pos = unsafe { bindings::sp_folio_pos(folio.0) };
        let mut done = 0;
        while done < len {
            let mut part = Part::of(folio.0, done, len);
            let iter = part.iter(bindings::SP_ITER_SOURCE);
            // SAFETY: The file is valid, and the folio stays while it is under writeback.
            let written = unsafe { bindings::vfs_iter_write(self.as_raw(), iter, &mut pos, 0) };
            match bytes(written)? {
                0 => return Err(EIO),
                written => done += written,
            }
        }
        Ok(())
    }
}

pub(super) fn bytes(result: isize) -> Result<usize> {
    if result < 0 {
        to_result(result as i32)?;
    }
    Ok(result as usize)
}
