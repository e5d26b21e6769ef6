// SPDX-License-Identifier: GPL-2.0

//! The model: a mapped device, its reserves and its queues, under I/O.

use crate::checker::{explore, System};

/// What there is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
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

pub(super) use Resource::{Bio, InFlight, Metadata, Page, Repairer, Rereader, Whole, Worker};

/// What an I/O does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
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

pub(super) use Step::{Device, Give, MappedDevice, Take, Writes};

/// An I/O from its mapping to its end.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) steps: &'static [Step],
}

/// A mapped device under I/O, that is suspended and resumed once and whose policy changes once.
#[derive(Clone)]
pub(super) struct Target {
    /// What an I/O may be before the policy changes, and after.
    pub(super) programs: [Vec<Program>; 2],
    pub(super) ios: u8,
    pub(super) metadata: usize,
    pub(super) bios: usize,
    pub(super) pages: usize,
}

/// A mapped I/O: which program it is, and the next step of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Io {
    policy: usize,
    program: usize,
    step: usize,
}

/// What device mapper does with new I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
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
pub(super) struct State {
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
    pub(super) fn held(&self, step: usize, resource: Resource) -> usize {
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
pub(super) fn deadlocks(target: &Target) -> bool {
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
