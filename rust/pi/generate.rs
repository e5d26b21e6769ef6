// SPDX-License-Identifier: GPL-2.0

//! Tuples for data that is about to be written.

use core::{
    cmp::min,
    mem, //
};

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
    tuple::Tuple, //
};

/// The tags that a [`Generator`] writes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tags {
    /// The application tag of every interval, 0 to 0xfffe; the block layer's own is 0.
    pub app: u16,
    /// The reference tag of the first interval, in intervals; each further interval has one more.
    ///
    /// Only the bits that the format has room for are written. The block layer's own is the seed of
    /// the integrity payload (`bip_set_seed()`), whether or not the format has a reference tag.
    pub reference: u64,
}

/// Writes tuples, interval by interval, for data that arrives in segments.
///
/// The metadata around a tuple is zeroed, as the block layer has it; what of it is in front of the
/// tuple is covered by the guard, behind the data.
pub struct Generator<'a> {
    intervals: Intervals,
    tags: Tags,
    /// The metadata of the intervals that are not complete.
    slots: &'a mut [u8],
}

impl<'a> Generator<'a> {
    /// Prepares to fill `metadata`, which says how many intervals there can be.
    ///
    /// # Errors
    ///
    /// [`SetupError::MetadataLength`] if `metadata` is not a multiple of the format's metadata
    /// size, [`SetupError::AppTag`] if the application tag would turn checking off.
    pub fn new(format: &Format, tags: Tags, metadata: &'a mut [u8]) -> Result<Self, SetupError> {
        if tags.app == 0xffff {
            return Err(SetupError::AppTag);
        }
        Ok(Self {
            intervals: Intervals::new(format, metadata.len(), true)?,
            tags,
            slots: metadata,
        })
    }

    /// Takes the next segment of data, which may be empty, and may begin and end anywhere in an
    /// interval.
    ///
    /// # Errors
    ///
    /// [`Overrun`] if there is no metadata for all of it; nothing is taken then.
    pub fn push<D: Data + ?Sized>(&mut self, data: &D) -> Result<(), Overrun> {
        let format = *self.intervals.format();
        let whole = self.intervals.whole(data.len())?;
        match format.checksum() {
            Checksum::Crc16T10Dif => self.fill_whole(
                data,
                whole,
                |data, at, interval, guards| data.crc16_t10_dif_each(at, interval, guards),
                |tuple| tuple.to_t10(u16::to_be_bytes),
            ),
            Checksum::Ip => self.fill_whole(
                data,
                whole,
                |data, at, interval, guards| {
                    each(at, interval, guards, |range| (!data.ip_sum(range)).into())
                },
                |tuple| tuple.to_t10(u16::to_ne_bytes),
            ),
            Checksum::Crc64Nvme => self.fill_whole(
                data,
                whole,
                |data, at, interval, guards| data.crc64_nvme_each(at, interval, guards),
                Tuple::to_crc64,
            ),
        }

        self.intervals
            .push(data, whole << format.interval_exp(), |index, guard| {
                let (slot, rest) = cut(mem::take(&mut self.slots), format.metadata_size());
                self.slots = rest;
                if let Some(guard) = guard {
                    fill(&format, self.tags, index, guard, slot);
                }
            });
        Ok(())
    }

    /// Fills the tuples of the `whole` intervals that `data` begins with. Most data comes like this, so
    /// it is a straight loop: the sums of some intervals by `sum`, and one store for each of what `bytes`
    /// makes.
    #[inline]
    fn fill_whole<D: Data + ?Sized, const N: usize>(
        &mut self,
        data: &D,
        whole: usize,
        sum: impl Fn(&D, usize, usize, &mut [u64]),
        bytes: impl Fn(Tuple) -> [u8; N],
    ) {
        let interval = self.intervals.format().interval();
        let exp = self.intervals.format().interval_exp();
        let app = self.tags.app;
        let mut reference = self.tags.reference.wrapping_add(self.intervals.index());
        let mut guards = [0; AT_ONCE];
        let mut done = 0;
        while done < whole {
            let guards = &mut guards[..min(whole - done, AT_ONCE)];
            sum(data, done << exp, interval, guards);
            done += guards.len();
            let (now, rest) = cut(mem::take(&mut self.slots), guards.len() * N);
            self.slots = rest;
            for (guard, slot) in guards.iter().zip(now.chunks_exact_mut(N)) {
                let tuple = Tuple {
                    guard: *guard,
                    app,
                    reference,
                };
                slot.copy_from_slice(&bytes(tuple));
                reference = reference.wrapping_add(1);
            }
        }
        self.intervals.skip(whole);
    }

    /// Ends the data, and returns the number of intervals that were written.
    ///
    /// Metadata behind those is as it was.
    ///
    /// # Errors
    ///
    /// [`Incomplete`] if the data ended within an interval, whose metadata is as it was.
    pub fn finish(self) -> Result<u64, Incomplete> {
        self.intervals.finish()
    }
}

/// So many bytes, or all that there are, and the rest.
#[inline]
fn cut(bytes: &mut [u8], len: usize) -> (&mut [u8], &mut [u8]) {
    let len = min(len, bytes.len());
    bytes.split_at_mut(len)
}

fn fill(format: &Format, tags: Tags, index: u64, guard: Guard, slot: &mut [u8]) {
    if slot.len() != format.tuple_size() {
        slot.fill(0);
    }
    let tuple = Tuple {
        guard: guard.finish_with(slot, format.pi_offset()),
        app: tags.app,
        reference: format.ref_tag(tags.reference.wrapping_add(index)),
    };
    // A slot is `metadata_size` long, into which the tuple fits by the format's invariant.
    let _ = tuple.write(format, slot);
}
