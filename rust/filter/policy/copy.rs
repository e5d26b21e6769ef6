// SPDX-License-Identifier: GPL-2.0

//! The policy `copy`.

use super::Policy;
use crate::{
    block::{
        dm::{Io, Mapped, Mapping},
        trace,
        Destination, //
    },
    filter::{counters::Counter, StablePi},
};

/// Copies the data of every write, and generates from the copy in the same pass.
///
/// Nobody else can reach the copy, so its tuples match whatever happens.
pub(super) struct Copy;

impl Policy for Copy {
    fn map(
        filter: &StablePi,
        mut io: Io<'_, StablePi, Mapping>,
        to: Destination<'_>, //
    ) -> Mapped {
        let Ok(copy) = io.copy_and_generate(&to) else {
            return io.kill();
        };
        filter.count_write(Counter::Copied, copy.bytes());
        trace::copy(&to, copy.bytes(), false);
        io.submit_copy(copy)
    }
}
