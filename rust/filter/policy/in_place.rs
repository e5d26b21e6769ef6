// SPDX-License-Identifier: GPL-2.0

//! The policies that do not copy: `optimistic` and `wait`.

use super::Policy;
use crate::{
    block::{
        dm::{Io, Mapped, Mapping},
        Destination, //
    },
    filter::{counters::Counter, StablePi, State},
};

/// Sends the data down where it is, and copies it when it turns out to have changed on the way.
///
/// That is for [`repair`](crate::filter::repair) to find out.
pub(super) struct Optimistic;

impl Policy for Optimistic {
    fn map(
        filter: &StablePi,
        mut io: Io<'_, StablePi, Mapping>,
        to: Destination<'_>, //
    ) -> Mapped {
        *io.state() = State::InPlace { sector: to.sector };
        send(filter, io, &to)
    }
}

/// Sends the data down where it is, and relies on those above to leave it alone.
///
/// They are told to (`BLK_FEAT_STABLE_WRITES`); a write whose data changes all the same fails.
pub(super) struct Wait;

impl Policy for Wait {
    fn map(
        filter: &StablePi,
        io: Io<'_, StablePi, Mapping>,
        to: Destination<'_>, //
    ) -> Mapped {
        send(filter, io, &to)
    }
}

fn send(filter: &StablePi, mut io: Io<'_, StablePi, Mapping>, to: &Destination<'_>) -> Mapped {
    if io.generate(to).is_err() {
        return io.kill();
    }
    filter.count_write(Counter::InPlace, io.data_bytes());
    io.remap(to.device, to.sector)
}
