// SPDX-License-Identifier: GPL-2.0

//! A folio that is locked, and what can only be done with one.

use super::{Class, Folio, Mapping, Owner, Sleep, Stable, Writeback};
use crate::bindings;
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{error::to_result, prelude::*, sync::aref::ARef};

/// A folio that we have locked; it is unlocked when this is dropped.
///
/// `R` keeps the folio: a `&Folio` or an [`ARef<Folio>`]. While it is locked the folio is not
/// truncated, split, migrated or freed, its data is not changed by write(2), and writeback of it
/// does not begin. Stores through a mapping go on; see [`Locked::stabilize`].
///
/// A task that locks several folios of a mapping does so in ascending order.
///
/// # Invariants
///
/// The folio is locked, and it is ours to unlock.
///
/// C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
pub struct Locked<R: Deref<Target = Folio>>(R);

impl<R: Deref<Target = Folio>> Locked<R> {
    /// Locks the folio that `folio` keeps; as [`Folio::lock`].
    pub(crate) fn lock(folio: R, sleep: Sleep) -> Result<Self> {
        // SAFETY: By the type invariant of `Folio` it is valid.
        unsafe {
            match sleep {
                Sleep::Uninterruptible => bindings::sp_folio_lock(folio.as_raw()),
                Sleep::Killable => to_result(bindings::sp_folio_lock_killable(folio.as_raw()))?,
            }
        }
        // INVARIANT: It has been locked above.
        Ok(Self(folio))
    }

    /// # Safety
    ///
    /// The folio must be locked, and the caller gives up the lock.
    pub(crate) unsafe fn from_locked(folio: R) -> Self {
        // INVARIANT: The caller vouches for it.
        Self(folio)
    }

    /// The folio stays locked, and who gets it from the caller unlocks it.
    pub(crate) fn into_locked(self) -> R {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so that the value is moved out of it once.
        unsafe { core::ptr::read(&this.0) }
    }

    /// Whether the folio is still a part of `mapping`, which it is not after it was truncated. Does
    /// not sleep.
    pub fn is_in(&self, mapping: &Mapping) -> bool {
        self.belongs_to(mapping)
    }

    /// The mapping that the folio is a part of; `None` after it was truncated. Does not sleep.
    pub fn mapping(&self) -> Option<&Mapping> {
        // SAFETY: By the type invariant the folio is valid.
        let mapping = unsafe { bindings::folio_mapping(self.as_raw()) };
        // SAFETY: An inode is not freed while one of its folios is locked.
        (!mapping.is_null()).then(|| unsafe { Mapping::from_raw(mapping) })
    }

