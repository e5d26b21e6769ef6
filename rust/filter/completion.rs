// SPDX-License-Identifier: GPL-2.0

//! What is decided about a write and a read that have ended, without what carries it out.
//!
//! Each is decided in two steps. The first never waits: [`look`] holds the data of a write that went
//! down in place against its metadata, [`look_at_read`] that of a read. Most I/O ends there. What
//! does not is settled by a second step, which waits for the device, and, a read, for writes:
//! [`repair`] and [`resolve_read`]; a copy that was rejected is sent down again by [`send_private`].
//! What they need to be done, they ask of what implements the traits here, and tell it what there is to
//! count. Which way a write goes down, and with which [`CompletionPolicy`], is decided by a
//! [`policy`](super::policy).
//!
//! A request holds many bios, and one changed page fails it whole. So the first question about a
//! write is whether it is this one whose data has changed. If so, the data is copied and the copy is
//! written to the same sectors. If not, the write is sent down in place again, apart from others;
//! and should that be rejected time and again without a difference to be seen (a page that changed
//! and changed back), it is copied in the end without an owner to blame.

use core::num::NonZeroU8;

/// Times that a write whose data has not changed is sent down in place again.
pub const RETRIES: u32 = 2;

/// Times that private data is sent down, or read, until a rejection of it is believed.
///
/// Nothing can change private data, so it is the device that means it, or a path to the device
/// that invents errors. A path that does so for one command in 37 does it four times in a row for
/// less than one in a million (37⁴ is 1.9 million), and a device that means it costs four I/Os.
pub const TRIES: u32 = 4;

/// Times that a read waits for writes to the same interval, each of which turns out to have been
/// followed by another one, until it gives up.
///
/// With a write to the interval under way at every moment, and half of these moments being between
/// a changed write and its repair, a read in 65536 gives up.
pub const ROUNDS: u32 = 16;

/// How the device ended an I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// `BLK_STS_PROTECTION`: data and protection information did not match.
    Protection,
    /// It failed for another reason, this `blk_status_t`, which is not that of success.
    Other(NonZeroU8),
    /// It is said to have succeeded, but with no data at all.
    Empty,
}

/// What is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A write that succeeded at once is about to be compared with its metadata.
    Rechecked,
    /// A write whose data has not changed, or a copy, is about to be sent down again.
    Retried,
    /// The data of a write in place was found changed. At most once for a write.
    Unstable,
    /// A write was rejected too often, but its data was never found changed; it is copied.
    Blameless,
    /// The copy succeeded.
    Repaired,
    /// There was no copy, or it did not succeed. For each [`Unstable`](Self::Unstable) and
    /// [`Blameless`](Self::Blameless) there is this or [`Repaired`](Self::Repaired).
    Unrepaired,
    /// The data of a read was compared with its metadata. At most once for a read.
    Verified,
    /// A read that did not match in private pages either is about to wait for the writes in flight.
    Waited,
    /// A verified read did not match at first, but does so in private pages.
    FalseAlarm,
    /// A verified read does not match in private pages either, time and again, and no write was in
    /// flight that could be the reason.
    Corrupt,
    /// A verified read did not match, but each time another write to the same interval was in
    /// flight.
    Unsettled,
}

/// What is done about a write in place whose data has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnMismatch {
    /// It is copied, and the copy is written.
    Repair,
    /// It ends with [`Outcome::Protection`].
    Fail,
    /// It ends as the device ended it.
    Report,
}

/// What is done when a write that was sent down in place has ended.
///
/// It goes with the write, since a message may change the policy meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompletionPolicy {
    /// What is done when its data has changed.
    pub on_mismatch: OnMismatch,
    /// Whether its data is compared with its metadata when it has succeeded.
    pub recheck: bool,
}

impl CompletionPolicy {
    /// Whether a write in place that ended with `outcome` is to be [resolved](resolve_write);
    /// otherwise it ends so.
    ///
    /// A write that the device has rejected is looked at whatever becomes of it, so that a report can
    /// name the page that changed.
    pub fn needs_check(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Ok => self.recheck,
            Outcome::Protection => true,
            Outcome::Other(_) | Outcome::Empty => false,
        }
    }
}

