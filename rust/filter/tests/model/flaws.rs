// SPDX-License-Identifier: GPL-2.0

//! Ways to settle a write wrongly, each with one flaw, to see that the model catches it.

use crate::write::{MetadataError, Model};
use filter::completion::{
    in_pieces,
    send_private,
    CompletionPolicy,
    Event,
    Io,
    OnMismatch,
    Outcome,
    Private,
    Repair,
    Write,
    RETRIES,
    TRIES, //
};

/// What is wrong with [`flawed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing is.
    None,
    /// What succeeded is not looked at.
    TrustsSuccess,
    /// What succeeded when it was sent down again is not looked at.
    TrustsTheRetry,
    /// What is rejected is copied without asking who is to blame.
    CopiesUnasked,
    /// What was rejected too often is blamed although it did not change.
    BlamesTheInnocent,
    /// What is innocent is sent down again as long as it is rejected.
    RetriesForEver,
    /// The number of retries is off by one.
    RetriesOnceMore,
    /// What was rejected too often is not copied.
    GivesUp,
    /// The error of the copy does not go up.
    SwallowsTheError,
    /// What is to be refused ends as the device ended it.
    FailsNothing,
    /// What is to be reported is repaired.
    RepairsReports,
    /// A repair is counted before it has succeeded.
    CountsTooEarly,
    /// What is not to be repaired is not counted as unrepaired.
    ForgetsUnrepaired,
    /// A rejection of a copy is believed at once.
    CopiesOnce,
    /// The number of times that a copy is sent down is off by one.
    CopiesOnceMore,
    /// A copy is sent down as long as it is rejected.
    CopiesForEver,
    /// A copy is sent down again for another reason than that it was rejected.
    CopiesWhateverHappens,
}

/// Settles a write as `resolve_write()` does, but for the flaw.
pub fn flawed(
    flaw: Flaw,
    model: &mut Model<'_>,
    policy: CompletionPolicy,
    outcome: Outcome,
) -> Result<Outcome, MetadataError> {
    let trusted = flaw == Flaw::TrustsSuccess && outcome == Outcome::Ok;
    if trusted || !policy.needs_check(outcome) {
        return Ok(outcome);
    }
    if outcome == Outcome::Ok {
        model.record(Event::Rechecked);
    }
    if policy.on_mismatch == OnMismatch::Repair || flaw == Flaw::RepairsReports {
        return repair(flaw, model, policy, outcome);
    }
    let changed = model.changed()?;
    if changed {
        model.record(Event::Unstable);
        if flaw != Flaw::ForgetsUnrepaired {
            model.record(Event::Unrepaired);
        }
    }
    Ok(match policy.on_mismatch {
        OnMismatch::Fail if changed && flaw != Flaw::FailsNothing => Outcome::Protection,
        _ => outcome,
    })
}

fn repair(
    flaw: Flaw,
    model: &mut Model<'_>,
    policy: CompletionPolicy,
    mut outcome: Outcome,
) -> Result<Outcome, MetadataError> {
    let mut left = match flaw {
        Flaw::RetriesForEver => u32::MAX,
        Flaw::RetriesOnceMore => RETRIES + 1,
        _ => RETRIES,
    };
    loop {
        let unasked = flaw == Flaw::CopiesUnasked && outcome == Outcome::Protection;
        if unasked || model.changed()? {
            model.record(Event::Unstable);
            return copy(flaw, model);
        }
        if outcome == Outcome::Ok {
            return Ok(outcome);
        }
        if left == 0 {
            break;
        }
        left -= 1;
        model.record(Event::Retried);
        outcome = model.resubmit()?;
        let trusted = flaw == Flaw::TrustsTheRetry && outcome == Outcome::Ok;
        if trusted || !policy.needs_check(outcome) {
            return Ok(outcome);
        }
    }
    match flaw {
        Flaw::GivesUp => return Ok(outcome),
        Flaw::BlamesTheInnocent => model.record(Event::Unstable),
        _ => model.record(Event::Blameless),
    }
    copy(flaw, model)
}

fn copy(flaw: Flaw, model: &mut Model<'_>) -> Result<Outcome, MetadataError> {
    if flaw == Flaw::CountsTooEarly {
        model.record(Event::Repaired);
        return send_private(model);
    }
    let outcome = match flaw {
        Flaw::CopiesOnce => send(flaw, model, 1),
        Flaw::CopiesOnceMore => send(flaw, model, TRIES + 1),
        Flaw::CopiesForEver => send(flaw, model, u32::MAX),
        _ => send(flaw, model, TRIES),
    };
    model.record(match outcome {
        Ok(Outcome::Ok) => Event::Repaired,
        _ => Event::Unrepaired,
    });
    match flaw {
        Flaw::SwallowsTheError => Ok(Outcome::Ok),
        _ => outcome,
    }
}

/// Sends each piece of a copy down so often at the most.
fn send(flaw: Flaw, model: &mut Model<'_>, tries: u32) -> Result<Outcome, MetadataError> {
    in_pieces(model.bytes(), |done| {
        let mut left = tries;
        loop {
            left -= 1;
            let (outcome, n) = model.copy(done)?;
            let again = outcome == Outcome::Protection
                || flaw == Flaw::CopiesWhateverHappens && outcome != Outcome::Ok;
            if !again || left == 0 {
                return Ok((outcome, n));
            }
            model.record(Event::Retried);
        }
    })
}
