// SPDX-License-Identifier: GPL-2.0

//! How a write is kept stable.

mod copy;
mod in_place;

use self::{
    copy::Copy,
    in_place::{Optimistic, Wait}, //
};
use super::{
    args,
    counters::Counter,
    StablePi, //
};
use crate::block::{
    dm::{Io, Mapped, Mapping},
    Destination, //
};

/// A way to keep writes stable.
trait Policy {
    /// Sends a write with data, without a payload, to its destination.
    ///
    /// In the submitter's context; may sleep.
    fn map(
        filter: &StablePi,
        io: Io<'_, StablePi, Mapping>,
        to: Destination<'_>, //
    ) -> Mapped;
}

/// Sends a write to its destination in the way of the table line.
pub(super) fn map(filter: &StablePi, io: Io<'_, StablePi, Mapping>, to: Destination<'_>) -> Mapped {
    match filter.args.policy {
        args::Policy::Optimistic => Optimistic::map(filter, io, to),
        args::Policy::Copy => Copy::map(filter, io, to),
        args::Policy::Wait => Wait::map(filter, io, to),
    }
}

impl StablePi {
    /// Counts a write of `bytes` bytes that goes down in the way that `how` says.
    fn count_write(&self, how: Counter, bytes: u32) {
        self.counters.add(Counter::Writes, 1);
        self.counters.add(how, 1);
        let exp = self.profile.format.interval_exp();
        self.counters
            .add(Counter::Intervals, u64::from(bytes >> exp));
    }
}
