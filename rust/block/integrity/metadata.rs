// SPDX-License-Identifier: GPL-2.0

//! Buffers for protection information.

use super::pool::{AllocMode, PagePool};
use crate::bindings;
use core::{mem::size_of, ptr::NonNull};
use kernel::page::PAGE_SIZE;

/// The most metadata that goes with one bio, in bytes; a longer bio is split.
pub(super) const MAX: usize = 64 << 10;

/// A zeroed buffer for the metadata of one bio, contiguous in physical memory, 8-byte aligned.
///
/// # Invariants
///
/// `start` points to `len` initialised bytes that only this buffer uses, which came from `source`.
pub(super) struct Metadata {
    start: NonNull<u8>,
    len: usize,
    source: Source,
}

/// Where a buffer came from.
enum Source {
    /// The memory of the I/O, [`Room`], which outlives the buffer.
    Room,
    /// `kmalloc()`.
    Kmalloc,
    /// This pool, which outlives the buffer; the buffer is a page.
    Pool(NonNull<PagePool>),
}

/// Room for the metadata of a small I/O in what is allocated with each: the tuples of 4 KiB in sectors
/// of 512 bytes.
pub(super) type Room = [u64; 8];

// SAFETY: A buffer is plain memory, and a `PagePool` can be used from any thread.
unsafe impl Send for Metadata {}

impl Metadata {
    /// A buffer of `bytes` bytes, or of a page where memory is too short for more; `room`, where that is
    /// enough.
    ///
    /// Sleeps until there is a page and never fails; where it must not sleep, it does.
    ///
    /// # Safety
    ///
    /// `pool` and `room` must outlive the buffer, which must be the only user of `room`.
    pub(super) unsafe fn new(
        bytes: usize,
        room: NonNull<Room>,
        pool: &PagePool,
        mode: AllocMode,
    ) -> Option<Self> {
        let len = bytes.clamp(1, MAX);
        if len <= size_of::<Room>() {
            // SAFETY: The caller vouches for it.
            unsafe { room.write(Room::default()) };
            // INVARIANT: Initialised right here, and the caller vouches for its life and its user.
            return Some(Self {
                start: room.cast(),
                len,
                source: Source::Room,
            });
        }
        // SAFETY: Can be called for any size, where `mode` is right.
        let start = unsafe { bindings::__kmalloc_noprof(len, mode.gfp() | bindings::__GFP_ZERO) };
        if let Some(start) = NonNull::new(start.cast()) {
            // INVARIANT: `kmalloc()` returned `len` zeroed bytes.
            return Some(Self {
                start,
                len,
                source: Source::Kmalloc,
            });
        }
        if mode == AllocMode::NoWait {
            return None;
        }

        let start = pool.alloc_zeroed();
        // INVARIANT: The pool returned a zeroed page, and the caller vouches for its life.
        Some(Self {
            start,
            len: len.min(PAGE_SIZE),
            source: Source::Pool(NonNull::from(pool)),
        })
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: By the type invariant these bytes are initialised, and only this buffer changes them.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: By the type invariant these bytes are initialised, and only this buffer uses them.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        match self.source {
            Source::Room => {}
            // SAFETY: By the type invariant the pool is there and the page is its.
            Source::Pool(pool) => unsafe { pool.as_ref().free(self.start) },
            // SAFETY: By the type invariant this was `kmalloc()`ed.
            Source::Kmalloc => unsafe { bindings::kfree(self.start.as_ptr().cast()) },
        }
    }
}
