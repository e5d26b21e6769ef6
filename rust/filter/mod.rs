// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `stable-pi`: protection information for every write, checked on every
//! read, and the data of a write unchanged between its checksum and the medium.
//!
//! An I/O comes in through [`StablePi::map`], and is `write`'s or `read`'s if it has data;
//! everything else is sent on as it is. What is to be looked at when it comes back has a [`State`]
//! that says so, and goes to a worker then. What is decided about it is in [`policy`] and [`completion`],
//! which know nothing of the kernel and are tested without one.

#![deny(unsafe_code)]

pub mod args;
pub mod completion;
mod counters;
mod inject;
pub mod learn;
mod learned;
pub mod message;
mod owners;
pub mod policy;
mod read;
mod write;

use self::{
    args::{Args, Policy, Switch, Verify},
    completion::Outcome, //
    counters::{Counter, Counters},
    inject::Inject,
    learned::Learned,
    message::{Message, Receiver, Way},
    owners::Owners,
    policy::WriteContext,
};
use crate::block::{
    dm::{
        Completing,
        Ended,
        Features,
        Io,
        Looked,
        Looking,
        Mapped,
        NumBios,
        ReportZones,
        Setup,
        Submitting,
        TableError,
        Target,
        Working, //
    },
    integrity::{
        self,
        longest_whole,
        trace::{self, Extent},
        Pools,
        Region, //
    },
    BelowNow,
    Device,
    Profile,
    QueueLimits,
    Sector,
    Status, //
};
use core::num::NonZeroU8;
use kernel::{
    fmt,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{Instant, Monotonic}, //
};

/// The bytes of the longest I/O that is compared with its tuples where it ends, which takes less time
/// than to wake a worker, and about as long as an interrupt may.
const SHORT: u32 = 16 << 10;

/// Bytes in the longest interval that the target can do, which a page must hold.
const MAX_INTERVAL: usize = 4096;

/// The target.
pub struct StablePi {
    pools: Pools,
    device: Device,
    /// What the device says of protection information, or what takes the place of that.
    profile: Profile,
    zoned: bool,
    /// The number (`dev_t`) of the mapped device.
    mapped: u32,
    /// The first sector of the mapped device that is the target's.
    begin: Sector,
    /// How many sectors they are.
    len: u64,
    /// What the table line says; some of it is overruled by `live`.
    args: Args,
    live: Live,
    counters: Counters,
    owners: Owners,
    learned: Learned,
    /// What is wrong on purpose, where the table line allows that.
    inject: Option<Inject>,
    /// The device below does not show `profile` any more.
    changed: Atomic<bool>,
}

/// What messages change, each for the next bio.
struct Live {
    policy: Atomic<u32>,
    verify: Atomic<u32>,
    recheck: Atomic<u32>,
}

/// What is kept with an I/O.
#[derive(Default)]
pub struct Kept {
    state: State,
    /// When the I/O ended below, if that is traced.
    ended: Option<Instant<Monotonic>>,
}

/// What an I/O is between its mapping and its end.
///
/// ```text
/// Passed                                    nothing to look at when it ends
/// Written ── rejected, or to recheck ──▶ DeferredWrite ── to be repaired ──▶ Unstable
/// Copied ─── rejected ─────────────────▶ Rejected
/// Fetched ── ended, or was rejected ───▶ DeferredRead ── does not match ──▶ Doubtful
///                                        for a look, by a worker      for a worker that
///                                        or, if short, at once        may wait
/// ```
#[derive(Clone, Copy, Default)]
pub enum State {
    /// One whose outcome goes up as it is.
    #[default]
    Passed,
    /// A write whose data went down where it is.
    Written(write::Written),
    /// The same, and how the device ended it.
    DeferredWrite(write::Written, Status),
    /// The same, looked at.
    Unstable(write::Unstable),
    /// A write that went down as a copy.
    Copied(write::Copied),
    /// The same, and how the device ended it.
    Rejected(write::Copied, Status),
    /// A read that is to be verified, or to be read again if it is rejected.
    Fetched(read::Fetched),
    /// The same, and how the device ended it.
    DeferredRead(read::Fetched, Status),
    /// The same, looked at.
    Doubtful(read::Doubtful),
}

