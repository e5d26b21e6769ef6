// SPDX-License-Identifier: GPL-2.0

//! The checksums of a segment, by the kernel's own functions.

use crate::{bindings, block::Segment, pi};
use core::{ffi::c_void, ops::Range};

impl pi::Data for Segment<'_> {
    fn len(&self) -> usize {
        self.bytes()
    }

    fn crc16_t10_dif(&self, crc: u16, range: Range<usize>) -> u16 {
        let (start, len) = self.part(range);
        // SAFETY: `part` returns what is valid for reads; the function is C's, for which memory
        // that changes meanwhile is no undefined behaviour.
        unsafe { bindings::crc_t10dif_update(crc, start, len) }
    }

    fn crc16_t10_dif_each(&self, at: usize, interval: usize, guards: &mut [u64]) {
        let (start, count) = self.intervals(at, interval, guards);
        // SAFETY: `intervals` returns what is valid for reads, and no more than there is room for; the
        // function is C's. A segment is at most a page.
        unsafe { bindings::sp_crc_t10dif_each(start, interval as u32, count, guards.as_mut_ptr()) };
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

    fn crc64_nvme_each(&self, at: usize, interval: usize, guards: &mut [u64]) {
        let (start, count) = self.intervals(at, interval, guards);
        // SAFETY: As for the CRC16s.
        unsafe { bindings::sp_crc64_nvme_each(start, interval as u32, count, guards.as_mut_ptr()) };
    }
}

impl Segment<'_> {
    /// Where the intervals from byte `at` on are, and how many of them are inside of the segment and have
    /// a place in `guards`.
    fn intervals(&self, at: usize, interval: usize, guards: &[u64]) -> (*const c_void, u32) {
        let (start, len) = self.part(at..at + interval * guards.len());
        let count = len.checked_div(interval).unwrap_or(0);
        (start.cast(), count as u32)
    }
}

/// Says whether several intervals can be summed up at once. When the module is loaded; sleeps.
pub(crate) fn init() {
    // SAFETY: Can be called where it may sleep.
    unsafe { bindings::sp_guards_init() }
}
