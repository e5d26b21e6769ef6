// SPDX-License-Identifier: GPL-2.0

//! A read that finds an interval wrong knows whether a write is the reason: in every order of the
//! steps of `rust/block/integrity/writes.rs`, and in other orders it does not.
//!
//! Sleepable RCU is taken for what it promises: who waits for it waits for those that have entered
//! before, and those that enter later see what was done before.

use crate::checker::{explore, System};

/// What a write does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// It enters.
    Enter,
    /// It looks whether its sectors are watched, and says so if they are.
    See,
    /// It is stored, torn.
    Tear,
    /// It is repaired.
    Repair,
    /// It leaves.
    Leave,
}

/// What the read does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// It begins to watch.
    Watch,
    /// It takes down which writes have entered.
    Begin,
    /// It waits until those have left.
    Wait,
    /// It reads the interval.
    Fetch,
    /// It judges it, and would report it where it is wrong and no write came.
    Judge,
}

/// The order of the steps.
struct Protocol {
    write: &'static [Write],
    read: &'static [Read],
}

/// Writes to the interval.
const WRITES: usize = 3;

const RIGHT: Protocol = Protocol {
    write: &[
        Write::Enter,
        Write::See,
        Write::Tear,
        Write::Repair,
        Write::Leave,
    ],
    read: &[
        Read::Watch,
        Read::Begin,
        Read::Wait,
        Read::Fetch,
        Read::Judge,
    ],
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    /// The steps that each write has done.
    writes: [usize; WRITES],
    read: usize,
    watched: bool,
    disturbed: bool,
    /// Which writes the read waits for.
    waits_for: [bool; WRITES],
    /// Whether what the medium holds is torn.
    torn: bool,
    /// Whether what was read was.
    read_torn: bool,
    /// The read has called a good medium corrupt.
    false_report: bool,
}

impl Protocol {
    fn has_done(&self, state: &State, write: usize, step: Write) -> bool {
        self.write[..state.writes[write]].contains(&step)
    }

    fn write(&self, state: &State, write: usize) -> Option<State> {
        let step = *self.write.get(state.writes[write])?;
        let mut next = state.clone();
        next.writes[write] += 1;
        match step {
            Write::Enter | Write::Leave => {}
            Write::See => next.disturbed |= state.watched,
            Write::Tear => next.torn = true,
            Write::Repair => next.torn = false,
        }
        Some(next)
    }

    fn read(&self, state: &State) -> Option<State> {
        let step = *self.read.get(state.read)?;
        let mut next = state.clone();
        next.read += 1;
        match step {
            Read::Watch => next.watched = true,
            Read::Begin => {
                for write in 0..WRITES {
                    next.waits_for[write] = self.has_done(state, write, Write::Enter);
                }
            }
            Read::Wait => {
                let left = |write| self.has_done(state, write, Write::Leave);
                if (0..WRITES).any(|write| state.waits_for[write] && !left(write)) {
                    return None;
                }
            }
            Read::Fetch => next.read_torn = state.torn,
            Read::Judge => next.false_report = state.read_torn && !state.disturbed,
        }
        Some(next)
    }
}

impl System for Protocol {
    type State = State;

    fn first(&self) -> State {
        State::default()
    }

    fn next(&self, state: &State) -> Vec<State> {
        // It does not go on from where it is wrong, and is found there.
        if state.false_report {
            return Vec::new();
        }
        let writes = (0..WRITES).filter_map(|write| self.write(state, write));
        writes.chain(self.read(state)).collect()
    }

    fn may_end(&self, state: &State) -> bool {
        !state.false_report && state.read == self.read.len()
    }
}

/// Whether a read calls something corrupt that is not, or does not end; says how that comes about.
fn fails(protocol: &Protocol) -> bool {
    match explore(protocol) {
        Ok(states) => {
            println!("right in {states} states");
            false
        }
        Err(way) => {
            println!("wrong after {} steps: {:#?}", way.len() - 1, way.last());
            true
        }
    }
}

#[test]
fn a_write_that_is_the_reason_is_waited_for_or_seen() {
    assert!(!fails(&RIGHT));
}

#[test]
fn a_read_that_does_not_wait_is_wrong() {
    let hasty = &[Read::Watch, Read::Fetch, Read::Judge];
    assert!(fails(&Protocol {
        read: hasty,
        ..RIGHT
    }));
}

#[test]
fn a_read_that_does_not_watch_is_wrong() {
    let blind = &[Read::Begin, Read::Wait, Read::Fetch, Read::Judge];
    assert!(fails(&Protocol {
        read: blind,
        ..RIGHT
    }));
}

#[test]
fn a_read_that_watches_only_when_it_has_waited_is_wrong() {
    let late = &[
        Read::Begin,
        Read::Wait,
        Read::Watch,
        Read::Fetch,
        Read::Judge,
    ];
    assert!(fails(&Protocol {
        read: late,
        ..RIGHT
    }));
}

#[test]
fn a_write_that_looks_before_it_enters_is_wrong() {
    let early = &[
        Write::See,
        Write::Enter,
        Write::Tear,
        Write::Repair,
        Write::Leave,
    ];
    assert!(fails(&Protocol {
        write: early,
        ..RIGHT
    }));
}

#[test]
fn a_write_that_leaves_before_its_repair_is_wrong() {
    let early = &[
        Write::Enter,
        Write::See,
        Write::Tear,
        Write::Leave,
        Write::Repair,
    ];
    assert!(fails(&Protocol {
        write: early,
        ..RIGHT
    }));
}
