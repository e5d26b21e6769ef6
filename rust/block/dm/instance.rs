// SPDX-License-Identifier: GPL-2.0

//! A target in a table, with what each has of its own.

use super::{event::Event, Target};
use crate::{bindings, block::Sector};
use core::ptr::NonNull;
use kernel::prelude::*;

/// What `ti->private` points to.
///
/// Device mapper destroys a target after all its I/O has ended, so whatever belongs to an I/O may
/// point here.
pub(super) struct Instance<T: Target> {
    // Dropped first: a worker that has just ended the last I/O has to be gone before the rest is.
    /// Where the target looks at I/O that has ended.
    pub(super) queues: Option<Queues>,
    pub(super) event: Event,
    pub(super) target: T,
    /// The first sector of the mapped device that is the target's.
    pub(super) begin: Sector,
}

impl<T: Target> Instance<T> {
    /// What `target` needs to be `ti`'s. Sleeps; fails with `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `ti` must outlive the result.
    pub(super) unsafe fn new(target: T, ti: NonNull<bindings::dm_target>) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                queues: match T::HAS_END_IO {
                    true => Some(Queues::new::<T>()?),
                    false => None,
                },
                // SAFETY: The caller vouches for the target.
                event: unsafe { Event::new(ti) }?,
                target,
                // SAFETY: The caller vouches for the target, whose place does not change.
                begin: Sector::new(unsafe { (*ti.as_ptr()).begin }),
            },
            GFP_KERNEL,
        )?)
    }
}

/// Three queues, each with a worker of its own for when there is no memory for more.
///
/// Looks wait for nothing, so that none waits long for its turn. What is done about a write may wait
/// for memory and for the device, but not for what waits for it. What is done about other I/O may do
/// that, too, and before it wait for writes.
pub(super) struct Queues {
    // Dropped first: it hands on to the others.
    /// For [`Target::look`].
    pub(super) looks: Workqueue,
    /// For [`Target::work`] on writes.
    pub(super) writes: Workqueue,
    /// For [`Target::work`] on everything else.
    pub(super) others: Workqueue,
}

impl Queues {
    fn new<T: Target>() -> Result<Self> {
        let [look, write, other] = T::QUEUES;
        Ok(Self {
            looks: Workqueue::new(look, T::NAME)?,
            writes: Workqueue::new(write, T::NAME)?,
            others: Workqueue::new(other, T::NAME)?,
        })
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
        // SAFETY: By the type invariant the queue is valid; there is no reference to it any more.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) }
    }
}
