// SPDX-License-Identifier: GPL-2.0

//! What can be done with the metadata of an I/O that has ended, without waiting for anything.

use super::Target;
use crate::{
    block::{
        dm::{Completing, Deferred, Io, Looking},
        integrity::{pool::AllocMode, Payload, Region},
        Status, //
    },
    mm,
    pi, //
};

/// What is no longer what its metadata was made from.
pub struct Change {
    /// The first interval, counted from the start of the I/O.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many there are.
    pub intervals: u64,
    /// Whose page it is.
    pub owner: mm::Owner,
}

impl<T: Target> Io<'_, T, Completing> {
    /// Whether the I/O may have failed only because the device was suspended, or had no patience
    /// with it.
    pub fn was_hasty(&self) -> bool {
        self.data_ref().metadata.hasty
    }
}

impl<T: Target, P: Deferred> Io<'_, T, P> {
    /// What of the data, as it is now, differs from the guards of `payload` or, without one, of the
    /// metadata that went with it last. Does not wait: there is metadata already.
    pub fn change(
        &mut self,
        to: &Region<'_>,
        payload: Option<&Payload>,
    ) -> Result<Option<Change>, Status> {
        self.detach();
        let checks = pi::Checks {
            // What came from above may ask not to be looked at.
            escapes: payload.is_some(),
            ..pi::Checks::guard_only()
        };
        let mut range = None;
        let intervals = self.check(
            to,
            payload,
            Some(checks),
            AllocMode::Partial,
            &mut |mismatch| {
                let (_, last) = range.get_or_insert((mismatch.interval, mismatch.interval));
                *last = mismatch.interval;
            },
        )?;
        Ok(range.map(|(first, last)| {
            let exp = to.profile.format.interval_exp();
            Change {
                first,
                last,
                intervals,
                owner: self.owner((first as u32) << exp, 1 << exp),
            }
        }))
    }
}

impl<T: Target> Io<'_, T, Looking> {
    /// Compares the data, as it is now, with the tuples that were read with it, for `payload` or,
    /// without one, for ourselves. Returns the number of intervals that do not match. Does not wait:
    /// there is metadata already.
    pub fn verify(&mut self, from: &Region<'_>, payload: Option<&Payload>) -> Result<u64, Status> {
        self.detach();
        let from = payload.map_or(*from, |payload| from.with(payload));
        self.check(&from, payload, None, AllocMode::Partial, &mut |_| ())
    }
}
