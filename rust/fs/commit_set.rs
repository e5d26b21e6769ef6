// SPDX-License-Identifier: GPL-2.0

//! Parts of several files are written to the files below as all of them are at one moment.

use super::{
    cache::NoStores,
    commit::{self, Part},
    gate::Inside,
    queue::NoFs,
    stack::Stacked,
    File,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    mm::{Folio, Locked, Mapping, Sleep}, //
};
use core::{ops::Range, ptr};
use kernel::{
    alloc::flags::GFP_KERNEL,
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

/// Parts of files of one filesystem that are to be committed together.
///
/// No store through a mapping, no write(2) and no truncation of any of these files comes in between.
/// It takes no lock of several folios at once, so that there may be more of them than a
/// [`StableRange`](crate::mm::StableRange) has, and of several files:
///
/// 1. The inodes are locked, in the order of their addresses, as all lock several of them, and no
///    page of theirs becomes writable in a mapping any more ([`Stacked::<Inode>::hold_stores`]).
/// 2. One after the other the folios lose the right to be written to. A store waits then, and so
///    does whatever would have come after it: what has been stored before does not depend on what
///    has not, which makes it one moment.
/// 3. All that is dirty goes under writeback, and the inodes are unlocked. What is stored now waits
///    until its folio has been written.
/// 4. They are written, in the order of the inodes' numbers, and of the pages.
#[derive(Default)]
pub struct CommitSet<'a> {
    wanted: KVec<Wanted<'a>>,
}

struct Wanted<'a> {
    inode: &'a Stacked<Inode>,
    range: Range<u64>,
}

impl Wanted<'_> {
    /// Where it is written among others: all parts of an inode come one after another.
    fn order(&self) -> (u64, *mut bindings::inode, u64) {
        (self.inode.number(), self.inode.as_raw(), self.range.start)
    }
}

fn insert<T>(list: &mut KVec<T>, place: usize, element: T) -> Result {
    list.reserve(1, GFP_KERNEL)?;
    list.insert_within_capacity(place, element)
        .map_err(|_| EINVAL)
}

/// A folio that is to be written.
struct Found<'a> {
    inode: &'a Stacked<Inode>,
    folio: ARef<Folio>,
    frozen: Option<KVVec<u8>>,
}

/// What [`CommitSet::commit`] has written.
pub struct CommittedSet {
    /// Folios that were dirty, or pinned.
    pub written: usize,
    /// Those of them that were pinned, so that a copy was written.
    pub frozen: usize,
}

/// Inodes that are locked, all of them.
struct LockedInodes<'a>(KVec<&'a Stacked<Inode>>);

impl<'a> LockedInodes<'a> {
    /// In ascending order, none of them twice. Sleeps.
    fn lock(inodes: KVec<&'a Stacked<Inode>>) -> Result<Self> {
        // SAFETY: Can be called by any task.
        to_result(unsafe { bindings::sp_commit_lock() })?;
        for inode in &inodes {
            // SAFETY: The inode is valid, and the lock that was taken allows for several.
            unsafe { bindings::sp_commit_lock_inode(inode.as_raw()) };
        }
        Ok(Self(inodes))
    }
}

impl Drop for LockedInodes<'_> {
    fn drop(&mut self) {
        // SAFETY: All of this was locked when it was made.
        unsafe {
            for inode in &self.0 {
                bindings::sp_inode_unlock(inode.as_raw());
            }
            bindings::sp_commit_unlock();
        }
    }
}

impl<'a> CommitSet<'a> {
    /// Parts that it may have.
    pub const MAX_PARTS: usize = 256;

    /// Folios that may be written at once: 64 MiB where they are single pages of 4 KiB. It bounds how
    /// long others wait, and what is allocated.
    pub const MAX_FOLIOS: usize = 16384;

    /// Adds a part of a file, in bytes. Sleeps.
    ///
    /// # Errors
    ///
    /// `EBADF` if the file cannot be written to; `EINVAL` for a part without bytes; `EXDEV` if it is
    /// of another filesystem than the others; `E2BIG` if there are too many parts; `ENOMEM`.
    pub fn add(&mut self, file: &'a Stacked<File>, range: Range<u64>) -> Result {
        let inode = file.inode();
        if !file.is_written_back() {
            return Err(EBADF);
        }
        if range.is_empty() {
            return Err(EINVAL);
        }
        let first = self.wanted.first().map(|first| first.inode.super_block());
        if first.is_some_and(|first| !first.is(inode.super_block())) {
            return Err(EXDEV);
        }
        if self.wanted.len() == Self::MAX_PARTS {
            return Err(E2BIG);
        }
        let wanted = Wanted { inode, range };
        let place = |other: &&Wanted<'_>| other.order() <= wanted.order();
        let place = self.wanted.iter().take_while(place).count();
        insert(&mut self.wanted, place, wanted)
    }

