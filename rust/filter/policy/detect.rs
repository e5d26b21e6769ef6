// SPDX-License-Identifier: GPL-2.0

//! The policy `detect`.

use super::super::settle::Duty;
use super::{Facts, Policy};

/// Sends the data down where it is, and reports what changes all the same; each write ends as the
/// device ends it.
pub(super) struct Detect;

impl Policy for Detect {
    const DUTY: Duty = Duty::Report;
    const RECHECKS: bool = true;

    fn copies(_facts: &Facts, _exposed: impl FnOnce() -> bool) -> bool {
        false
    }
}
