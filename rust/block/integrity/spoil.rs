// SPDX-License-Identifier: GPL-2.0

//! Tuples that are wrong on purpose.

use super::Region;
use crate::{block::Sector, pi};
use core::ops::Range;

/// A field of some tuples that is to be wrong.
#[derive(Clone, Copy)]
pub struct Spoil {
    /// The field.
    pub field: pi::Field,
    /// Whether it is wrong in the tuples that a read brings; otherwise, in those that are generated.
    pub read: bool,
    /// The first sector (of the device below) whose tuple it is.
    pub first: Sector,
    /// The sector behind the last one.
    pub end: Sector,
}

impl Spoil {
    /// The intervals of `region` that have one of the sectors, in the order of its tuples.
    fn intervals(&self, region: &Region<'_>) -> Range<usize> {
        let interval = region.profile.format.interval() as u64 >> 9;
        let after = |sector: Sector| sector.number().saturating_sub(region.sector.number());
        (after(self.first) / interval) as usize..after(self.end).div_ceil(interval) as usize
    }

    /// Makes the tuples in `metadata` wrong that have been generated for `region`.
    pub(super) fn generated(&self, region: &Region<'_>, metadata: &mut [u8]) {
        if self.read {
            return;
        }
        let format = &region.profile.format;
        let intervals = self.intervals(region);
        let slots = metadata.chunks_exact_mut(format.metadata_size());
        for slot in slots.take(intervals.end).skip(intervals.start) {
            if let Some(mut tuple) = pi::Tuple::read(format, slot) {
                tuple.spoil(self.field);
                // What was read can be written.
                let _ = tuple.write(format, slot);
            }
        }
    }

    /// Calls `report` for each tuple in `metadata`, which a read has brought from `region`, that is to
    /// be taken for wrong where `checks` compare it; returns their number. The tuples stay as they are, since they may be compared
    /// more than once.
    pub(super) fn brought(
        &self,
        region: &Region<'_>,
        checks: &pi::Checks,
        metadata: &[u8],
        report: &mut impl FnMut(pi::Mismatch),
    ) -> u64 {
        let compared = match self.field {
            pi::Field::Guard => checks.guard,
            pi::Field::Application => checks.app.is_some(),
            pi::Field::Reference => checks.reference.is_some(),
        };
        if !self.read || !compared {
            return 0;
        }
        let format = &region.profile.format;
        let intervals = self.intervals(region);
        let slots = metadata.chunks_exact(format.metadata_size()).enumerate();
        let mut found = 0;
        for (i, slot) in slots.take(intervals.end).skip(intervals.start) {
            let Some(expected) = pi::Tuple::read(format, slot) else {
                continue;
            };
            if checks.escapes && expected.is_escape(format) {
                continue;
            }
            let mut actual = expected;
            actual.spoil(self.field);
            found += 1;
            report(pi::Mismatch {
                interval: i as u64,
                field: self.field,
                expected,
                actual,
            });
        }
        found
    }
}
