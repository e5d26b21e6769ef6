// SPDX-License-Identifier: GPL-2.0

//! Writes: on their way down, and those that come back suspect.

use super::{
    counters::Counter,
    outcome,
    policy::{self, Way},
    settle::{self, Event, Outcome, Promise},
    status,
    StablePi, //
    State,
};
use crate::{
    block::{
        dm::{Change, Io, Mapped, Mapping, Working},
        trace,
        Destination,
        Payload,
        Status,
        Submitter, //
    },
    mm,
};

/// A write whose data went down where it is.
#[derive(Clone, Copy)]
pub struct Written {
    /// Where it went, in sectors of 512 bytes of the device below.
    sector: u64,
    /// The tuples that came from above; without, they are ours.
    payload: Option<Payload>,
    promise: Promise,
    submitter: Submitter,
}

/// A write that went down as a private copy.
#[derive(Clone, Copy)]
pub struct Copied {
    /// Where it went, in sectors of 512 bytes of the device below.
    sector: u64,
    /// Whose the tuples are.
    tuples: Tuples,
    /// What is behind it in its zone would have been refused by the time that it is sent again.
    zoned: bool,
}

/// Whose tuples a copy went down with.
#[derive(Clone, Copy)]
enum Tuples {
    /// Ours, for data from pages of this class.
    Ours(mm::Class),
    /// Those that came from above.
    Forwarded(Payload),
}

impl Copied {
    /// Whether a worker is to send it again, since it ended with `outcome`.
    ///
    /// Nobody can have changed the copy, but the block layer may have made one request of it and of
    /// a write that somebody else did change.
    pub(super) fn needs_look(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Protection && !self.zoned
    }

    fn payload(&self) -> Option<&Payload> {
        match &self.tuples {
            Tuples::Ours(_) => None,
            Tuples::Forwarded(payload) => Some(payload),
        }
    }

    /// Counts it, with `bytes` bytes of data.
    pub(super) fn count(&self, filter: &StablePi, bytes: u32) {
        match self.tuples {
            Tuples::Ours(class) => {
                filter.count_write(Counter::Copied, bytes);
                filter.counters.add(Counter::copied(class), 1);
            }
            Tuples::Forwarded(_) => filter.count_write(Counter::Forwarded, bytes),
        }
    }
}

impl Written {
    /// Counts it, with `bytes` bytes of data.
    pub(super) fn count(&self, filter: &StablePi, bytes: u32) {
        let how = match self.payload {
            None => Counter::InPlace,
            Some(_) => Counter::Forwarded,
        };
        filter.count_write(how, bytes);
    }

    /// Whether a worker is to look at it, since it ended with `outcome`.
    pub(super) fn needs_look(&self, outcome: Outcome) -> bool {
        self.promise.needs_look(outcome)
    }
}

/// Sends a write with data to its destination.
pub(super) fn map(filter: &StablePi, io: Io<'_, StablePi, Mapping>, to: Destination<'_>) -> Mapped {
    // Over a device without a profile there is nothing that a payload could be compared with.
    let payload = io.bio().payload().filter(|_| filter.profile.stored);
    let mut owner = None;
    let way = policy::way(&filter.facts(payload.is_some()), || {
        owner
            .insert(io.owner(0, io.data_bytes()))
            .class()
            .is_exposed()
    });
    match (way, payload) {
        (Way::InPlace(promise), _) => in_place(filter, io, &to, payload, promise),
        (Way::Copy, None) => {
            let owner = owner.unwrap_or_else(|| io.owner(0, io.data_bytes()));
            copy(filter, io, &to, owner.class())
        }
        (Way::Copy, Some(payload)) => copy_with_payload(filter, io, &to, &payload),
    }
}

fn in_place(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Mapping>,
    to: &Destination<'_>,
    payload: Option<Payload>,
    promise: Promise,
) -> Mapped {
    let ready = match &payload {
        None => io.generate(to),
        Some(payload) => io.verify_payload(to, payload).and_then(|matches| {
            if matches {
                Ok(())
            } else {
                Err(Status::PROTECTION)
            }
        }),
    };
    if let Err(status) = ready {
        return io.end(status);
    }
    trace::in_place(&filter.extent(to, io.data_bytes()), || {
        io.owner(0, io.data_bytes()).class()
    });
    *io.state() = State::Written(Written {
        sector: to.sector,
        payload,
        promise,
        submitter: Submitter::current(),
    });
    io.remap(to.device, to.sector)
}

