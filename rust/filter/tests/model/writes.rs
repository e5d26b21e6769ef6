// SPDX-License-Identifier: GPL-2.0

//! What has to hold for a write, whatever happens to it.

use crate::{
    choices::for_each,
    flaws::{flawed, Flaw},
    write::{Device, MetadataError, Model, Mutator, Setup, Step}, //
};
use filter::{
    args::{Policy, Switch},
    completion::{
        look, repair, send_private, CompletionPolicy, Event, OnMismatch, Outcome, Verdict, RETRIES,
        TRIES,
    }, //
    policy::{write_path, Pages, WriteContext, WritePath},
};
use std::collections::HashSet;

/// Settles a write as the module does.
fn resolve_write(
    model: &mut Model<'_>,
    policy: CompletionPolicy,
    outcome: Outcome,
) -> Result<Outcome, MetadataError> {
    match look(model, policy, outcome)? {
        Verdict::Ends(outcome) => Ok(outcome),
        Verdict::Unsettled(suspicion) => repair(model, policy, suspicion),
    }
}

/// What a write can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// It succeeded, but the medium does not hold its data with tuples that match.
    Torn,
    /// It did not end as it should have.
    Ending,
    /// It was sent down, or looked at, too often.
    TooOften,
    /// The counters do not add up.
    Counters,
    /// Its data had not changed, and it was blamed.
    Blamed,
    /// A crash would have left something behind that no longer reads.
    CrashWindow,
}

const DEVICES: [Device; 3] = [Device::Blind, Device::Checks, Device::ChecksEarly];
const MUTATORS: [Mutator; 3] = [Mutator::Nobody, Mutator::Onward, Mutator::AndBack];
const BOTH: [bool; 2] = [false, true];

/// The intervals of a write, how often they change at most, how often there are faults, and whether
/// there are misfits.
type Size = (usize, u32, u32, bool);

/// As many as are needed to have everything rejected that is sent down, and once more.
const ALL_FAULTS: u32 = 1 + RETRIES + TRIES + 1;

/// One interval that changes whenever it is read; and others that do so less often.
const ALL_SIZES: &[Size] = &[
    (1, u32::MAX, 3, false),
    (1, 1, ALL_FAULTS, true),
    (2, 3, 0, false),
    (2, 1, 3, false),
    (3, 2, 0, false),
];

/// What is enough to show a flaw.
const FLAW_SIZES: &[Size] = &[(1, 1, ALL_FAULTS, false)];

fn for_each_setup(sizes: &[Size], mut f: impl FnMut(Setup)) {
    for device in DEVICES {
        for mutator in MUTATORS {
            for &(intervals, changes, faults, misfits) in sizes {
                f(Setup {
                    device,
                    mutator,
                    intervals,
                    changes,
                    faults,
                    misfits,
                });
            }
        }
    }
}

fn for_each_policy(mut f: impl FnMut(CompletionPolicy)) {
    for on_mismatch in [OnMismatch::Repair, OnMismatch::Fail, OnMismatch::Report] {
        for recheck in BOTH {
            f(CompletionPolicy {
                on_mismatch,
                recheck,
            });
        }
    }
}

/// Whether success has to mean that the medium is right.
///
/// A recheck cannot see a change that has been changed back; only a device can that checks what it
/// stores. A write that nobody repairs or refuses is right only if the device says so.
fn vouched_for(setup: &Setup, policy: CompletionPolicy) -> bool {
    match setup.device {
        Device::Checks => true,
        _ if setup.mutator == Mutator::Nobody => true,
        _ => {
            policy.recheck
                && policy.on_mismatch != OnMismatch::Report
                && setup.mutator == Mutator::Onward
        }
    }
}

