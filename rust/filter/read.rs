// SPDX-License-Identifier: GPL-2.0

//! Reads: on their way down, and when their data and tuples have arrived.

use super::{
    outcome,
    settle::{self, Event, Outcome},
    status,
    StablePi, //
    State,
};
use crate::{
    block::{
        dm::{Io, Mapped, Mapping, Reread, Working},
        trace,
        Destination,
        Payload,
        Status, //
    },
    pi,
};

/// A read that is to be verified.
#[derive(Clone, Copy)]
pub struct Fetched {
    /// Where from, in sectors of 512 bytes of the device below.
    sector: u64,
    /// What came from above for the tuples; without, they are ours.
    payload: Option<Payload>,
}

/// Sends a read to where its data is.
pub(super) fn map(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Mapping>,
    from: Destination<'_>,
) -> Mapped {
    let payload = io.bio().payload();
    let ready = match payload {
        None => io.expect(&from),
        Some(_) => io.reserve(&from),
    };
    if let Err(status) = ready {
        return io.end(status);
    }
    *io.state() = State::Fetched(Fetched {
        sector: from.sector,
        payload,
    });
    io.remap(&filter.device, from.sector)
}

/// Settles how a read ends that the device ended with `first`. May sleep.
pub(super) fn settle(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    fetched: Fetched,
    first: Status,
) -> Status {
    let wait_ns = io.nanoseconds_since_deferred();
    let mut arrived = Arrived {
        from: filter.destination(fetched.sector),
        filter,
        io,
        payload: fetched.payload,
        last: first,
        reread: None,
        bad: None,
    };
    let settled = settle::settle_read(&mut arrived, outcome(first));
    let settled = settled.map_or_else(|failed| failed, |outcome| status(outcome, arrived.last));

    let (extent, total_ns) = (arrived.extent(), arrived.io.nanoseconds_since_deferred());
    trace::verify(&extent, wait_ns, total_ns.saturating_sub(wait_ns));
    settled
}

/// A read in a worker's hands.
struct Arrived<'f, 'w, 'a> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, Working>,
    from: Destination<'f>,
    payload: Option<Payload>,
    /// How the device has ended it last.
    last: Status,
    reread: Option<Reread<'a>>,
    /// The first interval that is wrong on the medium.
    bad: Option<(trace::Extent, pi::Mismatch)>,
}

impl Arrived<'_, '_, '_> {
    fn extent(&self) -> trace::Extent {
        self.filter.extent(&self.from, self.io.data_bytes())
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

impl settle::Read for Arrived<'_, '_, '_> {
    type Error = Status;

    fn bytes(&self) -> u32 {
        self.io.data_bytes()
    }

    fn matches(&mut self) -> Result<bool, Status> {
        Ok(self.io.verify(&self.from, self.payload.as_ref())? == 0)
    }

    fn again(&mut self, skip: u32) -> Result<(Outcome, u32), Status> {
        // What is left of the piece before would be waited for.
        self.reread = None;
        let (status, reread) = self
            .io
            .read_again(&self.from, self.payload.as_ref(), skip)?;
        let bytes = reread.bytes();
        self.reread = Some(reread);
        self.last = status;
        Ok((outcome(status), bytes))
    }

    fn matches_again(&mut self) -> Result<bool, Status> {
        let Self {
            filter,
            io,
            from,
            payload,
            reread,
            bad,
            ..
        } = self;
        let reread = reread.as_ref().ok_or(Status::IOERR)?;
        let exp = from.profile.format.interval_exp();
        let mismatches = io.verify_again(from, payload.as_ref(), reread, &mut |mismatch| {
            let at = from.advance((mismatch.interval as u32) << exp);
            let extent = filter.extent(&at, 1 << exp);
            trace::read_mismatch(&extent, &mismatch);
            bad.get_or_insert((extent, mismatch));
        })?;
        Ok(mismatches == 0)
    }

    fn hand_over(&mut self) -> Result<(), Status> {
        let reread = self.reread.as_ref().ok_or(Status::IOERR)?;
        Ok(self
            .io
            .hand_over(&self.from, self.payload.as_ref(), reread)?)
    }

    fn note(&mut self, event: Event) {
        self.filter.counters.count(event);
        match event {
            Event::FalseAlarm => trace::false_alarm(&self.extent()),
            Event::Corrupt => self.raise(),
            _ => {}
        }
    }
}