    /// Writes what is dirty of them. Sleeps; no lock of any of the inodes or their mappings may be
    /// held. The media are asked for nothing.
    ///
    /// # Errors
    ///
    /// `EINVAL` without any parts; `E2BIG` if more folios are dirty, or pinned; `ENOMEM`; `EINTR` on a
    /// fatal signal: nothing has been written. What the files below say, the first of that, which
    /// fsync(2) of each file says once more.
    pub fn commit<T: FileSystem>(self) -> Result<CommittedSet> {
        let first = self.wanted.first().ok_or(EINVAL)?.inode;
        let inodes = self.inodes()?;
        let mut stores: KVec<NoStores<'_>> = KVec::with_capacity(inodes.len(), GFP_KERNEL)?;
        let mut inside: KVec<Inside<'_>> = KVec::with_capacity(inodes.len(), GFP_KERNEL)?;
        let locked = LockedInodes::lock(inodes)?;
        for inode in &locked.0 {
            stores.push(inode.hold_stores()?, GFP_KERNEL)?;
        }
        // With the inode locked no other thread keeps it from being written back.
        for inode in &locked.0 {
            inside.push(inode.writeback().enter(Sleep::Killable)?, GFP_KERNEL)?;
        }
        let found = self.protect()?;
        let mut parts = KVVec::with_capacity(found.len(), GFP_KERNEL)?;
        for found in found {
            if let Some(part) = found.begin()? {
                parts.push(part, GFP_KERNEL)?;
            }
        }
        drop(stores);
        drop(locked);
        let committed = CommittedSet {
            written: parts.len(),
            frozen: parts.iter().filter(|part| part.is_frozen()).count(),
        };
        commit::write::<T>(first, parts)?;
        drop(inside);
        Ok(committed)
    }

    /// The inodes, by their addresses.
    fn inodes(&self) -> Result<KVec<&'a Stacked<Inode>>> {
        let mut inodes: KVec<&Stacked<Inode>> = KVec::with_capacity(self.wanted.len(), GFP_KERNEL)?;
        for wanted in &self.wanted {
            let before = |other: &&&Stacked<Inode>| other.as_raw() < wanted.inode.as_raw();
            let place = inodes.iter().take_while(before).count();
            if !inodes
                .get(place)
                .is_some_and(|other| ptr::eq(*other, wanted.inode))
            {
                insert(&mut inodes, place, wanted.inode)?;
            }
        }
        Ok(inodes)
    }

    /// From when this has returned on, none of what is dirty, or pinned, changes; it is returned.
    fn protect(&self) -> Result<KVVec<Found<'a>>> {
        let _nofs = NoFs::new();
        let mut all = KVVec::new();
        // Parts may overlap: up to there the folios of this inode have been looked at.
        let mut seen = (ptr::null_mut(), 0);
        for Wanted { inode, range } in &self.wanted {
            let cache = inode.cache();
            let mut index = Mapping::index_of(range.start);
            if seen.0 == inode.as_raw() {
                index = index.max(seen.1);
            }
            let end = range.end.min(cache.size());
            while let Some(folio) = cache.next(index, end)? {
                index = (folio.index() + folio.pages()).max(index + 1);
                let folio = folio.stabilize(Sleep::Killable)?;
                let pinned = folio.is_pinned();
                if !pinned && !folio.is_dirty() {
                    continue;
                }
                if all.len() == Self::MAX_FOLIOS {
                    return Err(E2BIG);
                }
                let found = Found {
                    inode,
                    frozen: pinned.then(|| commit::copy_of(&folio)).transpose()?,
                    folio: (&**folio).into(),
                };
                all.push(found, GFP_KERNEL)?;
            }
            seen = (inode.as_raw(), index);
        }
        Ok(all)
    }
}

impl<'a> Found<'a> {
    /// Puts it under writeback; not if that has been written meanwhile.
    fn begin(self) -> Result<Option<Part<'a>>> {
        let folio = Locked::lock(self.folio, Sleep::Uninterruptible)?;
        folio.wait_writeback(Sleep::Uninterruptible)?;
        if !folio.is_in(self.inode.cache()) {
            return Ok(None);
        }
        if !folio.clear_dirty_for_io() && self.frozen.is_none() {
            return Ok(None);
        }
        let len = folio.bytes_within(self.inode.size() as u64);
        commit::start(self.inode, &folio, self.frozen, len).map(Some)
    }
}
