// SPDX-License-Identifier: GPL-2.0

//! From segments of any length to intervals.

use core::{
    cmp::min,
    mem,
    ops::Range, //
};

use super::{
    data::Data,
    error::{
        Incomplete,
        Overrun,
        SetupError, //
    },
    format::Format,
    guard::Guard, //
};

/// Intervals that are summed up at once: as many of 512 bytes as a page has.
pub(super) const AT_ONCE: usize = 8;

/// Splits the data that is pushed into intervals, and computes their guards.
///
/// # Invariants
///
/// `filled < format.interval()`, and `filled` is zero where `left` is. Where `filled` is zero,
/// `guard` is that of no data.
pub(super) struct Intervals {
    format: Format,
    /// Bytes that the current interval has got.
    filled: usize,
    /// The guard over them.
    guard: Option<Guard>,
    /// Intervals that are complete.
    done: u64,
    /// Intervals that are not.
    left: u64,
}

impl Intervals {
    /// Intervals for as many as `metadata_len` bytes of metadata describe.
    ///
    /// Without `guards`, data is counted but not looked at.
    pub(super) fn new(
        format: &Format,
        metadata_len: usize,
        guards: bool,
    ) -> Result<Self, SetupError> {
        if metadata_len.checked_rem(format.metadata_size()) != Some(0) {
            return Err(SetupError::MetadataLength);
        }
        // INVARIANT: No interval is shorter than a byte.
        Ok(Self {
            format: *format,
            filled: 0,
            guard: guards.then(|| Guard::new(format.checksum())),
            done: 0,
            left: (metadata_len / format.metadata_size()) as u64,
        })
    }

    pub(super) fn format(&self) -> &Format {
        &self.format
    }

    /// The number of whole intervals that a segment of `len` bytes begins with: none where an
    /// interval has begun already, or where there is metadata around a tuple.
    ///
    /// Those can be done without what is kept here, and be [skipped](Self::skip) then.
    pub(super) fn whole(&self, len: usize) -> Result<usize, Overrun> {
        let room = self.room();
        if len as u64 > room {
            return Err(Overrun { room });
        }
        let is_bare = self.format.metadata_size() == self.format.tuple_size();
        Ok(if self.filled == 0 && is_bare {
            len >> self.format.interval_exp()
        } else {
            0
        })
    }

    /// The index of the next interval.
    pub(super) fn index(&self) -> u64 {
        self.done
    }

    /// Says that `whole` intervals are complete, as many as [`whole`](Self::whole) said at the most.
    pub(super) fn skip(&mut self, whole: usize) {
        self.done += whole as u64;
        self.left -= whole as u64;
    }

    /// Takes a segment of data from byte `at` on, for which there is [room](Self::whole), and calls
    /// `complete` with index and guard of each interval that ends in it; the guard covers the data, not
    /// yet the metadata in front of the tuple.
    pub(super) fn push<D: Data + ?Sized>(
        &mut self,
        data: &D,
        mut at: usize,
        mut complete: impl FnMut(u64, Option<Guard>),
    ) {
        let len = data.len();
        while at < len {
            at = self.take(data, at..len);
            if self.filled == self.format.interval() {
                let (index, guard) = self.next();
                complete(index, guard);
            }
        }
    }

    /// The number of complete intervals.
    pub(super) fn finish(self) -> Result<u64, Incomplete> {
        match self.filled {
            0 => Ok(self.done),
            filled => Err(Incomplete {
                intervals: self.done,
                missing: self.format.interval() - filled,
            }),
        }
    }

    /// Bytes of data that there is still metadata for.
    fn room(&self) -> u64 {
        self.left
            .saturating_mul(self.format.interval() as u64)
            .saturating_sub(self.filled as u64)
    }

    /// Adds to the current interval what it lacks, as far as `range` of `data` has it, and returns
    /// where the rest begins.
    fn take<D: Data + ?Sized>(&mut self, data: &D, range: Range<usize>) -> usize {
        let len = min(self.format.interval() - self.filled, range.len());
        let end = range.start + len;
        self.guard = self.guard.map(|guard| guard.update(data, range.start..end));
        self.filled += len;
        end
    }

    /// Begins the next interval, and returns the index and the guard of the one before.
    fn next(&mut self) -> (u64, Option<Guard>) {
        let fresh = self.guard.map(|_| Guard::new(self.format.checksum()));
        self.filled = 0;
        (self.advance(), mem::replace(&mut self.guard, fresh))
    }

    /// One interval more is complete; returns its index.
    fn advance(&mut self) -> u64 {
        let index = self.done;
        self.done += 1;
        self.left -= 1;
        index
    }
}
