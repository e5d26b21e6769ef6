// SPDX-License-Identifier: GPL-2.0

//! I/O goes on when nothing is left but the reserves: the order in which an I/O takes what it needs
//! leads to no deadlock, and other orders do.
//!
//! The worst case is assumed throughout: no allocation succeeds but from a reserve, each reserve is
//! as small as it can be, and each queue has one worker, its rescuer. A read waits until no write is
//! in flight at all, which is more than it does, but not more than it may come to.

mod programs;
mod target;

use self::{programs::*, target::*};

/// Reserves of one of each, and I/O that is content with one page.
fn small(programs: [Vec<Program>; 2]) -> Target {
    Target {
        programs,
        ios: 4,
        metadata: 1,
        bios: 1,
        pages: 1,
    }
}

/// Reserves of two of each, and I/O that may need two pages.
fn whole(programs: [Vec<Program>; 2]) -> Target {
    Target {
        programs,
        ios: 4,
        metadata: 2,
        bios: 2,
        pages: 2,
    }
}

fn in_place() -> Vec<Program> {
    vec![GOES_WELL, LOOKED_AT, REPAIRED, READ_AGAIN, REJECTED_BELOW]
}

#[test]
fn every_program_gives_back_what_it_takes() {
    for program in [
        GOES_WELL,
        LOOKED_AT,
        READ_AGAIN,
        REJECTED_BELOW,
        REPAIRED,
        COPIED,
        COPIED_WHOLE,
        REPAIRED_WHOLE,
    ] {
        for resource in [
            Metadata, Bio, Page, Whole, Worker, Repairer, Rereader, InFlight,
        ] {
            let end = program.steps.len();
            assert_eq!(
                program.held(end, resource),
                0,
                "{}: {resource:?}",
                program.name
            );
        }
    }
}

#[test]
fn one_of_each_is_enough() {
    let target = small([in_place(), vec![COPIED, READ_AGAIN, REPAIRED]]);
    assert!(!deadlocks(&target));
}

#[test]
fn those_that_stay_whole_get_their_pages() {
    let atomic = vec![LOOKED_AT, REPAIRED_WHOLE, COPIED];
    let target = whole([vec![COPIED, COPIED_WHOLE], atomic]);
    assert!(!deadlocks(&target));
}

#[test]
fn a_page_before_its_bio_deadlocks() {
    let hasty = Program {
        name: "page first",
        steps: &[
            Take(Metadata),
            Take(Page),
            Take(Bio),
            Device,
            Give(Page),
            Give(Bio),
            Give(Metadata),
        ],
    };
    let target = |programs| Target {
        metadata: 2,
        ..small([programs, in_place()])
    };
    assert!(deadlocks(&target(vec![COPIED, hasty])));
    // It is the difference that does it.
    assert!(!deadlocks(&target(vec![COPIED])));
}

#[test]
fn whole_writes_without_the_lock_deadlock() {
    let unlocked = Program {
        name: "without the lock",
        steps: &[
            Take(Metadata),
            Take(Bio),
            Take(Page),
            Take(Page),
            Device,
            Give(Page),
            Give(Page),
            Give(Bio),
            Give(Metadata),
        ],
    };
    assert!(deadlocks(&whole([vec![unlocked], vec![COPIED]])));
    assert!(!deadlocks(&whole([vec![COPIED_WHOLE], vec![COPIED]])));
}

#[test]
fn a_worker_that_waits_for_metadata_deadlocks() {
    let late = Program {
        name: "metadata late",
        steps: &[
            Device,
            Take(Worker),
            Take(Metadata),
            Give(Metadata),
            Give(Worker),
        ],
    };
    assert!(deadlocks(&small([vec![LOOKED_AT, late], vec![COPIED]])));
    assert!(!deadlocks(&small([vec![LOOKED_AT], vec![COPIED]])));
}

