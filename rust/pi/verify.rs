// SPDX-License-Identifier: GPL-2.0

//! Comparing data with tuples that are there already.

use core::cmp::min;

use super::{
    data::{each, Data},
    error::{
        Incomplete,
        Overrun,
        SetupError, //
    },
    format::{Checksum, Format},
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
}

/// Compares data that arrives in segments with its tuples, interval by interval.
///
/// The guard covers the metadata in front of the tuple, as it is in the buffer, behind the data.
/// Metadata behind the tuple is not looked at.
pub struct Verifier<'a> {
    intervals: Intervals,
    checks: Checks,
    /// The metadata of the intervals that are not complete.
    slots: &'a [u8],
    mismatches: u64,
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
            slots: metadata,
            mismatches: 0,
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
                |tuple| tuple.to_t10(u16::to_be_bytes),
                |tuple| Tuple::from_t10(tuple, u16::from_be_bytes),
                report,
            ),
            Checksum::Ip => self.compare_whole(
                data,
                whole,
                |data, at, interval, guards| {
                    each(at, interval, guards, |range| (!data.ip_sum(range)).into())
                },
                |tuple| tuple.to_t10(u16::to_ne_bytes),
                |tuple| Tuple::from_t10(tuple, u16::from_ne_bytes),
                report,
            ),
            Checksum::Crc64Nvme => self.compare_whole(
                data,
                whole,
                |data, at, interval, guards| data.crc64_nvme_each(at, interval, guards),
                Tuple::to_crc64,
                Tuple::from_crc64,
                report,
            ),
        }

        self.intervals
            .push(data, whole << format.interval_exp(), |index, guard| {
                let slot = take(&mut self.slots, format.metadata_size());
                let Some(actual) = Tuple::read(&format, slot) else {
                    return;
                };
                let guard = guard.map(|guard| guard.finish_with(slot, format.pi_offset()));
                if let Some(mismatch) = compare(&format, &self.checks, index, guard, actual) {
                    self.mismatches += 1;
                    report(mismatch);
                }
            });
        Ok(())
    }

    /// Compares the tuples of the `whole` intervals that `data` begins with. Most data comes like this,
    /// and most of it matches, so it is a straight loop: the sums of some intervals by `sum`, and for each
    /// of them one comparison of its tuple with what `bytes` makes of what it should be. Only where one of
    /// them differs does `parse` make tuples of them.
    #[inline]
    fn compare_whole<D: Data + ?Sized, const N: usize>(
        &mut self,
        data: &D,
        whole: usize,
        sum: impl Fn(&D, usize, usize, &mut [u64]),
        bytes: impl Fn(Tuple) -> [u8; N],
        parse: impl Fn(&[u8; N]) -> Tuple,
        report: &mut impl FnMut(Mismatch),
    ) {
        let (format, checks) = (*self.intervals.format(), self.checks);
        let first = self.intervals.index();
        let reference = checks.reference.filter(|_| format.has_ref_tag());
        // The bits that are compared. What has none that differ is no mismatch, be it an escape or not.
        let compared = bytes(Tuple {
            guard: if checks.guard { u64::MAX } else { 0 },
            app: checks.app.map_or(0, |_| u16::MAX),
            reference: reference.map_or(0, |_| u64::MAX),
        });
        let mut expected = Tuple {
            guard: 0,
            app: checks.app.unwrap_or(0),
            reference: reference.unwrap_or(0).wrapping_add(first),
        };
        let mut guards = [0; AT_ONCE];
        let mut done = 0;
        while done < whole {
            let guards = &mut guards[..min(whole - done, AT_ONCE)];
            if checks.guard {
                sum(
                    data,
                    done << format.interval_exp(),
                    format.interval(),
                    guards,
                );
            }
            let now = take(&mut self.slots, guards.len() * N);
            let pairs = || guards.iter().zip(now.chunks_exact(N));
            // No branch for each of them, since what differs is rare.
            let same = pairs().fold(true, |same, (guard, slot)| {
                expected.guard = *guard;
                let as_expected = is_same(slot, &bytes(expected), &compared);
                expected.reference = expected.reference.wrapping_add(1);
                same & as_expected
            });
            if !same {
                for ((guard, slot), index) in pairs().zip(first + done as u64..) {
                    if let Some(slot) = slot.first_chunk() {
                        let guard = checks.guard.then_some(*guard);
                        let found = compare(&format, &checks, index, guard, parse(slot));
                        if let Some(mismatch) = found {
                            self.mismatches += 1;
                            report(mismatch);
                        }
                    }
                }
            }
            done += guards.len();
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
        })
    }
}

/// Whether a tuple in memory is the same as another one in the bits of `mask`: by words, of which a tuple
/// has one or two.
#[inline]
fn is_same<const N: usize>(slot: &[u8], other: &[u8; N], mask: &[u8; N]) -> bool {
    let word = |tuple: &[u8], at: usize| {
        let word = tuple.get(at..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| u64::from_ne_bytes(*word))
    };
    let differ = |at| (word(slot, at) ^ word(other, at)) & word(mask, at);
    (0..N).step_by(8).fold(0, |bits, at| bits | differ(at)) == 0
}

/// Takes so many bytes off the front, or all that there are.
#[inline]
fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at(min(len, bytes.len()));
    *bytes = rest;
    front
}

/// Compares the tuple of an interval field by field. Without `guard` it was not summed up.
#[inline(never)]
fn compare(
    format: &Format,
    checks: &Checks,
    interval: u64,
    guard: Option<u64>,
    actual: Tuple,
) -> Option<Mismatch> {
    if checks.escapes && actual.is_escape(format) {
        return None;
    }
    let reference = checks.reference.filter(|_| format.has_ref_tag());
    let expected = Tuple {
        guard: guard.unwrap_or(actual.guard),
        app: checks.app.unwrap_or(actual.app),
        reference: reference.map_or(actual.reference, |first| {
            format.ref_tag(first.wrapping_add(interval))
        }),
    };
    first_difference(&expected, &actual).map(|field| Mismatch {
        interval,
        field,
        expected,
        actual,
    })
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
