// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `stable-pi`: protection information for every write, checked on every
//! read, and the data of a write unchanged between its checksum and the medium.
//!
//! An I/O comes in through [`StablePi::map`], and is [`write`]'s or [`read`]'s if it has data;
//! everything else is sent on as it is. What is to be looked at when it comes back has a [`State`]
//! that says so, and goes to a worker then. What is decided about it is in [`policy`] and [`settle`],
//! which know nothing of the kernel and are tested without one.

#![deny(unsafe_code)]

pub mod args;
mod counters;
pub mod message;
mod owners;
pub mod policy;
mod read;
pub mod settle;
mod write;

use self::{
    args::{Args, Policy, Switch},
    counters::{Counter, Counters},
    message::Message,
    owners::Owners,
    policy::Facts,
    settle::Outcome, //
};
use crate::block::{
    dm::{
        longest_whole,
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
    trace::Extent,
    Destination,
    Device,
    Profile,
    QueueLimits,
    Status, //
};
use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};

/// Bytes in the longest interval that the target can do, which a page must hold.
const MAX_INTERVAL: usize = 4096;

/// The target.
pub struct StablePi {
    device: Device,
    /// What the device says of protection information, or what takes the place of that.
    profile: Profile,
    zoned: bool,
    /// The number (`dev_t`) of the mapped device.
    mapped: u32,
    /// The first sector of the mapped device that is the target's.
    begin: u64,
    /// What the table line says; some of it is overruled by `live`.
    args: Args,
    live: Live,
    counters: Counters,
    owners: Owners,
}

/// What messages change, each for the next bio.
struct Live {
    policy: Atomic<u32>,
    verify: Atomic<u32>,
    recheck: Atomic<u32>,
}

/// What an I/O is between its mapping and its end.
///
/// ```text
/// Passed                                    nothing to look at when it ends
/// Written ── rejected, or to recheck ──▶ Suspect    for a worker
/// Copied ─── rejected ─────────────────▶ Rejected   for a worker
/// Fetched ── unless it failed ─────────▶ Arrived    for a worker
/// ```
#[derive(Clone, Copy, Default)]
pub enum State {
    /// One whose outcome goes up as it is.
    #[default]
    Passed,
    /// A write whose data went down where it is.
    Written(write::Written),
    /// The same, and how the device ended it.
    Suspect(write::Written, Status),
    /// A write that went down as a copy.
    Copied(write::Copied),
    /// The same, and the device rejected it.
    Rejected(write::Copied),
    /// A read that is to be verified.
    Fetched(read::Fetched),
    /// The same, and how the device ended it.
    Arrived(read::Fetched, Status),
}

impl Live {
    fn new(args: &Args, profile: bool) -> Self {
        Self {
            policy: Atomic::new(u32::from(args.policy as u8)),
            verify: Atomic::new(u32::from(args.verify.unwrap_or(profile))),
            recheck: Atomic::new(u32::from(args.recheck as u8)),
        }
    }
}

impl StablePi {
    fn destination(&self, sector: u64) -> Destination<'_> {
        Destination::new(&self.device, sector, &self.profile, self.args.app_tag)
    }

    /// The same `bytes` bytes on the mapped device.
    fn extent(&self, to: &Destination<'_>, bytes: u32) -> Extent {
        let sector = to
            .sector
            .wrapping_sub(self.args.offset)
            .wrapping_add(self.begin);
        Extent::new(self.mapped, sector, bytes)
    }

    fn policy(&self) -> Policy {
        Policy::from_u8(self.live.policy.load(Relaxed) as u8)
    }

    fn recheck(&self) -> Switch {
        Switch::from_u8(self.live.recheck.load(Relaxed) as u8)
    }

    fn verifies(&self) -> bool {
        self.profile.stored && self.live.verify.load(Relaxed) != 0
    }

    fn facts(&self, payload: bool) -> Facts {
        Facts {
            policy: self.policy(),
            recheck: self.recheck(),
            zoned: self.zoned,
            profile: self.profile.stored,
            checks: self.profile.device_checks,
            payload,
        }
    }

    fn obey(&self, message: Message) {
        match message {
            Message::Policy(policy) => self.live.policy.store(u32::from(policy as u8), Relaxed),
            Message::Verify(on) => self.live.verify.store(u32::from(on), Relaxed),
            Message::Recheck(switch) => self.live.recheck.store(u32::from(switch as u8), Relaxed),
            Message::Reset => self.counters.reset(),
        }
    }

    fn take_message(&self, words: &[&str]) -> Result<(), message::Refusal> {
        self.obey(Message::parse(words)?.over(self.profile.stored)?);
        Ok(())
    }
}

/// What of a device's answer matters for what is decided.
fn outcome(status: Status) -> Outcome {
    match status {
        Status::OK => Outcome::Ok,
        Status::PROTECTION => Outcome::Protection,
        _ => Outcome::Other,
    }
}

/// The answer that goes up: `other` is the last one of the device.
fn status(outcome: Outcome, other: Status) -> Status {
    match outcome {
        Outcome::Ok => Status::OK,
        Outcome::Protection => Status::PROTECTION,
        Outcome::Other => other,
    }
}

