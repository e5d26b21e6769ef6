// SPDX-License-Identifier: GPL-2.0

//! One tuple, in memory and on the medium.

use core::fmt;

use super::format::{
    Checksum,
    Format, //
};

const APP_TAG_ESCAPE: u16 = 0xffff;

/// A protection information tuple.
///
/// The 8-byte tuple is SBC's (guard, application tag, reference tag of 2, 2 and 4 bytes), the
/// 16-byte tuple the NVM Command Set's for the 64b Guard with a storage tag size of zero (8, 2 and
/// 6 bytes). All is big-endian, but for the IP checksum, which is stored as it was summed.
///
/// C header: [`include/linux/t10-pi.h`](srctree/include/linux/t10-pi.h), `struct t10_pi_tuple` and
/// `struct crc64_pi_tuple`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tuple {
    /// The guard tag; the 16-bit ones are zero-extended.
    pub guard: u64,
    /// The application tag.
    pub app: u16,
    /// The reference tag, 32 or 48 bits.
    pub reference: u64,
}

impl Tuple {
    /// Reads the tuple of one interval from that interval's metadata.
    ///
    /// `None` if `metadata` is too short for the format.
    pub fn read(format: &Format, metadata: &[u8]) -> Option<Self> {
        let bytes = metadata.get(format.pi_offset()..)?;
        match format.checksum() {
            Checksum::Crc16T10Dif => bytes
                .first_chunk()
                .map(|tuple| Self::from_t10(tuple, u16::from_be_bytes)),
            Checksum::Ip => bytes
                .first_chunk()
                .map(|tuple| Self::from_t10(tuple, u16::from_ne_bytes)),
            Checksum::Crc64Nvme => bytes.first_chunk().map(Self::from_crc64),
        }
    }

    /// Writes the tuple of one interval into that interval's metadata, truncating the tags to the
    /// width of their fields and leaving the bytes around the tuple alone.
    ///
    /// Returns whether `metadata` was long enough; if not, it is unchanged.
    #[must_use]
    pub fn write(&self, format: &Format, metadata: &mut [u8]) -> bool {
        let Some(bytes) = metadata.get_mut(format.pi_offset()..) else {
            return false;
        };
        match format.checksum() {
            Checksum::Crc16T10Dif => store(bytes, self.to_t10(u16::to_be_bytes)),
            Checksum::Ip => store(bytes, self.to_t10(u16::to_ne_bytes)),
            Checksum::Crc64Nvme => store(bytes, self.to_crc64()),
        }
    }

    /// Whether the tuple says that its interval is not to be checked.
    ///
    /// With a reference tag, application tag 0xffff says so; without (type 3), the reference tag
    /// must be all ones too (SBC, "Protection information format"; NVM Command Set Specification,
    /// "Control of Protection Information Checking").
    pub fn is_escape(&self, format: &Format) -> bool {
        self.app == APP_TAG_ESCAPE
            && (format.has_ref_tag() || self.reference == format.ref_tag_mask())
    }

    /// Makes a field wrong, and right again the second time. An application tag of 0xfffe becomes the
    /// [escape](Self::is_escape).
    pub fn spoil(&mut self, field: Field) {
        match field {
            Field::Guard => self.guard ^= 1,
            Field::Application => self.app ^= 1,
            Field::Reference => self.reference ^= 1,
        }
    }

    #[inline]
    pub(super) fn from_t10(
        &[g0, g1, a0, a1, r0, r1, r2, r3]: &[u8; 8],
        guard: fn([u8; 2]) -> u16,
    ) -> Self {
        Self {
            guard: guard([g0, g1]).into(),
            app: u16::from_be_bytes([a0, a1]),
            reference: u32::from_be_bytes([r0, r1, r2, r3]).into(),
        }
    }

    #[inline]
    pub(super) fn to_t10(self, guard: fn(u16) -> [u8; 2]) -> [u8; 8] {
        let [g0, g1] = guard(self.guard as u16);
        let [a0, a1] = self.app.to_be_bytes();
        let [r0, r1, r2, r3] = (self.reference as u32).to_be_bytes();
        [g0, g1, a0, a1, r0, r1, r2, r3]
    }

    #[inline]
    pub(super) fn from_crc64(tuple: &[u8; 16]) -> Self {
        let &[g0, g1, g2, g3, g4, g5, g6, g7, a0, a1, r0, r1, r2, r3, r4, r5] = tuple;
        Self {
            guard: u64::from_be_bytes([g0, g1, g2, g3, g4, g5, g6, g7]),
            app: u16::from_be_bytes([a0, a1]),
            reference: u64::from_be_bytes([0, 0, r0, r1, r2, r3, r4, r5]),
        }
    }

    #[inline]
    pub(super) fn to_crc64(self) -> [u8; 16] {
        let [g0, g1, g2, g3, g4, g5, g6, g7] = self.guard.to_be_bytes();
        let [a0, a1] = self.app.to_be_bytes();
        let [_, _, r0, r1, r2, r3, r4, r5] = self.reference.to_be_bytes();
        [
            g0, g1, g2, g3, g4, g5, g6, g7, a0, a1, r0, r1, r2, r3, r4, r5,
        ]
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "guard {:#x} app {:#x} ref {:#x}",
            self.guard, self.app, self.reference
        )
    }
}

/// A field of a tuple.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// The guard tag.
    Guard,
    /// The application tag.
    Application,
    /// The reference tag.
    Reference,
}

impl Field {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Application => "app",
            Self::Reference => "ref",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn store<const N: usize>(bytes: &mut [u8], tuple: [u8; N]) -> bool {
    match bytes.first_chunk_mut() {
        Some(place) => {
            *place = tuple;
            true
        }
        None => false,
    }
}
