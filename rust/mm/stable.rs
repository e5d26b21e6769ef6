// SPDX-License-Identifier: GPL-2.0

//! A folio whose data stays.

use super::{Folio, Locked};
use core::ops::Deref;

/// A locked folio whose data stays, unless it is pinned: no mapping of it is writable, it
/// is not under writeback, and write(2) waits for its lock.
///
/// It is unlocked when this is dropped. Made by [`Locked::stabilize`].
///
/// # Invariants
///
/// The folio is not under writeback, and no page table lets a process write to it.
///
/// C header: [`include/linux/rmap.h`](srctree/include/linux/rmap.h)
pub struct Stable<R: Deref<Target = Folio>>(Locked<R>);

impl<R: Deref<Target = Folio>> Stable<R> {
    /// The caller vouches for the type invariant.
    pub(super) fn new(folio: Locked<R>) -> Self {
        Self(folio)
    }

    /// Whether the folio may be pinned, so that a device may change its data all the same. Any
    /// context.
    ///
    /// Who pins it later has to fault for it and waits for the lock: the answer does not change
    /// from no to yes. It may be yes where it should be no.
    pub fn is_pinned(&self) -> bool {
        self.is_maybe_pinned()
    }
}

/// Everything but writing to the folio can be done with it as with any locked one.
impl<R: Deref<Target = Folio>> Deref for Stable<R> {
    type Target = Locked<R>;

    fn deref(&self) -> &Locked<R> {
        &self.0
    }
}
