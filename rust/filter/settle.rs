// SPDX-License-Identifier: GPL-2.0

//! What is decided about a write and a read that have ended, without what carries it out.
//!
//! Two decisions: how a write ends that went down in place ([`settle`]); and how a read ends whose
//! data is to be verified ([`settle_read`]). What they need to be done, they ask of a [`Write`] or a
//! [`Read`], and tell it what there is to count. Which way a write goes down, and with which
//! [`Promise`], is decided by a [`policy`](super::policy).
//!
//! A request holds many bios, and one changed page fails it whole. So the first question about a
//! write is whether it is this one whose data has changed. If so, the data is copied and the copy is
//! written to the same sectors. If not, the write is sent down in place again, apart from others;
//! and should that be rejected time and again without a difference to be seen (a page that changed
//! and changed back), it is copied in the end without anybody to blame.

/// Times that a write whose data has not changed is sent down in place again.
pub const RETRIES: u32 = 2;

/// How the device ended an I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// `BLK_STS_PROTECTION`: data and protection information did not match.
    Protection,
    /// It failed for another reason.
    Other,
}

/// What is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A write that succeeded at once is about to be compared with its metadata.
    Rechecked,
    /// A write whose data has not changed is about to be sent down in place again.
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
    /// A verified read did not match at first, but does so in private pages.
    FalseAlarm,
    /// A verified read does not match in private pages either.
    Corrupt,
}

/// What is done about a write in place whose data has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// It is copied, and the copy is written.
    Repair,
    /// It ends with [`Outcome::Protection`].
    Refuse,
    /// It ends as the device ended it.
    Report,
}

/// What a write in place was promised when it was sent down.
///
/// It goes with the write, since a message may change the policy meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Promise {
    /// What is done when its data has changed.
    pub duty: Duty,
    /// Whether its data is compared with its metadata when it has succeeded.
    pub recheck: bool,
}

impl Promise {
    /// Whether a write in place that ended with `outcome` is to be [settled](settle); otherwise it
    /// ends so.
    ///
    /// A write that the device has rejected is looked at whatever becomes of it: somebody wants to
    /// know who changed it.
    pub fn needs_look(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Ok => self.recheck,
            Outcome::Protection => true,
            Outcome::Other => false,
        }
    }
}

/// A write in place that has ended.
pub trait Write {
    /// Why something could not even be tried.
    type Error;

    /// Whether the data, as it is now, differs from the metadata that went with it last.
    fn changed(&mut self) -> Result<bool, Self::Error>;

    /// Generates metadata anew, and sends the data down in place again, apart from other bios.
    fn again(&mut self) -> Result<Outcome, Self::Error>;

    /// Writes a private copy of the data, with metadata for the copy.
    fn copy(&mut self) -> Result<Outcome, Self::Error>;

    /// Counts `event`.
    fn note(&mut self, event: Event);
}

/// Settles how a write ends that went down with `promise` and came back with `outcome`.
///
/// It is sent down again at most [`RETRIES`] times in place and once as a copy. An error of the copy
/// goes up, whatever it is: nobody else can have changed that.
pub fn settle<W: Write>(
    write: &mut W,
    promise: Promise,
    outcome: Outcome,
) -> Result<Outcome, W::Error> {
    if !promise.needs_look(outcome) {
        return Ok(outcome);
    }
    if outcome == Outcome::Ok {
        write.note(Event::Rechecked);
    }
    match promise.duty {
        Duty::Repair => repair(write, promise, outcome),
        Duty::Refuse => Ok(if find(write)? {
            Outcome::Protection
        } else {
            outcome
        }),
        Duty::Report => {
            find(write)?;
            Ok(outcome)
        }
    }
}

fn repair<W: Write>(
    write: &mut W,
    promise: Promise,
    mut outcome: Outcome,
) -> Result<Outcome, W::Error> {
    for left in (0..=RETRIES).rev() {
        if write.changed()? {
            write.note(Event::Unstable);
            return copy(write);
        }
        if outcome == Outcome::Ok {
            return Ok(outcome);
        }
        if left > 0 {
            write.note(Event::Retried);
            outcome = write.again()?;
            if !promise.needs_look(outcome) {
                return Ok(outcome);
            }
        }
    }
    write.note(Event::Blameless);
    copy(write)
}

