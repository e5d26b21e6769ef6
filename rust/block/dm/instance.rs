// SPDX-License-Identifier: GPL-2.0

//! A target in a table, with what each has of its own.

use super::Target;
use crate::{
    bindings,
    block::{
        pool::PagePool,
        private::BioPool, //
    },
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Bios and pages that each target keeps in reserve.
///
/// One of each is enough for progress; more keep a device busy while memory is short.
const RESERVE: u16 = 16;

/// What `ti->private` points to.
///
/// Device mapper destroys a target after all its I/O has ended, so whatever belongs to an I/O may
/// point here.
///
/// # Forward progress
///
/// An I/O may need metadata, a private bio and a page for that, and waits for them in this order
/// only, for one of each at the most. So the one that waits for nothing more ends and gives back
/// what the others wait for, however short memory is; what one of each is not enough for is done
/// piece by piece.
pub(super) struct Instance<T: Target> {
    // Dropped first: a worker that has just ended the last I/O has to be gone before the rest is.
    pub(super) queue: Workqueue,
    pub(super) target: T,
    pub(super) metadata: PagePool,
    pub(super) bios: BioPool,
}

impl<T: Target> Instance<T> {
    pub(super) fn new(target: T) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                queue: Workqueue::new(T::NAME)?,
                target,
                metadata: PagePool::new(RESERVE)?,
                bios: BioPool::new(RESERVE)?,
            },
            GFP_KERNEL,
        )?)
    }
}

/// A workqueue that makes progress when memory is short.
///
/// # Invariants
///
/// The workqueue was made by `alloc_workqueue()`.
pub(super) struct Workqueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A workqueue has locks of its own.
unsafe impl Send for Workqueue {}
// SAFETY: As above.
unsafe impl Sync for Workqueue {}

impl Workqueue {
    fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The format takes one string.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                bindings::wq_flags_WQ_MEM_RECLAIM | bindings::wq_flags_WQ_UNBOUND,
                0,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: Made right here.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Queues `work`, on any CPU. Never sleeps.
    ///
    /// # Safety
    ///
    /// `work` must be initialised, not queued, and stay until its function is called.
    pub(super) unsafe fn queue(&self, work: *mut bindings::work_struct) {
        // SAFETY: By the type invariant the queue is valid; the caller vouches for the work.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                self.0.as_ptr(),
                work,
            )
        };
    }
}

impl Drop for Workqueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is valid; nobody has a reference to it any more.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) }
    }
}
