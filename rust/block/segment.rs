// SPDX-License-Identifier: GPL-2.0

//! The memory of a bio, segment by segment.

use crate::{bindings, pi};
use core::{marker::PhantomData, ops::Range, ptr::NonNull};
use kernel::page::PAGE_SIZE;

/// Part of one page of a bio's data, mapped.
///
/// Somebody else may be changing the memory, so no reference to it can be had: it can be summed up
/// (through [`pi::Data`]) and copied.
///
/// # Invariants
///
/// `start` is valid for reads of `len` bytes for the lifetime `'a`.
pub struct Segment<'a> {
    start: NonNull<u8>,
    len: usize,
    _mapping: PhantomData<&'a ()>,
}

impl<'a> Segment<'a> {
    /// The part of the segment that is inside of `range`, in bytes from its start.
    pub fn slice(&self, range: Range<usize>) -> Segment<'a> {
        let (start, len) = self.part(range);
        // INVARIANT: `part` stays inside of the segment.
        Segment {
            // SAFETY: Inside of the segment, so not null.
            start: unsafe { NonNull::new_unchecked(start.cast_mut()) },
            len,
            _mapping: PhantomData,
        }
    }

    /// Copies the segment to the start of `to`.
    ///
    /// Returns the number of bytes, the shorter of the two.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let n = self.len.min(to.len());
        // SAFETY: By the type invariant `n` bytes can be read; a slice of that length can be
        // written and is not the segment. The copy is C's, for which a byte that changes meanwhile
        // is a byte with one of two values.
        unsafe {
            bindings::memcpy(
                to.as_mut_ptr().cast(),
                self.start.as_ptr().cast_const().cast(),
                n,
            )
        };
        n
    }

    /// The address and length of the part of `range` that is inside of the segment.
    fn part(&self, range: Range<usize>) -> (*const u8, usize) {
        let start = range.start.min(self.len);
        let end = range.end.clamp(start, self.len);
        // SAFETY: `start` is at most `len`, so by the type invariant the result is in bounds.
        (unsafe { self.start.as_ptr().add(start) }, end - start)
    }
}

impl pi::Data for Segment<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn crc16_t10_dif(&self, crc: u16, range: Range<usize>) -> u16 {
        let (start, len) = self.part(range);
        // SAFETY: `part` returns what is valid for reads; the function is C's, for which memory
        // that changes meanwhile is no undefined behaviour.
        unsafe { bindings::crc_t10dif_update(crc, start, len) }
    }

    fn ip_sum(&self, range: Range<usize>) -> u16 {
        let (start, len) = self.part(range);
        // SAFETY: As above; a segment is at most a page long.
        let sum = unsafe { bindings::sp_csum_partial(start.cast(), len as u32, 0) };
        // SAFETY: Plain arithmetic. `csum_fold()` inverts, which is undone here.
        !unsafe { bindings::sp_csum_fold(sum) }
    }

    fn crc64_nvme(&self, crc: u64, range: Range<usize>) -> u64 {
        let (start, len) = self.part(range);
        // SAFETY: As for the CRC16.
        unsafe { bindings::crc64_nvme(crc, start.cast(), len) }
    }
}

/// Calls `f` for each segment of `bytes` bytes of data, from `skip` bytes behind `iter` on.
///
/// A segment lies in one page, so that it can be mapped where memory is not mapped for good, and is
/// mapped during the call only. Stops at the first error and returns it.
///
/// # Safety
///
/// `vecs` and `iter` must be those of a bio whose pages stay allocated during the call, with `skip +
/// bytes` bytes left in `iter`.
pub(super) unsafe fn for_each_segment<E>(
    vecs: *const bindings::bio_vec,
    iter: &bindings::bvec_iter,
    skip: u32,
    bytes: u32,
    mut f: impl FnMut(&Segment<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut index = iter.bi_idx as usize;
    let mut done = iter.bi_bvec_done as usize;
    let mut skip = skip as usize;
    let mut left = bytes as usize;

    while left > 0 {
        // SAFETY: The caller vouches for `skip + bytes` bytes, so there is a vector here.
        let vec = unsafe { &*vecs.add(index) };
        let rest = vec.bv_len as usize - done;
        if skip >= rest {
            skip -= rest;
            index += 1;
            done = 0;
            continue;
        }
        done += core::mem::take(&mut skip);

        let at = vec.bv_offset as usize + done;
        let len = (PAGE_SIZE - at % PAGE_SIZE)
            .min(vec.bv_len as usize - done)
            .min(left);
        // SAFETY: The vector's pages are contiguous in the memory map (`bvec_iter_page()`).
        let page = unsafe { vec.bv_page.add(at / PAGE_SIZE) };
        // SAFETY: The page is allocated, as the caller vouches.
        let mapping = unsafe { bindings::kmap_local_page(page) }.cast::<u8>();
        // SAFETY: The mapping is a page long and not null.
        let start = unsafe { NonNull::new_unchecked(mapping.add(at % PAGE_SIZE)) };
        // INVARIANT: `len` does not reach beyond the page, which stays mapped until after `f`.
        let result = f(&Segment {
            start,
            len,
            _mapping: PhantomData,
        });
        // SAFETY: Mapped above, and the last that was.
        unsafe { bindings::kunmap_local(mapping.cast()) };
        result?;

        done += len;
        left -= len;
    }
    Ok(())
}