fn copy<W: Write>(write: &mut W) -> Result<Outcome, W::Error> {
    let outcome = write.copy();
    write.note(match outcome {
        Ok(Outcome::Ok) => Event::Repaired,
        _ => Event::Unrepaired,
    });
    outcome
}

/// Looks for a change that is not going to be repaired.
fn find<W: Write>(write: &mut W) -> Result<bool, W::Error> {
    let changed = write.changed()?;
    if changed {
        write.note(Event::Unstable);
        write.note(Event::Unrepaired);
    }
    Ok(changed)
}

/// A read that has ended, whose data is to be verified.
pub trait Read {
    /// Why something could not even be tried.
    type Error;

    /// The bytes of data.
    fn bytes(&self) -> u32;

    /// Whether the data, as it is now, matches the metadata that came with it.
    fn matches(&mut self) -> Result<bool, Self::Error>;

    /// Reads the data from `skip` bytes after its start on into private pages, with the checks of
    /// the device off. Returns how that ended, and of how many bytes.
    fn again(&mut self, skip: u32) -> Result<(Outcome, u32), Self::Error>;

    /// Whether what [`again`](Self::again) has read last matches its metadata; reports each
    /// interval that does not.
    fn matches_again(&mut self) -> Result<bool, Self::Error>;

    /// Hands over what [`again`](Self::again) has read last.
    fn hand_over(&mut self) -> Result<(), Self::Error>;

    /// Counts `event`.
    fn note(&mut self, event: Event);
}

/// Whether a read that ended with `outcome` is to be [settled](settle_read) where reads are
/// verified; otherwise it ends so.
pub fn read_needs_look(outcome: Outcome) -> bool {
    outcome != Outcome::Other
}

/// Settles how a read ends that came back with `outcome`.
///
/// The application may have changed its pages since the data arrived there, and then it is not the
/// data that is wrong. A rejected read may also be an innocent one that went down in one request
/// with a corrupt one. So what does not match is read once more where nobody else can reach it, and
/// judged there.
pub fn settle_read<R: Read>(read: &mut R, outcome: Outcome) -> Result<Outcome, R::Error> {
    if !read_needs_look(outcome) {
        return Ok(outcome);
    }
    let verified = outcome == Outcome::Ok;
    if verified {
        let matches = read.matches()?;
        read.note(Event::Verified);
        if matches {
            return Ok(outcome);
        }
    }

    let mut corrupt = false;
    let again = in_pieces(read.bytes(), |done| {
        let (outcome, bytes) = read.again(done)?;
        if outcome == Outcome::Ok {
            // Those that follow are judged all the same: every bad interval is to be reported.
            match read.matches_again()? {
                true => read.hand_over()?,
                false => corrupt = true,
            }
        }
        Ok((outcome, bytes))
    })?;
    // A device that insists although it was told not to check has compared as well.
    corrupt |= again == Outcome::Protection;

    let (event, outcome) = match again {
        _ if corrupt => (Event::Corrupt, Outcome::Protection),
        Outcome::Ok => (Event::FalseAlarm, Outcome::Ok),
        _ => return Ok(again),
    };
    if !verified {
        read.note(Event::Verified);
    }
    read.note(event);
    Ok(outcome)
}

/// Calls `piece` with the bytes that are done until all are, or one does not end well.
///
/// A piece returns how it ended, and its bytes. One of none ends it all with [`Outcome::Other`].
pub fn in_pieces<E>(
    bytes: u32,
    mut piece: impl FnMut(u32) -> Result<(Outcome, u32), E>,
) -> Result<Outcome, E> {
    let mut done = 0u32;
    while done < bytes {
        match piece(done)? {
            (Outcome::Ok, 0) => return Ok(Outcome::Other),
            (Outcome::Ok, n) => done = done.saturating_add(n),
            (outcome, _) => return Ok(outcome),
        }
    }
    Ok(Outcome::Ok)
}
