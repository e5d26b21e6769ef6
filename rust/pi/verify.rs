// SPDX-License-Identifier: GPL-2.0

//! Comparing data with tuples that are there already.

use core::{cmp::min, slice::ChunksExact};

use super::{
    data::{each, Data},
    error::{
        Incomplete,
        Overrun,
        SetupError, //
    },
    format::{Checksum, Format},
    guard::Guard,
    intervals::{Intervals, AT_ONCE},
    tuple::{
        Field,
        Tuple, //
    },
};

/// What a [`Verifier`] compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checks {
    /// Compare the guard tag with the data; without it the data is counted, but not read.
    pub guard: bool,
    /// Compare the application tag of every interval with this one.
    pub app: Option<u16>,
    /// Compare the reference tag of the first interval with this one, of the next with one more,
    /// and so on, in the bits that the format has room for.
    ///
    /// Ignored where the format has no reference tag.
    pub reference: Option<u64>,
    /// Skip the intervals whose tuples ask for that (see [`Tuple::is_escape`]).
    pub escapes: bool,
}

impl Checks {
    /// What the block layer compares after a read: reference tag and guard, but for escapes.
    ///
    /// `reference` is the seed of the integrity payload.
    pub const fn block_layer(reference: u64) -> Self {
        Self {
            guard: true,
            app: None,
            reference: Some(reference),
            escapes: true,
        }
    }

    /// Whether tuples that were generated from this data still match it: the guard, and nothing is
    /// skipped.
    ///
    /// Reference tags cannot be compared once the tuples have been submitted:
    /// `blk_integrity_prepare()` replaces them by the device's, and nothing puts them back after a
    /// write.
    pub const fn guard_only() -> Self {
        Self {
            guard: true,
            app: None,
            reference: None,
            escapes: false,
        }
    }
}

/// An interval whose tuple is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mismatch {
    /// The index of the interval, from 0 for the first that was pushed.
    pub interval: u64,
    /// The first field that differs, in the order in which the block layer compares: reference tag,
    /// guard tag; then application tag.
    pub field: Field,
    /// The tuple as it should be; a field that was not to be compared is as in `actual`.
    pub expected: Tuple,
    /// The tuple in the metadata.
    pub actual: Tuple,
}

/// What a [`Verifier`] saw.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// All intervals, whether they matched, did not, or were skipped.
    pub intervals: u64,
    /// Intervals that were reported.
    pub mismatches: u64,
    /// Intervals that were skipped because their tuples ask for that.
    pub escaped: u64,
}

/// Compares data that arrives in segments with its tuples, interval by interval.
///
/// The guard covers the metadata in front of the tuple, as it is in the buffer, behind the data.
/// Metadata behind the tuple is not looked at.
pub struct Verifier<'a> {
    intervals: Intervals,
    checks: Checks,
    slots: ChunksExact<'a, u8>,
    mismatches: u64,
    escaped: u64,
}

impl<'a> Verifier<'a> {
    /// Prepares to compare with the tuples in `metadata`.
    ///
    /// # Errors
    ///
    /// [`SetupError::MetadataLength`] if `metadata` is not a multiple of the format's metadata
    /// size.
    pub fn new(format: &Format, checks: Checks, metadata: &'a [u8]) -> Result<Self, SetupError> {
        Ok(Self {
            intervals: Intervals::new(format, metadata.len(), checks.guard)?,
            checks,
            slots: metadata.chunks_exact(format.metadata_size()),
            mismatches: 0,
            escaped: 0,
        })
    }

