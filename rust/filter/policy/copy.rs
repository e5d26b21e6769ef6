// SPDX-License-Identifier: GPL-2.0

//! The policy `copy`.

use super::super::settle::Duty;
use super::{Facts, Policy};

/// Copies the data of every write, and generates from the copy in the same pass.
///
/// Nobody else can reach the copy, so its tuples match whatever happens.
pub(super) struct Copy;

impl Policy for Copy {
    const DUTY: Duty = Duty::Repair;

    fn copies(_facts: &Facts, _exposed: impl FnOnce() -> bool) -> bool {
        true
    }
}
