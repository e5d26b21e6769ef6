// SPDX-License-Identifier: GPL-2.0

//! What has to hold for a read, whatever happens to it.

use crate::{
    choices::for_each,
    read::{Model, Setup, Step, GOOD, INTERVALS, NEW, OTHER}, //
};
use filter::completion::{
    in_pieces,
    look_at_read,
    resolve_read,
    Event,
    Io,
    Outcome,
    Read,
    Reread,
    Verdict,
    ROUNDS,
    TRIES, //
};
use std::collections::HashSet;

type Settle = fn(&mut Model<'_>, Outcome) -> Result<Outcome, ()>;

/// Settles a read as the module does.
fn settle_read(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    match look_at_read(model, outcome)? {
        Verdict::Ends(outcome) => Ok(outcome),
        Verdict::Unsettled(doubt) => resolve_read(model, doubt),
    }
}

/// What a read can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    /// It succeeded with data that the medium did not hold with a tuple that matches, and that is
    /// not the application's either.
    Data,
    /// It did not end as it should have.
    Ending,
    /// It was called corrupt, or an interval was, that is not.
    FalseReport,
    /// A bad interval was not reported.
    Unreported,
    /// More was read again than necessary, or a wait was for nothing.
    TooOften,
    /// The counters do not add up.
    Counters,
}

