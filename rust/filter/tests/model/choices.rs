// SPDX-License-Identifier: GPL-2.0

//! All behaviours of something that chooses, one after the other.
//!
//! What is checked is the very code that the module runs, and that calls the model instead of being
//! a state machine of its own. So a behaviour is run from its start, with the choices of the one
//! before but for the last that had an alternative left: a depth-first search in which a path is
//! the list of its choices. Checkers of state graphs would check a translation of the code, and
//! those that schedule threads have nothing to schedule here: the data can change only where it
//! is read, and that is where the model chooses.

use std::cell::{Cell, RefCell};

/// The choices of a behaviour: those of the path first, then always the first alternative.
#[derive(Default)]
pub struct Choices {
    path: RefCell<Vec<Choice>>,
    next: Cell<usize>,
}

struct Choice {
    taken: u8,
    of: u8,
}

impl Choices {
    /// A number below `of`.
    pub fn below(&self, of: u8) -> u8 {
        let mut path = self.path.borrow_mut();
        let next = self.next.replace(self.next.get() + 1);
        if next == path.len() {
            path.push(Choice { taken: 0, of });
        }
        assert_eq!(path[next].of, of, "a behaviour depends on its choices only");
        path[next].taken
    }

    /// Yes or no.
    pub fn flip(&self) -> bool {
        self.below(2) == 1
    }

    /// Goes on to the next path, if there is one.
    fn advance(&mut self) -> bool {
        self.next.set(0);
        let path = self.path.get_mut();
        while let Some(last) = path.last_mut() {
            last.taken += 1;
            if last.taken < last.of {
                return true;
            }
            path.pop();
        }
        false
    }
}

/// Calls `behaviour` with every sequence of choices. Returns how many there are.
pub fn for_each(mut behaviour: impl FnMut(&Choices)) -> u64 {
    let mut choices = Choices::default();
    let mut count = 0;
    loop {
        behaviour(&choices);
        count += 1;
        if !choices.advance() {
            return count;
        }
    }
}

#[test]
fn every_sequence_comes_once() {
    let mut seen = Vec::new();
    let count = for_each(|choices| {
        let mut path = vec![choices.below(3)];
        if path[0] == 1 {
            path.push(choices.below(2));
        }
        seen.push(path);
    });
    assert_eq!(count, 4);
    assert_eq!(seen, [vec![0], vec![1, 0], vec![1, 1], vec![2]]);
}
