// SPDX-License-Identifier: GPL-2.0

//! Owners that change pages, learned: one, many, and many at once.

use filter::learn::{Record, Slot, Standing, Table, Turn, IDLE, SLOTS};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Default)]
struct Word(AtomicU64);

impl Slot for Word {
    fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.0.compare_exchange(old, new, Relaxed, Relaxed).is_ok()
    }
}

fn table() -> Table<Word> {
    Table::new(std::array::from_fn(|_| Word::default()), Word::default())
}

/// Numbers of owners, all bits of which matter, the same in each run.
fn owner(n: u64) -> u64 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// What becomes of the writes of one owner.
#[derive(Default, Debug, PartialEq)]
struct Tally {
    copied: u64,
    in_place: u64,
    repaired: u64,
    entered: u64,
    left: u64,
}

/// `writes` writes of `owner`, of which `changes` says which would change in place; with `depth`
/// under way at a time.
fn run(
    table: &Table<Word>,
    owner: u64,
    writes: u64,
    depth: usize,
    mut changes: impl FnMut(u64) -> bool,
) -> Tally {
    let mut tally = Tally::default();
    let mut flight = std::collections::VecDeque::new();
    let mut turns = Vec::new();
    for i in 0..writes {
        let changed = changes(i);
        if table.write(owner, 0, |turn| turns.push(turn)) {
            tally.copied += 1;
            flight.push_back(false);
        } else {
            tally.in_place += 1;
            flight.push_back(changed);
        }
        if flight.len() == depth && flight.pop_front() == Some(true) {
            tally.repaired += 1;
            table.changed(owner, 0, |turn| turns.push(turn));
        }
    }
    for turn in turns {
        match turn {
            Turn::Enters(_) => tally.entered += 1,
            Turn::Leaves(_) => tally.left += 1,
        }
    }
    tally
}

#[test]
fn one_that_always_changes_is_copied_after_three_writes() {
    let table = table();
    let tally = run(&table, owner(0), 3, 1, |_| true);
    assert_eq!((tally.repaired, tally.entered), (3, 1));
    assert_eq!(table.copied(0), 1);
    // The pause before a probe doubles up to 1024.
    let tally = run(&table, owner(0), 10_000, 1, |_| true);
    assert_eq!((tally.entered, tally.left), (0, 0));
    assert!(tally.repaired <= 14, "{tally:?}");
}

/// A changed write costs what 16 copies do, so this is within a twentieth of always copying.
#[test]
fn that_costs_little_more_than_to_copy_always_whatever_the_depth() {
    for depth in [1, 2, 16, 64, 128] {
        let tally = run(&table(), owner(1), 20_000, depth, |_| true);
        let wasted = tally.repaired * 16;
        assert!(
            wasted < 20_000 / 20 + 16 * (depth as u64 + 3),
            "{depth}: {tally:?}"
        );
    }
}

#[test]
fn one_that_never_changes_leaves_no_trace() {
    let table = table();
    let tally = run(&table, owner(2), 1000, 8, |_| false);
    assert_eq!(
        tally,
        Tally {
            in_place: 1000,
            ..Tally::default()
        }
    );
    assert!(table.is_empty());
}

#[test]
fn one_that_changes_seldom_goes_in_place() {
    // Each hundredth write.
    let tally = run(&table(), owner(3), 100_000, 1, |i| i % 100 == 0);
    assert_eq!((tally.copied, tally.entered), (0, 0), "{tally:?}");
}

#[test]
fn one_that_changes_every_second_is_copied() {
    let tally = run(&table(), owner(4), 10_000, 1, |i| i % 2 == 0);
    assert!(tally.copied > 9_000, "{tally:?}");
}

#[test]
fn one_that_behaves_again_is_forgotten() {
    let table = table();
    run(&table, owner(5), 3, 1, |_| true);
    let tally = run(&table, owner(5), 1000, 1, |_| false);
    assert_eq!(tally.left, 1);
    // Four probes, each after 64 writes, and then no copies.
    assert!((4 * 63..=5 * 64).contains(&tally.copied), "{tally:?}");
    assert!(table.is_empty());
}

#[test]
fn a_probe_that_has_changed_makes_the_next_one_come_later() {
    let table = table();
    run(&table, owner(6), 3, 1, |_| true);
    run(&table, owner(6), 2000, 1, |_| true);
    let tally = run(&table, owner(6), 1000, 1, |_| false);
    assert_eq!(
        tally.left, 0,
        "1000 writes were enough to forget: {tally:?}"
    );
    let tally = run(&table, owner(6), 5000, 1, |_| false);
    assert_eq!(tally.left, 1);
}

