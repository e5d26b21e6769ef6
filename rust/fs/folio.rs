// SPDX-License-Identifier: GPL-2.0

//! Folios on their way between a file and the one below it.

use super::Lower;
use crate::{
    bindings,
    mm::{Folio, Locked, Writeback}, //
};
use kernel::{error::to_result, prelude::*};

/// A part of a folio, for reading and writing.
struct Part {
    vec: bindings::bio_vec,
    iter: bindings::iov_iter,
}

impl Part {
    fn of(folio: &Folio, done: usize, len: usize) -> Self {
        Self {
            vec: bindings::bio_vec {
                // The first page is where the folio begins, and the others follow.
                bv_page: folio.as_raw().cast(),
                bv_offset: done as u32,
                bv_len: (len - done) as u32,
            },
            iter: bindings::iov_iter::default(),
        }
    }

    /// To be called where this stays.
    fn iter(&mut self, direction: u32) -> &mut bindings::iov_iter {
        let len = self.vec.bv_len as usize;
        // SAFETY: The iterator and its only segment are here, both.
        unsafe { bindings::iov_iter_bvec(&mut self.iter, direction, &self.vec, 1, len) };
        &mut self.iter
    }
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
            let mut part = Part::of(folio, done, len);
            let iter = part.iter(bindings::SP_ITER_DEST);
            // SAFETY: The file is valid, and the folio locked: nobody maps it before it is up to
            // date.
            let read = self.act(|file| unsafe {
                bindings::sp_file_read(file, folio.as_raw(), iter, &mut pos)
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
            let mut part = Part::of(folio, done, len);
            let iter = part.iter(bindings::SP_ITER_SOURCE);
            // SAFETY: The file is valid, and the folio stays while it is under writeback.
            let written = self.act(|file| unsafe {
                let flags = bindings::sp_file_cache_flags(file, folio.as_raw());
                bindings::vfs_iter_write(file, iter, &mut pos, flags)
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
