// SPDX-License-Identifier: GPL-2.0

//! Reads: on their way down, and when their data and tuples have arrived.

use super::{
    args::Verify,
    completion::{self, Doubt, Event, Outcome, Verdict},
    message::Way,
    outcome,
    status,
    StablePi,
    State, //
};
use crate::{
    block::{
        dm::{
            Deferred,
            Io,
            Looked,
            Looking,
            Mapped,
            Submitting,
            Working, //
        },
        integrity::{
            trace,
            Payload,
            Region,
            Reread, //
        },
        Sector,
        Status, //
    },
    pi,
};

/// A read that was sent down.
#[derive(Clone, Copy)]
pub struct Fetched {
    /// Where from, a sector of the device below.
    sector: Sector,
    /// What came from above for the tuples; without, they are ours.
    payload: Option<Payload>,
    looked_at: LookedAt,
}

/// When a read is looked at that has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LookedAt {
    /// In any case: it is to be verified.
    Always,
    /// When it was rejected. What rejects it verifies in the memory of the application, which may have
    /// changed; so it is read again where no application can reach it.
    Rejected,
    /// Only when it has to be read again since it had no time: the submitter has asked for the
    /// tuples, and verifies.
    Never,
}

impl Fetched {
    /// Whether a worker is to look at it, since it ended with `outcome`.
    pub(super) fn needs_check(&self, outcome: Outcome) -> bool {
        match self.looked_at {
            LookedAt::Always => completion::read_needs_check(outcome),
            LookedAt::Rejected => outcome == Outcome::Protection,
            LookedAt::Never => false,
        }
    }
}

/// Sends a read without room for tuples, as one that a layer below may verify.
pub(super) fn pass(mut io: Io<'_, StablePi, Submitting>, from: &Region<'_>) -> Mapped {
    io.state().state = State::Fetched(Fetched {
        sector: from.sector,
        payload: None,
        looked_at: LookedAt::Rejected,
    });
    io.send(from)
}

/// Sends a read that is to be verified, or has a payload, to where its data is.
///
/// Where the device below does not show the profile of the table, there are no tuples, and the read
/// ends unverified by the target or not at all.
pub(super) fn map(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Submitting>,
    from: Region<'_>,
) -> Mapped {
    let payload = io.bio().payload();
    let from = from.optional();
    // The device is asked at the last moment, when the payload is attached or let through; here only where
    // it was not as made when it was asked last.
    let ready = match payload {
        _ if filter.is_changed() && !filter.look_below(&io).shows => Ok(false),
        None => io.attach_read_metadata(&from),
        Some(_) => io.reserve(&from).map(|()| true),
    };
    if ready != Ok(true) {
        filter.look_below(&io);
    }
    match ready {
        Err(status) => return io.end(status),
        Ok(false) if payload.is_some() || filter.verify() == Verify::Required => {
            return io.end(Status::IOERR)
        }
        Ok(false) => return pass(io, &from),
        Ok(true) => {}
    }
    io.state().state = State::Fetched(Fetched {
        sector: from.sector,
        payload,
        looked_at: match filter.verifies() {
            true => LookedAt::Always,
            false => LookedAt::Never,
        },
    });
    io.send(&from)
}

/// A read that is in doubt.
#[derive(Clone, Copy)]
pub struct Doubtful {
    fetched: Fetched,
    doubt: Doubt,
    /// It has ended early, and says nothing of its data.
    hasty: bool,
    /// How long it had to wait to be looked at.
    wait_ns: u64,
}

