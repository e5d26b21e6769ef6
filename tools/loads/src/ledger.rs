// SPDX-License-Identifier: GPL-2.0

//! What each block must hold, by what became of the writes to it.

/// What is known about one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was written to it by this run.
    Untouched,
    /// The last write to it succeeded, and was of this generation.
    Holds(u32),
    /// The last write to it failed or was short: it may hold anything.
    Unknown,
}

/// The blocks of one region. There is never more than one write to a block in
/// flight, so the last write is always known.
pub struct Ledger {
    states: Vec<State>,
    generation: u32,
}

impl Ledger {
    /// A ledger of so many blocks.
    pub fn new(blocks: u64) -> Self {
        Self {
            states: vec![State::Untouched; blocks as usize],
            generation: 0,
        }
    }

    /// The generation of the next write.
    pub fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// Notes the end of a write.
    pub fn completed(&mut self, block: u64, generation: u32, whole: bool) {
        self.states[block as usize] = if whole {
            State::Holds(generation)
        } else {
            State::Unknown
        };
    }

    /// The blocks whose content is known, with the generation they must hold.
    pub fn known(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let states = self.states.iter().zip(0u64..);
        states.filter_map(|(state, block)| match state {
            State::Holds(generation) => Some((block, *generation)),
            State::Untouched | State::Unknown => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_write_counts() {
        let mut ledger = Ledger::new(4);
        for (block, whole) in [(0, true), (1, true), (2, false), (1, false), (2, true)] {
            let generation = ledger.next_generation();
            ledger.completed(block, generation, whole);
        }
        assert_eq!(ledger.known().collect::<Vec<_>>(), [(0, 1), (2, 5)]);
    }
}
