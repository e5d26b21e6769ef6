// SPDX-License-Identifier: GPL-2.0

//! Writes: on their way down, and those that come back suspect.

use super::{
    completion::{self, CompletionPolicy, Event, Outcome, Suspicion, Verdict},
    counters::Counter,
    learned::Owner,
    message::Way,
    outcome,
    policy::{self, WritePath},
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
            Change,
            Payload,
            Region, //
        },
        BelowNow,
        Sector,
        Status,
        Submitter, //
    },
    mm,
};

/// A write whose data went down where it is.
#[derive(Clone, Copy)]
pub struct Written {
    /// Where it went, a sector of the device below.
    sector: Sector,
    /// The tuples that came from above; without, they are ours.
    payload: Option<Payload>,
    policy: CompletionPolicy,
    submitter: Submitter,
}

/// A write that went down as a private copy.
#[derive(Clone, Copy)]
pub struct Copied {
    /// Where it went, a sector of the device below.
    sector: Sector,
    /// Whose the tuples are.
    tuples: Tuples,
    /// What is behind it in its zone would have been refused by the time that it is sent again.
    zoned: bool,
}

/// Whose tuples a copy went down with.
#[derive(Clone, Copy)]
enum Tuples {
    /// Ours.
    Ours {
        /// The class of the pages that the data is from.
        class: mm::Class,
        /// It was copied since their owner is known to change them.
        learned: bool,
    },
    /// Those that came from above.
    Forwarded(Payload),
}

impl Copied {
    /// Whether a worker is to send it again, since it ended with `outcome`.
    ///
    /// No application can have changed the copy, but the block layer may have made one request of it
    /// and of a write that an application did change.
    pub(super) fn needs_check(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Protection && !self.zoned
    }

    fn payload(&self) -> Option<&Payload> {
        match &self.tuples {
            Tuples::Ours { .. } => None,
            Tuples::Forwarded(payload) => Some(payload),
        }
    }

    /// Counts it, with `bytes` bytes of data.
    pub(super) fn count(&self, filter: &StablePi, bytes: u32) {
        match self.tuples {
            Tuples::Ours { class, learned } => {
                filter.count_write(Counter::Copied, bytes);
                filter.counters.add(Counter::copied(class), 1);
                if learned {
                    filter.counters.add(Counter::CopiedLearned, 1);
                }
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
    pub(super) fn needs_check(&self, outcome: Outcome) -> bool {
        self.policy.needs_check(outcome)
    }
}

/// Sends a write with data to its region.
///
/// `below` says what is below now; it shows the profile of the table, or another one.
pub(super) fn map(
    filter: &StablePi,
    io: Io<'_, StablePi, Submitting>,
    to: Region<'_>,
    below: BelowNow,
) -> Mapped {
    let payload = io.bio().payload();
    // The payload, which is a promise of the submitter, cannot be kept.
    if payload.is_some() && !(below.shows && filter.profile.stored) {
        return io.end(Status::IOERR);
    }
    let mut pages = Pages {
        filter,
        io: &io,
        owner: None,
        learned: false,
    };
    let path = policy::write_path(&filter.context(below, payload.is_some()), &mut pages);
    match (path, payload) {
        (WritePath::InPlace(policy), _) => in_place(filter, io, &to, payload, policy),
        (WritePath::Copy, None) => {
            let (class, learned) = (pages.owner().class(), pages.learned);
            copy(filter, io, &to, class, learned)
        }
        (WritePath::Copy, Some(payload)) => copy_with_payload(filter, io, &to, &payload),
    }
}

/// The pages of a write, as far as they have been looked at.
struct Pages<'f, 'p, 'a> {
    filter: &'f StablePi,
    io: &'p Io<'a, StablePi, Submitting>,
    owner: Option<mm::Owner>,
    /// The owner is known to change them.
    learned: bool,
}

impl Pages<'_, '_, '_> {
    fn owner(&mut self) -> &mm::Owner {
        let io = self.io;
        self.owner
            .get_or_insert_with(|| io.owner(0, io.data_bytes()))
    }
}

impl policy::Pages for Pages<'_, '_, '_> {
    fn are_user_writable(&mut self) -> bool {
        self.owner().class().is_user_writable()
    }

    #[inline]
    fn have_changer(&mut self) -> bool {
        // Almost always, and a load from a line that no CPU writes then.
        if self.filter.learned.is_empty() {
            return false;
        }
        let owner = Owner::of(self.owner(), &Submitter::current());
        self.learned = owner.is_some_and(|owner| self.filter.is_changer(owner));
        self.learned
    }
}

