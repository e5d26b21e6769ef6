// SPDX-License-Identifier: GPL-2.0

//! A target in a table, with what each has of its own.

use super::{event::Event, Target};
use crate::{
    bindings,
    block::{
        pool::PagePool,
        private::BioPool,
        writes::Writes, //
    },
    pi,
};
use core::ptr::NonNull;
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*, //
};

/// Bios and pages that each target keeps in reserve.
///
/// One of each is enough for progress; more keep a device busy while memory is short.
const RESERVE: u16 = 16;

/// Pages that a target keeps in reserve where writes have to stay whole.
const RESERVE_WHOLE: u16 = 64;

/// The most bytes of a write that has to stay whole: as much as there is a reserve for, both of
/// pages and of metadata, and a power of two.
///
/// Such is an atomic write, and one to a zone, whose sectors have to be written in their order.
pub fn longest_whole(format: &pi::Format) -> u32 {
    let intervals = format.intervals_in_metadata(PAGE_SIZE) as u32;
    let bytes = (intervals << format.interval_exp()).min(u32::from(RESERVE_WHOLE) << PAGE_SHIFT);
    1 << bytes.checked_ilog2().unwrap_or(0)
}

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
///
/// Metadata is waited for when an I/O is mapped, never by a worker: where there is only one worker
/// left, those whose metadata is waited for would wait for that worker.
///
/// Three queues, each with a worker of its own for when there is no memory for more. Looks wait for
/// nothing, so that nothing waits long for a look. Repairs wait for a bio, for pages and for the
/// device, but not for what waits for repairs. Rereads do that, too, and before it for writes in
/// flight; see [`Writes`]. So the order in which an I/O waits is metadata, writes in flight (reads
/// only), bio, page.
///
/// A write that has to stay whole waits for several pages, holding a lock that is taken for this
/// only: one at a time, so that the pages that all the others give back are enough for it.
pub(super) struct Instance<T: Target> {
    // Dropped first: a worker that has just ended the last I/O has to be gone before the rest is; and
    // of them, first the one that hands on to the others.
    /// For looks.
    pub(super) looks: Workqueue,
    /// For writes that are settled.
    pub(super) repairs: Workqueue,
    /// For reads that are settled.
    pub(super) rereads: Workqueue,
    pub(super) event: Event,
    pub(super) target: T,
    pub(super) metadata: PagePool,
    pub(super) bios: BioPool,
    pub(super) writes: Writes,
}

impl<T: Target> Instance<T> {
    /// What `target` needs to be `ti`'s. Sleeps; fails with `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `ti` must outlive the result.
    pub(super) unsafe fn new(target: T, ti: NonNull<bindings::dm_target>) -> Result<KBox<Self>> {
        let device = target.device().0;
        let pages = if device.is_zoned() || device.is_atomic() {
            RESERVE_WHOLE
        } else {
            RESERVE
        };
        Ok(KBox::new(
            Self {
                looks: Workqueue::new(c"look", T::NAME)?,
                repairs: Workqueue::new(c"repair", T::NAME)?,
                rereads: Workqueue::new(c"reread", T::NAME)?,
                // SAFETY: The caller vouches for the target.
                event: unsafe { Event::new(ti) }?,
                target,
                metadata: PagePool::new(RESERVE)?,
                bios: BioPool::new(RESERVE, pages)?,
                writes: Writes::new()?,
            },
            GFP_KERNEL,
        )?)
    }
}

/// Work items of a queue that are under way on each CPU at the most.
const WORKERS: i32 = 16;

/// A workqueue that makes progress when memory is short, and works where an I/O has ended.
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
    /// A workqueue for `what` a target of the name `target` does.
    fn new(what: &'static CStr, target: &'static CStr) -> Result<Self> {
        // SAFETY: The format takes two strings.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s/%s".as_char_ptr(),
                bindings::wq_flags_WQ_MEM_RECLAIM
                    | bindings::wq_flags_WQ_PERCPU
                    | bindings::wq_flags_WQ_CPU_INTENSIVE,
                WORKERS,
                target.as_char_ptr(),
                what.as_char_ptr(),
            )
        };
        // INVARIANT: Made right here.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Queues `work`, on this CPU. Never sleeps.
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
