// SPDX-License-Identifier: GPL-2.0

//! What a target counts.

use super::completion::Event;
use crate::{block, mm};
use kernel::prelude::*;

/// Makes the enumeration, the list of all and the names from one table.
macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A counter, as `dmsetup status` shows it.
        ///
        /// - `writes` is `in_place`, `copied` and `forwarded` together.
        /// - `copied` is all of `copied_<class>` together.
        /// - `unstable` and `blameless` together are `repaired` and `unrepaired` together.
        /// - `reads_verified` includes `false_alarms`, `corrupt` and `reads_unsettled`.
        #[derive(Clone, Copy)]
        pub(super) enum Counter {
            $($(#[$doc])* $variant,)*
        }

        impl Counter {
            /// All of them, in the order of `dmsetup status`.
            pub(super) const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

counters! {
    /// Writes with data: the sum of the next, of copies and of those forwarded.
    Writes = "writes",
    /// Intervals of data in these.
    Intervals = "intervals",
    /// Writes sent down where their data is, with tuples of ours.
    InPlace = "in_place",
    /// Writes sent down as a copy from the start, with tuples of ours.
    Copied = "copied",
    /// Of these, those of memory that the kernel keeps for itself.
    CopiedKernel = "copied_kernel",
    /// Those of page cache whose mapping waits.
    CopiedWaits = "copied_waits",
    /// Those of page cache whose mapping does not wait.
    CopiedCache = "copied_cache",
    /// Those of anonymous memory.
    CopiedAnon = "copied_anon",
    /// Those of pinned memory.
    CopiedPinned = "copied_pinned",
    /// Those of a device's memory.
    CopiedForeign = "copied_foreign",
    /// Of all that were copied, those whose owner has changed its pages before.
    CopiedLearned = "copied_learned",
    /// Writes sent down with tuples that came from above, copied or not.
    Forwarded = "forwarded",
    /// Writes that were compared with their tuples after they had succeeded at once.
    Rechecked = "rechecked",
    /// Times that a write whose data had not changed, or a copy, was sent down again.
    Retried = "retried",
    /// Writes in place whose data was found changed.
    Unstable = "unstable",
    /// Writes in place that were copied in the end without having been found changed.
    Blameless = "blameless",
    /// Writes in place that were copied in the end, and whose copy succeeded.
    Repaired = "repaired",
    /// Writes in place that were found changed, and not copied, or whose copy failed.
    Unrepaired = "unrepaired",
    /// Reads that were compared with their tuples.
    ReadsVerified = "reads_verified",
    /// Of these, those that did not match at first, but did when they were read again: their memory
    /// had changed, or a write to the same sectors was in flight.
    FalseAlarms = "false_alarms",
    /// Those that do not match on the medium.
    Corrupt = "corrupt",
    /// Times that a read waited for the writes in flight to settle.
    ReadsWaited = "reads_waited",
    /// Reads that ended without an answer, since there was another write to the same interval in
    /// flight each time.
    ReadsUnsettled = "reads_unsettled",
}

impl Counter {
    /// The counter of copies of pages of this class.
    pub(super) fn copied(class: mm::Class) -> Self {
        match class {
            mm::Class::Kernel => Self::CopiedKernel,
            mm::Class::Waits => Self::CopiedWaits,
            mm::Class::Cache => Self::CopiedCache,
            mm::Class::Anon => Self::CopiedAnon,
            mm::Class::Pinned => Self::CopiedPinned,
            mm::Class::Foreign => Self::CopiedForeign,
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

    /// Counts what was settled, in any context.
    pub(super) fn count(&self, event: Event) {
        let counter = match event {
            Event::Rechecked => Counter::Rechecked,
            Event::Retried => Counter::Retried,
            Event::Unstable => Counter::Unstable,
            Event::Blameless => Counter::Blameless,
            Event::Repaired => Counter::Repaired,
            Event::Unrepaired => Counter::Unrepaired,
            Event::Verified => Counter::ReadsVerified,
            Event::FalseAlarm => Counter::FalseAlarms,
            Event::Corrupt => Counter::Corrupt,
            Event::Waited => Counter::ReadsWaited,
            Event::Unsettled => Counter::ReadsUnsettled,
        };
        self.add(counter, 1);
    }

    /// The sum of `counter` over all CPUs.
    pub(super) fn sum(&self, counter: Counter) -> u64 {
        match counter {
            // Not kept, so that a write has one counter less to add to.
            Counter::Writes => [Counter::InPlace, Counter::Copied, Counter::Forwarded]
                .into_iter()
                .map(|part| self.sum(part))
                .fold(0, u64::wrapping_add),
            _ => self.0.sum(counter as usize),
        }
    }

    /// Sets all counters to 0. What is counted at the same time may be lost.
    pub(super) fn reset(&self) {
        self.0.reset();
    }
}