/// Looks at a read that the device ended with `first`. Does not wait.
pub(super) fn look(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Looking>,
    fetched: Fetched,
    first: Status,
) -> Looked {
    let wait_ns = io.state().nanoseconds_since_end();
    let from = filter.spoiled(filter.region(fetched.sector), Way::Read, io.data_bytes());
    let mut arrived = DeferredRead {
        from,
        filter,
        io: &mut io,
        payload: fetched.payload,
    };
    let hasty = matches!(outcome(first), Outcome::Other(_));
    let first = match hasty {
        // It has not been tried with patience.
        true => Outcome::Protection,
        false => outcome(first),
    };
    let status = match completion::look_at_read(&mut arrived, first) {
        Ok(Verdict::Ends(outcome)) => status(outcome),
        Ok(Verdict::Unsettled(doubt)) => {
            io.state().state = State::Doubtful(Doubtful {
                fetched,
                doubt,
                hasty,
                wait_ns,
            });
            return io.hand_on();
        }
        Err(failed) => failed,
    };
    trace_verify(filter, &mut io, &from, wait_ns);
    io.done(status)
}

/// Settles how a read ends that is in doubt. May sleep.
pub(super) fn reread(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    doubtful: Doubtful,
) -> Status {
    let Doubtful {
        fetched,
        doubt,
        hasty,
        wait_ns,
    } = doubtful;
    let from = filter.spoiled(filter.region(fetched.sector), Way::Read, io.data_bytes());
    let mut again = Again {
        from,
        filter,
        io,
        payload: fetched.payload,
        hasty,
        reread: Reread::default(),
        wrong: Intervals::ALL,
        never_matched: Intervals::ALL,
        bad: None,
    };
    let settled = completion::resolve_read(&mut again, doubt).map_or_else(|failed| failed, status);
    trace_verify(filter, again.io, &from, wait_ns);
    settled
}

fn trace_verify<P: Deferred>(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, P>,
    from: &Region<'_>,
    wait_ns: u64,
) {
    let verify_ns = io.state().nanoseconds_since_end().saturating_sub(wait_ns);
    trace::verify(&filter.extent(from, io.data_bytes()), wait_ns, verify_ns);
}

/// A read that is looked at.
struct DeferredRead<'f, 'w, 'a> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, Looking>,
    from: Region<'f>,
    payload: Option<Payload>,
}

impl completion::Io for DeferredRead<'_, '_, '_> {
    type Error = Status;

    fn bytes(&self) -> u32 {
        self.io.data_bytes()
    }

    fn record(&mut self, event: Event) {
        self.filter.counters.count(event);
    }
}

impl completion::Read for DeferredRead<'_, '_, '_> {
    fn matches(&mut self) -> Result<bool, Status> {
        Ok(self.io.verify(&self.from, self.payload.as_ref())? == 0)
    }
}

/// A read that is read again.
struct Again<'f, 'w, 'a> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, Working>,
    from: Region<'f>,
    payload: Option<Payload>,
    /// It has ended early, and says nothing of its data.
    hasty: bool,
    /// What was read last, and the writes that came.
    reread: Reread<'a>,
    /// The intervals of what was read last that do not match; all that was not compared.
    wrong: Intervals,
    /// Those that have not matched since the watch began, nor right before.
    never_matched: Intervals,
    /// The first interval that is wrong on the medium.
    bad: Option<(trace::Extent, pi::Mismatch)>,
}

impl Again<'_, '_, '_> {
    fn exp(&self) -> u8 {
        self.from.profile.format.interval_exp()
    }

    fn extent(&self) -> trace::Extent {
        self.filter.extent(&self.from, self.io.data_bytes())
    }

    /// Calls `report` for each interval of what was read last that does not match.
    fn mismatches(&self, mut report: impl FnMut(pi::Mismatch)) -> Result<(), Status> {
        let payload = self.payload.as_ref();
        self.io
            .verify_again(&self.from, payload, &self.reread, &mut report)?;
        Ok(())
    }

    /// The read is corrupt: says so, once the bad intervals are known.
    fn raise(&self) {
        if let Some((extent, mismatch)) = &self.bad {
            self.filter
                .owners
                .report_mismatch(self.filter, extent, mismatch);
        }
        self.io.raise_event();
    }
}

impl completion::Io for Again<'_, '_, '_> {
    type Error = Status;

    fn bytes(&self) -> u32 {
        self.io.data_bytes()
    }

    fn record(&mut self, event: Event) {
        if event == Event::FalseAlarm && self.hasty {
            return;
        }
        self.filter.counters.count(event);
        match event {
            Event::FalseAlarm => trace::false_alarm(&self.extent()),
            Event::Corrupt => self.raise(),
            _ => {}
        }
    }
}

