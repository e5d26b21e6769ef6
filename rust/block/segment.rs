// SPDX-License-Identifier: GPL-2.0

//! The memory of a bio, segment by segment.

use crate::{bindings, mm};
use core::{marker::PhantomData, ops::Range, ptr::NonNull};

/// Part of one page of a bio's data, mapped.
///
/// An application may be changing the memory, so no reference to it can be had: it can be summed up
/// (through [`pi::Data`](crate::pi::Data)) and copied.
///
/// # Invariants
///
/// `start` is valid for reads of `len` bytes for the lifetime `'a`; it is the mapping of a part of
/// `page` that begins at `offset`. The page is part of an I/O that has not been reported as ended,
/// or of a private bio.
pub struct Segment<'a> {
    start: NonNull<u8>,
    len: usize,
    page: NonNull<bindings::page>,
    offset: usize,
    _mapping: PhantomData<&'a ()>,
}

impl<'a> Segment<'a> {
    /// A part of a page of a private bio, which begins at `offset`.
    ///
    /// # Safety
    ///
    /// `data` must be that part of `page`, mapped.
    pub(super) unsafe fn of_private(
        data: &'a [u8],
        page: NonNull<bindings::page>,
        offset: usize,
    ) -> Self {
        // INVARIANT: A slice is valid for reads; the caller vouches for the page.
        Self {
            start: NonNull::from(data).cast(),
            len: data.len(),
            page,
            offset,
            _mapping: PhantomData,
        }
    }

    /// The part of the segment that is inside of `range`, in bytes from its start.
    pub fn slice(&self, range: Range<usize>) -> Segment<'a> {
        let skip = range.start.min(self.len);
        let (start, len) = self.part(range);
        // INVARIANT: `part` stays inside of the segment.
        Segment {
            // SAFETY: Inside of the segment, so not null.
            start: unsafe { NonNull::new_unchecked(start.cast_mut()) },
            len,
            page: self.page,
            offset: self.offset + skip,
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
            bindings::sp_copy(
                to.as_mut_ptr().cast(),
                self.start.as_ptr().cast_const().cast(),
                n,
            )
        };
        n
    }

    /// Whose page the segment is in, and who can change it.
    pub fn owner(&self) -> mm::Owner {
        // SAFETY: By the type invariant the page is part of an I/O that has not been reported as
        // ended.
        unsafe { mm::Owner::of_page(self.page) }
    }

    /// Copies `from` to the start of the segment, which must be memory that a read is to fill.
    ///
    /// Returns the number of bytes, the shorter of the two.
    pub(super) fn fill(&self, from: &Segment<'_>) -> usize {
        let n = self.len.min(from.len);
        // SAFETY: By the type invariant that is a part of the page, which the caller knows to be
        // one that the device was to write to.
        unsafe {
            bindings::sp_copy_to_page(
                self.page.as_ptr(),
                self.offset as u32,
                from.start.as_ptr().cast_const().cast(),
                n as u32,
            )
        };
        n
    }

    /// The number of bytes.
    pub(super) fn bytes(&self) -> usize {
        self.len
    }

    /// The address and length of the part of `range` that is inside of the segment.
    pub(super) fn part(&self, range: Range<usize>) -> (*const u8, usize) {
        let start = range.start.min(self.len);
        let end = range.end.clamp(start, self.len);
        // SAFETY: `start` is at most `len`, so by the type invariant the result is in bounds.
        (unsafe { self.start.as_ptr().add(start) }, end - start)
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
    mut iter: bindings::bvec_iter,
    skip: u32,
    bytes: u32,
    mut f: impl FnMut(&Segment<'_>) -> Result<(), E>,
) -> Result<(), E> {
    iter.bi_size = skip + bytes;
    // SAFETY: The caller vouches for that many bytes.
    unsafe { bindings::sp_bvec_iter_advance(vecs, &mut iter, skip) };

    while iter.bi_size > 0 {
        // SAFETY: There are bytes left, so there is a segment, in one page.
        let vec = unsafe { bindings::sp_bvec_iter_next(vecs, &mut iter) };
        // SAFETY: The page is allocated, as the caller vouches.
        let page = unsafe { bindings::kmap_local_page(vec.bv_page) }.cast::<u8>();
        // SAFETY: The mapping is a page long and not null, and the offset is inside of it.
        let start = unsafe { NonNull::new_unchecked(page.add(vec.bv_offset as usize)) };
        // INVARIANT: The segment does not reach beyond the page, which stays mapped until after
        // `f`, and allocated, as the caller vouches.
        let result = f(&Segment {
            start,
            len: vec.bv_len as usize,
            // SAFETY: A vector has a page.
            page: unsafe { NonNull::new_unchecked(vec.bv_page) },
            offset: vec.bv_offset as usize,
            _mapping: PhantomData,
        });
        // SAFETY: Mapped above, and the last that was.
        unsafe { bindings::kunmap_local(page.cast()) };
        result?;
    }
    Ok(())
}