/// Everything that is wrong with a write in place that was settled.
fn judge(
    model: &Model<'_>,
    vouched_for: bool,
    policy: CompletionPolicy,
    first: Outcome,
    result: Result<Outcome, MetadataError>,
) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    let mut ensure = |holds: bool, wrong| {
        if !holds {
            wrongs.push(wrong);
        }
    };
    let count = |event| model.counted(event);
    let in_place = model.count(|step| matches!(step, Step::InPlace(_)));
    let copies = model.count(|step| matches!(step, Step::Copy(..)));
    let copies_at = |begin| model.count(|s| matches!(s, Step::Copy(at, ..) if *at == begin));
    let rejected_at = |begin| {
        model.count(|s| matches!(s, Step::Copy(at, _, Outcome::Protection) if *at == begin))
    };
    let intervals = model.medium.len() as u32;
    let copied = model.copied() == intervals;
    let looks = model.count(|step| matches!(step, Step::Look { .. }));
    let found = model.count(|step| *step == Step::Look { changed: true });
    let stuck = model.count(|step| *step == Step::MetadataError);

    if result == Ok(Outcome::Ok) && (vouched_for || copied) {
        ensure(model.is_stored(), Wrong::Torn);
    }

    ensure(in_place <= 1 + RETRIES, Wrong::TooOften);
    ensure(looks <= 1 + RETRIES, Wrong::TooOften);
    // Each piece of a copy, until the device takes it.
    for begin in 0..intervals {
        let (copies, rejected) = (copies_at(begin), rejected_at(begin));
        ensure(copies <= TRIES, Wrong::TooOften);
        ensure(copies <= rejected + 1, Wrong::TooOften);
    }
    let repairs = policy.on_mismatch == OnMismatch::Repair;
    ensure(repairs || in_place + copies == 1, Wrong::TooOften);

    // A write goes up as its last submission ended, unless it is refused.
    let last = model.steps.iter().rev().find_map(|step| match step {
        Step::InPlace(outcome) | Step::Copy(.., outcome) => Some(*outcome),
        _ => None,
    });
    let ending = match policy.on_mismatch {
        OnMismatch::Fail if found > 0 => Some(Outcome::Protection),
        _ => last,
    };
    ensure(result.ok() == ending || stuck > 0, Wrong::Ending);
    // One that is to be repaired is not rejected before its copy is, time and again.
    let rejected = result == Ok(Outcome::Protection);
    let insisted = (0..intervals).any(|begin| rejected_at(begin) == TRIES);
    ensure(!repairs || !rejected || insisted, Wrong::Ending);
    // What is to be looked at is looked at, and nothing else.
    let looked = policy.needs_check(first);
    ensure((looks > 0) == looked || stuck > 0, Wrong::Ending);

    let changed = count(Event::Unstable) + count(Event::Blameless);
    let settled = count(Event::Repaired) + count(Event::Unrepaired);
    ensure(changed == settled && changed <= 1, Wrong::Counters);
    ensure(count(Event::Repaired) == u32::from(copied), Wrong::Counters);
    let first_copies = (0..intervals).filter(|begin| copies_at(*begin) > 0).count() as u32;
    let again = in_place - 1 + copies - first_copies;
    let retried = count(Event::Retried);
    ensure(
        again <= retried && retried <= again + stuck,
        Wrong::Counters,
    );
    let rechecked = first == Outcome::Ok && policy.recheck;
    ensure(
        count(Event::Rechecked) == u32::from(rechecked),
        Wrong::Counters,
    );

    // To be blamed means to have been caught.
    ensure(count(Event::Unstable) == found, Wrong::Blamed);
    ensure(model.has_changed() || found == 0, Wrong::Blamed);
    let rejections = model.count(|step| *step == Step::InPlace(Outcome::Protection));
    let blameless = count(Event::Blameless);
    ensure(blameless == 0 || rejections == 1 + RETRIES, Wrong::Blamed);
    wrongs
}

