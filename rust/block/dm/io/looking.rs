// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is in the hands of a worker that does not wait.

use super::{Io, Looked, Looking, PerIo, Working};
use crate::{
    bindings,
    block::{dm::Target, Bio, Status},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// A phase in which an I/O is in a worker's hands.
pub trait Deferred {}

impl Deferred for Looking {}
impl Deferred for Working {}

impl<'a, T: Target, P: Deferred> Io<'a, T, P> {
    /// Takes over the I/O whose work item this is.
    ///
    /// # Safety
    ///
    /// `work` must be that of an initialised [`PerIo`] in phase `P`, which is ours now.
    pub(super) unsafe fn from_work(work: *mut bindings::work_struct) -> Self {
        // The work item is the first field.
        let per = work.cast::<PerIo<T>>();
        // SAFETY: The caller vouches for the `PerIo` and with it for the bio; the instance outlives its
        // I/O.
        // INVARIANT: As above; the bio has ended and device mapper has not been told.
        unsafe {
            Self {
                bio: Bio::from_raw((*per).bio.as_ptr()),
                per: NonNull::new_unchecked(per),
                instance: (*per).instance.as_ref(),
                _phase: PhantomData,
            }
        }
    }

    /// Ends the I/O with `status`.
    pub(super) fn report(mut self, status: Status) {
        self.finish();
        self.bio.set_status(status);
        // SAFETY: The bio is ours and has ended; this calls the end_io function once more, which
        // finds it finished.
        unsafe { bindings::bio_endio(self.bio.as_raw()) };
    }
}

impl<T: Target> Io<'_, T, Looking> {
    /// # Safety
    ///
    /// Must be called by the workqueue for a work item that [`Io::queue`] queued.
    pub(super) unsafe extern "C" fn work_callback(work: *mut bindings::work_struct) {
        // SAFETY: What was queued is initialised, and ours now.
        if let Some(status) = unsafe { Self::look(work) } {
            // SAFETY: The target has not handed the I/O on, so it is ours still.
            unsafe { Self::from_work(work) }.report(status);
        }
    }

    /// Has the target look at the I/O whose work item this is. Returns how the I/O ends, or `None`
    /// where it was handed on to a worker that may wait. Does not sleep.
    ///
    /// # Safety
    ///
    /// As for [`from_work`](Self::from_work); the work item must not be queued.
    pub(super) unsafe fn look(work: *mut bindings::work_struct) -> Option<Status> {
        // SAFETY: The caller vouches for it.
        let io = unsafe { Self::from_work(work) };
        let (bio, instance) = (io.bio.as_raw(), io.instance);
        if let Some(status) = instance.target.look(io).0 {
            return Some(status);
        }
        // Only what ends without being heard of has none.
        let Some(queues) = &instance.queues else {
            return Some(Status::IOERR);
        };
        // SAFETY: The bio is the I/O's, which is there until the work function runs.
        let queue = match unsafe { Bio::from_raw(bio) }.is_write() {
            true => &queues.writes,
            false => &queues.others,
        };
        // SAFETY: The work item is not queued; the I/O is not touched any more after this.
        unsafe {
            bindings::init_work_with_key(
                work,
                Some(Io::<'_, T, Working>::work_callback),
                false,
                c"stable_pages_settle".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
            queue.queue(work);
        }
        None
    }

    /// Ends the I/O with `status`.
    pub fn done(self, status: Status) -> Looked {
        Looked(Some(status))
    }

    /// Leaves the I/O to [`Target::work`].
    pub fn hand_on(self) -> Looked {
        Looked(None)
    }
}
