// SPDX-License-Identifier: GPL-2.0

//! A target in a table, with what each has of its own.

use super::{event::Event, Target};
use crate::{bindings, block::Sector, workqueue::ReclaimQueue};
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
    pub(super) looks: ReclaimQueue,
    /// For [`Target::work`] on writes.
    pub(super) writes: ReclaimQueue,
    /// For [`Target::work`] on everything else.
    pub(super) others: ReclaimQueue,
}

impl Queues {
    fn new<T: Target>() -> Result<Self> {
        let [look, write, other] = T::QUEUES;
        Ok(Self {
            looks: ReclaimQueue::per_cpu(T::NAME, look, WORKERS)?,
            writes: ReclaimQueue::per_cpu(T::NAME, write, WORKERS)?,
            others: ReclaimQueue::per_cpu(T::NAME, other, WORKERS)?,
        })
    }
}

/// Work items of a queue that are under way on each CPU at the most.
const WORKERS: i32 = 16;