fn for_each_setup(mut f: impl FnMut(Setup)) {
    for bits in 0..32 {
        for (writes, spoils) in [
            (0, 0),
            (1, 0),
            (2, 0),
            (0, 1),
            (1, 1),
            (0, TRIES - 1),
            (0, TRIES),
        ] {
            let setup = Setup {
                checks: bits & 1 != 0,
                corrupt: bits & 2 != 0,
                changes: bits & 4 != 0,
                glitches: bits & 8 != 0,
                faults: bits & 16 != 0,
                writes,
                spoils,
            };
            // All of it at once is too much to go through.
            let much = [setup.changes, setup.glitches, setup.faults];
            let much = much.iter().filter(|much| **much).count();
            let fits = match (writes, spoils) {
                (0, 0) => true,
                (1, 0) | (0, 1) => much <= 1,
                (0, TRIES) => much == 0 && !setup.corrupt,
                _ => much == 0,
            };
            if fits {
                f(setup);
            }
        }
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
    let waits = model.count(|step| *step == Step::Wait);
    let looks = model.count(|step| matches!(step, Step::Look { .. }));
    let found = model.count(|step| *step == Step::Look { matches: false });
    let changed = model.count(|step| matches!(step, Step::Change(..)));
    let reported = |i| model.count(|step| *step == Step::Report(i)) > 0;
    let judged = |i| model.count(|s| matches!(s, Step::Judge(at, _) if *at == i)) > 0;
    let failed = model.count(|s| matches!(s, Step::Again(_, _, o) if *o == OTHER)) > 0;
    let corrupt = (0..INTERVALS).any(|i| model.is_corrupt(i));
    // Who spoils so much may be believed.
    let spoiled = model.spoiled >= TRIES;

    if result == Ok(Outcome::Ok) {
        // The medium held nothing else that matched.
        let was_stored = |i: usize| match model.page[i] {
            GOOD => model.before[i].0 == GOOD,
            data => data == NEW,
        };
        let from_medium = (0..INTERVALS).all(was_stored);
        // What the application wrote itself right after the data had arrived, it knows.
        ensure(from_medium || again == 0 && changed > 0, Wrong::Data);
    }

    // A verdict needs a reason: a good medium is not called corrupt, and a corrupt one not good.
    let protection = result == Ok(Outcome::Protection);
    ensure(!protection || corrupt || spoiled, Wrong::FalseReport);
    for i in 0..INTERVALS {
        ensure(
            !reported(i) || model.is_corrupt(i) || spoiled,
            Wrong::FalseReport,
        );
        ensure(!reported(i) || protection, Wrong::FalseReport);
        let known = protection && model.spoiled == 0 && !failed;
        ensure(
            !known || !model.is_corrupt(i) || reported(i),
            Wrong::Unreported,
        );
    }
    let suspect = first == Outcome::Protection || found > 0;
    ensure((again > 0) == suspect, Wrong::Ending);
    let still = (0..INTERVALS).any(|i| model.before[i].0 != GOOD && model.is_corrupt(i));
    if !spoiled {
        let expected = match first {
            OTHER => OTHER,
            _ if !suspect => Outcome::Ok,
            // One that fails otherwise may not have come to the corrupt interval.
            _ if failed && protection => Outcome::Protection,
            _ if failed => OTHER,
            _ if still => Outcome::Protection,
            _ => Outcome::Ok,
        };
        ensure(result == Ok(expected), Wrong::Ending);
    }
    let all_judged = (0..INTERVALS).all(judged) || setup.faults || model.spoiled > 0;
    ensure(!suspect || all_judged, Wrong::Unreported);

    // Each interval at most so often, and that for each write that came between and for each time
    // that the path spoiled something.
    let bad = |i| {
        let of = |s: &&Step| matches!(s, Step::Again(at, ..) if *at == i);
        model.steps.iter().filter(of).count()
    };
    let torn = model.count(|step| matches!(step, Step::Torn(_)));
    let between = torn + model.spoiled as usize;
    let most = TRIES as usize * (1 + between);
    for i in 0..INTERVALS {
        ensure(bad(i) <= most, Wrong::TooOften);
    }
    ensure(looks <= 1 && waits <= INTERVALS + between, Wrong::TooOften);
    ensure(waits < again || waits == 0, Wrong::TooOften);

    let verified = model.counted(Event::Verified);
    let called_corrupt = model.counted(Event::Corrupt);
    let false_alarms = model.counted(Event::FalseAlarm);
    ensure(verified <= 1, Wrong::Counters);
    ensure(called_corrupt + false_alarms <= verified, Wrong::Counters);
    ensure(called_corrupt == usize::from(protection), Wrong::Counters);
    ensure(model.counted(Event::Unsettled) == 0, Wrong::Counters);
    ensure(model.counted(Event::Waited) == waits, Wrong::Counters);
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
    let mut waited_for = 0;
    let behaviours = for_each_behaviour(settle_read, |setup, model, wrongs| {
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
        let torn = |s: &[Step]| s[0] == Step::Wait && matches!(s[1], Step::Settled(_));
        waited_for += model.steps.windows(2).filter(|s| torn(s)).count();
    });
    println!("{behaviours} behaviours, {waited_for} writes waited for");
    assert!(behaviours > 10_000, "only {behaviours} behaviours");
    assert!(waited_for > 100, "only {waited_for} writes waited for");
    assert_eq!(events.len(), 4, "only {events:?}");
}

/// A read of one interval that never matches, and of which a write comes to it each time.
#[derive(Default)]
struct Stream {
    waits: u32,
    events: Vec<Event>,
}

impl Io for Stream {
    type Error = ();

    fn bytes(&self) -> u32 {
        1
    }

    fn record(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Reread for Stream {
    fn interval(&self) -> u32 {
        1
    }

    fn read_again(&mut self, _skip: u32, _most: u32) -> Result<(Outcome, u32), ()> {
        Ok((Outcome::Ok, 1))
    }

    fn matching(&mut self) -> Result<u32, ()> {
        Ok(0)
    }

    fn copy_to_bio(&mut self, _bytes: u32) -> Result<(), ()> {
        panic!("it does not match")
    }

    fn wait(&mut self) -> Result<(), ()> {
        self.waits += 1;
        Ok(())
    }

    fn disturbed(&mut self, _skip: u32, _bytes: u32) -> bool {
        true
    }

    fn report(&mut self) -> Result<bool, ()> {
        panic!("nothing is known")
    }
}

impl Read for Stream {
    fn matches(&mut self) -> Result<bool, ()> {
        Ok(false)
    }
}

#[test]
fn a_stream_of_writes_does_not_keep_a_read_for_ever() {
    let mut stream = Stream::default();
    let Ok(Verdict::Unsettled(doubt)) = look_at_read(&mut stream, Outcome::Ok) else {
        panic!("it does not match");
    };
    assert_eq!(resolve_read(&mut stream, doubt), Ok(Outcome::Protection));
    assert_eq!(stream.waits, ROUNDS);
    assert_eq!(stream.events.last(), Some(&Event::Unsettled));
    assert!(!stream.events.contains(&Event::Corrupt));
}

/// Takes what does not match at once for corrupt.
fn without_reading_again(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    if outcome == Outcome::Ok && model.matches()? {
        return Ok(outcome);
    }
    Ok(match outcome {
        OTHER => outcome,
        _ => Outcome::Protection,
    })
}

/// Reads again, but believes the device.
fn without_judging(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    if outcome == OTHER || outcome == Outcome::Ok && model.matches()? {
        return Ok(outcome);
    }
    in_pieces(model.bytes(), |done| {
        let (outcome, n) = model.read_again(done, u32::MAX)?;
        model.copy_to_bio(n)?;
        Ok((outcome, n))
    })
}

/// How a piece is settled wrongly.
#[derive(Clone, Copy, PartialEq)]
struct Flaw {
    /// Writes in flight are waited for.
    waits: bool,
    /// A write that came meanwhile is minded.
    minds: bool,
    /// So often is it tried at the most.
    tries: u32,
    /// What follows a bad interval is judged.
    goes_on: bool,
    /// What matches is handed over.
    hands_over: bool,
    /// Bad intervals are reported each time.
    reports_early: bool,
}

const RIGHT: Flaw = Flaw {
    waits: true,
    minds: true,
    tries: TRIES,
    goes_on: true,
    hands_over: true,
    reports_early: false,
};

/// Settles a read as it should be, but for the flaw, and with less skill.
fn flawed(flaw: Flaw, model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
    if outcome == OTHER {
        return Ok(outcome);
    }
    if outcome == Outcome::Ok {
        model.record(Event::Verified);
        if model.matches()? {
            return Ok(outcome);
        }
    }
    let (mut done, mut corrupt) = (0, false);
    'pieces: while done < model.bytes() && (flaw.goes_on || !corrupt) {
        let (mut tries, mut most, mut watched) = (0, u32::MAX, false);
        // Some go on for ever.
        for _ in 0..3 * TRIES {
            let (outcome, n) = model.read_again(done, most)?;
            if outcome == OTHER {
                if corrupt {
                    break 'pieces;
                }
                return Ok(outcome);
            }
            let good = match outcome {
                Outcome::Ok => model.matching()?,
                _ => 0,
            };
            if good > 0 {
                if flaw.hands_over {
                    model.copy_to_bio(good)?;
                }
                done += good;
                break;
            }
            if flaw.reports_early {
                model.report()?;
            }
            // One bad interval at a time.
            most = 1;
            let disturbed = !watched || flaw.minds && model.disturbed(done, n);
            tries = if disturbed { 1 } else { tries + 1 };
            if tries >= flaw.tries && (!disturbed || flaw.tries == 1) {
                if outcome == Outcome::Ok {
                    model.report()?;
                }
                corrupt = true;
                done += if outcome == Outcome::Ok { 1 } else { n };
                break;
            }
            if disturbed {
                model.record(Event::Waited);
                match flaw.waits {
                    true => model.wait()?,
                    false => model.watch_only(),
                }
                watched = true;
            }
        }
    }
    if outcome == Outcome::Protection {
        model.record(Event::Verified);
    }
    model.record(match corrupt {
        true => Event::Corrupt,
        false => Event::FalseAlarm,
    });
    Ok(match corrupt {
        true => Outcome::Protection,
        false => Outcome::Ok,
    })
}

#[test]
fn every_flaw_is_caught() {
    fn without_waiting(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                waits: false,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn without_watching(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                minds: false,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn without_another_try(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(Flaw { tries: 1, ..RIGHT }, model, outcome)
    }
    fn with_a_try_less(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                tries: TRIES - 1,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn with_a_try_more(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                tries: TRIES + 1,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn without_the_rest(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                goes_on: false,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn without_handing_over(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                hands_over: false,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    fn with_early_reports(model: &mut Model<'_>, outcome: Outcome) -> Result<Outcome, ()> {
        flawed(
            Flaw {
                reports_early: true,
                ..RIGHT
            },
            model,
            outcome,
        )
    }
    let flaws: [(&str, Settle, Wrong); 10] = [
        (
            "without reading again",
            without_reading_again,
            Wrong::FalseReport,
        ),
        ("without judging", without_judging, Wrong::Data),
        ("without waiting", without_waiting, Wrong::FalseReport),
        ("without watching", without_watching, Wrong::FalseReport),
        (
            "without another try",
            without_another_try,
            Wrong::FalseReport,
        ),
        ("with a try less", with_a_try_less, Wrong::FalseReport),
        ("with a try more", with_a_try_more, Wrong::TooOften),
        ("without the rest", without_the_rest, Wrong::Unreported),
        ("without handing over", without_handing_over, Wrong::Data),
        ("with early reports", with_early_reports, Wrong::FalseReport),
    ];
    for (name, settle, wrong) in flaws {
        let mut all = HashSet::<Wrong>::new();
        for_each_behaviour(settle, |_, _, wrongs| all.extend(wrongs));
        println!("{name}: {all:?}");
        assert!(all.contains(&wrong), "{name}: {all:?}");
    }
}
