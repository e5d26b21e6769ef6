// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `stable-pi`: protection information for every write, and the data of a
//! write unchanged between its checksum and the medium.
//!
//! A write comes in through [`StablePi::map`], which hands it to the [`policy`] of the table line.
//! A policy either copies the data, or sends it down where it is. What went down in place and is to
//! be looked at when it comes back has a [`State`] that says so; if it was rejected, or is to be
//! checked again, it goes to a worker, which is [`repair`]'s.
//!
//! Everything else is sent on as it is.

#![deny(unsafe_code)]

pub mod args;
mod counters;
mod policy;
mod repair;

use self::{
    args::{Args, Switch},
    counters::{Counter, Counters}, //
};
use crate::block::{
    dm::{
        Completing,
        Ended,
        Io,
        Mapped,
        Mapping,
        Setup,
        TableError,
        Target,
        Working, //
    },
    Destination,
    Device,
    Profile,
    QueueLimits,
    Status, //
};
use kernel::{fmt, prelude::*};

/// Bytes in the longest interval that the target can do, which a page must hold.
const MAX_INTERVAL: usize = 4096;

/// The target.
pub struct StablePi {
    device: Device,
    profile: Profile,
    /// The first sector of the mapped device that is the target's.
    begin: u64,
    args: Args,
    counters: Counters,
}

/// What a write is between its mapping and its end.
///
/// ```text
/// Passed                                   nothing to look at when it ends
/// InPlace ── rejected, or to recheck ──▶ Suspect      for a worker
/// ```
#[derive(Default)]
pub enum State {
    /// No write of ours, or one whose outcome goes up as it is.
    #[default]
    Passed,
    /// The data went down where it is, with metadata for `sector` of the device.
    InPlace {
        /// In units of 512 bytes.
        sector: u64,
    },
    /// The same, and it ended with `status`.
    Suspect {
        /// In units of 512 bytes.
        sector: u64,
        /// How the device ended it.
        status: Status,
    },
}

impl StablePi {
    fn destination(&self, sector: u64) -> Destination<'_> {
        Destination {
            device: &self.device,
            sector,
            profile: &self.profile,
            app_tag: self.args.app_tag,
        }
    }

    /// Whether a write that succeeded in place is to be compared with its metadata.
    fn rechecks(&self) -> bool {
        match self.args.recheck {
            Switch::Auto => !self.profile.device_checks,
            Switch::On => true,
            Switch::Off => false,
        }
    }
}

impl Target for StablePi {
    const NAME: &'static CStr = c"stable-pi";
    const VERSION: [u32; 3] = [0, 1, 0];
    type State = State;

    fn new(setup: &mut Setup<'_>, words: &[&str]) -> Result<Self, TableError> {
        let line = args::Line::parse(words).map_err(|e| TableError::invalid(e.text()))?;
        let device = setup
            .open(line.device)
            .map_err(|e| TableError::failed(c"dev: the device cannot be opened", e))?;
        let profile = device.profile().ok_or(TableError::invalid(
            c"dev: the device has no integrity profile",
        ))?;
        let interval = profile.format.interval();
        if interval > MAX_INTERVAL {
            return Err(TableError::invalid(
                c"dev: the integrity interval is longer than 4096 bytes",
            ));
        }

        let misaligned = |sectors: u64| sectors & ((interval as u64 >> 9) - 1) != 0;
        if misaligned(line.offset) {
            return Err(TableError::invalid(
                c"offset: not a multiple of the integrity interval",
            ));
        }
        if misaligned(setup.begin()) || misaligned(setup.len()) {
            return Err(TableError::invalid(
                c"start and length: not multiples of the integrity interval",
            ));
        }
        let end = line.offset.checked_add(setup.len());
        if end.is_none_or(|end| end > device.sectors()) {
            return Err(TableError::invalid(
                c"offset: the target reaches beyond the end of the device",
            ));
        }

        Ok(Self {
            device,
            profile,
            begin: setup.begin(),
            args: line.args(),
            counters: Counters::new().map_err(|e| TableError::failed(c"out of memory", e))?,
        })
    }

    fn map(&self, io: Io<'_, Self, Mapping>) -> Mapped {
        let bio = io.bio();
        let sector = bio
            .sector()
            .wrapping_sub(self.begin)
            .wrapping_add(self.args.offset);
        // A payload from above is somebody else's promise.
        if !bio.is_data_write() || bio.has_payload() {
            return io.remap(&self.device, sector);
        }
        // The data would be encrypted after its checksum.
        if bio.has_crypt_context() {
            return io.kill();
        }
        policy::map(self, io, self.destination(sector))
    }

    fn end_io(&self, mut io: Io<'_, Self, Completing>, status: Status) -> Ended {
        let State::InPlace { sector } = *io.state() else {
            return io.done(status);
        };
        if status == Status::PROTECTION || status.is_ok() && self.rechecks() {
            *io.state() = State::Suspect { sector, status };
            return io.defer();
        }
        io.done(status)
    }

    fn work(&self, io: &mut Io<'_, Self, Working>) -> Status {
        let State::Suspect { sector, status } = *io.state() else {
            // Only `end_io` defers, and only suspects.
            return Status::IOERR;
        };
        repair::settle(self, io, &self.destination(sector), status)
    }

    fn device(&self) -> (&Device, u64) {
        (&self.device, self.args.offset)
    }

    fn status(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(
            out,
            "policy:{} profile:{} interval:{}",
            self.args.policy,
            self.profile.format.profile_name(),
            self.profile.format.interval(),
        )?;
        for counter in Counter::ALL {
            write!(out, " {}:{}", counter.name(), self.counters.sum(counter))?;
        }
        Ok(())
    }

    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{} {}", self.device.name(), self.args)
    }

    fn io_hints(&self, limits: &mut QueueLimits) {
        // Where nothing is said, what the device below asks for stays.
        match self.args.waits {
            Switch::Auto if !self.args.policy.needs_waits() => {}
            Switch::Auto | Switch::On => limits.set_stable_writes(true),
            Switch::Off => limits.set_stable_writes(false),
        }
        // A write that is copied or repaired ends when an interrupt says so.
        limits.set_poll(false);
    }
}