impl Kept {
    /// The nanoseconds since the I/O ended below; 0 if that was not noted.
    fn nanoseconds_since_end(&self) -> u64 {
        let ended = self.ended;
        ended.map_or(0, |ended| ended.elapsed().as_nanos() as u64)
    }
}

impl Live {
    fn new(args: &Args, profile: bool) -> Self {
        Self {
            policy: Atomic::new(u32::from(args.policy as u8)),
            verify: Atomic::new(u32::from(Verify::new(args.verify, profile) as u8)),
            recheck: Atomic::new(u32::from(args.recheck as u8)),
        }
    }
}

impl StablePi {
    /// What the table line says by now, with what messages have changed.
    fn args_now(&self) -> Args {
        Args {
            policy: self.policy(),
            verify: self.verify().said(self.profile.stored),
            recheck: self.recheck(),
            learn: self.learned.is_on(),
            ..self.args
        }
    }

    /// The sector of the device below at which the target begins.
    fn start(&self) -> Sector {
        Sector::new(self.args.offset)
    }

    fn region(&self, sector: Sector) -> Region<'_> {
        Region::new(&self.device, sector, &self.profile, self.args.app_tag)
    }

    /// The same `bytes` bytes on the mapped device.
    fn extent(&self, to: &Region<'_>, bytes: u32) -> Extent {
        let sector = self.begin.skip(to.sector.since(self.start()));
        Extent::new(self.mapped, sector, bytes)
    }

    fn policy(&self) -> Policy {
        Policy::from_u8(self.live.policy.load(Relaxed) as u8)
    }

    fn recheck(&self) -> Switch {
        Switch::from_u8(self.live.recheck.load(Relaxed) as u8)
    }

    fn verify(&self) -> Verify {
        Verify::from_u8(self.live.verify.load(Relaxed) as u8)
    }

    /// Whether reads are verified while the device below shows the profile.
    fn verifies(&self) -> bool {
        self.profile.stored && self.verify() != Verify::Off
    }

    /// What is below now; it shows the profile if it is as it was when the table was made.
    fn below(&self) -> BelowNow {
        self.device.now(&self.profile)
    }

    /// What decides about writes while `below` is as it is. `payload`: about one that came with one.
    fn context(&self, below: BelowNow, payload: bool) -> WriteContext {
        WriteContext {
            policy: self.policy(),
            recheck: self.recheck(),
            trust: self.args.trust,
            passes: below.passes,
            zoned: self.zoned,
            profile: self.profile.stored && below.shows,
            checks: self.device.checks(),
            payload,
        }
    }

    /// Whether the device below was not what it was when the table was made, when it was looked at last.
    fn is_changed(&self) -> bool {
        self.changed.load(Relaxed)
    }

    /// Says when the device below is not what it was when the table was made, and when it is again.
    fn look_below(&self, io: &Io<'_, Self, Submitting>) -> BelowNow {
        let below = self.below();
        let as_made = below.shows;
        if self.is_changed() == as_made && self.changed.xchg(!as_made, Relaxed) == as_made {
            self.owners.report_below(self, as_made);
            io.raise_event();
        }
        below
    }

    fn apply(&self, message: Message) {
        match message {
            Message::Policy(policy) => self.live.policy.store(u32::from(policy as u8), Relaxed),
            Message::Verify(on) => {
                let verify = Verify::new(Some(on), self.profile.stored);
                self.live.verify.store(u32::from(verify as u8), Relaxed)
            }
            Message::Recheck(switch) => self.live.recheck.store(u32::from(switch as u8), Relaxed),
            Message::Learn(on) => self.set_learns(on),
            Message::Reset => self.counters.reset(),
            Message::Inject(injection) => self.set_inject(injection.as_ref()),
        }
    }

    fn take_message(&self, words: &[&str]) -> Result<(), message::Refusal> {
        let begin = self.begin.number();
        let receiver = Receiver {
            profile: self.profile.stored,
            trusted: self.context(self.below(), false).trusted(),
            ref_tag: self.profile.format.has_ref_tag(),
            injects: self.inject.is_some(),
            sectors: begin..begin.saturating_add(self.len),
        };
        self.apply(Message::parse(words)?.check_against(&receiver)?);
        Ok(())
    }
}

