// SPDX-License-Identifier: GPL-2.0

//! Which buffers the mutator changes, where it leaves the others alone.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Acquire, Ordering::Relaxed};
use std::sync::atomic::{AtomicU64, Ordering::Release};
use std::sync::OnceLock;
use std::thread::{self, Thread};

use crate::random::Random;

/// Stores into a buffer between two looks at whether it is still to be changed.
const STORES: u64 = 16;

const ALONE: u8 = 0;
const CHOSEN: u8 = 1;
const CHANGING: u8 = 2;

/// The slots whose buffers are changed, by one mutator.
pub struct Chosen {
    slots: Vec<AtomicU8>,
    mutator: OnceLock<Thread>,
}

impl Chosen {
    /// None of so many slots.
    pub fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| AtomicU8::new(ALONE)).collect(),
            mutator: OnceLock::new(),
        }
    }

    /// The buffer of this slot is changed from now on.
    pub fn insert(&self, slot: usize) {
        self.slots[slot].store(CHOSEN, Release);
        self.wake();
    }

    /// The buffer of this slot is not changed any more when this returns.
    pub fn remove(&self, slot: usize) {
        let slot = &self.slots[slot];
        while slot
            .compare_exchange(CHOSEN, ALONE, Acquire, Acquire)
            .is_err_and(|state| state == CHANGING)
        {
            thread::yield_now();
        }
    }

    /// Has the mutator look again.
    pub fn wake(&self) {
        if let Some(mutator) = self.mutator.get() {
            mutator.unpark();
        }
    }

    /// The calling thread is the mutator, from before the first slot is chosen.
    pub fn attach(&self) {
        let first = self.mutator.set(thread::current()).is_ok();
        assert!(first, "there is one mutator");
    }

    /// Stores random words into the buffers of chosen slots until told to stop; it sleeps
    /// while there is none. All buffers are of the same size. Returns the number of stores.
    pub fn mutate(&self, words: &[AtomicU64], random: &mut Random, stop: &AtomicBool) -> u64 {
        let mut stores = 0;
        while !stop.load(Acquire) {
            let before = stores;
            for (slot, buffer) in words.chunks(words.len() / self.slots.len()).enumerate() {
                stores += self.change(slot, buffer, random);
            }
            if stores == before {
                thread::park();
            }
        }
        stores
    }

    fn change(&self, slot: usize, buffer: &[AtomicU64], random: &mut Random) -> u64 {
        let Some(state) = self.slots.get(slot) else {
            return 0;
        };
        if state
            .compare_exchange(CHOSEN, CHANGING, Acquire, Relaxed)
            .is_err()
        {
            return 0;
        }
        for _ in 0..STORES {
            let word = random.below(buffer.len() as u64) as usize;
            buffer[word].store(random.next(), Relaxed);
        }
        state.store(CHOSEN, Release);
        STORES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeroes() -> Vec<AtomicU64> {
        (0..64).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn only_chosen_buffers_change() {
        let (chosen, words) = (Chosen::new(4), zeroes());
        let mut random = Random::new(1, 1);
        chosen.insert(2);
        for (slot, buffer) in words.chunks(16).enumerate() {
            let stores = chosen.change(slot, buffer, &mut random);
            assert_eq!(stores, if slot == 2 { STORES } else { 0 });
        }
        chosen.remove(2);
        assert_eq!(chosen.change(2, &words[32..48], &mut random), 0);
        let changed = words.iter().map(|word| word.load(Relaxed) != 0);
        assert!(changed.enumerate().all(|(at, is)| !is || at / 16 == 2));
    }

    #[test]
    fn the_mutator_sleeps_and_is_woken() {
        let (chosen, words, stop) = (Chosen::new(4), zeroes(), AtomicBool::new(false));
        thread::scope(|scope| {
            let mutator = scope.spawn(|| {
                chosen.attach();
                chosen.mutate(&words, &mut Random::new(1, 1), &stop)
            });
            chosen.insert(1);
            chosen.wake();
            while words[16..32].iter().all(|word| word.load(Relaxed) == 0) {
                chosen.wake();
                thread::yield_now();
            }
            chosen.remove(1);
            stop.store(true, Release);
            while !mutator.is_finished() {
                chosen.wake();
            }
            assert!(mutator.join().unwrap() >= STORES);
        });
    }
}