/// An I/O that has ended below.
pub trait Io {
    /// Why something could not even be tried.
    type Error;

    /// The bytes of data.
    fn bytes(&self) -> u32;

    /// Counts `event`.
    fn record(&mut self, event: Event);
}

/// A write that went down in place.
pub trait Write: Io {
    /// Whether the data, as it is now, differs from the metadata that went with it last. Does not
    /// wait.
    fn changed(&mut self) -> Result<bool, Self::Error>;
}

/// A write of which a private copy can be sent down.
pub trait Private: Io {
    /// Copies data from `skip` bytes after its start on, as much as memory allows, and writes the
    /// copy with metadata for it. Returns how that ended, and of how many bytes.
    fn copy(&mut self, skip: u32) -> Result<(Outcome, u32), Self::Error>;
}

/// A write in place that can be sent down again.
pub trait Repair: Write + Private {
    /// Generates metadata anew, and sends the data down in place again, apart from other bios.
    fn resubmit(&mut self) -> Result<Outcome, Self::Error>;
}

/// What a first look at an I/O comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict<T> {
    /// It ends so.
    Ends(Outcome),
    /// It is to be settled by what may wait.
    Unsettled(T),
}

/// What a write in place is suspected of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suspicion {
    /// Its data has changed.
    Changed,
    /// Nothing: it was rejected, but its data is what it was.
    Nothing,
}

/// Looks at a write that went down with `policy` and came back with `outcome`. Does not wait.
pub fn look<W: Write>(
    write: &mut W,
    policy: CompletionPolicy,
    outcome: Outcome,
) -> Result<Verdict<Suspicion>, W::Error> {
    if !policy.needs_check(outcome) {
        return Ok(Verdict::Ends(outcome));
    }
    if outcome == Outcome::Ok {
        write.record(Event::Rechecked);
    }
    let changed = write.changed()?;
    if changed {
        write.record(Event::Unstable);
    }
    Ok(match policy.on_mismatch {
        OnMismatch::Repair if changed => Verdict::Unsettled(Suspicion::Changed),
        OnMismatch::Repair if outcome != Outcome::Ok => Verdict::Unsettled(Suspicion::Nothing),
        _ if !changed => Verdict::Ends(outcome),
        on_mismatch => {
            write.record(Event::Unrepaired);
            Verdict::Ends(match on_mismatch {
                OnMismatch::Fail => Outcome::Protection,
                OnMismatch::Repair | OnMismatch::Report => outcome,
            })
        }
    })
}

/// Settles how a write ends that went down with `policy` and came back with `outcome`, where that
/// may wait.
pub fn resolve_write<W: Repair>(
    write: &mut W,
    policy: CompletionPolicy,
    outcome: Outcome,
) -> Result<Outcome, W::Error> {
    match look(write, policy, outcome)? {
        Verdict::Ends(outcome) => Ok(outcome),
        Verdict::Unsettled(suspicion) => repair(write, policy, suspicion),
    }
}

/// Settles how a write ends that went down with `policy` and is suspected of what
/// [`look`] says.
///
/// It is sent down again at most [`RETRIES`] times in place and then as a
/// [private](send_private) copy. An error of the copy goes up, whatever it is: no application can have
/// changed that.
pub fn repair<W: Repair>(
    write: &mut W,
    policy: CompletionPolicy,
    suspicion: Suspicion,
) -> Result<Outcome, W::Error> {
    if suspicion == Suspicion::Changed {
        return copy(write);
    }
    for _ in 0..RETRIES {
        write.record(Event::Retried);
        let outcome = write.resubmit()?;
        if !policy.needs_check(outcome) {
            return Ok(outcome);
        }
        if write.changed()? {
            write.record(Event::Unstable);
            return copy(write);
        }
        if outcome == Outcome::Ok {
            return Ok(outcome);
        }
    }
    write.record(Event::Blameless);
    copy(write)
}

