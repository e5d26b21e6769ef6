// SPDX-License-Identifier: GPL-2.0

//! All states that a system can reach, breadth first.
//!
//! Who waits for what is a question about states, of which few differ however many ways lead to
//! them. A checker that runs threads goes all these ways; here a state that was seen before is not
//! gone on from again, and a counterexample is as short as it can be.

use std::{
    collections::{hash_map::Entry, HashMap, VecDeque},
    fmt::Debug,
    hash::Hash,
};

/// Something that goes from state to state.
pub trait System {
    /// What tells one moment from another.
    type State: Clone + Debug + Eq + Hash;

    /// Where it begins.
    fn first(&self) -> Self::State;

    /// Every state that can come right after `state`.
    fn next(&self, state: &Self::State) -> Vec<Self::State>;

    /// Whether it may stay in `state` for good.
    fn may_end(&self, state: &Self::State) -> bool;
}

/// Visits every state. Returns how many there are or, where one is reached that cannot be left and
/// is no end, the shortest way there.
pub fn explore<S: System>(system: &S) -> Result<usize, Vec<S::State>> {
    let first = system.first();
    let mut before = HashMap::from([(first.clone(), None)]);
    let mut queue = VecDeque::from([first]);
    while let Some(state) = queue.pop_front() {
        let next = system.next(&state);
        if next.is_empty() && !system.may_end(&state) {
            let way = std::iter::successors(Some(state), |state| before[state].clone());
            let mut way: Vec<_> = way.collect();
            way.reverse();
            return Err(way);
        }
        for next in next {
            if let Entry::Vacant(entry) = before.entry(next.clone()) {
                entry.insert(Some(state.clone()));
                queue.push_back(next);
            }
        }
    }
    Ok(before.len())
}

#[test]
fn a_dead_end_is_found_on_the_shortest_way() {
    /// Counts up by one or two; stays at the end, or where a trap is.
    struct Stairs {
        trap: Option<u32>,
    }
    impl System for Stairs {
        type State = u32;

        fn first(&self) -> u32 {
            0
        }

        fn next(&self, state: &u32) -> Vec<u32> {
            match Some(*state) == self.trap {
                true => vec![],
                false => (state + 1..=10.min(state + 2)).collect(),
            }
        }

        fn may_end(&self, state: &u32) -> bool {
            *state == 10
        }
    }
    assert_eq!(explore(&Stairs { trap: None }), Ok(11));
    assert_eq!(explore(&Stairs { trap: Some(4) }), Err(vec![0, 2, 4]));
}
