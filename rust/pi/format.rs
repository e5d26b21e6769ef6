// SPDX-License-Identifier: GPL-2.0

//! What a disk's protection information looks like.

use super::error::FormatError;

/// The checksum in the guard tag.
///
/// C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h), `enum
/// blk_integrity_checksum`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checksum {
    /// CRC16 with the T10-DIF polynomial 0x8bb7 (SBC, "Logical block guard"), which is also the NVM
    /// Command Set's 16b Guard.
    Crc16T10Dif,
    /// The internet checksum (RFC 1071), which a host may use towards a controller with DIX.
    Ip,
    /// The NVM Command Set's 64b Guard.
    Crc64Nvme,
}

/// The format of protection information: which checksum, over how much data, stored where.
///
/// # Invariants
///
/// - `9 <= interval_exp <= 16`;
/// - `pi_offset + tuple_size() <= metadata_size`, hence `metadata_size` is at least 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Format {
    checksum: Checksum,
    ref_tag: bool,
    interval_exp: u8,
    metadata_size: u8,
    pi_offset: u8,
}

impl Format {
    /// Describes a format; the parameters are the fields of `struct blk_integrity`.
    ///
    /// `ref_tag` says whether the reference tag counts intervals (T10 types 1 and 2) or means
    /// nothing (type 3). `interval_exp` is the binary logarithm of the interval in bytes,
    /// `metadata_size` the bytes of metadata for each interval, `pi_offset` the bytes in front of
    /// the tuple within that.
    ///
    /// # Errors
    ///
    /// [`FormatError`] says which parameter contradicts the others.
    pub const fn new(
        checksum: Checksum,
        ref_tag: bool,
        interval_exp: u8,
        metadata_size: u8,
        pi_offset: u8,
    ) -> Result<Self, FormatError> {
        // INVARIANT: Checked here, and the fields are never changed.
        let format = Self {
            checksum,
            ref_tag,
            interval_exp,
            metadata_size,
            pi_offset,
        };
        if interval_exp < 9 || interval_exp > 16 {
            return Err(FormatError::IntervalExp);
        }
        if format.pi_offset() + format.tuple_size() > format.metadata_size() {
            return Err(FormatError::PiOffset);
        }
        Ok(format)
    }

    /// The checksum in the guard tag.
    pub const fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// Whether the reference tag counts intervals.
    pub const fn has_ref_tag(&self) -> bool {
        self.ref_tag
    }

    /// Bytes of data that one tuple protects.
    pub const fn interval(&self) -> usize {
        1 << self.interval_exp
    }

    /// The binary logarithm of [`interval`](Self::interval).
    pub const fn interval_exp(&self) -> u8 {
        self.interval_exp
    }

    /// Bytes of one tuple: 8, or 16 with the 64-bit guard.
    pub const fn tuple_size(&self) -> usize {
        match self.checksum {
            Checksum::Crc16T10Dif | Checksum::Ip => 8,
            Checksum::Crc64Nvme => 16,
        }
    }

    /// Bytes of metadata for each interval, the tuple included.
    pub const fn metadata_size(&self) -> usize {
        self.metadata_size as usize
    }

    /// Bytes of metadata in front of the tuple, which the guard covers after the data.
    pub const fn pi_offset(&self) -> usize {
        self.pi_offset as usize
    }

    /// Bits of the reference tag field: 32, or 48 with the 64-bit guard.
    pub const fn ref_tag_bits(&self) -> u32 {
        match self.checksum {
            Checksum::Crc16T10Dif | Checksum::Ip => 32,
            Checksum::Crc64Nvme => 48,
        }
    }

    /// The part of `reference` that the reference tag field holds.
    pub const fn ref_tag(&self, reference: u64) -> u64 {
        reference & self.ref_tag_mask()
    }

    /// How many intervals `bytes` of data are, or `None` if not a whole number.
    pub const fn intervals(&self, bytes: u64) -> Option<u64> {
        let intervals = bytes >> self.interval_exp;
        if intervals << self.interval_exp == bytes {
            Some(intervals)
        } else {
            None
        }
    }

    /// Bytes of metadata for that many intervals.
    ///
    /// Saturates where no buffer could be that large.
    pub const fn metadata_bytes(&self, intervals: u64) -> u64 {
        intervals.saturating_mul(self.metadata_size as u64)
    }

    /// The number of whole intervals that `bytes` bytes of metadata have room for.
    pub const fn intervals_in_metadata(&self, bytes: usize) -> usize {
        // Metadata holds a tuple at least, so that there is no division by zero to panic about.
        match bytes.checked_div(self.metadata_size()) {
            Some(intervals) => intervals,
            None => 0,
        }
    }

    /// The name that the block layer shows in `/sys/block/<disk>/integrity/format`.
    pub const fn profile_name(&self) -> &'static str {
        match (self.checksum, self.ref_tag) {
            (Checksum::Crc16T10Dif, true) => "T10-DIF-TYPE1-CRC",
            (Checksum::Crc16T10Dif, false) => "T10-DIF-TYPE3-CRC",
            (Checksum::Ip, true) => "T10-DIF-TYPE1-IP",
            (Checksum::Ip, false) => "T10-DIF-TYPE3-IP",
            (Checksum::Crc64Nvme, true) => "EXT-DIF-TYPE1-CRC64",
            (Checksum::Crc64Nvme, false) => "EXT-DIF-TYPE3-CRC64",
        }
    }

    /// All ones in the width of the reference tag: a mask, and type 3's escape.
    pub(super) const fn ref_tag_mask(&self) -> u64 {
        (1 << self.ref_tag_bits()) - 1
    }
}
