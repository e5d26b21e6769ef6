// SPDX-License-Identifier: GPL-2.0

//! The way a write goes down, against the table of the documentation written out by hand; and the
//! small things that `model` has no use for.

use core::num::NonZeroU8;
use filter::{
    args::{Policy, Switch},
    completion::{in_pieces, CompletionPolicy, OnMismatch, Outcome}, //
    policy::{write_path, Pages, WriteContext, WritePath},
};

/// A failure for another reason.
const OTHER: Outcome = Outcome::Other(NonZeroU8::new(10).unwrap());

/// The decision table. `*` stands for every value.
///
/// `trusted`: a rejection by what is below is relied upon. The device `checks` the guard itself, has a profile but is `blind` to the guard, or has `none`.
/// `user_writable`: user space can change one of the pages. The metadata is our `own` or came from
/// `above`.
const TABLE: &str = "
policy      zoned  trusted  device  metadata  user_writable  recheck:auto    recheck:on      recheck:off
*           yes    *        *       *         *        copy            copy            copy
copy        no     *        *       *         *        copy            copy            copy

auto        no     yes      checks  own       *        repair          repair+recheck  repair
auto        no     no       checks  own       no       repair+recheck  repair+recheck  repair
auto        no     *        blind   own       no       repair+recheck  repair+recheck  repair
auto        no     *        none    own       no       repair+recheck  repair+recheck  repair
auto        no     no       checks  *         yes      copy            copy            copy
auto        no     *        blind   *         yes      copy            copy            copy
auto        no     *        none    *         yes      copy            copy            copy
auto        no     yes      checks  above     *        refuse          refuse+recheck  refuse
auto        no     no       checks  above     no       refuse+recheck  refuse+recheck  refuse
auto        no     *        blind   above     no       refuse+recheck  refuse+recheck  refuse
auto        no     *        none    above     no       refuse+recheck  refuse+recheck  refuse

optimistic  no     yes      checks  own       *        repair          repair+recheck  repair
optimistic  no     yes      blind   own       *        repair+recheck  repair+recheck  repair
optimistic  no     yes      none    own       *        repair+recheck  repair+recheck  repair
optimistic  no     no       *       own       no       repair+recheck  repair+recheck  repair
optimistic  no     no       *       *         yes      copy            copy            copy
optimistic  no     yes      checks  above     *        refuse          refuse+recheck  refuse
optimistic  no     yes      blind   above     *        refuse+recheck  refuse+recheck  refuse
optimistic  no     yes      none    above     *        refuse+recheck  refuse+recheck  refuse
optimistic  no     no       *       above     no       refuse+recheck  refuse+recheck  refuse

wait        no     yes      checks  *         *        refuse          refuse+recheck  refuse
wait        no     no       checks  *         *        refuse+recheck  refuse+recheck  refuse
wait        no     *        blind   *         *        refuse+recheck  refuse+recheck  refuse
wait        no     *        none    *         *        refuse+recheck  refuse+recheck  refuse

detect      no     *        *       own       *        report+recheck  report+recheck  report+recheck
detect      no     *        *       above     *        refuse+recheck  refuse+recheck  refuse+recheck
";

/// Looks a case up; exactly one row must be about it.
fn look_up(case: [&str; 6], recheck: usize) -> WritePath {
    let fits = |row: &[&str]| {
        row.iter()
            .zip(case)
            .all(|(cell, v)| ["*", v].contains(cell))
    };
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<&str>| !row.is_empty() && fits(&row[..6]))
        .collect();
    assert_eq!(rows.len(), 1, "rows about {case:?}: {rows:?}");
    let cell = rows[0][6 + recheck];
    let (on_mismatch, recheck) = match cell.split_once('+') {
        Some((on_mismatch, "recheck")) => (on_mismatch, true),
        None => (cell, false),
        _ => panic!("{cell}"),
    };
    let on_mismatch = match on_mismatch {
        "copy" => return WritePath::Copy,
        "repair" => OnMismatch::Repair,
        "refuse" => OnMismatch::Fail,
        "report" => OnMismatch::Report,
        _ => panic!("{on_mismatch}"),
    };
    WritePath::InPlace(CompletionPolicy {
        on_mismatch,
        recheck,
    })
}

const POLICIES: [Policy; 5] = [
    Policy::Auto,
    Policy::Optimistic,
    Policy::Copy,
    Policy::Wait,
    Policy::Detect,
];
const SWITCHES: [Switch; 3] = [Switch::Auto, Switch::On, Switch::Off];
const BOTH: [bool; 2] = [false, true];

/// Calls `f` with all context that there are.
fn for_each_facts(mut f: impl FnMut(WriteContext)) {
    for policy in POLICIES {
        for recheck in SWITCHES {
            for bits in 0..96 {
                f(WriteContext {
                    policy,
                    recheck,
                    trust: SWITCHES[bits >> 5],
                    passes: bits & 16 != 0,
                    zoned: bits & 1 != 0,
                    profile: bits & 2 != 0,
                    checks: bits & 4 != 0,
                    payload: bits & 8 != 0,
                });
            }
        }
    }
}

fn word(value: bool, yes: &'static str, no: &'static str) -> &'static str {
    match value {
        true => yes,
        false => no,
    }
}

/// Pages that are asked so often, and say so.
struct Asked {
    user_writable: bool,
    changer: bool,
    looks: [u32; 2],
}

