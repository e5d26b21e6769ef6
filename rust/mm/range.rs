// SPDX-License-Identifier: GPL-2.0

//! A part of a file that stays as it is.

use super::{claim::Claim, trace, Folio, Locked, Mapping, Sleep, Stable};
use core::ops::Range;
use kernel::{
    alloc::{
        flags::GFP_KERNEL,
        KVec, //
    },
    fs::LocalFile,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

/// A part of a file that stays as it is until this is dropped: neither stores through mappings nor
/// write(2) nor truncation change its data. What has been pinned is reported, and may change.
///
/// All of its folios are there, up to date, locked, not under writeback and not mapped for writing.
/// A task that wants to write waits for a lock meanwhile, in the kernel and for as long as it
/// takes: keep it short. The exact rules:
///
/// - Nothing that is done meanwhile may need one of the locks, least of all access to user memory,
///   which may be a mapping of this file. Memory is allocated with `GFP_NOFS`.
/// - The caller holds no folio's lock before, and takes one range at a time, or locks of later
///   folios of the same mapping. Whatever comes before the folios' locks in the kernel's order
///   (`i_rwsem`, a transaction of a journal that takes them that way) is taken before; not
///   `invalidate_lock`, which is needed to read what is not there.
/// - A block device is opened exclusively meanwhile, so that it cannot be mounted; and it is
///   refused where it is mounted, or open exclusively otherwise: what a filesystem changes
///   there it does with locks of its own.
/// - Memory that was given to `get_user_pages()` without `FOLL_PIN`, as ptrace does, is not
///   protected and not reported.
///
/// # How it is taken
///
/// First, with no lock held, every page is read that is not there. Then the folios are locked in
/// ascending order, each is looked at again, since it may have been truncated, split or migrated
/// before it was locked, and the writeback of each is waited for before the next one is locked: who
/// writes locks in the same order, and puts folios under writeback before it submits them. If one
/// is gone, it is looked up again under the locks of those before it; if there is none any more,
/// all are unlocked and it begins anew. Each of that is a retry ([`retries`](Self::retries), trace
/// event `stable_pages:range_retry`), and after [`MAX_RETRIES`](Self::MAX_RETRIES) it is given up:
/// so the time that it takes is bounded by that of the others' progress.
///
/// # Invariants
///
/// The folios are in ascending order and cover `range` without a gap.
///
/// C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
/// [`include/linux/rmap.h`](srctree/include/linux/rmap.h)
pub struct StableRange<'a> {
    mapping: &'a Mapping,
    folios: KVec<Stable<ARef<Folio>>>,
    range: Range<u64>,
    retries: u32,
    // Given back after the folios.
    _claim: Option<Claim>,
}

/// Why there is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// There is nothing in it: it is empty, or the file ends before it. `EINVAL`.
    Empty,
    /// It has more than [`StableRange::MAX_FOLIOS`] folios. `E2BIG`.
    TooLong,
    /// It changed all the time. `EBUSY`.
    Busy,
    /// What reading, waiting or allocating said: `EINTR` for a fatal signal, `EIO`, `ENOMEM`;
    /// `EOPNOTSUPP` where folios do not hold the data, or where the block device is open
    /// exclusively.
    Failed(Error),
}

impl From<Error> for RangeError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<RangeError> for Error {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Empty => EINVAL,
            RangeError::TooLong => E2BIG,
            RangeError::Busy => EBUSY,
            RangeError::Failed(error) => error,
        }
    }
}

/// What becomes of a page of the range.
enum Step {
    /// It is part of this folio.
    Found(Stable<ARef<Folio>>),
    /// The file ends before it now.
    End,
    /// It has to be read first.
    Missing,
}

impl<'a> StableRange<'a> {
    /// Folios that a range may have: 1 MiB where they are single pages of 4 KiB, up to 512 MiB
    /// where they are huge pages of 2 MiB.
    ///
    /// It bounds how many others wait for one caller, and what a caller allocates: 8 bytes each.
    pub const MAX_FOLIOS: usize = 256;

    /// How often something may have changed before the range is given up.
    ///
    /// With 64 writers and truncation all the time it takes tens.
    pub const MAX_RETRIES: u32 = 1000;

    /// Makes the part of `range`, in bytes, that is within the file a stable one. Sleeps; see above
    /// for the locks. `file`, where given, is an open file of the mapping, which the filesystem may
    /// want for reading.
    ///
    /// # Errors
    ///
    /// As [`RangeError`] says; nothing is locked then.
    pub fn take(
        mapping: &'a Mapping,
        range: Range<u64>,
        file: Option<&LocalFile>,
        sleep: Sleep,
    ) -> Result<Self, RangeError> {
        mapping.must_be_unmapped()?;
        let claim = Claim::of(mapping)?;
        let range = within(&range, mapping)?;
        // All of it before the first lock.
        let pages =
            (range.end.div_ceil(PAGE_SIZE as u64) as usize) - Mapping::index_of(range.start);
        let mut this = Self {
            mapping,
            folios: KVec::with_capacity(pages.min(Self::MAX_FOLIOS), GFP_KERNEL)
                .map_err(Error::from)?,
            range: range.clone(),
            retries: 0,
            _claim: claim,
        };
        loop {
            this.range = within(&range, mapping)?;
            this.read_missing(file)?;
            if this.lock_all(sleep)? {
                return Ok(this);
            }
            this.unlock_all();
        }
    }

