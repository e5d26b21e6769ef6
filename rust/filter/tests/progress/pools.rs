// SPDX-License-Identifier: GPL-2.0

//! I/O goes on when nothing is left but the reserves: the order in which an I/O takes what it needs
//! leads to no deadlock, and other orders do.
//!
//! The worst case is assumed throughout: no allocation succeeds but from a reserve, each reserve is
//! as small as it can be, and each queue has one worker, its rescuer. A read waits until no write is
//! in flight at all, which is more than it does, but not more than it may come to.

use crate::checker::{explore, System};

/// What there is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    /// A page for metadata.
    Metadata,
    /// A private bio.
    Bio,
    /// A page for private data.
    Page,
    /// The lock of those that need more than one page.
    Whole,
    /// A worker that looks at what has ended.
    Worker,
    /// A worker that settles writes.
    Repairer,
    /// A worker that reads again.
    Rereader,
    /// Being in flight, as a write that reads may wait for.
    InFlight,
}

use Resource::{Bio, InFlight, Metadata, Page, Repairer, Rereader, Whole, Worker};

/// What an I/O does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It waits for one of these.
    Take(Resource),
    /// It gives one back.
    Give(Resource),
    /// It waits for the device, which answers in any order.
    Device,
    /// It waits until no write is in flight.
    Writes,
    /// It is sent through the mapped device, which takes nothing while it is suspended.
    MappedDevice,
}

use Step::{Device, Give, MappedDevice, Take, Writes};

/// An I/O from its mapping to its end.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    steps: &'static [Step],
}

/// A write whose data goes down where it is, or a read; it ends well at once.
const GOES_WELL: Program = Program {
    name: "goes well",
    steps: &[Take(Metadata), Device, Give(Metadata)],
};

/// The same, but a worker looks at it: a write to be compared, or a read to be verified.
const LOOKED_AT: Program = Program {
    name: "looked at",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Give(Metadata),
        Give(Worker),
    ],
};

/// A read that does not match, and is read again; then it waits for writes and is read once more.
const READ_AGAIN: Program = Program {
    name: "read again",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Rereader),
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Writes,
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(Metadata),
        Give(Rereader),
    ],
};

/// A write that is sent down again, then copied and written in two pieces.
const REPAIRED: Program = Program {
    name: "repaired",
    steps: &[
        Take(Metadata),
        Take(InFlight),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Repairer),
        // Again, in place.
        Take(Bio),
        Device,
        Give(Bio),
        // A piece of the copy.
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        // The other.
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(InFlight),
        Give(Metadata),
        Give(Repairer),
    ],
};

/// A write that is copied from the start. What one page is not enough for is another I/O.
const COPIED: Program = Program {
    name: "copied",
    steps: &[
        Take(Metadata),
        Take(Bio),
        Take(Page),
        Take(InFlight),
        Device,
        Give(Page),
        Give(Bio),
        Give(InFlight),
        Give(Metadata),
    ],
};

/// A write to a zone, which needs two pages at once.
const COPIED_WHOLE: Program = Program {
    name: "copied whole",
    steps: &[
        Take(Metadata),
        Take(Bio),
        Take(Whole),
        Take(Page),
        Take(Page),
        Give(Whole),
        Device,
        Give(Page),
        Give(Page),
        Give(Bio),
        Give(Metadata),
    ],
};

/// An atomic write that changed, which needs two pages at once for its copy.
const REPAIRED_WHOLE: Program = Program {
    name: "repaired whole",
    steps: &[
        Take(Metadata),
        Take(InFlight),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Repairer),
        Take(Bio),
        Take(Whole),
        Take(Page),
        Take(Page),
        Give(Whole),
        Device,
        Give(Page),
        Give(Page),
        Give(Bio),
        Give(InFlight),
        Give(Metadata),
        Give(Repairer),
    ],
};

/// A mapped device under I/O, that is suspended and resumed once and whose policy changes once.
#[derive(Clone)]
struct Target {
    /// What an I/O may be before the policy changes, and after.
    programs: [Vec<Program>; 2],
    ios: u8,
    metadata: usize,
    bios: usize,
    pages: usize,
}

/// A mapped I/O: which program it is, and the next step of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Io {
    policy: usize,
    program: usize,
    step: usize,
}

