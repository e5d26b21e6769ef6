// SPDX-License-Identifier: GPL-2.0

//! The policy `auto`.

use super::super::settle::Duty;
use super::{Facts, Policy};

/// In place wherever that is safe, a copy where it is not.
///
/// A device that checks the guard itself rejects a changed write; that is as good as stable where
/// the rejection reaches us alone. Something in between, such as an array, may act on it. Where nothing checks, a crash
/// between a torn write and its repair would leave a sector behind that no longer reads: what user
/// space can change is copied there.
pub(super) struct Auto;

impl Policy for Auto {
    const DUTY: Duty = Duty::Repair;

    fn copies(facts: &Facts, exposed: impl FnOnce() -> bool) -> bool {
        !facts.rejected() && exposed()
    }
}