    /// The indexes of its pages.
    fn pages(&self) -> Range<usize> {
        Mapping::index_of(self.range.start)..self.range.end.div_ceil(PAGE_SIZE as u64) as usize
    }

    /// Reads what is not there, with nothing locked.
    fn read_missing(&mut self, file: Option<&LocalFile>) -> Result<(), RangeError> {
        let Range { start, end } = self.pages();
        let mut index = start;
        let mut folios = 0;
        while index < end {
            if folios == Self::MAX_FOLIOS {
                return Err(RangeError::TooLong);
            }
            let there = self.mapping.get(index).filter(|folio| folio.is_uptodate());
            let folio = match there.map_or_else(|| self.mapping.read(index, file), Ok) {
                Ok(folio) => folio,
                // Reading behind the end of a file that was truncated is no failure.
                Err(_) if self.is_behind_end(index) => return Ok(()),
                // tmpfs says so, and the file is longer again.
                Err(EINVAL) => {
                    self.retry(index, trace::Retry::Hole)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // It is not locked: it may be another one by now.
            index = (folio.index() + folio.pages()).max(index + 1);
            folios += 1;
        }
        Ok(())
    }

    /// Locks the folios; false if it has to begin anew.
    fn lock_all(&mut self, sleep: Sleep) -> Result<bool, RangeError> {
        let Range { start, end } = self.pages();
        let mut index = start;
        while index < end {
            if self.folios.len() == Self::MAX_FOLIOS {
                return Err(RangeError::TooLong);
            }
            match self.lock_page(index, sleep)? {
                Step::Found(folio) => {
                    index = folio.index() + folio.pages();
                    self.folios
                        .push(folio, GFP_KERNEL)
                        .map_err(|_| RangeError::TooLong)?;
                }
                Step::End => {
                    self.range.end = index as u64 * PAGE_SIZE as u64;
                    break;
                }
                Step::Missing => return Ok(false),
            }
        }
        if self.range.is_empty() {
            return Err(RangeError::Empty);
        }
        // The last one may have lost a part of it.
        self.range.end = self.range.end.min(self.mapping.size());
        if self.range.is_empty() {
            return Err(RangeError::Empty);
        }
        Ok(true)
    }

    fn lock_page(&mut self, index: usize, sleep: Sleep) -> Result<Step, RangeError> {
        loop {
            let Some(folio) = self.mapping.get(index) else {
                if self.is_behind_end(index) {
                    return Ok(Step::End);
                }
                self.retry(index, trace::Retry::Hole)?;
                return Ok(Step::Missing);
            };
            let Some(folio) = self.mapping.lock_folio(folio, index, sleep)? else {
                self.retry(index, trace::Retry::Moved)?;
                continue;
            };
            if self.is_behind_end(index) {
                return Ok(Step::End);
            }
            if !folio.is_uptodate() {
                drop(folio);
                self.retry(index, trace::Retry::Stale)?;
                return Ok(Step::Missing);
            }
            return Ok(Step::Found(Locked::stabilize(folio, sleep)?));
        }
    }

    fn is_behind_end(&self, index: usize) -> bool {
        index as u64 * PAGE_SIZE as u64 >= self.mapping.size()
    }

    fn retry(&mut self, index: usize, reason: trace::Retry) -> Result<(), RangeError> {
        self.retries += 1;
        trace::range_retry(self.mapping, index, reason, self.retries);
        if self.retries > Self::MAX_RETRIES {
            return Err(RangeError::Busy);
        }
        Ok(())
    }

    fn unlock_all(&mut self) {
        while self.folios.pop().is_some() {}
    }

    /// What there is of the range that was asked for, in bytes: less where the file ends before.
    /// Does not sleep, as all that only asks.
    #[inline]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The mapping that this is a range of.
    #[inline]
    pub fn mapping(&self) -> &'a Mapping {
        self.mapping
    }

    /// Its folios, in ascending order. The first and the last may be larger than the range.
    #[inline]
    pub fn folios(&self) -> &[Stable<ARef<Folio>>] {
        &self.folios
    }

    /// Those that may be pinned: their data may change all the same.
    pub fn pinned(&self) -> impl Iterator<Item = &Stable<ARef<Folio>>> {
        self.folios.iter().filter(|folio| folio.is_pinned())
    }

    /// How often a page was not as it had been found.
    #[inline]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Copies data from the byte `pos` of the file on. Does not sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not all in the range.
    pub fn read(&self, pos: u64, to: &mut [u8]) -> Result {
        let end = pos.checked_add(to.len() as u64).ok_or(EINVAL)?;
        if pos < self.range.start || end > self.range.end {
            return Err(EINVAL);
        }
        let first = self.folios.partition_point(|f| f.range().end <= pos);
        let mut done = 0;
        for folio in &self.folios[first..] {
            if done == to.len() {
                break;
            }
            let offset = (pos + done as u64 - folio.pos()) as usize;
            let len = (folio.size() - offset).min(to.len() - done);
            folio.read(offset, &mut to[done..done + len])?;
            done += len;
        }
        Ok(())
    }
}

/// The part of `range` that is within the file.
fn within(range: &Range<u64>, mapping: &Mapping) -> Result<Range<u64>, RangeError> {
    let range = range.start..range.end.min(mapping.size());
    if range.is_empty() {
        return Err(RangeError::Empty);
    }
    Ok(range)
}

impl Drop for StableRange<'_> {
    /// Unlocks in descending order.
    fn drop(&mut self) {
        self.unlock_all();
    }
}