fn copy<W: Private>(write: &mut W) -> Result<Outcome, W::Error> {
    let outcome = send_private(write);
    write.record(match outcome {
        Ok(Outcome::Ok) => Event::Repaired,
        _ => Event::Unrepaired,
    });
    outcome
}

/// Sends a private copy down, each piece of it at most [`TRIES`] times until the device takes it.
pub fn send_private<W: Private>(write: &mut W) -> Result<Outcome, W::Error> {
    in_pieces(write.bytes(), |done| {
        for _ in 1..TRIES {
            match write.copy(done)? {
                (Outcome::Protection, _) => write.record(Event::Retried),
                answer => return Ok(answer),
            }
        }
        write.copy(done)
    })
}

/// A read that has ended, whose data is to be verified.
pub trait Read: Io {
    /// Whether the data, as it is now, matches the metadata that came with it. Does not wait.
    fn matches(&mut self) -> Result<bool, Self::Error>;
}

/// A read that can be read again.
pub trait Reread: Io {
    /// The bytes in an interval.
    fn interval(&self) -> u32;

    /// Reads data from `skip` bytes after its start on into private pages, `most` bytes of it or
    /// fewer, with the checks of the device off. Returns how that ended, and of how many bytes.
    fn read_again(&mut self, skip: u32, most: u32) -> Result<(Outcome, u32), Self::Error>;

    /// The bytes, in whole intervals from its start, of what [`read_again`](Self::read_again) has read last
    /// that match their metadata.
    fn matching(&mut self) -> Result<u32, Self::Error>;

    /// Hands over the first `bytes` bytes of what [`read_again`](Self::read_again) has read last.
    fn copy_to_bio(&mut self, bytes: u32) -> Result<(), Self::Error>;

    /// Waits until each write that is in flight now has settled, and has those watched for that come
    /// from now on. What [`read_again`](Self::read_again) has read last is gone then.
    fn wait(&mut self) -> Result<(), Self::Error>;

    /// Whether a write has come since [`wait`](Self::wait) to any of the `bytes` bytes of data from
    /// `skip` on.
    fn disturbed(&mut self, skip: u32, bytes: u32) -> bool;

    /// Reports each interval of what [`read_again`](Self::read_again) has read last that has not matched once
    /// since [`wait`](Self::wait), nor right before it, and was not [disturbed](Self::disturbed).
    /// Returns whether there is one.
    fn report(&mut self) -> Result<bool, Self::Error>;
}

/// A read that did not match, or was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doubt {
    /// It has been compared already.
    verified: bool,
}

/// Whether a read that ended with `outcome` is to be [looked at](look_at_read) where reads are
/// verified; otherwise it ends so.
pub fn read_needs_check(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Protection)
}

/// Looks at a read that came back with `outcome`. Does not wait.
pub fn look_at_read<R: Read>(read: &mut R, outcome: Outcome) -> Result<Verdict<Doubt>, R::Error> {
    if !read_needs_check(outcome) {
        return Ok(Verdict::Ends(outcome));
    }
    let verified = outcome == Outcome::Ok;
    if verified {
        let matches = read.matches()?;
        read.record(Event::Verified);
        if matches {
            return Ok(Verdict::Ends(outcome));
        }
    }
    Ok(Verdict::Unsettled(Doubt { verified }))
}