fn copy(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Mapping>,
    to: &Destination<'_>,
    class: mm::Class,
) -> Mapped {
    let copy = match io.copy_and_generate(to) {
        Ok(copy) => copy,
        Err(status) => return io.end(status),
    };
    *io.state() = filter.copied(to, Tuples::Ours(class));
    trace::copy(&filter.extent(to, copy.bytes()), class, false);
    io.submit_copy(copy)
}

fn copy_with_payload(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Mapping>,
    to: &Destination<'_>,
    payload: &Payload,
) -> Mapped {
    match io.copy_with_payload(to, payload) {
        Ok(Some(copy)) => {
            *io.state() = filter.copied(to, Tuples::Forwarded(*payload));
            io.submit_copy(copy)
        }
        Ok(None) => io.end(Status::PROTECTION),
        Err(status) => io.end(status),
    }
}

impl StablePi {
    /// The state of a write that goes down as a copy.
    fn copied(&self, to: &Destination<'_>, tuples: Tuples) -> State {
        State::Copied(Copied {
            sector: to.sector,
            tuples,
            zoned: self.zoned,
        })
    }

    /// Counts a write of `bytes` bytes that went down in the way that `how` says.
    fn count_write(&self, how: Counter, bytes: u32) {
        self.counters.add(Counter::Writes, 1);
        self.counters.add(how, 1);
        let exp = self.profile.format.interval_exp();
        self.counters
            .add(Counter::Intervals, u64::from(bytes >> exp));
    }
}

/// Sends a copy again that was rejected, apart from others. An error that it ends with then is its
/// own. May sleep.
pub(super) fn send_again(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    copied: Copied,
) -> Status {
    filter.counters.count(Event::Retried);
    let to = filter.destination(copied.sector);
    let mut last = Status::OK;
    let sent = settle::in_pieces(io.data_bytes(), |done| {
        let (status, bytes) = io.write_copy(&to, copied.payload(), done)?;
        last = status;
        Ok((outcome(status), bytes))
    });
    sent.map_or_else(|failed| failed, |outcome| status(outcome, last))
}

/// Settles how a suspect write ends that the device ended with `first`. May sleep.
pub(super) fn settle(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    written: Written,
    first: Status,
) -> Status {
    let mut suspect = Suspect {
        to: filter.destination(written.sector),
        filter,
        io,
        written,
        last: first,
        class: None,
    };
    let settled = settle::settle(&mut suspect, written.promise, outcome(first));
    settled.map_or_else(|failed| failed, |outcome| status(outcome, suspect.last))
}

/// A suspect write in a worker's hands.
struct Suspect<'f, 'w, 'a> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, Working>,
    to: Destination<'f>,
    written: Written,
    /// How the device has ended it last.
    last: Status,
    /// The class of the page that changed, if one was found changed.
    class: Option<mm::Class>,
}

impl Suspect<'_, '_, '_> {
    fn answered(&mut self, status: Status) -> Outcome {
        self.last = status;
        outcome(status)
    }

    fn report(&self, change: &Change) {
        let extent = self.filter.extent(&self.to, self.io.data_bytes());
        trace::unstable_write(&extent, &self.to, change, &self.written.submitter);
        self.filter
            .owners
            .report_change(self.filter, &extent, change, &self.written.submitter);
    }

    fn copy_piece(&mut self, done: u32) -> Result<(Outcome, u32), Status> {
        let (status, bytes) = self.io.write_copy(&self.to, None, done)?;
        let class = self.class.unwrap_or_else(|| {
            let owner = self.io.owner(0, self.io.data_bytes());
            owner.class()
        });
        let extent = self.filter.extent(&self.to.advance(done), bytes);
        trace::copy(&extent, class, true);
        Ok((self.answered(status), bytes))
    }
}

impl settle::Write for Suspect<'_, '_, '_> {
    type Error = Status;

    fn changed(&mut self) -> Result<bool, Status> {
        let change = self.io.change(&self.to, self.written.payload.as_ref())?;
        if let Some(change) = &change {
            self.class = Some(change.owner.class());
            self.report(change);
        }
        Ok(change.is_some())
    }

    fn again(&mut self) -> Result<Outcome, Status> {
        let status = self.io.write_again(&self.to)?;
        Ok(self.answered(status))
    }

    fn copy(&mut self) -> Result<Outcome, Status> {
        settle::in_pieces(self.io.data_bytes(), |done| self.copy_piece(done))
    }

    fn note(&mut self, event: Event) {
        self.filter.counters.count(event);
    }
}