/// Calls `f` with all behaviours of a write that goes down in place, and is settled as it should be
/// or with a flaw, and with what is wrong with each. Returns how many there are.
fn for_each_behaviour(
    setup: Setup,
    policy: CompletionPolicy,
    vouched_for: bool,
    flaw: Option<Flaw>,
    mut f: impl FnMut(&Model<'_>, &[Wrong]),
) -> u64 {
    for_each(|choices| {
        let mut model = Model::new(choices, setup);
        let first = model.begin_in_place();
        let result = match flaw {
            None => resolve_write(&mut model, policy, first),
            Some(flaw) => flawed(flaw, &mut model, policy, first),
        };
        let wrongs = judge(&model, vouched_for, policy, first, result);
        f(&model, &wrongs);
    })
}

#[test]
fn every_write_ends_as_it_was_promised() {
    let mut behaviours = 0;
    let mut events = HashSet::new();
    for_each_setup(ALL_SIZES, |setup| {
        for_each_policy(|policy| {
            let vouched_for = vouched_for(&setup, policy);
            behaviours += for_each_behaviour(setup, policy, vouched_for, None, |model, wrongs| {
                assert_eq!(wrongs, [], "{setup:?} {policy:?}: {:#?}", model.steps);
                events.extend(model.steps.iter().filter_map(|step| match step {
                    Step::Note(event) => Some(*event),
                    _ => None,
                }));
            });
        });
    });
    println!("{behaviours} behaviours");
    assert!(behaviours > 100_000, "only {behaviours} behaviours");
    assert_eq!(events.len(), 6, "only {events:?}");
}

/// Everything that is wrong with a flawed way to settle.
fn all_wrongs(flaw: Flaw) -> HashSet<Wrong> {
    let mut all = HashSet::new();
    for_each_setup(FLAW_SIZES, |setup| {
        for_each_policy(|policy| {
            let vouched_for = vouched_for(&setup, policy);
            for_each_behaviour(setup, policy, vouched_for, Some(flaw), |_, wrongs| {
                all.extend(wrongs);
            });
        });
    });
    all
}

#[test]
fn every_flaw_is_caught() {
    for (flaw, wrong) in [
        (Flaw::TrustsSuccess, Wrong::Torn),
        (Flaw::TrustsTheRetry, Wrong::Torn),
        (Flaw::CopiesUnasked, Wrong::Blamed),
        (Flaw::BlamesTheInnocent, Wrong::Blamed),
        (Flaw::RetriesForEver, Wrong::TooOften),
        (Flaw::RetriesOnceMore, Wrong::TooOften),
        (Flaw::GivesUp, Wrong::Ending),
        (Flaw::SwallowsTheError, Wrong::Torn),
        (Flaw::FailsNothing, Wrong::Torn),
        (Flaw::RepairsReports, Wrong::TooOften),
        (Flaw::CountsTooEarly, Wrong::Counters),
        (Flaw::ForgetsUnrepaired, Wrong::Counters),
        (Flaw::CopiesOnce, Wrong::Ending),
        (Flaw::CopiesOnceMore, Wrong::TooOften),
        (Flaw::CopiesForEver, Wrong::TooOften),
        (Flaw::CopiesWhateverHappens, Wrong::TooOften),
    ] {
        let wrongs = all_wrongs(flaw);
        println!("{flaw:?}: {wrongs:?}");
        assert!(wrongs.contains(&wrong), "{flaw:?}: {wrongs:?}");
    }
    assert_eq!(all_wrongs(Flaw::None), HashSet::new());
}

/// What is known to be beyond a recheck, and written down as a limitation.
#[test]
fn a_recheck_does_not_see_what_was_changed_back() {
    let torn = |device, mutator, recheck| {
        let setup = Setup {
            device,
            mutator,
            intervals: 1,
            changes: 2,
            faults: 0,
            misfits: false,
        };
        let policy = CompletionPolicy {
            on_mismatch: OnMismatch::Repair,
            recheck,
        };
        let mut torn = false;
        for_each_behaviour(setup, policy, true, None, |_, wrongs| {
            torn |= wrongs.contains(&Wrong::Torn);
        });
        torn
    };
    for device in [Device::Blind, Device::ChecksEarly] {
        assert!(torn(device, Mutator::AndBack, true));
        assert!(!torn(device, Mutator::Onward, true));
        assert!(torn(device, Mutator::Onward, false));
    }
    assert!(!torn(Device::Checks, Mutator::AndBack, false));
}

#[test]
fn in_a_merged_request_only_the_changed_are_blamed() {
    let setup = |mutator| Setup {
        device: Device::Checks,
        mutator,
        intervals: 1,
        changes: 3,
        faults: 0,
        misfits: false,
    };
    let policy = CompletionPolicy {
        on_mismatch: OnMismatch::Repair,
        recheck: false,
    };
    let mut innocent = 0;
    let behaviours = for_each(|choices| {
        let mut bios = [Mutator::Nobody, Mutator::AndBack, Mutator::Onward]
            .map(|mutator| Model::new(choices, setup(mutator)));
        let first = Model::begin_merged(&mut bios);
        for bio in &mut bios {
            let result = resolve_write(bio, policy, first);
            assert_eq!(judge(bio, true, policy, first, result), []);
            assert_eq!(result, Ok(Outcome::Ok));
            if first == Outcome::Protection && !bio.has_changed() {
                innocent += 1;
                assert_eq!(bio.counted(Event::Retried), 1);
                assert_eq!(bio.count(|step| matches!(step, Step::Copy(..))), 0);
            }
        }
    });
    println!("{behaviours} behaviours, {innocent} times innocent");
    assert!(innocent > 100, "only {innocent} of {behaviours}");
}

/// Pages of which it is known whether user space changes them, of an owner that is not known yet.
struct Changed(bool);

impl Pages for Changed {
    fn are_user_writable(&mut self) -> bool {
        self.0
    }

    fn have_changer(&mut self) -> bool {
        false
    }
}

/// All that is wrong with a write whose way the policy decides. `user_writable`: user space changes its
/// data.
fn decided(context: WriteContext, device: Device, user_writable: bool) -> HashSet<Wrong> {
    let mut wrongs = HashSet::new();
    let setup = Setup {
        device,
        mutator: match user_writable {
            true => Mutator::AndBack,
            false => Mutator::Nobody,
        },
        intervals: 2,
        changes: 3,
        faults: 2,
        misfits: false,
    };
    for_each(|choices| {
        let mut model = Model::new(choices, setup);
        let result = match write_path(&context, &mut Changed(user_writable)) {
            WritePath::Copy => match model.begin_copy() {
                // There is no second time in a zone.
                Outcome::Protection if !context.zoned => send_private(&mut model),
                outcome => Ok(outcome),
            },
            WritePath::InPlace(policy) => {
                let first = model.begin_in_place();
                resolve_write(&mut model, policy, first)
            }
        };
        if model.torn {
            wrongs.insert(Wrong::CrashWindow);
        }
        if result == Ok(Outcome::Ok) && !model.is_stored() {
            wrongs.insert(Wrong::Torn);
        }
        if context.zoned && model.rewrote() {
            wrongs.insert(Wrong::TooOften);
        }
    });
    wrongs
}

/// The devices behind some context.
fn devices(context: &WriteContext) -> &'static [Device] {
    match context.profile && context.checks && context.passes {
        true => &[Device::Checks],
        false => &DEVICES,
    }
}

