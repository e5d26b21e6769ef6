// SPDX-License-Identifier: GPL-2.0

//! The policy `wait`.

use super::super::settle::Duty;
use super::{Facts, Policy};

/// Sends the data down where it is, and relies on those above to leave it alone.
///
/// They are told to (`BLK_FEAT_STABLE_WRITES`); a write whose data changes all the same fails.
pub(super) struct Wait;

impl Policy for Wait {
    const DUTY: Duty = Duty::Refuse;

    fn copies(_facts: &Facts, _exposed: impl FnOnce() -> bool) -> bool {
        false
    }
}
