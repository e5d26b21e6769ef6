// SPDX-License-Identifier: GPL-2.0

//! Where and how pages are written back: in a thread of the kernel, without recursion.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    ffi::{c_int, c_void},
    prelude::*, //
};

/// Threads of the kernel; one is always to be had, however little memory there is.
///
/// # Invariants
///
/// It is a valid workqueue with a rescuer.
///
/// C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
pub(super) struct Queue(NonNull<bindings::workqueue_struct>);

// SAFETY: A workqueue locks what it changes.
unsafe impl Send for Queue {}

// SAFETY: As above.
unsafe impl Sync for Queue {}

impl Queue {
    pub(super) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The name ends with a zero.
        let raw = unsafe { bindings::sp_workqueue_alloc(name.as_char_ptr()) };
        // INVARIANT: It was made for reclaim.
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// Calls `function` there, and waits for it. Sleeps.
    ///
    /// # Safety
    ///
    /// The function must be all right with the argument.
    pub(super) unsafe fn call(
        &self,
        function: unsafe extern "C" fn(*mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int {
        // SAFETY: By type invariant, and the caller vouches for the rest.
        unsafe { bindings::sp_workqueue_call(self.0.as_ptr(), Some(function), argument) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: By type invariant; nobody waits for it.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// While this is there, this task allocates memory without calling filesystems (`GFP_NOFS`),
/// whatever the caller of the allocator says, and whatever flags a mapping has.
///
/// C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)
pub(super) struct NoFs(u32, kernel::types::NotThreadSafe);

impl NoFs {
    pub(super) fn new() -> Self {
        // SAFETY: Can be called by any task.
        let flags = unsafe { bindings::sp_nofs_save() };
        Self(flags, kernel::types::NotThreadSafe)
    }
}

impl Drop for NoFs {
    fn drop(&mut self) {
        // SAFETY: The flags are those that this task had.
        unsafe { bindings::sp_nofs_restore(self.0) };
    }
}

/// While this is there, this task is throttled by the device below only: it must not wait for dirty
/// pages that it is there to clean.
pub(super) struct LocalThrottle(u32, kernel::types::NotThreadSafe);

impl LocalThrottle {
    pub(super) fn new() -> Self {
        // SAFETY: Can be called by any task.
        let flags = unsafe { bindings::sp_local_throttle_save() };
        Self(flags, kernel::types::NotThreadSafe)
    }
}

impl Drop for LocalThrottle {
    fn drop(&mut self) {
        // SAFETY: The flag is what this task had.
        unsafe { bindings::sp_local_throttle_restore(self.0) };
    }
}