#[test]
fn a_read_that_makes_room_for_metadata_when_it_is_read_again_deadlocks() {
    let late = Program {
        name: "room when read again",
        steps: &[
            Device,
            Take(Rereader),
            Take(Metadata),
            Take(Bio),
            Take(Page),
            Device,
            Give(Page),
            Give(Bio),
            Give(Metadata),
            Give(Rereader),
        ],
    };
    let target = |program| small([vec![program, READ_AGAIN], vec![COPIED]]);
    assert!(deadlocks(&target(late)));
    assert!(!deadlocks(&target(REJECTED_BELOW)));
}

#[test]
fn a_copy_that_keeps_the_bio_of_the_retry_deadlocks() {
    let greedy = Program {
        name: "two bios",
        steps: &[
            Take(Metadata),
            Device,
            Take(Worker),
            Take(Bio),
            Device,
            Take(Bio),
            Take(Page),
            Device,
            Give(Page),
            Give(Bio),
            Give(Bio),
            Give(Metadata),
            Give(Worker),
        ],
    };
    assert!(deadlocks(&small([vec![greedy], vec![COPIED]])));
}

#[test]
fn a_submitter_that_takes_two_pieces_before_one_goes_down_deadlocks() {
    // What a map function sends down goes only after it has returned.
    let both = Program {
        name: "two pieces",
        steps: &[
            Take(Metadata),
            Take(Bio),
            Take(Page),
            Take(Metadata),
            Take(Bio),
            Take(Page),
            Device,
            Give(Page),
            Give(Page),
            Give(Bio),
            Give(Bio),
            Give(Metadata),
            Give(Metadata),
        ],
    };
    let target = |program| Target {
        metadata: 2,
        bios: 2,
        pages: 2,
        ..small([vec![program], vec![COPIED]])
    };
    assert!(deadlocks(&target(both)));
    assert!(!deadlocks(&target(COPIED)));
}

#[test]
fn a_repair_through_the_mapped_device_is_held_back_by_a_suspend() {
    let through = Program {
        name: "through the mapped device",
        steps: &[
            Take(Metadata),
            Device,
            Take(Worker),
            Take(Bio),
            Take(Page),
            MappedDevice,
            Give(Page),
            Give(Bio),
            Give(Metadata),
            Give(Worker),
        ],
    };
    assert!(deadlocks(&small([vec![through], vec![COPIED]])));
}

/// What reads again wrongly, beside writes that are repaired or copied.
fn beside_writes(program: Program) -> Target {
    Target {
        ios: 3,
        metadata: 2,
        ..small([vec![program, REPAIRED], vec![COPIED]])
    }
}

#[test]
fn a_read_that_waits_for_writes_in_their_worker_deadlocks() {
    let blocking = Program {
        name: "in the worker for writes",
        steps: &[
            Take(Metadata),
            Device,
            Take(Repairer),
            Writes,
            Give(Metadata),
            Give(Repairer),
        ],
    };
    assert!(deadlocks(&beside_writes(blocking)));
    assert!(!deadlocks(&beside_writes(READ_AGAIN)));
}

#[test]
fn a_read_that_keeps_its_bio_while_it_waits_for_writes_deadlocks() {
    let keeping = Program {
        name: "keeps its bio",
        steps: &[
            Take(Metadata),
            Device,
            Take(Rereader),
            Take(Bio),
            Device,
            Writes,
            Give(Bio),
            Give(Metadata),
            Give(Rereader),
        ],
    };
    assert!(deadlocks(&beside_writes(keeping)));
}

#[test]
fn a_write_that_is_in_flight_before_it_has_metadata_deadlocks() {
    let early = Program {
        name: "in flight early",
        steps: &[
            Take(InFlight),
            Take(Metadata),
            Device,
            Give(InFlight),
            Give(Metadata),
        ],
    };
    let target = |program| Target {
        ios: 3,
        ..small([vec![program, READ_AGAIN], vec![COPIED]])
    };
    assert!(deadlocks(&target(early)));
    assert!(!deadlocks(&target(COPIED)));
}
