// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that has ended below.

use super::{Completing, Ended, Ending, Io, Looking, PerIo};
use crate::{
    bindings,
    block::{
        dm::{instance::Instance, Target},
        Bio,
        Status, //
    },
    workqueue::ReclaimQueue,
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

impl<'a, T: Target> Io<'a, T, Completing> {
    /// Takes over a clone that has ended below; `None` where it is all done and only device mapper
    /// has not heard of it.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of `instance`'s, in its end_io function, and in no other hands.
    pub(in crate::block::dm) unsafe fn new(
        bio: *mut bindings::bio,
        instance: &'a Instance<T>,
    ) -> Option<Self> {
        // SAFETY: The caller vouches for the bio, which was mapped before, so that what is in front of
        // it is initialised.
        let (bio, per, finished) = unsafe {
            let per = NonNull::new_unchecked(PerIo::<T>::of(bio));
            (Bio::from_raw(bio), per, per.as_ref().finished)
        };
        if finished {
            return None;
        }
        // INVARIANT: As above; the data has not changed since.
        Some(Self {
            bio,
            per,
            instance,
            _phase: PhantomData,
        })
    }

    /// Whether an I/O that ended with `status` has not been tried, and its submitter comes again: it
    /// must not wait, and would have had to, or the device does not know how to do without.
    pub fn was_refused(&self, status: Status) -> bool {
        status == Status::AGAIN || (status == Status::NOTSUPP && self.bio.is_nowait())
    }

    /// Ends the I/O with `status`.
    pub fn done(mut self, status: Status) -> Ended {
        self.finish();
        Ended(Ending::With(status))
    }

    /// Leaves the I/O to [`Target::look`], in a worker.
    pub fn defer(self) -> Ended {
        Ended(Ending::Deferred)
    }

    /// Leaves the I/O to [`Target::look`], in this context if the FPU may be used here, without which
    /// a checksum takes many times as long; else in a worker.
    ///
    /// For what is short: this may be an interrupt, and nothing else goes on meanwhile.
    pub fn look_here(self) -> Ended {
        // SAFETY: It only looks at what the CPU is doing.
        match unsafe { bindings::sp_may_use_simd() } {
            true => Ended(Ending::Here),
            false => self.defer(),
        }
    }

    /// Has the target look at the I/O whose bio this is, after it asked to. Returns how the I/O
    /// ends, or `None` where a worker has it now. Does not sleep.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of a target of type `T`, whose end_io function returns
    /// `DM_ENDIO_INCOMPLETE` next, and touches it no more, if this returns `None`.
    pub(in crate::block::dm) unsafe fn look(bio: *mut bindings::bio) -> Option<Status> {
        // SAFETY: The caller vouches for the bio; the area is initialised, and the I/O in no other
        // hands. Where the target has not handed it on, it is ours still.
        unsafe {
            let work = (*PerIo::<T>::of(bio)).work.get();
            let status = Io::<'_, T, Looking>::look(work)?;
            Io::<'_, T, Looking>::from_work(work).finish();
            Some(status)
        }
    }

    /// Queues the I/O whose bio this is, after the target deferred it.
    ///
    /// # Safety
    ///
    /// `bio` must be a clone of a target of type `T` whose end_io function returns
    /// `DM_ENDIO_INCOMPLETE` next, and touches it no more; `queue` one of its instance's.
    pub(in crate::block::dm) unsafe fn queue(bio: *mut bindings::bio, queue: &ReclaimQueue) {
        // SAFETY: The caller vouches for the bio; the area is initialised, and ours until the work
        // function runs.
        unsafe {
            let work = (*PerIo::<T>::of(bio)).work.get();
            bindings::init_work_with_key(
                work,
                Some(Io::<'_, T, Looking>::work_callback),
                false,
                c"stable_pages_io".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
            queue.queue(work);
        }
    }
}