/// Settles how a read ends that is in `doubt`.
///
/// The application may have changed its pages since the data arrived there, and then it is not the
/// data that is wrong. A rejected read may also be an innocent one that went down in one request
/// with a corrupt one. So what does not match is read once more where nothing else can reach it.
///
/// If it does not match there either, a write to the same sectors may be in flight, or have been
/// stored with data that its tuples do not match, and not been repaired yet. So the read waits for
/// the writes in flight, and is read again. What is wrong then is believed when it has been so [`TRIES`] times without a write that
/// came meanwhile; if one did, the read waits for that one as well, at most [`ROUNDS`] times for
/// the same interval.
pub fn resolve_read<R: Reread>(read: &mut R, doubt: Doubt) -> Result<Outcome, R::Error> {
    let bytes = read.bytes();
    let mut done = 0u32;
    let mut corrupt = false;
    let mut ending = Outcome::Ok;
    let mut settled = true;
    while done < bytes {
        match piece(read, done)? {
            Piece::Good(n) => done = done.saturating_add(n),
            // Those that follow are judged all the same: every bad interval is to be reported.
            Piece::Corrupt(n) => {
                corrupt = true;
                done = done.saturating_add(n);
            }
            // A device that insists although it was told not to check has compared as well.
            Piece::Insists => {
                corrupt = true;
                break;
            }
            Piece::Unsettled => {
                settled = false;
                break;
            }
            Piece::Ends(outcome) => {
                ending = outcome;
                break;
            }
        }
    }

    let (event, outcome) = match ending {
        _ if corrupt => (Event::Corrupt, Outcome::Protection),
        _ if !settled => (Event::Unsettled, Outcome::Protection),
        Outcome::Ok => (Event::FalseAlarm, Outcome::Ok),
        _ => return Ok(ending),
    };
    if !doubt.verified {
        read.record(Event::Verified);
    }
    read.record(event);
    Ok(outcome)
}

/// What became of a piece of a read.
enum Piece {
    /// So many bytes match, and were handed over.
    Good(u32),
    /// So many bytes were read, and some of them are corrupt.
    Corrupt(u32),
    /// The device rejects it.
    Insists,
    /// There was a write in flight each time.
    Unsettled,
    /// The read ends so.
    Ends(Outcome),
}

/// Reads again what is `done` bytes after the start of a read, until it is known what becomes of
/// it.
fn piece<R: Reread>(read: &mut R, done: u32) -> Result<Piece, R::Error> {
    let mut most = u32::MAX;
    let mut tries = 1;
    for round in 0..=ROUNDS {
        loop {
            let (outcome, n) = read.read_again(done, most)?;
            let good = match outcome {
                Outcome::Ok if n == 0 => return Ok(Piece::Ends(Outcome::Empty)),
                Outcome::Ok => read.matching()?.min(n),
                Outcome::Protection => 0,
                _ => return Ok(Piece::Ends(outcome)),
            };
            let compared = outcome == Outcome::Ok;
            if compared && good == n {
                read.copy_to_bio(n)?;
                return Ok(Piece::Good(n));
            }
            // All of it is to have been tried as often.
            most = most.min(n);
            // The first time was not watched.
            if round == 0 {
                break;
            }
            // What is wrong is the first interval that does not match, or any of them.
            let wrong = if compared { read.interval() } else { n };
            if read.disturbed(done.saturating_add(good), wrong) {
                if good > 0 {
                    read.copy_to_bio(good)?;
                    return Ok(Piece::Good(good));
                }
                // The fewer there are, the fewer writes disturb.
                if compared {
                    most = read.interval();
                }
                break;
            }
            tries += 1;
            if tries < TRIES {
                continue;
            }
            if !compared {
                return Ok(Piece::Insists);
            }
            if read.report()? {
                return Ok(Piece::Corrupt(n));
            }
            // It was another interval each time.
            break;
        }
        if round < ROUNDS {
            read.record(Event::Waited);
            read.wait()?;
            tries = 1;
        }
    }
    Ok(Piece::Unsettled)
}

/// Calls `piece` with the bytes that are done until all are, or one does not end well.
///
/// A piece returns how it ended, and its bytes. One of none ends it all with [`Outcome::Empty`].
pub fn in_pieces<E>(
    bytes: u32,
    mut piece: impl FnMut(u32) -> Result<(Outcome, u32), E>,
) -> Result<Outcome, E> {
    let mut done = 0u32;
    while done < bytes {
        match piece(done)? {
            (Outcome::Ok, 0) => return Ok(Outcome::Empty),
            (Outcome::Ok, n) => done = done.saturating_add(n),
            (outcome, _) => return Ok(outcome),
        }
    }
    Ok(Outcome::Ok)
}
