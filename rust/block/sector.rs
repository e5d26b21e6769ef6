// SPDX-License-Identifier: GPL-2.0

//! Places on a device.

use crate::bindings;

/// A sector of a device, `sector_t`: where its 512 bytes begin, in units of that size, whatever the
/// logical blocks or the integrity intervals of the device are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sector(u64);

impl Sector {
    /// The sector with this number.
    #[inline]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The sector that is `sectors` behind this one. A bio for no sector, as a flush is, may be for any
    /// place: so the sum wraps.
    #[inline]
    pub const fn skip(self, sectors: u64) -> Self {
        Self(self.0.wrapping_add(sectors))
    }

    /// The sector that is `bytes` bytes, whole sectors, behind this one.
    #[inline]
    pub const fn skip_bytes(self, bytes: u32) -> Self {
        self.skip((bytes >> bindings::SECTOR_SHIFT) as u64)
    }

    /// The sectors from `begin` to this one; 0 if that is behind it.
    #[inline]
    pub const fn since(self, begin: Self) -> u64 {
        self.0.saturating_sub(begin.0)
    }
}
