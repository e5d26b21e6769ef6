// SPDX-License-Identifier: GPL-2.0

//! Folios on their way between a file and the one below it.

use super::Lower;
use crate::{
    bindings,
    mm::{Folio, Locked, Writeback}, //
};
use core::marker::PhantomData;
use kernel::{error::to_result, prelude::*};

/// What a read or a write of the kernel goes to or comes from.
///
/// # Invariants
///
/// The iterator is one of the segments, which stay for `'a`.
pub(super) struct Segments<'a>(bindings::iov_iter, PhantomData<&'a [bindings::bio_vec]>);

impl<'a> Segments<'a> {
    /// `direction` is `ITER_SOURCE` or `ITER_DEST`.
    pub(super) fn new(direction: u32, segments: &'a [bindings::bio_vec]) -> Self {
        let mut iter = bindings::iov_iter::default();
        let len = segments.iter().map(|segment| segment.bv_len as usize).sum();
        // SAFETY: Nothing is looked at yet but the numbers. The segments stay for as long as this.
        unsafe {
            bindings::iov_iter_bvec(&mut iter, direction, segments.as_ptr(), segments.len(), len)
        };
        // INVARIANT: Right above.
        Self(iter, PhantomData)
    }

    pub(super) fn as_raw(&mut self) -> *mut bindings::iov_iter {
        &mut self.0
    }
}

/// The bytes of a folio from `start` to `end`.
fn segment(folio: &Folio, start: usize, end: usize) -> [bindings::bio_vec; 1] {
    [bindings::bio_vec {
        // The first page is where the folio begins, and the others follow.
        bv_page: folio.as_raw().cast(),
        bv_offset: start as u32,
        bv_len: (end - start) as u32,
    }]
}

impl Lower<'_> {
    /// Reads `len` bytes of the folio from where it is in the file; what the file does not have is
    /// zero, and so is the rest of the folio. Sleeps; of the filesystem below only locks that a page
    /// fault takes there, where that is on a device.
    pub fn fill(&self, folio: &Locked<&Folio>, len: usize) -> Result {
        let mut pos = folio.pos() as i64;
        let mut done = 0;
        let len = len.min(folio.size());
        while done < len {
            let part = segment(folio, done, len);
            let mut iter = Segments::new(bindings::SP_ITER_DEST, &part);
            // SAFETY: The file is valid, and the folio locked: no process maps it before it is up
            // to date.
            let read = self.act(|file| unsafe {
                bindings::sp_file_read(file, folio.as_raw(), iter.as_raw(), &mut pos)
            });
            if read == 0 {
                break;
            }
            done += bytes(read)?;
        }
        folio.zero(done, folio.size() - done)
    }

    /// Writes the first `len` bytes of the folio to where it is in the file. Sleeps; ENOSPC and
    /// whatever else the filesystem says.
    pub fn write_folio(&self, folio: &Writeback, len: usize) -> Result {
        let mut pos = folio.pos() as i64;
        let mut done = 0;
        let len = len.min(folio.size());
        while done < len {
            let part = segment(folio, done, len);
            let mut iter = Segments::new(bindings::SP_ITER_SOURCE, &part);
            // SAFETY: The file is valid, and the folio stays while it is under writeback.
            let written = self.act(|file| unsafe {
                let flags = bindings::sp_file_cache_flags(file, folio.as_raw());
                bindings::vfs_iter_write(file, iter.as_raw(), &mut pos, flags)
            });
            match bytes(written)? {
                0 => return Err(EIO),
                written => done += written,
            }
        }
        Ok(())
    }

    /// Writes the data to the byte `pos` of the file. Sleeps; ENOSPC and whatever else the
    /// filesystem says.
    pub fn write_at(&self, pos: u64, data: &[u8]) -> Result {
        let mut pos = pos as i64;
        let mut rest = data;
        while !rest.is_empty() {
            let vec = bindings::kvec {
                iov_base: rest.as_ptr().cast_mut().cast(),
                iov_len: rest.len(),
            };
            let mut iter = bindings::iov_iter::default();
            // SAFETY: The iterator, its only segment and what that is of stay until it has been
            // used; as a source it is only read from.
            let written = self.act(|file| unsafe {
                bindings::iov_iter_kvec(&mut iter, bindings::SP_ITER_SOURCE, &vec, 1, rest.len());
                bindings::vfs_iter_write(file, &mut iter, &mut pos, 0)
            });
            match bytes(written)? {
                0 => return Err(EIO),
                written => rest = &rest[written..],
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