impl Target for StablePi {
    const NAME: &'static CStr = c"stable-pi";
    const VERSION: [u32; 3] = [0, 2, 0];
    type State = State;

    fn new(setup: &mut Setup<'_>, words: &[&str]) -> Result<Self, TableError> {
        let line = args::Line::parse(words).map_err(|e| TableError::invalid(e.text()))?;
        let device = setup
            .open(line.device)
            .map_err(|e| TableError::failed(c"dev: the device cannot be opened", e))?;
        let found = device.profile();
        let args = line
            .args()
            .over(found.is_some())
            .map_err(|e| TableError::invalid(e.text()))?;
        let profile = found
            .or_else(|| Profile::snapshot(device.logical_block_size()))
            .filter(|profile| profile.format.interval() <= MAX_INTERVAL)
            .ok_or(TableError::invalid(
                c"dev: the integrity interval is longer than 4096 bytes",
            ))?;

        let interval = profile.format.interval();
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
            zoned: device.is_zoned(),
            device,
            profile,
            mapped: setup.mapped_device(),
            begin: setup.begin(),
            args,
            live: Live::new(&args, profile.stored),
            counters: Counters::new().map_err(|e| TableError::failed(c"out of memory", e))?,
            owners: Owners::new(),
        })
    }

    fn map(&self, io: Io<'_, Self, Mapping>) -> Mapped {
        let bio = io.bio();
        let sector = bio
            .sector()
            .wrapping_sub(self.begin)
            .wrapping_add(self.args.offset);
        // Data would be encrypted after its checksum.
        if bio.has_crypt_context() {
            return io.end(Status::NOTSUPP);
        }
        if bio.is_data_write() {
            return write::map(self, io, self.destination(sector));
        }
        if bio.is_read() && self.verifies() {
            return read::map(self, io, self.destination(sector));
        }
        io.remap(&self.device, sector)
    }

    fn end_io(&self, mut io: Io<'_, Self, Completing>, status: Status) -> Ended {
        let (state, bytes) = (*io.state(), io.data_bytes());
        // What ends so has not been tried, and whoever wants it comes again.
        if status != Status::AGAIN {
            match state {
                State::Written(written) => written.count(self, bytes),
                State::Copied(copied) => copied.count(self, bytes),
                _ => {}
            }
        }
        let outcome = outcome(status);
        let suspect = match state {
            State::Written(written) if written.needs_look(outcome) => {
                State::Suspect(written, status)
            }
            State::Copied(copied) if copied.needs_look(outcome) => State::Rejected(copied),
            State::Fetched(fetched) if settle::read_needs_look(outcome) => {
                State::Arrived(fetched, status)
            }
            _ => return io.done(status),
        };
        *io.state() = suspect;
        io.defer()
    }

    fn work(&self, io: &mut Io<'_, Self, Working>) -> Status {
        match *io.state() {
            State::Suspect(written, status) => write::settle(self, io, written, status),
            State::Rejected(copied) => write::send_again(self, io, copied),
            State::Arrived(fetched, status) => read::settle(self, io, fetched, status),
            // Only `end_io` defers, and only these.
            _ => Status::IOERR,
        }
    }

    fn device(&self) -> (&Device, u64) {
        (&self.device, self.args.offset)
    }

    fn status(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let switch = |on| if on { "on" } else { "off" };
        let format = &self.profile.format;
        write!(
            out,
            "policy:{} verify:{} recheck:{} profile:{} interval:{}",
            self.policy(),
            switch(self.verifies()),
            switch(self.facts(false).rechecks()),
            if self.profile.stored {
                format.profile_name()
            } else {
                "none"
            },
            format.interval(),
        )?;
        for counter in Counter::ALL {
            write!(out, " {}:{}", counter.name(), self.counters.sum(counter))?;
        }
        Ok(())
    }

    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let args = Args {
            policy: self.policy(),
            // What goes without saying stays unsaid.
            verify: Some(self.verifies()).filter(|on| *on != self.profile.stored),
            recheck: self.recheck(),
            ..self.args
        };
        write!(out, "{} {}", self.device.name(), args)
    }

    fn message(&self, words: &[&str]) -> Result {
        self.take_message(words).map_err(|refusal| {
            pr_err!("stable-pi: message: {}\n", refusal.text());
            EINVAL
        })
    }

    fn io_hints(&self, limits: &mut QueueLimits) {
        // Where nothing is said, what the device below asks for stays.
        match self.args.waits {
            Switch::Auto if !self.args.policy.needs_waits() => {}
            Switch::Auto | Switch::On => limits.set_stable_writes(true),
            Switch::Off => limits.set_stable_writes(false),
        }
        if !self.args.passthrough {
            limits.hide_integrity();
        }
        limits.cap_whole(longest_whole(&self.profile.format), self.zoned);
        // An I/O that is copied, repaired or verified ends when an interrupt or a worker says so.
        limits.set_poll(false);
    }
}