fn in_place(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Submitting>,
    to: &Region<'_>,
    payload: Option<Payload>,
    policy: CompletionPolicy,
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
    io.state().state = State::Written(Written {
        sector: to.sector,
        payload,
        policy,
        submitter: Submitter::current(),
    });
    io.send(to)
}

fn copy(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Submitting>,
    to: &Region<'_>,
    class: mm::Class,
    learned: bool,
) -> Mapped {
    let copy = match io.copy_and_generate(to) {
        Ok(copy) => copy,
        Err(status) => return io.end(status),
    };
    io.state().state = filter.copied(to, Tuples::Ours { class, learned });
    trace::copy(&filter.extent(to, copy.bytes()), class, false);
    io.submit_copy(copy, to)
}

fn copy_with_payload(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Submitting>,
    to: &Region<'_>,
    payload: &Payload,
) -> Mapped {
    match io.copy_with_payload(to, payload) {
        Ok(Some(copy)) => {
            io.state().state = filter.copied(to, Tuples::Forwarded(*payload));
            io.submit_copy(copy, &to.with(payload))
        }
        Ok(None) => io.end(Status::PROTECTION),
        Err(status) => io.end(status),
    }
}

impl StablePi {
    /// The state of a write that goes down as a copy.
    fn copied(&self, to: &Region<'_>, tuples: Tuples) -> State {
        State::Copied(Copied {
            sector: to.sector,
            tuples,
            zoned: self.zoned,
        })
    }

    /// Counts a write of `bytes` bytes that went down in the way that `how` says.
    fn count_write(&self, how: Counter, bytes: u32) {
        self.counters.add(how, 1);
        let exp = self.profile.format.interval_exp();
        self.counters
            .add(Counter::Intervals, u64::from(bytes >> exp));
    }
}

/// Sends a copy again that ended with `first`: rejected, or early. It goes apart from others. An
/// error that it ends with then is its own. May sleep.
pub(super) fn send_again(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    copied: Copied,
    first: Status,
) -> Status {
    if outcome(first) == Outcome::Protection {
        filter.counters.count(Event::Retried);
    }
    let to = filter.region(copied.sector);
    let mut rejected = Rejected {
        to: filter.spoiled(to, Way::Write, io.data_bytes()),
        filter,
        io,
        copied,
    };
    completion::send_private(&mut rejected).map_or_else(|failed| failed, status)
}

/// A copy that was rejected, in the hands of a worker that may wait.
struct Rejected<'f, 'w, 'a> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, Working>,
    to: Region<'f>,
    copied: Copied,
}

impl completion::Io for Rejected<'_, '_, '_> {
    type Error = Status;

    fn bytes(&self) -> u32 {
        self.io.data_bytes()
    }

    fn record(&mut self, event: Event) {
        self.filter.counters.count(event);
    }
}

impl completion::Private for Rejected<'_, '_, '_> {
    fn copy(&mut self, skip: u32) -> Result<(Outcome, u32), Status> {
        let payload = self.copied.payload();
        let (status, bytes) = self.io.write_copy(&self.to, payload, skip)?;
        Ok((outcome(status), bytes))
    }
}

/// A write that is to be repaired.
#[derive(Clone, Copy)]
pub struct Unstable {
    written: Written,
    suspicion: Suspicion,
    /// The class of the page that changed, if one was found changed.
    class: Option<mm::Class>,
}

/// Looks at a suspect write that the device ended with `first`. Does not wait.
pub(super) fn look(
    filter: &StablePi,
    mut io: Io<'_, StablePi, Looking>,
    written: Written,
    first: Status,
) -> Looked {
    let mut suspect = DeferredWrite {
        to: filter.region(written.sector),
        filter,
        io: &mut io,
        written,
        hasty: false,
        class: None,
    };
    let verdict = completion::look(&mut suspect, written.policy, outcome(first));
    let class = suspect.class;
    match verdict {
        Ok(Verdict::Ends(outcome)) => io.done(status(outcome)),
        Ok(Verdict::Unsettled(suspicion)) => {
            io.state().state = State::Unstable(Unstable {
                written,
                suspicion,
                class,
            });
            io.hand_on()
        }
        Err(failed) => io.done(failed),
    }
}

