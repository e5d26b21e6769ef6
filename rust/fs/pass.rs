// SPDX-License-Identifier: GPL-2.0

//! A pass over what is dirty of an inode, which is written back.

use super::{stack::Stacked, Inode};
use crate::{
    bindings,
    mm::{Folio, Locked, Writeback}, //
};
use core::{marker::PhantomData, ptr};
use kernel::{error::to_result, prelude::*};

/// What `->writepages` is asked for, `struct writeback_control`.
///
/// # Invariants
///
/// The pass is one over the page cache of `inode`, and used by this only.
///
/// C header: [`include/linux/writeback.h`](srctree/include/linux/writeback.h)
pub(super) struct Pass<'a> {
    inode: &'a Stacked<Inode>,
    raw: *mut bindings::writeback_control,
    waits: bool,
    syncs: bool,
    _control: PhantomData<&'a mut bindings::writeback_control>,
}

// SAFETY: The task that asks for it waits until it is over, whatever thread does it.
unsafe impl Send for Pass<'_> {}

impl<'a> Pass<'a> {
    /// # Safety
    ///
    /// `raw` must be what `->writepages` of the inode's mapping was called with, and that must not
    /// return within `'a`.
    pub(super) unsafe fn from_raw(
        inode: &'a Stacked<Inode>,
        raw: *mut bindings::writeback_control,
    ) -> Self {
        // SAFETY: By the requirements `raw` is valid; neither changes during the pass.
        let (waits, syncs) = unsafe {
            (
                bindings::sp_writeback_waits(raw),
                bindings::sp_writeback_syncs(raw),
            )
        };
        // INVARIANT: By the requirements.
        Self {
            inode,
            raw,
            waits,
            syncs,
            _control: PhantomData,
        }
    }

    /// Whether it has to write all that is dirty, and waits for that: fsync(2) does, and the
    /// flusher does not.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Calls `write` for one dirty folio after another: it is clean by then. Sleeps; the first
    /// error.
    pub(super) fn for_each(&self, write: impl Fn(Locked<&Folio>) -> Result) -> Result {
        let mapping = self.inode.cache().as_raw();
        let mut error = 0;
        let mut raw = ptr::null_mut();
        loop {
            // SAFETY: By the type invariant; `raw` is what was returned before.
            raw = unsafe { bindings::writeback_iter(mapping, self.raw, raw, &mut error) };
            if raw.is_null() {
                return to_result(error);
            }
            // SAFETY: The folio is locked, and keeps a reference until the next call.
            let folio = unsafe { Locked::from_locked(Folio::from_raw(raw)) };
            error = write(folio).map_or_else(|error| error.to_errno(), |()| 0);
        }
    }

    /// Says that the folio could not be written.
    pub(super) fn failed(&self, folio: &Writeback, error: Error) {
        if self.inode.failed_to_write(folio, error, self.syncs) {
            // SAFETY: By the type invariant; the folio is valid.
            unsafe { bindings::sp_writeback_skipped(self.raw, folio.as_raw()) };
        }
    }
}
