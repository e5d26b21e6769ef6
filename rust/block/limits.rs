// SPDX-License-Identifier: GPL-2.0

//! What a queue tells those above it.

use crate::bindings;

/// The limits of a queue while they are being put together, `struct queue_limits`.
///
/// C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
#[repr(transparent)]
pub struct QueueLimits(bindings::queue_limits);

impl QueueLimits {
    /// # Safety
    ///
    /// `limits` must be valid and in no other hands, both for the lifetime `'a`.
    pub(super) unsafe fn from_raw<'a>(limits: *mut bindings::queue_limits) -> &'a mut Self {
        // SAFETY: The type is transparent; the caller vouches for the rest.
        unsafe { &mut *limits.cast() }
    }

    /// Whether a filesystem above is to leave a page alone while it is being written
    /// (`BLK_FEAT_STABLE_WRITES`).
    #[inline]
    pub fn set_stable_writes(&mut self, on: bool) {
        self.set(bindings::SP_BLK_FEAT_STABLE_WRITES, on);
    }

    /// Whether completions can be polled for (`BLK_FEAT_POLL`).
    #[inline]
    pub fn set_poll(&mut self, on: bool) {
        self.set(bindings::SP_BLK_FEAT_POLL, on);
    }

    /// Shows no integrity profile: what comes from above has no payload then.
    #[inline]
    pub fn hide_integrity(&mut self) {
        self.0.integrity = bindings::blk_integrity::default();
    }

    /// Lets no request, and no atomic write, be longer than `bytes`, a power of two.
    pub fn cap_whole(&mut self, bytes: u32, requests: bool) {
        let limits = &mut self.0;
        if requests {
            limits.max_hw_sectors = limits.max_hw_sectors.min(bytes >> bindings::SECTOR_SHIFT);
        }
        limits.atomic_write_hw_max = limits.atomic_write_hw_max.min(bytes);
        limits.atomic_write_hw_unit_max = limits.atomic_write_hw_unit_max.min(bytes);
    }

    fn set(&mut self, feature: u32, on: bool) {
        if on {
            self.0.features |= feature;
        } else {
            self.0.features &= !feature;
        }
    }
}