/// What of a device's answer matters for what is decided.
fn outcome(status: Status) -> Outcome {
    match status {
        Status::PROTECTION => Outcome::Protection,
        _ => NonZeroU8::new(status.code()).map_or(Outcome::Ok, Outcome::Other),
    }
}

/// The answer that goes up.
fn status(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Ok => Status::OK,
        Outcome::Protection => Status::PROTECTION,
        Outcome::Other(code) => Status::from_code(code.get()),
        Outcome::Empty => Status::IOERR,
    }
}

impl integrity::Target for StablePi {
    type State = Kept;

    fn pools(&self) -> &Pools {
        &self.pools
    }
}

#[vtable]
impl Target for StablePi {
    const NAME: &'static CStr = c"stable-pi";
    const VERSION: [u32; 3] = [0, 2, 0];
    const FEATURES: Features = Features::PASSES_INTEGRITY
        .and(Features::NOWAIT)
        .and(Features::ATOMIC_WRITES)
        .and(Features::ZONED_HM);
    const FORWARDS_IOCTLS: bool = true;
    const QUEUES: [&'static CStr; 3] = [c"look", c"repair", c"reread"];
    type IoData = integrity::IoData<Kept>;

    fn new(setup: &mut Setup<'_>, words: &[&str]) -> Result<Self, TableError> {
        let line = args::Line::parse(words).map_err(|e| TableError::invalid(e.text()))?;
        let device = setup
            .open(line.device)
            .map_err(|e| TableError::failed(c"dev: the device cannot be opened", e))?;
        let found = device.profile().filter(|found| device.now(found).shows);
        let args = line
            .args()
            .check_against(found.is_some(), device.passes_errors())
            .map_err(|e| TableError::invalid(e.text()))?;
        if setup.shows_profile() && !args.passthrough {
            return Err(TableError::invalid(
                c"passthrough: the mapped device shows a profile now, and bios with payloads may wait in it",
            ));
        }
        let profile = found
            .or_else(|| Profile::snapshot(&device))
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
        if misaligned(setup.begin().number()) || misaligned(setup.len()) {
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

        setup.set_num_bios(NumBios::ONE);
        let no_memory = |e| TableError::failed(c"out of memory", e);
        Ok(Self {
            pools: Pools::new(setup, &device).map_err(no_memory)?,
            zoned: device.is_zoned(),
            device,
            profile,
            mapped: setup.mapped_device(),
            begin: setup.begin(),
            len: setup.len(),
            args,
            live: Live::new(&args, profile.stored),
            counters: Counters::new().map_err(no_memory)?,
            owners: Owners::new(),
            learned: Learned::new(args.learn),
            inject: args.inject.then(Inject::new),
            changed: Atomic::new(false),
        })
    }

    fn map(&self, io: Io<'_, Self, Submitting>) -> Mapped {
        let bio = io.bio();
        let sector = self.start().skip(io.sector().number());
        // Data would be encrypted after its checksum.
        if bio.has_crypt_context() {
            return io.end(Status::NOTSUPP);
        }
        if bio.is_data_write() {
            let below = self.look_below(&io);
            let to = self.spoiled(self.region(sector), Way::Write, io.data_bytes());
            return write::map(self, io, to, below);
        }
        if bio.is_read() {
            let from = self.region(sector);
            if !self.verifies() && bio.payload().is_none() {
                return read::pass(io, &from);
            }
            return read::map(self, io, from);
        }
        io.send(&self.region(sector))
    }

    fn end_io(&self, mut io: Io<'_, Self, Completing>, status: Status) -> Ended {
        let (state, bytes) = (io.state().state, io.data_bytes());
        let refused = io.was_refused(status);
        if !refused {
            match state {
                State::Written(written) => written.count(self, bytes),
                State::Copied(copied) => copied.count(self, bytes),
                _ => {}
            }
        }
        let outcome = outcome(status);
        let hasty = io.was_hasty() && matches!(outcome, Outcome::Other(_)) && !refused;
        let suspect = match state {
            State::Written(written) if hasty => State::DeferredWrite(written, status),
            State::Copied(copied) if hasty => State::Rejected(copied, status),
            State::Fetched(fetched) if hasty => State::DeferredRead(fetched, status),
            State::Written(written) if written.needs_check(outcome) => {
                State::DeferredWrite(written, status)
            }
            State::Copied(copied) if copied.needs_check(outcome) => State::Rejected(copied, status),
            State::Fetched(fetched) if fetched.needs_check(outcome) => {
                State::DeferredRead(fetched, status)
            }
            _ => return io.done(status),
        };
        *io.state() = Kept {
            state: suspect,
            ended: trace::verify_is_enabled().then(Instant::now),
        };
        match suspect {
            State::DeferredRead(..) | State::DeferredWrite(..) if bytes <= SHORT => io.look_here(),
            _ => io.defer(),
        }
    }

    fn look(&self, mut io: Io<'_, Self, Looking>) -> Looked {
        match io.state().state {
            // It ended early, so there is nothing to be settled yet.
            State::DeferredWrite(_, status) if matches!(outcome(status), Outcome::Other(_)) => {
                io.hand_on()
            }
            State::DeferredWrite(written, status) => write::look(self, io, written, status),
            State::DeferredRead(fetched, status) => read::look(self, io, fetched, status),
            // There is nothing to see in a copy.
            State::Rejected(..) => io.hand_on(),
            // Only `end_io` defers, and only these.
            _ => io.done(Status::IOERR),
        }
    }

    fn work(&self, io: &mut Io<'_, Self, Working>) -> Status {
        match io.state().state {
            // It ended early: it is sent with patience before anything else.
            State::DeferredWrite(written, _) => write::send_with_patience(self, io, written),
            State::Unstable(unstable) => write::repair(self, io, unstable),
            State::Rejected(copied, status) => write::send_again(self, io, copied, status),
            State::Doubtful(doubtful) => read::reread(self, io, doubtful),
            // Only `look` hands on, and only these.
            _ => Status::IOERR,
        }
    }

    fn device(&self) -> (&Device, Sector) {
        (&self.device, self.start())
    }

    fn report_zones(&self, zones: ReportZones<'_>) -> Result<u32> {
        zones.of(&self.device, self.start())
    }

    fn status(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let switch = |on| if on { "on" } else { "off" };
        let format = &self.profile.format;
        let below = self.below();
        let context = self.context(below, false);
        write!(
            out,
            "policy:{} verify:{} recheck:{} profile:{} interval:{} below:{} trust:{} learned:{}",
            self.policy(),
            switch(self.verifies()),
            switch(context.rechecks()),
            if self.profile.stored {
                format.profile_name()
            } else {
                "none"
            },
            format.interval(),
            if below.shows { "same" } else { "changed" },
            switch(context.trusted()),
            self.learned.count(),
        )?;
        for counter in Counter::ALL {
            write!(out, " {}:{}", counter.name(), self.counters.sum(counter))?;
        }
        Ok(())
    }

    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{} {}", self.device.name(), self.args_now())
    }

    fn measured(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, ",device_name={}", self.device.name())?;
        self.args_now().measured(out)
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