    /// Copies data from the byte `offset` of the folio on to `to`. Does not sleep.
    ///
    /// Stores through a mapping may be changing the data meanwhile, unless the folio is
    /// [`Stable`].
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not all in the folio.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        self.check(offset, to.len())?;
        // SAFETY: The range is in the folio, whose size stays while it is locked; `to` is ours.
        unsafe { bindings::sp_folio_read(self.as_raw(), offset, to.as_mut_ptr().cast(), to.len()) };
        Ok(())
    }

    /// Copies `from` to the byte `offset` of the folio. Does not sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it does not all fit in the folio; `EBUSY` if that is under writeback.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        self.check(offset, from.len())?;
        self.check_writable()?;
        // SAFETY: The range is in the folio, whose size stays while it is locked.
        unsafe {
            bindings::sp_folio_write(self.as_raw(), offset, from.as_ptr().cast(), from.len())
        };
        Ok(())
    }

    /// Sets `len` bytes from the byte `offset` of the folio on to zero. Does not sleep.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn zero(&self, offset: usize, len: usize) -> Result {
        self.check(offset, len)?;
        self.check_writable()?;
        // SAFETY: The range is in the folio, whose size stays while it is locked.
        unsafe { bindings::sp_folio_zero(self.as_raw(), offset, offset + len) };
        Ok(())
    }

    fn check(&self, offset: usize, len: usize) -> Result {
        match offset.checked_add(len) {
            Some(end) if end <= self.size() => Ok(()),
            _ => Err(EINVAL),
        }
    }

    fn check_writable(&self) -> Result {
        if self.is_under_writeback() {
            Err(EBUSY)
        } else {
            Ok(())
        }
    }

    /// Says that the data is that of the file. Does not sleep.
    pub fn mark_uptodate(&self) {
        // SAFETY: By the type invariant the folio is locked.
        unsafe { bindings::sp_folio_mark_uptodate(self.as_raw()) }
    }

    /// Says that there is data to be written, and tells the filesystem. May sleep; returns whether
    /// it was not known before.
    pub fn mark_dirty(&self) -> bool {
        // SAFETY: The lock keeps the folio in its mapping.
        unsafe { bindings::folio_mark_dirty(self.as_raw()) }
    }

    /// Takes the folio for being written: what was dirty in a mapping is write-protected and
    /// counted in, and the folio is clean. May sleep; returns whether there is data to be written.
    ///
    /// The caller begins writeback then, or marks the folio dirty again.
    pub fn clear_dirty_for_io(&self) -> bool {
        // SAFETY: By the type invariant the folio is locked.
        unsafe { bindings::folio_clear_dirty_for_io(self.as_raw()) }
    }

    /// Puts the folio under writeback. Does not sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is already.
    pub fn start_writeback(&self) -> Result<Writeback> {
        self.check_writable()?;
        // SAFETY: By the type invariant the folio is locked, and no other task can put it under
        // writeback meanwhile.
        unsafe { bindings::sp_folio_start_writeback(self.as_raw()) };
        // SAFETY: Begun right above, and handed over.
        Ok(unsafe { Writeback::from_started(ARef::from(&**self)) })
    }

    /// Takes away the right to write through every shared mapping of the folio, and returns whether
    /// a process had it. May sleep. Stores until then make the folio dirty.
    ///
    /// The next store asks the filesystem's `->page_mkwrite`, and the filesystem gets the
    /// folio's lock first. On tmpfs a store asks no filesystem: there, this protects from nothing,
    /// and [`unmap`](Self::unmap) is needed.
    pub fn write_protect(&self) -> bool {
        // SAFETY: By the type invariant the folio is locked.
        let was_writable = unsafe { bindings::sp_folio_mkclean(self.as_raw()) } != 0;
        if was_writable {
            self.mark_dirty();
        }
        was_writable
    }

    /// Takes the folio out of all page tables but for copies that a process has made for itself.
    /// May sleep. Stores until then make the folio dirty.
    ///
    /// The next access of any kind needs the folio's lock before the folio is mapped again.
    pub fn unmap(&self) {
        if let Some(mapping) = self.mapping() {
            mapping.unmap(self.index(), self.pages());
        }
    }

    /// Takes the folio out of the page cache and out of all page tables but for copies that a
    /// process has made for itself, written or not. May sleep.
    ///
    /// It stays locked, and who waits for the lock looks for another one then.
    pub fn remove(&self) {
        if self.mapping().is_some() {
            // SAFETY: The folio is locked and in a mapping. It can only fail where it is not one of
            // a regular file, and then is not removed.
            unsafe { bindings::sp_folio_remove(self.as_raw()) };
        }
    }

    /// The same folio, locked by this.
    pub(crate) fn by_ref(&self) -> ManuallyDrop<Locked<&Folio>> {
        // INVARIANT: It is locked for as long as this is borrowed, and is not unlocked.
        ManuallyDrop::new(Locked(&**self))
    }

    /// Makes sure that the data stays until the lock is dropped, unless the folio is pinned.
    /// Sleeps, until writeback has ended; no later folio of the mapping may be locked.
    ///
    /// Every mapping of the folio loses the right to write, or all of it where that does not help.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal, where the sleep can be cut short; `ENOENT` if the folio was
    /// truncated; `EOPNOTSUPP` where locks of folios do not protect the data. The folio is unlocked
    /// then.
    pub fn stabilize(self, sleep: Sleep) -> Result<Stable<R>> {
        let unmapped = self.mapping().ok_or(ENOENT)?.must_be_unmapped()?;
        if unmapped {
            self.unmap();
        } else {
            self.write_protect();
        }
        self.wait_writeback(sleep)?;
        // INVARIANT: The folio is locked, so that neither writeback begins nor write(2) changes it,
        // and stores fault, and wait for the lock.
        Ok(Stable::new(self))
    }

    /// Who can change the page at `index` of the mapping, if that is part of the folio. Does not
    /// sleep.
    pub fn class(&self, index: usize) -> Option<Class> {
        let i = index.checked_sub(self.index())?;
        if i >= self.pages() {
            return None;
        }
        // SAFETY: The page is part of the folio, whose size stays while it is locked.
        let page = unsafe { bindings::sp_folio_page(self.as_raw(), i) };
        // SAFETY: The folio, and with it the page, has a reference.
        Some(unsafe { Owner::of_page(NonNull::new_unchecked(page)) }.class())
    }
}

impl<R: Deref<Target = Folio>> Deref for Locked<R> {
    type Target = Folio;

    fn deref(&self) -> &Folio {
        &self.0
    }
}

impl<R: Deref<Target = Folio>> Drop for Locked<R> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the folio is locked, and ours to unlock.
        unsafe { bindings::folio_unlock(self.as_raw()) }
    }
}
