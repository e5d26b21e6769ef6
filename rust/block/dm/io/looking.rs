// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is in the hands of a worker that does not wait.

use super::{Io, Looked, Looking, PerIo, Working};
use crate::{
    bindings,
    block::{
        dm::Target,
        pool::Effort,
        Bio,
        Destination,
        Payload,
        Status, //
    },
    mm,
    pi, //
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// What is no longer what its metadata was made from.
pub struct Change {
    /// The first interval, counted from the start of the I/O.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// How many there are.
    pub intervals: u64,
    /// Whose page it is.
    pub owner: mm::Owner,
}

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
        // SAFETY: The caller vouches for the `PerIo`; the instance outlives its I/O.
        let (bio, instance) = unsafe { ((*per).bio.as_ptr(), (*per).instance.as_ref()) };
        // INVARIANT: As above; the bio has ended and device mapper has not been told.
        Self {
            // SAFETY: As above.
            bio: unsafe { Bio::from_raw(bio) },
            // SAFETY: As above.
            per: unsafe { NonNull::new_unchecked(per) },
            instance,
            _phase: PhantomData,
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

    /// The nanoseconds since the I/O ended below; 0 if that was not [noted](Io::note_end).
    pub fn nanoseconds_since_end(&self) -> u64 {
        let ended = self.per().ended;
        ended.map_or(0, |ended| ended.elapsed().as_nanos() as u64)
    }

    /// Raises the event counter of the mapped device, soon, which wakes `dmsetup wait`.
    pub fn raise_event(&self) {
        self.instance.event.raise();
    }

    /// What of the data, as it is now, differs from the guards of `payload` or, without one, of the
    /// metadata that went with it last. Does not wait: there is metadata already.
    pub fn change(
        &mut self,
        to: &Destination<'_>,
        payload: Option<&Payload>,
    ) -> Result<Option<Change>, Status> {
        let checks = pi::Checks {
            // What came from above may ask not to be looked at.
            escapes: payload.is_some(),
            ..pi::Checks::guard_only()
        };
        let mut range = None;
        let intervals = self.check(to, payload, Some(checks), Effort::Some, &mut |mismatch| {
            let (_, last) = range.get_or_insert((mismatch.interval, mismatch.interval));
            *last = mismatch.interval;
        })?;
        Ok(range.map(|(first, last)| {
            let exp = to.profile.format.interval_exp();
            Change {
                first,
                last,
                intervals,
                owner: self.owner((first as u32) << exp, 1 << exp),
            }
        }))
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
        let mut io = unsafe { Self::from_work(work) };
        // Metadata is ours to use now.
        io.detach();
        let (bio, instance) = (io.bio.as_raw(), io.instance);
        if let Some(status) = instance.target.look(io).0 {
            return Some(status);
        }
        // SAFETY: The bio is the I/O's, which is there until the work function runs.
        let queue = match unsafe { Bio::from_raw(bio) }.is_write() {
            true => &instance.repairs,
            false => &instance.rereads,
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

    /// Compares the data, as it is now, with the tuples that were read with it, for `payload` or,
    /// without one, for ourselves. Returns the number of intervals that do not match. Does not wait:
    /// there is metadata already.
    pub fn verify(
        &mut self,
        from: &Destination<'_>,
        payload: Option<&Payload>,
    ) -> Result<u64, Status> {
        let from = payload.map_or(*from, |payload| from.with(payload));
        self.check(&from, payload, None, Effort::Some, &mut |_| ())
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
