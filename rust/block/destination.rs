// SPDX-License-Identifier: GPL-2.0

//! Where a write goes, and the tags that go with it.

use super::{metadata::Metadata, Bio, Device, Profile};
use crate::{bindings, pi};

/// Where the first byte of some data is to be written, with protection information.
pub struct Destination<'a> {
    /// The device.
    pub device: &'a Device,
    /// Its first sector, in units of 512 bytes. A whole number of intervals.
    pub sector: u64,
    /// What the device says of protection information.
    pub profile: &'a Profile,
    /// The application tag to write.
    pub app_tag: u16,
}

impl Destination<'_> {
    /// The same, `bytes` bytes further on.
    pub fn advance(&self, bytes: u32) -> Self {
        Self {
            sector: self.sector + u64::from(bytes >> bindings::SECTOR_SHIFT),
            ..*self
        }
    }

    /// Whether the sector is where an interval begins.
    pub(super) fn is_aligned(&self) -> bool {
        self.sector & ((1 << self.interval_shift()) - 1) == 0
    }

    /// Binary logarithm of the sectors (of 512 bytes) in an interval.
    fn interval_shift(&self) -> u32 {
        u32::from(self.profile.format.interval_exp()) - bindings::SECTOR_SHIFT
    }

    /// The tags of the first interval.
    ///
    /// The reference tag is relative to the device, which may be a partition: with it as the
    /// payload's seed, the driver below makes it relative to the disk (`blk_integrity_prepare()`).
    pub fn tags(&self) -> pi::Tags {
        pi::Tags {
            app: self.app_tag,
            reference: self.sector >> self.interval_shift(),
        }
    }

    /// The length of the metadata for `bytes` bytes of data.
    pub(super) fn metadata_bytes(&self, bytes: u32) -> usize {
        let format = &self.profile.format;
        format.metadata_bytes(u64::from(bytes) >> format.interval_exp()) as usize
    }

    /// Attaches the metadata for `bytes` bytes of data to `bio`.
    ///
    /// # Safety
    ///
    /// `payload` and `metadata` must stay, and must not be used, until the bio has ended or the
    /// payload is detached.
    pub(super) unsafe fn attach(
        &self,
        bio: &mut Bio,
        payload: *mut bindings::sp_payload,
        metadata: &Metadata,
        bytes: u32,
    ) {
        let len = self.metadata_bytes(bytes).min(metadata.len());
        // SAFETY: The bio is ours, the buffer is as long, and the caller keeps both.
        unsafe {
            bindings::sp_payload_attach(
                bio.as_raw(),
                payload,
                metadata.as_ptr().cast(),
                len as u32,
                self.tags().reference,
                self.profile.payload_flags(),
                self.app_tag,
            )
        };
    }
}

/// The data is not a whole number of intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

impl From<pi::SetupError> for Misfit {
    fn from(_: pi::SetupError) -> Self {
        Self
    }
}

impl From<pi::Overrun> for Misfit {
    fn from(_: pi::Overrun) -> Self {
        Self
    }
}

impl From<pi::Incomplete> for Misfit {
    fn from(_: pi::Incomplete) -> Self {
        Self
    }
}