fn for_each_facts(policy: Policy, mut f: impl FnMut(WriteContext)) {
    for recheck in [Switch::Auto, Switch::On, Switch::Off] {
        for bits in 0..16 {
            f(WriteContext {
                policy,
                recheck,
                trust: Switch::Auto,
                passes: bits & 8 != 0,
                zoned: bits & 1 != 0,
                profile: bits & 2 != 0,
                checks: bits & 4 != 0,
                payload: false,
            });
        }
    }
}

#[test]
fn auto_and_copy_open_no_crash_window() {
    for policy in [Policy::Auto, Policy::Copy] {
        for_each_facts(policy, |context| {
            for device in devices(&context) {
                for user_writable in BOTH {
                    let wrongs = decided(context, *device, user_writable);
                    assert!(
                        wrongs.is_empty(),
                        "{context:?} {device:?} {user_writable}: {wrongs:?}"
                    );
                }
            }
        });
    }
}

#[test]
fn optimistic_opens_a_crash_window_where_nothing_checks() {
    for_each_facts(Policy::Optimistic, |context| {
        let checks = context.profile && context.checks;
        if !context.passes {
            // It does as `auto`.
            return;
        }
        let device = [Device::Blind, Device::Checks][usize::from(checks)];
        let opened = decided(context, device, true).contains(&Wrong::CrashWindow);
        assert_eq!(opened, !checks && !context.zoned, "{context:?}");
    });
}
