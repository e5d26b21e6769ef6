// SPDX-License-Identifier: GPL-2.0

//! What can be done with an I/O that is in the hands of a worker that may wait.

use super::{Io, Working};
use crate::{bindings, block::dm::Target};

impl<T: Target> Io<'_, T, Working> {
    /// # Safety
    ///
    /// Must be called by the workqueue for a work item that a look queued.
    pub(super) unsafe extern "C" fn work_callback(work: *mut bindings::work_struct) {
        // SAFETY: The caller vouches for it.
        let mut io = unsafe { Self::from_work(work) };
        let status = io.instance.target.work(&mut io);
        io.report(status);
    }
}
