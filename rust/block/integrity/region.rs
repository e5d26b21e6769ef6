// SPDX-License-Identifier: GPL-2.0

//! Where an I/O goes, and the tags that go with it.

use super::{
    metadata::Metadata,
    payload::{Flags, Payload},
    Spoil, //
};
use crate::{
    bindings,
    block::{Bio, Device, Profile, Sector, Status},
    pi,
};

/// Where the first byte of some data is on a device, and what its protection information looks
/// like.
#[derive(Clone, Copy)]
pub struct Region<'a> {
    /// The device.
    pub device: &'a Device,
    /// Its first sector. A whole number of intervals from the start of the device.
    pub sector: Sector,
    /// What the device says of protection information.
    pub profile: &'a Profile,
    tags: pi::Tags,
    flags: Flags,
    /// Without metadata the I/O is not what it was to be.
    required: bool,
    /// What of it is wrong on purpose.
    pub(super) spoil: Option<Spoil>,
}

/// Whether metadata has been attached to a bio.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attached {
    /// It is not stored, or the device does not show the profile now.
    No,
    /// It has been.
    Yes,
    /// It has been, and the bio fails rather than wait in a suspended device.
    Hasty,
}

impl<'a> Region<'a> {
    /// The place at `sector` of `device`, with tags of our own.
    ///
    /// The reference tag is relative to the device, which may be a partition: with it as the
    /// payload's seed, the driver below makes it relative to the disk (`blk_integrity_prepare()`).
    /// In a format without reference tags no driver does; what is there is what the block layer's own
    /// generator begins with, the sector.
    pub fn new(device: &'a Device, sector: Sector, profile: &'a Profile, app_tag: u16) -> Self {
        Self {
            device,
            sector,
            profile,
            tags: pi::Tags {
                app: app_tag,
                reference: if profile.format.has_ref_tag() {
                    sector.number() >> interval_shift(profile)
                } else {
                    sector.number()
                },
            },
            flags: Flags::all_checks(profile),
            required: app_tag != 0,
            spoil: None,
        }
    }

    /// The same place with some tuples that are wrong on purpose. It spoils none that come from
    /// above.
    pub fn spoiled(self, spoil: Option<Spoil>) -> Self {
        Self { spoil, ..self }
    }

    /// The same place, for a read without a payload from above: it goes on without metadata where there is
    /// none.
    pub fn optional(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }

    /// The same place with the tags and checks of a payload from above.
    pub fn with(self, payload: &Payload) -> Self {
        Self {
            tags: payload.tags(),
            flags: payload.flags(),
            required: true,
            ..self
        }
    }

    /// The same, `bytes` bytes further on.
    pub fn advance(&self, bytes: u32) -> Self {
        let sectors = u64::from(bytes >> bindings::SECTOR_SHIFT);
        let intervals = sectors >> interval_shift(self.profile);
        Self {
            sector: self.sector.skip(sectors),
            tags: pi::Tags {
                reference: self.tags.reference.wrapping_add(intervals),
                ..self.tags
            },
            ..*self
        }
    }

    /// The same, but without checks below.
    pub(super) fn unchecked(&self) -> Self {
        Self {
            flags: Flags::no_checks(self.profile),
            ..*self
        }
    }

    /// Whether the sector is where an interval begins.
    pub(super) fn is_aligned(&self) -> bool {
        self.sector.number() & ((1 << interval_shift(self.profile)) - 1) == 0
    }

    /// The tags of the first interval.
    pub(super) fn tags(&self) -> pi::Tags {
        self.tags
    }

    /// What is checked of tuples that were stored here.
    pub(super) fn checks(&self) -> pi::Checks {
        self.flags.checks(self.tags)
    }

    /// The length of the metadata for `bytes` bytes of data.
    pub(super) fn metadata_bytes(&self, bytes: u32) -> usize {
        let format = &self.profile.format;
        format.metadata_bytes(u64::from(bytes) >> format.interval_exp()) as usize
    }

    /// Whether a bio with a payload can go there now; fails with [`Status::IOERR`] where it cannot,
    /// and would have to.
    ///
    /// A bio with a payload must not be sent to a queue without a profile: device mapper and the
    /// block layer take it for granted then. So the device is asked here, at the last moment, and
    /// the bio is not to wait where the profile can go meanwhile. A suspended mapped device fails
    /// what is only read ahead rather than keep it (`dm_submit_bio()`), so that is what the bio is
    /// called; where it may sleep, a frozen queue is waited for before. See
    /// `Documentation/kernel-faults.rst`.
    pub(super) fn admit(&self, bio: &mut Bio) -> Result<Attached, Status> {
        if !self.profile.stored {
            return Ok(Attached::No);
        }
        let shows = match bio.is_nowait() {
            true => self.device.now(self.profile).shows,
            false => self.device.shows_thawed(self.profile),
        };
        match shows {
            true if !self.device.defers() || bio.is_nowait() || bio.is_read_ahead() => {
                Ok(Attached::Yes)
            }
            // What goes to a zone cannot be sent twice.
            true if self.device.is_zoned() => Ok(Attached::Yes),
            true => {
                // Such fails in a suspended device.
                bio.set_flags(bindings::SP_REQ_RAHEAD);
                Ok(Attached::Hasty)
            }
            false if self.required => Err(Status::IOERR),
            false => Ok(Attached::No),
        }
    }

    /// Attaches the metadata for `bytes` bytes of data to `bio`, if [`admit`](Self::admit) lets it.
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
    ) -> Result<Attached, Status> {
        let attached = self.admit(bio)?;
        if attached == Attached::No {
            return Ok(attached);
        }
        let len = self.metadata_bytes(bytes).min(metadata.len());
        // SAFETY: The bio is ours, the buffer is as long, and the caller keeps both.
        unsafe {
            bindings::sp_payload_attach(
                bio.as_raw(),
                payload,
                metadata.as_ptr().cast(),
                len as u32,
                self.tags.reference,
                self.flags.as_raw(),
                self.tags.app,
            )
        };
        Ok(attached)
    }
}

/// Binary logarithm of the sectors (of 512 bytes) in an interval.
fn interval_shift(profile: &Profile) -> u32 {
    u32::from(profile.format.interval_exp()) - bindings::SECTOR_SHIFT
}

/// The data is not a whole number of intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataError;

impl From<MetadataError> for Status {
    fn from(_: MetadataError) -> Self {
        Self::IOERR
    }
}

impl From<pi::SetupError> for MetadataError {
    fn from(_: pi::SetupError) -> Self {
        Self
    }
}

impl From<pi::Overrun> for MetadataError {
    fn from(_: pi::Overrun) -> Self {
        Self
    }
}

impl From<pi::Incomplete> for MetadataError {
    fn from(_: pi::Incomplete) -> Self {
        Self
    }
}
