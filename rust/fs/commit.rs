// SPDX-License-Identifier: GPL-2.0

//! A part of a file is written to the file below as it is at one moment.

use super::{
    folio::within,
    queue::{LocalThrottle, NoFs},
    stack::Upper,
    File,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    mm::{Folio, Sleep, Stable, StableRange, Writeback}, //
};
use core::{mem, ops::Range, ptr};
use kernel::{
    alloc::flags::GFP_KERNEL,
    ffi::{c_int, c_void},
    prelude::*,
    sync::aref::ARef, //
};

/// What [`Upper::<File>::commit`] has written.
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
struct Part {
    folio: Writeback,
    frozen: Option<KVVec<u8>>,
    len: usize,
}

struct Job<'a> {
    inode: &'a Upper<Inode>,
    parts: KVec<Part>,
}

impl Upper<File> {
    /// Writes what is dirty of `range`, in bytes, to the file below, as it is at one moment: no
    /// store through a mapping, no write(2) and no truncation comes in between, and those that come
    /// later wait until their folio is written. Of a folio that somebody has pinned a copy is made
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
        let mut job = Job {
            inode,
            parts: begin(&range)?,
        };
        let committed = Committed {
            range: range.range(),
            written: job.parts.len(),
            frozen: job.parts.iter().filter(|p| p.frozen.is_some()).count(),
            retries: range.retries(),
        };
        // From now on it is writeback that others wait for.
        drop(range);
        // SAFETY: The function gets what it expects, and `job` lives until it returns.
        let result = unsafe {
            let job = ptr::from_mut(&mut job).cast();
            inode.layer().queue.call(write_all::<T>, job)
        };
        kernel::error::to_result(result)?;
        Ok(committed)
    }
}

/// Puts all folios of the range that are dirty, or pinned, under writeback.
fn begin(range: &StableRange<'_>) -> Result<KVec<Part>> {
    // Folios are locked.
    let _nofs = NoFs::new();
    let size = range.mapping().size() as i64;
    let folios = range.folios();
    // First what can fail.
    let mut copies = KVec::with_capacity(folios.len(), GFP_KERNEL)?;
    for folio in folios {
        let copy = folio.is_pinned().then(|| copy_of(folio)).transpose()?;
        copies.push(copy, GFP_KERNEL)?;
    }
    let mut parts = KVec::with_capacity(folios.len(), GFP_KERNEL)?;
    for (folio, frozen) in folios.iter().zip(copies) {
        if !folio.clear_dirty_for_io() && frozen.is_none() {
            continue;
        }
        let part = start(folio, frozen, within(folio, size));
        if part.is_err() {
            folio.mark_dirty();
        }
        parts.push(part?, GFP_KERNEL)?;
    }
    Ok(parts)
}

fn copy_of(folio: &Stable<ARef<Folio>>) -> Result<KVVec<u8>> {
    let mut copy = KVVec::from_elem(0, folio.size(), GFP_KERNEL)?;
    folio.read(0, &mut copy)?;
    Ok(copy)
}

fn start(folio: &Stable<ARef<Folio>>, frozen: Option<KVVec<u8>>, len: usize) -> Result<Part> {
    // What was stored behind the end of the file through a mapping goes nowhere.
    folio.zero(len, folio.size() - len)?;
    let writeback = folio.start_writeback()?;
    if frozen.is_some() {
        // Whoever has pinned it may be changing it now.
        folio.mark_dirty();
    }
    Ok(Part {
        folio: writeback,
        frozen,
        len,
    })
}

/// In a thread of the kernel, as all that is written back.
///
/// # Safety
///
/// To be called with a [`Job`] that nobody else uses.
unsafe extern "C" fn write_all<T: FileSystem>(job: *mut c_void) -> c_int {
    let _nofs = NoFs::new();
    let _throttle = LocalThrottle::new();
    // SAFETY: The caller passes it.
    let job = unsafe { &mut *job.cast::<Job<'_>>() };
    let inode = job.inode;
    let mut first = 0;
    // Writeback of each ends as it is dropped.
    for part in mem::replace(&mut job.parts, KVec::new()) {
        let written = match &part.frozen {
            Some(copy) => T::write_copy(inode, part.folio.pos(), &copy[..part.len]),
            None => T::write_back(inode, &part.folio, part.len),
        };
        if let Err(error) = written {
            // SAFETY: The inode is valid.
            unsafe { bindings::sp_mapping_set_error(inode.as_raw(), error.to_errno()) };
            if first == 0 {
                first = error.to_errno();
            }
        }
    }
    first
}
