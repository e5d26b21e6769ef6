// SPDX-License-Identifier: GPL-2.0

//! The checksums of a segment, by the kernel's own functions.

use crate::{bindings, block::Segment, pi};
use core::ops::Range;

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
