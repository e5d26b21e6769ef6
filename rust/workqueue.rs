// SPDX-License-Identifier: GPL-2.0

//! Workqueues that make progress however little memory there is.

use crate::bindings;
use core::ptr::{self, NonNull};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_void},
    prelude::*, //
};

/// A workqueue with a thread of its own for when there is no memory for more (`WQ_MEM_RECLAIM`).
///
/// `kernel::workqueue` has the system's queues, and makes others for work items that it allocates.
///
/// # Invariants
///
/// It was made by `alloc_workqueue()`, with a rescuer.
///
/// C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
pub(crate) struct ReclaimQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A workqueue locks what it changes.
unsafe impl Send for ReclaimQueue {}

// SAFETY: As above; each function here is for any number of tasks at once.
unsafe impl Sync for ReclaimQueue {}

impl ReclaimQueue {
    /// One whose items run on the CPU that queues them, `workers` of them at a time on each at the
    /// most, for what ends an I/O there; its name is `user`, a slash and `what`. Sleeps; fails with
    /// `ENOMEM`.
    pub(crate) fn per_cpu(user: &CStr, what: &CStr, workers: i32) -> Result<Self> {
        let flags = bindings::wq_flags_WQ_PERCPU | bindings::wq_flags_WQ_CPU_INTENSIVE;
        // SAFETY: The format takes two strings.
        unsafe {
            Self::alloc(
                c"%s/%s",
                flags,
                workers,
                user.as_char_ptr(),
                what.as_char_ptr(),
            )
        }
    }

    /// One whose items run on any CPU, for what takes its time. Sleeps; fails with `ENOMEM`.
    pub(crate) fn unbound(name: &CStr) -> Result<Self> {
        // SAFETY: The format takes one string; the other is not looked at.
        unsafe {
            Self::alloc(
                c"%s",
                bindings::wq_flags_WQ_UNBOUND,
                0,
                name.as_char_ptr(),
                ptr::null(),
            )
        }
    }

    /// # Safety
    ///
    /// `format` must take no more than these two strings.
    unsafe fn alloc(
        format: &CStr,
        flags: u32,
        workers: i32,
        first: *const c_char,
        second: *const c_char,
    ) -> Result<Self> {
        // SAFETY: The caller vouches for the format.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                format.as_char_ptr(),
                bindings::wq_flags_WQ_MEM_RECLAIM | flags,
                workers,
                first,
                second,
            )
        };
        // INVARIANT: Made right here.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Queues `work`. Never sleeps.
    ///
    /// # Safety
    ///
    /// `work` must be initialised, not queued, and stay until its function is called.
    pub(crate) unsafe fn queue(&self, work: *mut bindings::work_struct) {
        // SAFETY: By the type invariant the queue is valid; the caller vouches for the work.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                self.0.as_ptr(),
                work,
            )
        };
    }

    /// Calls `function` in a thread of the queue's, and waits for it. Sleeps.
    pub(crate) fn call<F: FnOnce() -> Result + Send>(&self, function: F) -> Result {
        /// # Safety
        ///
        /// `function` must be an `Option<F>` that no other thread uses.
        unsafe extern "C" fn call<F: FnOnce() -> Result>(function: *mut c_void) -> c_int {
            // SAFETY: The caller vouches for it.
            let function = unsafe { &mut *function.cast::<Option<F>>() }.take();
            from_result(|| function.map_or(Ok(()), |function| function()).map(|()| 0))
        }
        let mut function = Some(function);
        let argument = ptr::from_mut(&mut function).cast();
        // SAFETY: By the type invariant the queue is valid. call() gets the `Option<F>` that it
        // requires, and has returned when this does.
        to_result(unsafe {
            bindings::sp_workqueue_call(self.0.as_ptr(), Some(call::<F>), argument)
        })
    }
}

impl Drop for ReclaimQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is valid; there is no reference to it any more.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
