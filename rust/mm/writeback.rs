// SPDX-License-Identifier: GPL-2.0

//! A folio that is under writeback.

use super::Folio;
use crate::bindings;
use core::ops::Deref;
use kernel::sync::aref::ARef;

/// A folio that we have put under writeback, which ends when this is dropped.
///
/// It needs no lock: [`Locked::start_writeback`](super::Locked::start_writeback) makes one, the
/// folio is unlocked, its data is written, and where the write ends, in any context, this is
/// dropped. Who failed to write tells the mapping before.
///
/// # Invariants
///
/// The folio is under writeback, and that is ours to end.
///
/// C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
pub struct Writeback(ARef<Folio>);

impl Writeback {
    /// # Safety
    ///
    /// The folio must be under writeback, and the caller gives up ending it.
    pub(crate) unsafe fn from_started(folio: ARef<Folio>) -> Self {
        // INVARIANT: The caller vouches for it.
        Self(folio)
    }

    /// Says that there still is data to be written: it could not be, and is to be tried again. May
    /// sleep.
    ///
    /// It needs no lock, since who truncates waits for the end of writeback.
    pub fn mark_dirty(&self) {
        // SAFETY: By the type invariant the folio is under writeback, which keeps it in its mapping.
        unsafe { bindings::folio_mark_dirty(self.as_raw()) };
    }
}

impl Deref for Writeback {
    type Target = Folio;

    #[inline]
    fn deref(&self) -> &Folio {
        &self.0
    }
}

impl Drop for Writeback {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the folio is under writeback, and that is ours to end.
        unsafe { bindings::folio_end_writeback(self.as_raw()) }
    }
}
