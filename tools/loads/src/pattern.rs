// SPDX-License-Identifier: GPL-2.0

//! Contents that tell which write they belong to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::random::mix;

/// The content of the block at a byte offset, as one write of it, the
/// `generation`th, leaves it.
///
/// No two words of it are alike, so that a block that is mixed from two
/// generations, or belongs to another offset, never passes for a whole one.
#[derive(Clone, Copy)]
pub struct Pattern {
    key: u64,
}

impl Pattern {
    /// The pattern of a write.
    pub fn new(seed: u64, offset: u64, generation: u32) -> Self {
        let key = mix(mix(mix(seed) ^ offset) ^ u64::from(generation));
        Self { key }
    }

    /// Fills a block.
    pub fn fill(&self, block: &[AtomicU64]) {
        for (index, word) in block.iter().enumerate() {
            word.store(self.word(index), Relaxed);
        }
    }

    /// Whether a block holds this and nothing else.
    pub fn matches(&self, block: &[AtomicU64]) -> bool {
        self.matches_except(block, None)
    }

    /// The same, whatever one of the words holds.
    pub fn matches_except(&self, block: &[AtomicU64], skip: Option<usize>) -> bool {
        let mut words = block.iter().enumerate();
        words.all(|(index, word)| skip == Some(index) || word.load(Relaxed) == self.word(index))
    }

    fn word(&self, index: usize) -> u64 {
        // Multiplying by an odd number keeps different indices different.
        self.key ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(pattern: Pattern) -> Vec<AtomicU64> {
        let block: Vec<_> = (0..64).map(|_| AtomicU64::new(0)).collect();
        pattern.fill(&block);
        block
    }

    #[test]
    fn a_block_matches_only_its_own_write() {
        let held = block(Pattern::new(1, 4096, 3));
        assert!(Pattern::new(1, 4096, 3).matches(&held));
        assert!(!Pattern::new(2, 4096, 3).matches(&held));
        assert!(!Pattern::new(1, 8192, 3).matches(&held));
        assert!(!Pattern::new(1, 4096, 2).matches(&held));
    }

    #[test]
    fn one_changed_bit_is_found() {
        let held = block(Pattern::new(1, 0, 1));
        held[63].fetch_xor(1 << 63, Relaxed);
        assert!(!Pattern::new(1, 0, 1).matches(&held));
    }

    #[test]
    fn no_two_words_are_alike() {
        let mut words: Vec<_> = (0..4096).map(|i| Pattern { key: 5 }.word(i)).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 4096);
    }
}
