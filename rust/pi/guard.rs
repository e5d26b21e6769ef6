// SPDX-License-Identifier: GPL-2.0

//! The guard of one interval while its data arrives.

use core::ops::Range;

use super::{
    data::Data,
    format::Checksum,
    ip, //
};

/// A guard in the making.
#[derive(Clone, Copy)]
pub(super) enum Guard {
    Crc16T10Dif(u16),
    /// `odd`: the number of bytes so far is odd, so the next byte completes a word.
    Ip {
        sum: u16,
        odd: bool,
    },
    Crc64Nvme(u64),
}

impl Guard {
    pub(super) fn new(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Crc16T10Dif => Self::Crc16T10Dif(0),
            Checksum::Ip => Self::Ip { sum: 0, odd: false },
            Checksum::Crc64Nvme => Self::Crc64Nvme(0),
        }
    }

    /// The guard with the bytes of `range` behind what it covers already.
    pub(super) fn update<D: Data + ?Sized>(self, data: &D, range: Range<usize>) -> Self {
        match self {
            Self::Crc16T10Dif(crc) => Self::Crc16T10Dif(data.crc16_t10_dif(crc, range)),
            Self::Crc64Nvme(crc) => Self::Crc64Nvme(data.crc64_nvme(crc, range)),
            Self::Ip { sum, odd } => {
                let odd_length = range.len() % 2 == 1;
                let piece = data.ip_sum(range);
                // The piece was summed as if it began a word. Where it begins in mid-word, each
                // of its bytes belongs into the other half (RFC 1071, section 2 (B)).
                let piece = if odd { piece.swap_bytes() } else { piece };
                Self::Ip {
                    sum: ip::add(sum, piece),
                    odd: odd != odd_length,
                }
            }
        }
    }

    /// The guard tag of an interval whose metadata has `offset` bytes in front of the tuple, which
    /// come behind the data.
    pub(super) fn finish_with(self, metadata: &[u8], offset: usize) -> u64 {
        match offset {
            0 => self.finish(),
            _ => self.update(metadata, 0..offset).finish(),
        }
    }

    /// The guard tag.
    pub(super) fn finish(self) -> u64 {
        match self {
            Self::Crc16T10Dif(crc) => crc.into(),
            Self::Ip { sum, .. } => (!sum).into(),
            Self::Crc64Nvme(crc) => crc,
        }
    }
}
