// SPDX-License-Identifier: GPL-2.0

//! Integrity payloads that come from above.

use crate::{
    bindings,
    block::{Bio, Profile},
    pi,
};
use core::mem::MaybeUninit;

impl Bio {
    /// The integrity payload that came with the bio. Only right until the bio has been submitted.
    pub fn payload(&self) -> Option<Payload> {
        let mut info = MaybeUninit::uninit();
        // SAFETY: By the type invariant the bio is valid.
        if unsafe { bindings::sp_payload_info(self.as_raw(), info.as_mut_ptr()) } {
            // SAFETY: There is a payload, so that all of it was set.
            Some(Payload(unsafe { info.assume_init() }))
        } else {
            None
        }
    }
}

/// What an integrity payload asks for, and where its tuples are.
///
/// C header: [`include/linux/bio-integrity.h`](srctree/include/linux/bio-integrity.h)
#[derive(Clone, Copy)]
pub struct Payload(bindings::sp_payload_info);

impl Payload {
    pub(super) fn as_raw(&self) -> &bindings::sp_payload_info {
        &self.0
    }

    /// The bytes of metadata.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter.bi_size as usize
    }

    /// The tags of the first interval: the seed is its reference tag.
    pub(super) fn tags(&self) -> pi::Tags {
        pi::Tags {
            app: self.0.app_tag,
            reference: self.0.iter.bi_sector,
        }
    }

    /// The flags that go with the same tuples to the device.
    pub(super) fn flags(&self) -> Flags {
        Flags(self.0.flags & Flags::ALL.0)
    }
}

/// What is to be checked on the way, the `BIP_` flags of a payload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(u16);

impl Flags {
    /// What `bio_integrity_clone()` takes over, but for what has happened to tuples already.
    const ALL: Self = Self(
        bindings::SP_BIP_IP_CHECKSUM
            | bindings::SP_BIP_DISK_NOCHECK
            | bindings::SP_BIP_CHECK_GUARD
            | bindings::SP_BIP_CHECK_REFTAG
            | bindings::SP_BIP_CHECK_APPTAG,
    );

    /// The flags that ask each driver below to check what it can.
    pub(super) fn all_checks(profile: &Profile) -> Self {
        let mut flags = Self::checksum(profile) | bindings::SP_BIP_CHECK_GUARD;
        if profile.format.has_ref_tag() {
            flags |= bindings::SP_BIP_CHECK_REFTAG;
        }
        Self(flags)
    }

    /// The flags that ask for no check below.
    pub(super) fn no_checks(profile: &Profile) -> Self {
        Self(Self::checksum(profile) | bindings::SP_BIP_DISK_NOCHECK)
    }

    fn checksum(profile: &Profile) -> u16 {
        match profile.format.checksum() {
            pi::Checksum::Ip => bindings::SP_BIP_IP_CHECKSUM,
            _ => 0,
        }
    }

    pub(super) fn as_raw(self) -> u16 {
        self.0
    }

    /// The same checks for a [`pi::Verifier`], from the interval with `tags` on.
    pub(super) fn checks(self, tags: pi::Tags) -> pi::Checks {
        let has = |flag| self.0 & flag != 0;
        pi::Checks {
            guard: has(bindings::SP_BIP_CHECK_GUARD),
            app: has(bindings::SP_BIP_CHECK_APPTAG).then_some(tags.app),
            reference: has(bindings::SP_BIP_CHECK_REFTAG).then_some(tags.reference),
            escapes: true,
        }
    }
}