/// Settles how a write ends that was looked at. May sleep.
pub(super) fn repair(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    unstable: Unstable,
) -> Status {
    let Unstable {
        written,
        suspicion,
        class,
    } = unstable;
    let to = filter.region(written.sector);
    let mut suspect = DeferredWrite {
        hasty: false,
        to: filter.spoiled(to, Way::Write, io.data_bytes()),
        filter,
        io,
        written,
        class,
    };
    completion::repair(&mut suspect, written.policy, suspicion).map_or_else(|failed| failed, status)
}

/// Settles how a write ends that had no time, and ended early. May sleep.
pub(super) fn send_with_patience(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    written: Written,
) -> Status {
    let to = filter.region(written.sector);
    let mut suspect = DeferredWrite {
        to: filter.spoiled(to, Way::Write, io.data_bytes()),
        filter,
        io,
        written,
        hasty: true,
        class: None,
    };
    let settled = suspect
        .first()
        .and_then(|outcome| completion::resolve_write(&mut suspect, written.policy, outcome));
    settled.map_or_else(|failed| failed, status)
}

/// A suspect write in a worker's hands.
struct DeferredWrite<'f, 'w, 'a, P: Deferred> {
    filter: &'f StablePi,
    io: &'w mut Io<'a, StablePi, P>,
    to: Region<'f>,
    written: Written,
    /// It has ended early, and has not been tried yet.
    hasty: bool,
    /// The class of the page that changed, if one was found changed.
    class: Option<mm::Class>,
}

impl<P: Deferred> DeferredWrite<'_, '_, '_, P> {
    fn report(&self, change: &Change) {
        let extent = self.filter.extent(&self.to, self.io.data_bytes());
        trace::unstable_write(&extent, &self.to, change, &self.written.submitter);
        self.filter
            .owners
            .report_change(self.filter, &extent, change, &self.written.submitter);
        // A write with a payload would not be copied for that.
        if self.written.payload.is_some() {
            return;
        }
        if let Some(owner) = Owner::of(&change.owner, &self.written.submitter) {
            self.filter.learn_change(owner, &self.written.submitter);
        }
    }
}

impl DeferredWrite<'_, '_, '_, Working> {
    /// How the device ends the write, when it has time for it.
    ///
    /// What is to be repaired is sent again like what was rejected. Other writes are not, unless
    /// their data is still what it was.
    fn first(&mut self) -> Result<Outcome, Status> {
        let payload = self.written.payload.as_ref();
        let repairs = self.written.policy.on_mismatch == completion::OnMismatch::Repair;
        if repairs || self.io.change(&self.to, payload)?.is_some() {
            return Ok(Outcome::Protection);
        }
        match self.written.payload {
            None => completion::Repair::resubmit(self),
            Some(payload) => completion::in_pieces(self.io.data_bytes(), |done| {
                let (status, bytes) = self.io.write_copy(&self.to, Some(&payload), done)?;
                Ok((outcome(status), bytes))
            }),
        }
    }
}

impl<P: Deferred> completion::Io for DeferredWrite<'_, '_, '_, P> {
    type Error = Status;

    fn bytes(&self) -> u32 {
        self.io.data_bytes()
    }

    fn record(&mut self, event: Event) {
        if event == Event::Retried && core::mem::take(&mut self.hasty) {
            return;
        }
        self.filter.counters.count(event);
    }
}

impl<P: Deferred> completion::Write for DeferredWrite<'_, '_, '_, P> {
    fn changed(&mut self) -> Result<bool, Status> {
        let change = self.io.change(&self.to, self.written.payload.as_ref())?;
        if let Some(change) = &change {
            self.class = Some(change.owner.class());
            self.report(change);
        }
        Ok(change.is_some())
    }
}

impl completion::Private for DeferredWrite<'_, '_, '_, Working> {
    fn copy(&mut self, skip: u32) -> Result<(Outcome, u32), Status> {
        let (status, bytes) = self.io.write_copy(&self.to, None, skip)?;
        let class = self.class.unwrap_or_else(|| {
            let owner = self.io.owner(0, self.io.data_bytes());
            owner.class()
        });
        let extent = self.filter.extent(&self.to.advance(skip), bytes);
        trace::copy(&extent, class, true);
        Ok((outcome(status), bytes))
    }
}

impl completion::Repair for DeferredWrite<'_, '_, '_, Working> {
    fn resubmit(&mut self) -> Result<Outcome, Status> {
        Ok(outcome(self.io.write_again(&self.to)?))
    }
}