impl completion::Reread for Again<'_, '_, '_> {
    fn interval(&self) -> u32 {
        1 << self.exp()
    }

    fn read_again(&mut self, skip: u32, most: u32) -> Result<(Outcome, u32), Status> {
        self.wrong = Intervals::ALL;
        let most = most.min(Intervals::MOST << self.exp());
        let payload = self.payload.as_ref();
        let reread = &mut self.reread;
        let (status, bytes) = self
            .io
            .read_again(reread, &self.from, payload, skip, most)?;
        Ok((outcome(status), bytes))
    }

    fn matching(&mut self) -> Result<u32, Status> {
        let (skip, bytes) = (self.reread.skip(), self.reread.bytes());
        if !self.reread.has_tuples() {
            // It went down without room for any, or the device does not show its profile any more.
            return match self.payload.is_some() || self.filter.verify() == Verify::Required {
                true => Err(Status::IOERR),
                false => Ok(bytes),
            };
        }
        let base = skip >> self.exp();
        let mut first = None;
        let mut wrong = Intervals::NONE;
        self.mismatches(|mismatch| {
            let interval = (mismatch.interval as u32).saturating_sub(base);
            // What is wrong on purpose comes behind the rest.
            first = Some(first.map_or(interval, |first: u32| first.min(interval)));
            wrong.insert(interval);
        })?;
        self.never_matched.retain(&wrong);
        self.wrong = wrong;
        Ok(first.map_or(bytes, |first| first << self.exp()))
    }

    fn copy_to_bio(&mut self, bytes: u32) -> Result<(), Status> {
        self.reread.shorten(bytes);
        Ok(self
            .io
            .copy_to_bio(&self.from, self.payload.as_ref(), &self.reread)?)
    }

    fn wait(&mut self) -> Result<(), Status> {
        let bytes = self.io.data_bytes();
        self.io.watch_writes(&mut self.reread, &self.from, bytes);
        self.never_matched = core::mem::replace(&mut self.wrong, Intervals::ALL);
        Ok(())
    }

    fn disturbed(&mut self, skip: u32, bytes: u32) -> bool {
        let from = self.from.advance(skip);
        self.reread.is_disturbed(&from, bytes)
    }

    fn report(&mut self) -> Result<bool, Status> {
        let exp = self.exp();
        let skip = self.reread.skip();
        let mut bad = self.bad.take();
        let mut found = false;
        self.mismatches(|mismatch| {
            let interval = mismatch.interval as u32;
            let at = self.from.advance(interval << exp);
            let known = self
                .never_matched
                .contains(interval.saturating_sub(skip >> exp));
            if !known || self.reread.is_disturbed(&at, 1 << exp) {
                return;
            }
            found = true;
            let extent = self.filter.extent(&at, 1 << exp);
            trace::read_mismatch(&extent, &mismatch);
            bad.get_or_insert((extent, mismatch));
        })?;
        self.bad = bad;
        Ok(found)
    }
}

/// A set of the first [`MOST`](Self::MOST) intervals of what was read.
struct Intervals([u64; (Self::MOST / u64::BITS) as usize]);

impl Intervals {
    /// As many as are in a private bio of 256 pages, at 512 bytes each.
    const MOST: u32 = 2048;

    const NONE: Self = Self([0; (Self::MOST / u64::BITS) as usize]);
    const ALL: Self = Self([u64::MAX; (Self::MOST / u64::BITS) as usize]);

    fn contains(&self, interval: u32) -> bool {
        let word = self.0.get((interval / u64::BITS) as usize);
        word.is_some_and(|word| word & (1 << (interval % u64::BITS)) != 0)
    }

    fn insert(&mut self, interval: u32) {
        if let Some(word) = self.0.get_mut((interval / u64::BITS) as usize) {
            *word |= 1 << (interval % u64::BITS);
        }
    }

    /// Leaves out those that are not in `other`.
    fn retain(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= other;
        }
    }
}
