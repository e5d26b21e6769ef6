// SPDX-License-Identifier: GPL-2.0

//! A part of a page cache that stays as it is, read or not.

use super::{claim::Claim, Folio, Locked, Mapping, RangeError, Sleep, Stable, StableRange};
use core::ops::Range;
use kernel::{
    alloc::{
        flags::GFP_KERNEL,
        KVec, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

/// What becomes of a page that is not in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A folio is put there that is not up to date. Who wants to read the page waits for its lock,
    /// and cannot get from elsewhere what is being overwritten there.
    Create,
    /// Nothing.
    Skip,
}

/// A [`StableRange`] of what is, or is not, in the page cache: for a transfer past it, between
/// memory and what the page cache is a cache of.
///
/// The folios are locked, in ascending order, stable, and in the mapping. They need not be up to
/// date, nor within the size of the file. Nothing is read, so that `invalidate_lock` may be held,
/// and a lock that reading needs may be taken meanwhile. For the rest, see there.
///
/// Who may make the file shorter is kept from it by the caller (`i_rwsem`), or what is held may be
/// behind its end.
pub struct HeldRange {
    folios: KVec<Stable<ARef<Folio>>>,
    // Given back after the folios.
    _claim: Option<Claim>,
}

impl HeldRange {
    /// Bytes of a range that always has few enough folios, if it begins with a page.
    pub const MAX_BYTES: usize = StableRange::MAX_FOLIOS * PAGE_SIZE;

    /// Locks the folios of all pages with a byte of `range`. Sleeps; a folio that is created is
    /// allocated as the mapping allows, so the task must not call filesystems for memory
    /// (`memalloc_nofs_save()`): it has folios locked.
    ///
    /// # Errors
    ///
    /// [`RangeError::TooLong`] for more than [`StableRange::MAX_FOLIOS`] folios; `EINTR` on a fatal
    /// signal, where the sleep can be cut short; `ENOMEM`; `EOPNOTSUPP` where folios do not hold the
    /// data. Nothing is locked then; what was created is there, and not up to date.
    pub fn take(
        mapping: &Mapping,
        range: Range<u64>,
        missing: Missing,
        sleep: Sleep,
    ) -> Result<Self, RangeError> {
        mapping.must_be_unmapped()?;
        let mut index = Mapping::index_of(range.start);
        let end = range.end.div_ceil(PAGE_SIZE as u64) as usize;
        let mut this = Self {
            folios: KVec::with_capacity((end - index).min(StableRange::MAX_FOLIOS), GFP_KERNEL)
                .map_err(Error::from)?,
            _claim: Claim::of(mapping)?,
        };
        while index < end {
            let folio = match (mapping.lock(index, sleep)?, missing) {
                (Some(folio), _) => folio,
                (None, Missing::Create) => mapping.grab(index, (end - index) * PAGE_SIZE, false)?,
                (None, Missing::Skip) => {
                    index += 1;
                    continue;
                }
            };
            index = folio.index() + folio.pages();
            let folio = Locked::stabilize(folio, sleep)?;
            if this.folios.len() == StableRange::MAX_FOLIOS {
                return Err(RangeError::TooLong);
            }
            this.folios
                .push_within_capacity(folio)
                .map_err(|_| RangeError::TooLong)?;
        }
        Ok(this)
    }

    /// Its folios, in ascending order. The first and the last may be larger than the range.
    #[inline]
    pub fn folios(&self) -> &[Stable<ARef<Folio>>] {
        &self.folios
    }

    /// Whether some of it has to be written back.
    pub fn is_dirty(&self) -> bool {
        self.folios.iter().any(|folio| folio.is_dirty())
    }
}

impl Drop for HeldRange {
    /// Unlocks in descending order.
    fn drop(&mut self) {
        while self.folios.pop().is_some() {}
    }
}
