// SPDX-License-Identifier: GPL-2.0

//! The thread that submits an I/O.

use crate::bindings;
use core::mem::MaybeUninit;

/// A thread, by its number and name at the time.
#[derive(Clone, Copy)]
pub struct Submitter(bindings::sp_task);

impl Submitter {
    /// The thread that is running. Any context, though in an interrupt that says nothing.
    pub fn current() -> Self {
        let mut task = MaybeUninit::uninit();
        // SAFETY: The function sets all of it.
        unsafe { bindings::sp_current_task(task.as_mut_ptr()) };
        // SAFETY: As above.
        Self(unsafe { task.assume_init() })
    }

    /// The number of the thread.
    #[inline]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// The number of its process.
    #[inline]
    pub fn process(&self) -> i32 {
        self.0.tgid
    }

    /// The name of the thread.
    pub fn comm(&self) -> &str {
        let comm = &self.0.comm;
        let len = comm.iter().position(|&c| c == 0).unwrap_or(comm.len());
        comm.get(..len)
            .and_then(|name| core::str::from_utf8(name).ok())
            .unwrap_or("?")
    }

    pub(super) fn as_raw(&self) -> &bindings::sp_task {
        &self.0
    }
}