fn pages(user_writable: bool, changer: bool) -> Asked {
    Asked {
        user_writable,
        changer,
        looks: [0; 2],
    }
}

impl Pages for Asked {
    fn are_user_writable(&mut self) -> bool {
        self.looks[0] += 1;
        self.user_writable
    }

    fn have_changer(&mut self) -> bool {
        self.looks[1] += 1;
        self.changer
    }
}

/// What is trusted: what is known to be right, unless the administrator knows better.
fn trusts(trust: Switch, passes: bool) -> bool {
    match trust {
        Switch::Auto => passes,
        Switch::On => true,
        Switch::Off => false,
    }
}

#[test]
fn the_decision_table_is_what_is_decided() {
    let mut cases = 0;
    for_each_facts(|context| {
        for user_writable in BOTH {
            let device = match (context.profile, context.checks) {
                (false, _) => "none",
                (true, false) => "blind",
                (true, true) => "checks",
            };
            let policy = context.policy.to_string();
            let case = [
                &policy,
                word(context.zoned, "yes", "no"),
                word(trusts(context.trust, context.passes), "yes", "no"),
                device,
                word(context.payload, "above", "own"),
                word(user_writable, "yes", "no"),
            ];
            let recheck = SWITCHES.iter().position(|s| *s == context.recheck).unwrap();
            let expected = look_up(case, recheck);
            assert_eq!(
                write_path(&context, &mut pages(user_writable, false)),
                expected,
                "{context:?} {user_writable}"
            );
            cases += 1;
        }
    });
    assert_eq!(cases, 5 * 3 * 96 * 2);
}

#[test]
fn pages_are_looked_at_only_where_that_decides() {
    for_each_facts(|context| {
        let path = |writable, changer| {
            let mut pages = pages(writable, changer);
            (write_path(&context, &mut pages), pages.looks)
        };
        let (path_of_user, looks) = path(true, false);
        let matters = path(false, false).0 != path_of_user;
        assert_eq!(looks[0], u32::from(matters), "{context:?}");
    });
}

/// With `auto`, whatever would go in place with the target's own tuples is copied if its owner is known
/// to change it, and only of such a write it is asked.
#[test]
fn what_is_known_to_change_is_copied_with_auto() {
    for_each_facts(|context| {
        for user_writable in BOTH {
            let (mut stays, mut changes) =
                (pages(user_writable, false), pages(user_writable, true));
            let path = write_path(&context, &mut stays);
            let learned = write_path(&context, &mut changes);
            let in_place = path != WritePath::Copy;
            let asks = context.policy == Policy::Auto && in_place && !context.payload;
            assert_eq!(stays.looks[1], u32::from(asks), "{context:?}");
            let expected = if asks { WritePath::Copy } else { path };
            assert_eq!(learned, expected, "{context:?}");
        }
    });
}

#[test]
fn a_zoned_device_gets_copies_only() {
    for_each_facts(|context| {
        if context.zoned {
            assert_eq!(
                write_path(&context, &mut pages(false, false)),
                WritePath::Copy,
                "{context:?}"
            );
        }
    });
}

#[test]
fn what_is_looked_at_when_it_comes_back() {
    for on_mismatch in [OnMismatch::Repair, OnMismatch::Fail, OnMismatch::Report] {
        for recheck in BOTH {
            let policy = CompletionPolicy {
                on_mismatch,
                recheck,
            };
            assert_eq!(policy.needs_check(Outcome::Ok), recheck);
            assert!(policy.needs_check(Outcome::Protection));
            assert!(!policy.needs_check(OTHER));
            assert!(!policy.needs_check(Outcome::Empty));
        }
    }
}

/// Feeds `in_pieces` with these answers; returns how it ends, and what each piece was told is done.
fn pieces(bytes: u32, answers: &[(Outcome, u32)]) -> (Result<Outcome, ()>, Vec<u32>) {
    let mut answers = answers.iter();
    let mut told = Vec::new();
    let result = in_pieces(bytes, |done| {
        told.push(done);
        answers.next().copied().ok_or(())
    });
    (result, told)
}

#[test]
fn pieces_are_done_one_after_the_other() {
    let ok = |n| (Outcome::Ok, n);
    assert_eq!(pieces(0, &[]), (Ok(Outcome::Ok), vec![]));
    assert_eq!(pieces(8, &[ok(8)]), (Ok(Outcome::Ok), vec![0]));
    assert_eq!(pieces(8, &[ok(3), ok(5)]), (Ok(Outcome::Ok), vec![0, 3]));
    // More than was asked for is enough, however much it is.
    let most = u32::MAX;
    assert_eq!(
        pieces(most, &[ok(9), ok(most)]),
        (Ok(Outcome::Ok), vec![0, 9])
    );
}

#[test]
fn the_first_piece_that_does_not_end_well_ends_it() {
    for outcome in [Outcome::Protection, OTHER] {
        let answers = [(Outcome::Ok, 1), (outcome, 1), (Outcome::Ok, 1)];
        assert_eq!(pieces(3, &answers), (Ok(outcome), vec![0, 1]));
    }
    assert_eq!(pieces(3, &[(Outcome::Ok, 1)]), (Err(()), vec![0, 1]));
}

#[test]
fn a_piece_of_nothing_does_not_go_on_for_ever() {
    let answers = [(Outcome::Ok, 1), (Outcome::Ok, 0), (Outcome::Ok, 2)];
    assert_eq!(pieces(3, &answers), (Ok(Outcome::Empty), vec![0, 1]));
}
