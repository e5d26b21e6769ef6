// SPDX-License-Identifier: GPL-2.0

//! Pages that are there however short memory is.

use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A reserve of pages, `mempool_t`.
///
/// An I/O that waits for a page of the reserve holds none of it, and every page comes back when its
/// bio ends: so each gets one in the end.
///
/// # Invariants
///
/// The pool was made by `mempool_create_node()` with page-sized elements.
///
/// C header: [`include/linux/mempool.h`](srctree/include/linux/mempool.h)
pub(super) struct PagePool(NonNull<bindings::mempool>);

/// How much an allocation may do for what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllocMode {
    /// Sleep until the least that is of use is there, and take what there is besides.
    Partial,
    /// Sleep until all of it is there.
    Full,
    /// Do not sleep: all of it at once, or nothing.
    NoWait,
}

impl AllocMode {
    /// The same where a page will do for all of it, one piece after the other.
    pub(super) fn at_least_a_page(self) -> Self {
        match self {
            Self::NoWait => Self::NoWait,
            Self::Partial | Self::Full => Self::Partial,
        }
    }

    /// The flags for an attempt that may fail, without touching a reserve.
    pub(super) fn gfp(self) -> bindings::gfp_t {
        match self {
            Self::Partial | Self::Full => bindings::SP_GFP_NOIO_TRY,
            Self::NoWait => bindings::SP_GFP_NOWAIT_TRY,
        }
    }
}

// SAFETY: A mempool has a lock of its own.
unsafe impl Send for PagePool {}
// SAFETY: As above.
unsafe impl Sync for PagePool {}

impl PagePool {
    /// A pool that keeps `reserve` pages. Sleeps; fails with `ENOMEM`.
    pub(super) fn new(reserve: u16) -> Result<Self> {
        // SAFETY: The functions are the kernel's own for pages; the pool data is the page order.
        let pool = unsafe {
            bindings::mempool_create_node_noprof(
                reserve.into(),
                Some(bindings::mempool_alloc_pages),
                Some(bindings::mempool_free_pages),
                core::ptr::null_mut(),
                bindings::GFP_KERNEL,
                bindings::NUMA_NO_NODE,
            )
        };
        // INVARIANT: Made right here, of pages of order 0.
        NonNull::new(pool).map(Self).ok_or(ENOMEM)
    }

    /// A page. Sleeps until there is one.
    pub(super) fn alloc_page(&self) -> NonNull<bindings::page> {
        // SAFETY: By the type invariant the pool is valid.
        let page =
            unsafe { bindings::mempool_alloc_noprof(self.0.as_ptr(), bindings::SP_GFP_NOIO) };
        // SAFETY: An allocation that may sleep does not fail.
        unsafe { NonNull::new_unchecked(page.cast()) }
    }

    /// A page if one can be had without touching the reserve and without much trying. Sleeps,
    /// unless that is not allowed.
    pub(super) fn try_alloc_page(&self, mode: AllocMode) -> Option<NonNull<bindings::page>> {
        // SAFETY: Can be called in any context where `mode` is right.
        NonNull::new(unsafe { bindings::alloc_pages(mode.gfp(), 0) })
    }

    /// Gives a page back, of this pool or of [`try_alloc_page`](Self::try_alloc_page). Never
    /// sleeps.
    ///
    /// # Safety
    ///
    /// The page must be one of those, and not used any more.
    pub(super) unsafe fn free_page(&self, page: NonNull<bindings::page>) {
        // SAFETY: By the type invariant the pool is valid; the caller vouches for the page.
        unsafe { bindings::mempool_free(page.as_ptr().cast(), self.0.as_ptr()) }
    }

    /// A zeroed page by its address. Sleeps until there is one.
    pub(super) fn alloc_zeroed(&self) -> NonNull<u8> {
        let page = self.alloc_page();
        // SAFETY: The page is not in high memory, since none was asked for, so its mapping is its
        // address and needs no unmapping.
        let start = unsafe { bindings::kmap_local_page(page.as_ptr()) }.cast::<u8>();
        // SAFETY: A page long, and ours.
        unsafe { start.write_bytes(0, kernel::page::PAGE_SIZE) };
        // SAFETY: The address of a page is not null.
        unsafe { NonNull::new_unchecked(start) }
    }

    /// Gives back what [`alloc_zeroed`](Self::alloc_zeroed) returned. Never sleeps.
    ///
    /// # Safety
    ///
    /// `start` must be that, and not used any more.
    pub(super) unsafe fn free(&self, start: NonNull<u8>) {
        // SAFETY: The address is that of a page in the direct mapping.
        let page = unsafe { bindings::sp_virt_to_page(start.as_ptr().cast()) };
        // SAFETY: A valid address has a page; the caller vouches for the rest.
        unsafe { self.free_page(NonNull::new_unchecked(page)) }
    }
}

impl Drop for PagePool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pool is valid; there is no reference to it any more.
        unsafe { bindings::mempool_destroy(self.0.as_ptr()) }
    }
}

/// Pages that each CPU has at hand: one that comes back is the next one that is needed, and is not
/// cleared in between. There are 256 KiB at the most for a CPU.
///
/// # Invariants
///
/// `0` was made by `sp_stash_alloc()`. What is in it are pages that are used by nothing else.
pub(super) struct Stash(NonNull<bindings::sp_stash>);

// SAFETY: A CPU uses its own pages only, and no interrupt comes in between.
unsafe impl Send for Stash {}
// SAFETY: As above.
unsafe impl Sync for Stash {}

impl Stash {
    /// An empty one. Sleeps; fails with `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        // SAFETY: Can be called where it may sleep.
        let stash = unsafe { bindings::sp_stash_alloc() };
        // INVARIANT: Made right here.
        NonNull::new(stash).map(Self).ok_or(ENOMEM)
    }

    /// A page that this CPU has. Any context.
    pub(super) fn take(&self) -> Option<NonNull<bindings::page>> {
        // SAFETY: By the type invariant the stash is valid.
        NonNull::new(unsafe { bindings::sp_stash_take(self.0.as_ptr()) })
    }

    /// Keeps a page, or gives it back to `pool` where that lacks some of its reserve, or there is no
    /// room here. Any context.
    ///
    /// # Safety
    ///
    /// As for [`PagePool::free_page`].
    pub(super) unsafe fn put(&self, page: NonNull<bindings::page>, pool: &PagePool) {
        let (stash, reserve) = (self.0.as_ptr(), pool.0.as_ptr());
        // SAFETY: By the type invariants both are valid. The caller does not use the page any more.
        let kept = unsafe { bindings::sp_stash_put(stash, reserve, page.as_ptr()) };
        if !kept {
            // SAFETY: The caller vouches for it.
            unsafe { pool.free_page(page) }
        }
    }
}

impl Drop for Stash {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours, with the pages; there is no reference to it any
        // more.
        unsafe { bindings::sp_stash_free(self.0.as_ptr()) }
    }
}
