// SPDX-License-Identifier: GPL-2.0

//! The policy `optimistic`.

use super::super::settle::Duty;
use super::{Facts, Policy};

/// Sends the data down where it is, and copies it when it turns out to have changed on the way.
///
/// Over what is not trusted no table has this policy; should that change below, it does as
/// [`Auto`](super::auto::Auto).
pub(super) struct Optimistic;

impl Policy for Optimistic {
    const DUTY: Duty = Duty::Repair;

    fn copies(facts: &Facts, exposed: impl FnOnce() -> bool) -> bool {
        !facts.trusted() && exposed()
    }
}
