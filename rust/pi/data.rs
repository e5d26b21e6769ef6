// SPDX-License-Identifier: GPL-2.0

//! The data that is protected.

use core::ops::Range;

use super::{
    crc16,
    crc64,
    ip, //
};

/// A stretch of memory that an application may be changing: only checksums of it can be asked for.
///
/// Every byte is asked for at most once in a pass, in ascending order, with ranges that are never
/// empty and lie within `0..len()`; [`Generator`](super::Generator) and
/// [`Verifier`](super::Verifier) guarantee that. So one pass sees one value of each byte, whatever
/// happens to the memory meanwhile.
pub trait Data {
    /// Bytes in the stretch.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Continues the T10-DIF CRC16 `crc` (0 at first) over the bytes of `range`.
    ///
    /// The kernel's is `crc_t10dif_update()`.
    fn crc16_t10_dif(&self, crc: u16, range: Range<usize>) -> u16;

    /// The T10-DIF CRC16 of each of `guards.len()` intervals of `interval` bytes, the first of which begins
    /// at `at`.
    fn crc16_t10_dif_each(&self, at: usize, interval: usize, guards: &mut [u64]) {
        each(at, interval, guards, |range| {
            self.crc16_t10_dif(0, range).into()
        });
    }

    /// The ones'-complement sum of the bytes of `range`, folded to 16 bits, not inverted.
    ///
    /// The bytes are summed as native-endian 16-bit words counted from the start of `range`, an odd
    /// last byte padded with a zero behind it (RFC 1071, section 1). The kernel's is
    /// `csum_partial()` from 0, then `csum_from32to16()`.
    fn ip_sum(&self, range: Range<usize>) -> u16;

    /// Continues the NVMe CRC64 `crc` (0 at first) over the bytes of `range`.
    ///
    /// The kernel's is `crc64_nvme()`: the inversions before and after are inside, so that what is
    /// returned is both a guard and the value to continue with.
    fn crc64_nvme(&self, crc: u64, range: Range<usize>) -> u64;

    /// The NVMe CRC64 of each of `guards.len()` intervals of `interval` bytes, the first of which begins at
    /// `at`.
    fn crc64_nvme_each(&self, at: usize, interval: usize, guards: &mut [u64]) {
        each(at, interval, guards, |range| self.crc64_nvme(0, range));
    }
}

/// Computes the guards of intervals, one by one.
#[inline]
pub(super) fn each(
    at: usize,
    interval: usize,
    guards: &mut [u64],
    mut guard: impl FnMut(Range<usize>) -> u64,
) {
    let mut at = at;
    for place in guards {
        *place = guard(at..at + interval);
        at += interval;
    }
}

/// Memory that is ours alone, with portable implementations of the checksums.
///
/// What lies outside of the slice counts as empty.
impl Data for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn crc16_t10_dif(&self, crc: u16, range: Range<usize>) -> u16 {
        crc16::update(crc, self.get(range).unwrap_or(&[]))
    }

    fn ip_sum(&self, range: Range<usize>) -> u16 {
        ip::sum(self.get(range).unwrap_or(&[]))
    }

    fn crc64_nvme(&self, crc: u64, range: Range<usize>) -> u64 {
        crc64::update(crc, self.get(range).unwrap_or(&[]))
    }
}
