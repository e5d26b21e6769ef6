// SPDX-License-Identifier: GPL-2.0

//! What a target counts.

use crate::block;
use kernel::prelude::*;

/// A counter, as `dmsetup status` shows it.
///
/// `writes` is `in_place` and `copied` together.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    /// Writes with data.
    Writes,
    /// Intervals that tuples were generated for, once for each write.
    Intervals,
    /// Writes sent down where their data is.
    InPlace,
    /// Writes sent down as a copy from the start.
    Copied,
    /// Writes that were compared with their tuples after they had succeeded at once.
    Rechecked,
    /// Times that a write whose data had not changed was sent down again.
    Retried,
    /// Writes in place that were copied in the end, and whose copy succeeded.
    Repaired,
    /// The same, but the copy failed, too.
    Unrepaired,
}

impl Counter {
    /// All of them, in the order of `dmsetup status`.
    pub(super) const ALL: [Self; 8] = [
        Self::Writes,
        Self::Intervals,
        Self::InPlace,
        Self::Copied,
        Self::Rechecked,
        Self::Retried,
        Self::Repaired,
        Self::Unrepaired,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Intervals => "intervals",
            Self::InPlace => "in_place",
            Self::Copied => "copied",
            Self::Rechecked => "rechecked",
            Self::Retried => "retried",
            Self::Repaired => "repaired",
            Self::Unrepaired => "unrepaired",
        }
    }
}

/// The counters of a target, for each CPU.
pub(super) struct Counters(block::Counters<{ Counter::ALL.len() }>);

impl Counters {
    /// Counters that are all 0. Sleeps; fails with `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(block::Counters::new()?))
    }

    /// Adds `n` to `counter`, in any context.
    pub(super) fn add(&self, counter: Counter, n: u64) {
        self.0.add(counter as usize, n);
    }

    /// The sum of `counter` over all CPUs.
    pub(super) fn sum(&self, counter: Counter) -> u64 {
        self.0.sum(counter as usize)
    }
}
