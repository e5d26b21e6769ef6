// SPDX-License-Identifier: GPL-2.0

//! What has to hold for a read, whatever happens to it.

use crate::{
    choices::for_each,
    read::{Model, Setup, Step, INTERVALS}, //
};
use filter::settle::{in_pieces, settle_read, Event, Outcome, Read};
use std::collections::HashSet;

type Settle = fn(&mut Model<'_>, Outcome) -> Result<Outcome, ()>;

/// What a read can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    /// It succeeded with data that is not what is on the medium, and not the application's either.
    Data,
    /// It did not end as it should have.
    Ending,
    /// A bad interval was not reported.
    Unreported,
    /// More was read again than necessary.
    TooOften,
    /// The counters do not add up.
    Counters,
}

fn for_each_setup(mut f: impl FnMut(Setup)) {
    for bits in 0..32 {
        f(Setup {
            checks: bits & 1 != 0,
            corrupt: bits & 2 != 0,
            changes: bits & 4 != 0,
            glitches: bits & 8 != 0,
            faults: bits & 16 != 0,
        });
    }
}

/// Everything that is wrong with a read that was settled.
fn judge(
    model: &Model<'_>,
    setup: &Setup,
    first: Outcome,
    result: Result<Outcome, ()>,
) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    let mut ensure = |holds: bool, wrong| {
        if !holds {
            wrongs.push(wrong);
        }
    };
    let again = model.count(|step| matches!(step, Step::Again(..)));
    let looks = model.count(|step| matches!(step, Step::Look { .. }));
    let found = model.count(|step| *step == Step::Look { matches: false });
    let judged = model.count(|step| matches!(step, Step::Judge(..)));
    let bad = model.count(|step| matches!(step, Step::Judge(_, false)));
    let changed = model.count(|step| matches!(step, Step::Change(..)));
    let failed = |outcome| model.count(|s| matches!(s, Step::Again(_, _, o) if *o == outcome));

    if result == Ok(Outcome::Ok) {
        let is_as_stored = |i: usize| model.page[i] == model.medium[i].0;
        let from_medium = (0..INTERVALS).all(is_as_stored) && !model.is_corrupt();
        // What the application wrote itself right after the data had arrived, it knows.
        ensure(from_medium || again == 0 && changed > 0, Wrong::Data);
    }

    // A verdict needs a reason: a good medium is not called corrupt, and a corrupt one not good.
    let protection = result == Ok(Outcome::Protection);
    let insisted = failed(Outcome::Protection) > 0;
    ensure(!protection || model.is_corrupt() || insisted, Wrong::Ending);
    let suspect = first == Outcome::Protection || found > 0;
    ensure((again > 0) == suspect, Wrong::Ending);
    let expected = match first {
        Outcome::Other => Outcome::Other,
        _ if !suspect => Outcome::Ok,
        _ if bad > 0 || insisted => Outcome::Protection,
        _ if failed(Outcome::Other) > 0 => Outcome::Other,
        _ => Outcome::Ok,
    };
    ensure(result == Ok(expected), Wrong::Ending);
    let all_judged = judged == INTERVALS || setup.faults;
    ensure(!suspect || all_judged, Wrong::Unreported);

    ensure(again <= INTERVALS && looks <= 1, Wrong::TooOften);

    let verified = model.counted(Event::Verified);
    let corrupt = model.counted(Event::Corrupt);
    let false_alarms = model.counted(Event::FalseAlarm);
    ensure(verified <= 1, Wrong::Counters);
    ensure(corrupt + false_alarms <= verified, Wrong::Counters);
    ensure(corrupt == usize::from(protection), Wrong::Counters);
    let alarmed = suspect && result == Ok(Outcome::Ok);
    ensure(false_alarms == usize::from(alarmed), Wrong::Counters);
    ensure(looks <= verified, Wrong::Counters);
    wrongs
}

