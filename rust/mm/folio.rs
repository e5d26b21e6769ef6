// SPDX-License-Identifier: GPL-2.0

//! A folio of the page cache.

use super::{Locked, Mapping};
use crate::bindings;
use core::{ops::Range, ptr::NonNull};
use kernel::{
    error::{from_err_ptr, to_result},
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// How a sleep may be cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// Only by what it waits for.
    Uninterruptible,
    /// By a signal that ends the process, too: `EINTR`.
    Killable,
}

/// Memory of the page cache, `struct folio`: one page or a power of two of them.
///
/// A `&Folio` says that there is a reference; an [`ARef<Folio>`] is one. A reference keeps
/// the memory, but neither its contents nor its place: an unlocked folio can be truncated, split
/// and migrated any time, so what is known of its order, mapping and index may have changed when
/// it is looked at. [`Locked`] is a folio for which that cannot happen.
///
/// # Invariants
///
/// The folio has a reference for as long as the Rust reference lives.
///
/// C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)
#[repr(transparent)]
pub struct Folio(Opaque<bindings::folio>);

// SAFETY: A folio belongs to no thread.
unsafe impl Send for Folio {}
// SAFETY: What can be done with a `&Folio` is atomic, or the page cache has a lock for it.
unsafe impl Sync for Folio {}

// SAFETY: A folio is freed when its count of references gets to zero.
unsafe impl AlwaysRefCounted for Folio {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant there is a reference already.
        unsafe { bindings::sp_folio_get(self.as_raw()) }
    }

    unsafe fn dec_ref(folio: NonNull<Self>) {
        // SAFETY: The caller hands over a reference.
        unsafe { bindings::sp_folio_put(folio.cast().as_ptr()) }
    }
}

impl Folio {
    /// Borrows a folio that C has a reference to.
    ///
    /// # Safety
    ///
    /// `folio` must be valid and keep a reference for the lifetime `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(folio: *mut bindings::folio) -> &'a Self {
        // SAFETY: `Folio` is transparent over `bindings::folio`; the caller vouches for the rest.
        // INVARIANT: The caller does so for the type invariant, too.
        unsafe { &*folio.cast() }
    }

    /// Takes over a reference that C has returned; `None` for NULL, and the error of an
    /// `ERR_PTR()`.
    ///
    /// # Safety
    ///
    /// `folio` must be NULL, an `ERR_PTR()`, or valid, and the caller gives up a reference to it.
    pub(crate) unsafe fn take(folio: *mut bindings::folio) -> Result<Option<ARef<Self>>> {
        let folio = NonNull::new(from_err_ptr(folio)?);
        // SAFETY: The caller vouches for the reference.
        Ok(folio.map(|folio| unsafe { ARef::from_raw(folio.cast()) }))
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::folio {
        self.0.get()
    }

    /// The base-2 logarithm of the number of pages. Any context.
    #[inline]
    pub fn order(&self) -> u32 {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_order(self.as_raw()) }
    }

    /// The number of pages. Any context.
    #[inline]
    pub fn pages(&self) -> usize {
        1 << self.order()
    }

    /// The number of bytes. Any context.
    #[inline]
    pub fn size(&self) -> usize {
        PAGE_SIZE << self.order()
    }

    /// The index of the first page in the mapping, in pages. Any context.
    #[inline]
    pub fn index(&self) -> usize {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_index(self.as_raw()) }
    }

    /// The place of the first byte in the file, in bytes. Any context.
    #[inline]
    pub fn pos(&self) -> u64 {
        self.index() as u64 * PAGE_SIZE as u64
    }

    /// The place in the file, in bytes. Any context.
    #[inline]
    pub fn range(&self) -> Range<u64> {
        let start = self.pos();
        start..start + self.size() as u64
    }

    /// How many of its bytes are within a file of that size. Any context.
    #[inline]
    pub fn bytes_within(&self, size: u64) -> usize {
        size.saturating_sub(self.pos()).min(self.size() as u64) as usize
    }

    /// Whether the data is that of the file. Any context.
    #[inline]
    pub fn is_uptodate(&self) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_test_uptodate(self.as_raw()) }
    }

    /// Whether there is data to be written. Any context.
    ///
    /// A store through a mapping counts once its page has been write-protected or unmapped.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_test_dirty(self.as_raw()) }
    }

    /// Whether the data is being written. Any context.
    #[inline]
    pub fn is_under_writeback(&self) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_test_writeback(self.as_raw()) }
    }

    /// Whether the folio is locked, by any task. Any context.
    #[inline]
    pub fn is_locked(&self) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_test_locked(self.as_raw()) }
    }

    /// Whether a device, or the kernel on behalf of a process, may have been given the memory to
    /// use by itself (`FOLL_PIN`). Any context.
    ///
    /// Neither the folio's lock nor write-protection stops it. A folio with very many references
    /// looks like it, too; one that is pinned always does, if it was pinned before the call.
    #[inline]
    pub fn is_maybe_pinned(&self) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_maybe_dma_pinned(self.as_raw()) }
    }

    /// Whether this is memory of `mapping`. Any context; only right while the folio is locked.
    #[inline]
    pub fn belongs_to(&self, mapping: &Mapping) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_mapping(self.as_raw()) == mapping.as_raw() }
    }

    /// Whether the page at `index` of the mapping is part of it. Any context; only right while the
    /// folio is locked.
    #[inline]
    pub fn contains(&self, index: usize) -> bool {
        // SAFETY: By the type invariant the folio is valid.
        unsafe { bindings::sp_folio_contains(self.as_raw(), index) }
    }

    /// Locks the folio. Sleeps; must not be called with a spinlock held, nor by who has locked it
    /// already, nor, in the same mapping, by who has locked a later one.
    ///
    /// Outside of it in the kernel's order: `i_rwsem`, `mmap_lock`, protection against freezing,
    /// `invalidate_lock`. Inside: `i_mmap_rwsem`, the lock of the page tables, `i_pages`.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal, where the sleep can be cut short.
    pub fn lock(&self, sleep: Sleep) -> Result<Locked<&Self>> {
        Locked::lock(self, sleep)
    }

    /// Locks the folio if no task has. Any process context; does not sleep.
    pub fn try_lock(&self) -> Option<Locked<&Self>> {
        // SAFETY: By the type invariant the folio is valid.
        let locked = unsafe { bindings::sp_folio_trylock(self.as_raw()) };
        // SAFETY: Locked above, and handed over.
        locked.then(|| unsafe { Locked::from_locked(self) })
    }

    /// Waits until the folio is not under writeback. Sleeps; no spinlock may be held.
    ///
    /// Writeback begins with the folio locked: unless the caller has locked it, it may begin again
    /// at once. A task that has locked a later folio of the mapping must not wait: the one that
    /// writes may be waiting for that, before it submits what it has collected.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal, where the sleep can be cut short.
    pub fn wait_writeback(&self, sleep: Sleep) -> Result {
        // SAFETY: By the type invariant the folio is valid.
        unsafe {
            match sleep {
                Sleep::Uninterruptible => bindings::folio_wait_writeback(self.as_raw()),
                Sleep::Killable => {
                    to_result(bindings::folio_wait_writeback_killable(self.as_raw()))?
                }
            }
        }
        Ok(())
    }
}