    /// Takes the next segment of data, which may be empty, and may begin and end anywhere in an
    /// interval, and calls `report` once for each interval that ends in it and does not match.
    ///
    /// # Errors
    ///
    /// [`Overrun`] if there is no metadata for all of it; nothing is taken then.
    pub fn push<D: Data + ?Sized>(
        &mut self,
        data: &D,
        report: &mut impl FnMut(Mismatch),
    ) -> Result<(), Overrun> {
        let format = *self.intervals.format();
        let whole = self.intervals.whole(data.len())?;
        match format.checksum() {
            Checksum::Crc16T10Dif => self.compare_whole(
                data,
                whole,
                |data, at, interval, guards| data.crc16_t10_dif_each(at, interval, guards),
                |tuple| Tuple::from_t10(tuple, u16::from_be_bytes),
                report,
            ),
            Checksum::Ip => self.compare_whole(
                data,
                whole,
                |data, at, interval, guards| {
                    each(at, interval, guards, |range| (!data.ip_sum(range)).into())
                },
                |tuple| Tuple::from_t10(tuple, u16::from_ne_bytes),
                report,
            ),
            Checksum::Crc64Nvme => self.compare_whole(
                data,
                whole,
                |data, at, interval, guards| data.crc64_nvme_each(at, interval, guards),
                Tuple::from_crc64,
                report,
            ),
        }

        let Self {
            intervals,
            checks,
            slots,
            mismatches,
            escaped,
        } = self;
        intervals.push(data, whole << format.interval_exp(), |index, guard| {
            let Some(slot) = slots.next() else { return };
            let Some(actual) = Tuple::read(&format, slot) else {
                return;
            };
            if checks.escapes && actual.is_escape(&format) {
                *escaped += 1;
                return;
            }
            let expected = expect(&format, checks, index, guard, slot, actual);
            if let Some(field) = first_difference(&expected, &actual) {
                *mismatches += 1;
                report(Mismatch {
                    interval: index,
                    field,
                    expected,
                    actual,
                });
            }
        });
        Ok(())
    }

    /// Compares the tuples of the `whole` intervals that `data` begins with. Most data comes like this,
    /// so it is a straight loop: the sums of some intervals by `sum`, and one load for each, of which
    /// `parse` makes a tuple.
    #[inline]
    fn compare_whole<D: Data + ?Sized, const N: usize>(
        &mut self,
        data: &D,
        whole: usize,
        sum: impl Fn(&D, usize, usize, &mut [u64]),
        parse: impl Fn(&[u8; N]) -> Tuple,
        report: &mut impl FnMut(Mismatch),
    ) {
        let format = *self.intervals.format();
        let interval = format.interval();
        let checks = self.checks;
        let reference = checks.reference.filter(|_| format.has_ref_tag());
        let mut index = self.intervals.index();
        let mut guards = [0; AT_ONCE];
        let mut done = 0;
        while done < whole {
            let guards = &mut guards[..min(whole - done, AT_ONCE)];
            if checks.guard {
                sum(data, done * interval, interval, guards);
            }
            done += guards.len();
            for (guard, slot) in guards.iter().zip(self.slots.by_ref()) {
                // A slot is a tuple long here.
                if let Some(actual) = slot.first_chunk().map(&parse) {
                    if checks.escapes && actual.is_escape(&format) {
                        self.escaped += 1;
                    } else {
                        let expected = Tuple {
                            guard: match checks.guard {
                                true => *guard,
                                false => actual.guard,
                            },
                            app: checks.app.unwrap_or(actual.app),
                            reference: reference.map_or(actual.reference, |first| {
                                format.ref_tag(first.wrapping_add(index))
                            }),
                        };
                        if let Some(field) = first_difference(&expected, &actual) {
                            self.mismatches += 1;
                            report(Mismatch {
                                interval: index,
                                field,
                                expected,
                                actual,
                            });
                        }
                    }
                }
                index += 1;
            }
        }
        self.intervals.skip(whole);
    }

    /// Ends the data. Metadata behind it does not matter.
    ///
    /// # Errors
    ///
    /// [`Incomplete`] if the data ended within an interval.
    pub fn finish(self) -> Result<Summary, Incomplete> {
        Ok(Summary {
            intervals: self.intervals.finish()?,
            mismatches: self.mismatches,
            escaped: self.escaped,
        })
    }
}

/// The tuple that the checks ask for; where they ask for nothing, what is there.
fn expect(
    format: &Format,
    checks: &Checks,
    index: u64,
    guard: Option<Guard>,
    slot: &[u8],
    actual: Tuple,
) -> Tuple {
    let reference = checks.reference.filter(|_| format.has_ref_tag());
    Tuple {
        guard: guard.map_or(actual.guard, |guard| {
            guard.finish_with(slot, format.pi_offset())
        }),
        app: checks.app.unwrap_or(actual.app),
        reference: reference.map_or(actual.reference, |first| {
            format.ref_tag(first.wrapping_add(index))
        }),
    }
}

fn first_difference(expected: &Tuple, actual: &Tuple) -> Option<Field> {
    if expected.reference != actual.reference {
        Some(Field::Reference)
    } else if expected.guard != actual.guard {
        Some(Field::Guard)
    } else if expected.app != actual.app {
        Some(Field::Application)
    } else {
        None
    }
}