/// Calls `f` with all behaviours of a read and what is wrong with each. Returns how many there are.
fn for_each_behaviour(settle: Settle, mut f: impl FnMut(&Setup, &Model<'_>, &[Wrong])) -> u64 {
    let mut behaviours = 0;
    for_each_setup(|setup| {
        behaviours += for_each(|choices| {
            let mut model = Model::new(choices, setup);
            let first = model.begin();
            let result = settle(&mut model, first);
            f(&setup, &model, &judge(&model, &setup, first, result));
        });
    });
    behaviours
}

#[test]
fn a_race_is_told_from_corruption() {
    let mut events = HashSet::new();
    let settle: Settle = |model, outcome| settle_read(model, outcome);
    let behaviours = for_each_behaviour(settle, |setup, model, wrongs| {
        assert_eq!(
            wrongs,
            [],
            "{setup:?} {:?}: {:#?}",
            model.medium,
            model.steps
        );
        events.extend(model.steps.iter().filter_map(|step| match step {
            Step::Note(event) => Some(*event),
            _ => None,
        }));
    });
    println!("{behaviours} behaviours");
    assert!(behaviours > 1000, "only {behaviours} behaviours");
    assert_eq!(events.len(), 3, "only {events:?}");
}

/// Takes what does not match at once for corrupt.
fn without_reading_again(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    if outcome == Outcome::Ok && model.matches()? {
        return Ok(outcome);
    }
    Ok(match outcome {
        Outcome::Other => outcome,
        _ => Outcome::Protection,
    })
}

/// Reads again, but believes the device.
fn without_judging(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    if outcome == Outcome::Other || outcome == Outcome::Ok && model.matches()? {
        return Ok(outcome);
    }
    in_pieces(model.bytes(), |done| {
        let answer = model.again(done)?;
        model.hand_over()?;
        Ok(answer)
    })
}

/// Reads again as `settle_read()` does, with `piece` for what it does with a piece.
fn reading_again(
    model: &mut Model<'_>,
    outcome: Outcome,
    piece: fn(&mut Model<'_>) -> Result<bool, ()>,
) -> Result<Outcome, ()> {
    if outcome == Outcome::Other {
        return Ok(outcome);
    }
    if outcome == Outcome::Ok {
        model.note(Event::Verified);
        if model.matches()? {
            return Ok(outcome);
        }
    }
    let again = in_pieces(model.bytes(), |done| {
        let (outcome, n) = model.again(done)?;
        match outcome {
            Outcome::Ok if !piece(model)? => Ok((Outcome::Protection, n)),
            _ => Ok((outcome, n)),
        }
    })?;
    if outcome == Outcome::Protection && again != Outcome::Other {
        model.note(Event::Verified);
    }
    match again {
        Outcome::Ok => model.note(Event::FalseAlarm),
        Outcome::Protection => model.note(Event::Corrupt),
        Outcome::Other => {}
    }
    Ok(again)
}

/// Stops at the first bad interval.
fn without_the_rest(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    reading_again(model, outcome, |model| {
        let matches = model.matches_again()?;
        if matches {
            model.hand_over()?;
        }
        Ok(matches)
    })
}

/// Leaves the application with what it has.
fn without_handing_over(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    reading_again(model, outcome, |model| model.matches_again())
}

#[test]
fn every_flaw_is_caught() {
    let flaws: [(&str, Settle, Wrong); 4] = [
        ("reading again", without_reading_again, Wrong::Ending),
        ("judging", without_judging, Wrong::Data),
        ("the rest", without_the_rest, Wrong::Unreported),
        ("handing over", without_handing_over, Wrong::Data),
    ];
    for (name, settle, wrong) in flaws {
        let mut all = HashSet::<Wrong>::new();
        for_each_behaviour(settle, |_, _, wrongs| all.extend(wrongs));
        println!("without {name}: {all:?}");
        assert!(all.contains(&wrong), "without {name}: {all:?}");
    }
}