/// What device mapper does with new I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// It maps it, and is going to be suspended.
    Running,
    /// It holds it back, and waits for what it has mapped.
    Suspending,
    /// It holds it back.
    Suspended,
    /// It maps it.
    Resumed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// I/Os that are still to come.
    left: u8,
    /// In order, since it does not matter which is which.
    ios: Vec<Io>,
    phase: Phase,
    policy: usize,
}

impl Target {
    fn program(&self, io: &Io) -> &Program {
        &self.programs[io.policy][io.program]
    }

    fn capacity(&self, resource: Resource) -> usize {
        match resource {
            Metadata => self.metadata,
            Bio => self.bios,
            Page => self.pages,
            Whole | Worker | Repairer | Rereader => 1,
            InFlight => usize::MAX,
        }
    }

    fn held(&self, state: &State, resource: Resource) -> usize {
        let held = |io: &Io| self.program(io).held(io.step, resource);
        state.ios.iter().map(held).sum()
    }

    fn can_step(&self, state: &State, io: &Io) -> bool {
        match self.program(io).steps[io.step] {
            Take(resource) => self.held(state, resource) < self.capacity(resource),
            MappedDevice => matches!(state.phase, Phase::Running | Phase::Resumed),
            Writes => self.held(state, InFlight) == 0,
            Give(_) | Device => true,
        }
    }

    /// After the next step of the I/O of this index.
    fn step(&self, state: &State, index: usize) -> State {
        let mut next = state.clone();
        next.ios[index].step += 1;
        let io = next.ios[index];
        if io.step == self.program(&io).steps.len() {
            next.ios.remove(index);
        }
        next.ios.sort_unstable();
        next
    }

    /// After an I/O was mapped that is one of these of the policy's.
    fn map(&self, state: &State, program: usize) -> State {
        let mut next = state.clone();
        next.left -= 1;
        next.ios.push(Io {
            policy: state.policy,
            program,
            step: 0,
        });
        next.ios.sort_unstable();
        next
    }
}

impl Program {
    /// How many of a resource it holds before a step.
    fn held(&self, step: usize, resource: Resource) -> usize {
        let done = &self.steps[..step];
        let taken = done.iter().filter(|s| **s == Take(resource)).count();
        let given = done.iter().filter(|s| **s == Give(resource)).count();
        taken - given
    }
}

impl System for Target {
    type State = State;

    fn first(&self) -> State {
        State {
            left: self.ios,
            ios: Vec::new(),
            phase: Phase::Running,
            policy: 0,
        }
    }

    fn next(&self, state: &State) -> Vec<State> {
        let mut next: Vec<State> = (0..state.ios.len())
            .filter(|i| self.can_step(state, &state.ios[*i]))
            .map(|i| self.step(state, i))
            .collect();

        let maps = matches!(state.phase, Phase::Running | Phase::Resumed);
        if maps && state.left > 0 {
            let programs = 0..self.programs[state.policy].len();
            next.extend(programs.map(|program| self.map(state, program)));
        }

        let phase = match state.phase {
            Phase::Running => Some(Phase::Suspending),
            Phase::Suspending => state.ios.is_empty().then_some(Phase::Suspended),
            Phase::Suspended => Some(Phase::Resumed),
            Phase::Resumed => None,
        };
        next.extend(phase.map(|phase| State {
            phase,
            ..state.clone()
        }));

        if state.policy == 0 {
            next.push(State {
                policy: 1,
                ..state.clone()
            });
        }
        next
    }

    fn may_end(&self, state: &State) -> bool {
        state.left == 0 && state.ios.is_empty() && state.phase == Phase::Resumed
    }
}

/// Whether there is a deadlock; says how it comes about.
fn deadlocks(target: &Target) -> bool {
    let way = match explore(target) {
        Ok(states) => {
            println!("no deadlock in {states} states");
            return false;
        }
        Err(way) => way,
    };
    println!("deadlock after {} steps", way.len() - 1);
    for state in way {
        let ios = state.ios.iter().map(|io| {
            let program = target.program(io);
            format!("{}: {:?}", program.name, program.steps[io.step])
        });
        println!(
            "  {:?}: {}",
            state.phase,
            ios.collect::<Vec<_>>().join(", ")
        );
    }
    true
}

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
    vec![GOES_WELL, LOOKED_AT, REPAIRED, READ_AGAIN]
}

#[test]
fn every_program_gives_back_what_it_takes() {
    for program in [
        GOES_WELL,
        LOOKED_AT,
        READ_AGAIN,
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