/// With an owner that is copied and fifteen that behave, nothing of theirs is copied.
#[test]
fn no_other_owner_pays() {
    let table = table();
    let mut copied = 0;
    for i in 0..1000 {
        run(&table, owner(100), 4, 1, |_| true);
        for other in 0..15 {
            copied += run(&table, owner(200 + other + 15 * (i % 64)), 4, 1, |_| false).copied;
        }
    }
    assert_eq!(copied, 0);
    assert_eq!(table.copied(0), 1);
}

#[test]
fn an_owner_that_does_not_write_is_forgotten() {
    for other in [false, true] {
        let table = table();
        run(&table, owner(7), 3, 1, |_| true);
        let mut left = Vec::new();
        assert!(table.write(owner(7), IDLE, |turn| left.push(turn)));
        assert_eq!(table.copied(2 * IDLE), 1);
        assert_eq!(table.copied(2 * IDLE + 1), 0);
        if other {
            // Writes of others sweep all slots in the course of time.
            for now in 2 * IDLE + 1..2 * IDLE + 1 + SLOTS as u32 {
                table.write(owner(8), now, |turn| left.push(turn));
            }
        } else {
            assert!(!table.write(owner(7), 2 * IDLE + 1, |turn| left.push(turn)));
        }
        assert!(matches!(left[..], [Turn::Leaves(_)]), "{left:?}");
        assert!(table.is_empty());
    }
}

#[test]
fn more_owners_than_there_is_room_for() {
    let table = table();
    let mut turns = Vec::new();
    for n in 0..10_000 {
        for _ in 0..3 {
            table.changed(owner(n), 0, |turn| turns.push(turn));
        }
    }
    let entered = turns
        .iter()
        .filter(|turn| matches!(turn, Turn::Enters(_)))
        .count();
    assert_eq!(turns.len(), entered, "one that is copied stays");
    assert!((SLOTS / 2..=SLOTS).contains(&entered), "{entered}");
    assert_eq!(table.copied(0), entered);
    // They are idle after a while, and make room.
    for n in 20_000..20_100 {
        for _ in 0..3 {
            table.changed(owner(n), IDLE + 1, |_| {});
        }
    }
    assert!(table.copied(IDLE + 1) > SLOTS / 3);
    table.clear(|_| {});
    assert!(table.is_empty());
}

/// What threads do at the same time may be lost, but the table stays whole: it is empty after all has
/// been forgotten.
#[test]
fn all_at_once() {
    let table = table();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for i in 0..20_000_u64 {
                    let owner = owner(i * (thread + 1) % 150);
                    if i % 3 == 0 {
                        table.changed(owner, (i / 100) as u32, |_| {});
                    } else {
                        table.write(owner, (i / 100) as u32, |_| {});
                    }
                }
            });
        }
    });
    assert!(!table.is_empty());
    table.clear(|_| {});
    assert!(table.is_empty());
    assert_eq!(table.copied(0), 0);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        (1..40_u8).prop_map(|score| Standing::Suspect { score }),
        (0..4_u8, any::<bool>(), 6..=10_u8)
            .prop_flat_map(|(clean, probing, pause)| (
                Just((clean, probing, pause)),
                1..=1_u16 << pause
            ))
            .prop_map(|((clean, probing, pause), left)| Standing::Copied {
                clean,
                probing,
                pause,
                left
            }),
    ]
}

proptest! {
    #[test]
    fn a_record_survives_its_word(tag in 1..1_u32 << 24, standing in standing(), seen in 0..1_u32 << 18) {
        let record = Record { tag, standing, seen };
        prop_assert_ne!(record.pack(), 0);
        prop_assert_eq!(Record::unpack(record.pack()), Some(record));
    }

    /// Whatever an owner does, what is thought of it stays within what a word holds.
    #[test]
    fn standings_stay_within_their_bounds(steps in prop::collection::vec(any::<bool>(), 0..5000)) {
        let mut standing = Some(Standing::NEW);
        for changed in steps {
            let now = match standing {
                None => Standing::NEW,
                Some(standing) => standing,
            };
            standing = if changed { Some(now.changed()) } else { now.write().1 };
            if let Some(standing) = standing {
                let record = Record { tag: 1, standing, seen: 0 };
                prop_assert_eq!(Record::unpack(record.pack()), Some(record));
            }
        }
    }

    /// At least one write in 1024 of an owner that is copied is a probe.
    #[test]
    fn a_probe_comes_in_time(standing in standing()) {
        let mut standing = Some(standing);
        let mut copied = 0;
        while let Some(now) = standing {
            let (copies, next) = now.write();
            if !copies {
                break;
            }
            standing = next;
            copied += 1;
        }
        prop_assert!(copied < 1024);
    }
}
