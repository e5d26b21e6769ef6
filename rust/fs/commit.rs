// SPDX-License-Identifier: GPL-2.0

//! A part of a file is written to the file below as it is at one moment.

use super::{
    queue::{ChargeAs, LocalThrottle, NoFs},
    stack::Stacked,
    File,
    FileSystem,
    Inode, //
};
use crate::mm::{Folio, Locked, Sleep, Stable, StableRange, Writeback};
use core::ops::Range;
use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*,
    sync::aref::ARef, //
};

/// What [`Stacked::<File>::commit`] has written.
pub struct Committed {
    /// The bytes of the file: fewer than were asked for where it ends before.
    pub range: Range<u64>,
    /// Folios that were dirty, or pinned.
    pub written: usize,
    /// Those of them that were pinned, so that a copy was written.
    pub frozen: usize,
    /// How often something changed while the range was taken.
    pub retries: u32,
}

/// A folio under writeback, and what is to be written of it.
pub(super) struct Part<'a> {
    pub(super) inode: &'a Stacked<Inode>,
    folio: Writeback,
    frozen: Option<KVVec<u8>>,
    len: usize,
}

impl Part<'_> {
    /// Whether it is a copy that is written.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    fn write<T: FileSystem>(&self) -> Result {
        let charge = ChargeAs::of(&self.folio, self.inode.lower());
        let written = match &self.frozen {
            Some(copy) => T::write_copy(self.inode, self.folio.pos(), &copy[..self.len]),
            None => T::write_back(self.inode, &self.folio, self.len),
        };
        written
            .map_err(|error| charge.error(error))
            .inspect_err(|error| {
                self.inode.failed_to_write(&self.folio, *error, false);
            })
    }
}

impl Stacked<File> {
    /// Writes what is dirty of `range`, in bytes, to the file below, as it is at one moment: no
    /// store through a mapping, no write(2) and no truncation comes in between, and those that come
    /// later wait until their folio is written. Of a folio that is pinned a copy is made
    /// at that moment and written; it stays dirty.
    ///
    /// Sleeps; no lock of the inode or its mapping may be held. The medium is asked for nothing.
    ///
    /// # Errors
    ///
    /// `EBADF` if the file cannot be written to; those of [`StableRange::take`], and `ENOMEM`:
    /// nothing has been written. What the file below says, which fsync(2) says once more.
    pub fn commit<T: FileSystem>(&self, range: Range<u64>) -> Result<Committed> {
        if !self.is_writable() {
            return Err(EBADF);
        }
        let inode = self.inode();
        let _inside = inode.writeback().enter(Sleep::Killable)?;
        let range = StableRange::take(inode.cache(), range, None, Sleep::Killable)?;
        let parts = begin(inode, &range)?;
        let committed = Committed {
            range: range.range(),
            written: parts.len(),
            frozen: parts.iter().filter(|part| part.is_frozen()).count(),
            retries: range.retries(),
        };
        // From now on it is writeback that others wait for.
        drop(range);
        write::<T>(inode, parts)?;
        Ok(committed)
    }
}

/// Puts all folios of the range that are dirty, or pinned, under writeback.
fn begin<'a>(inode: &'a Stacked<Inode>, range: &StableRange<'_>) -> Result<KVVec<Part<'a>>> {
    // Folios are locked.
    let _nofs = NoFs::new();
    let size = range.mapping().size();
    let folios = range.folios();
    // First what can fail.
    let mut copies = KVec::with_capacity(folios.len(), GFP_KERNEL)?;
    for folio in folios {
        let copy = folio.is_pinned().then(|| copy_of(folio)).transpose()?;
        copies.push(copy, GFP_KERNEL)?;
    }
    let mut parts = KVVec::with_capacity(folios.len(), GFP_KERNEL)?;
    for (folio, frozen) in folios.iter().zip(copies) {
        if !folio.clear_dirty_for_io() && frozen.is_none() {
            continue;
        }
        parts.push(
            start(inode, folio, frozen, folio.bytes_within(size))?,
            GFP_KERNEL,
        )?;
    }
    Ok(parts)
}

pub(super) fn copy_of(folio: &Stable<ARef<Folio>>) -> Result<KVVec<u8>> {
    let mut copy = KVVec::from_elem(0, folio.size(), GFP_KERNEL)?;
    folio.read(0, &mut copy)?;
    Ok(copy)
}

/// The folio is clean by now, and `len` bytes of it are to be written.
pub(super) fn start<'a>(
    inode: &'a Stacked<Inode>,
    folio: &Locked<ARef<Folio>>,
    frozen: Option<KVVec<u8>>,
    len: usize,
) -> Result<Part<'a>> {
    // What was stored behind the end of the file through a mapping goes nowhere.
    let zeroed = folio.zero(len, folio.size() - len);
    let started = zeroed.and_then(|()| folio.start_writeback());
    let writeback = started.inspect_err(|_| {
        folio.mark_dirty();
    })?;
    if frozen.is_some() {
        // The device that it is pinned for may be changing it now.
        folio.mark_dirty();
    }
    Ok(Part {
        inode,
        folio: writeback,
        frozen,
        len,
    })
}

/// Writes all of them, of inodes of one filesystem, in a thread of the kernel, as all that is
/// written back. Sleeps; the first error.
pub(super) fn write<T: FileSystem>(inode: &Stacked<Inode>, parts: KVVec<Part<'_>>) -> Result {
    inode.layer().queue.call(|| {
        let _nofs = NoFs::new();
        let _throttle = LocalThrottle::new();
        let mut first = Ok(());
        // Writeback of each ends as it is dropped.
        for part in parts {
            first = first.and(part.write::<T>());
        }
        first
    })
}
