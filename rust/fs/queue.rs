// SPDX-License-Identifier: GPL-2.0

//! Where and how pages are written back: in a thread of the kernel, without recursion.

use super::Inode;
use crate::{
    bindings,
    mm::Folio, //
};
use core::ptr::{self, NonNull};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    types::NotThreadSafe, //
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

// SAFETY: A workqueue locks what it changes, and call() is for any number of tasks at once.
unsafe impl Sync for Queue {}

impl Queue {
    pub(super) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: The name ends with a zero.
        let raw = unsafe { bindings::sp_workqueue_alloc(name.as_char_ptr()) };
        // INVARIANT: It was made for reclaim.
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// Calls `function` there, and waits for it. Sleeps.
    pub(super) fn call<F: FnOnce() -> Result + Send>(&self, function: F) -> Result {
        /// # Safety
        ///
        /// `function` must be an `Option<F>` that no other thread uses.
        unsafe extern "C" fn call<F: FnOnce() -> Result>(function: *mut c_void) -> c_int {
            // SAFETY: It is the `Option<F>` of Queue::call(), which waits for this.
            let function = unsafe { &mut *function.cast::<Option<F>>() }.take();
            from_result(|| function.map_or(Ok(()), |function| function()).map(|()| 0))
        }
        let mut function = Some(function);
        let argument = ptr::from_mut(&mut function).cast();
        // SAFETY: By type invariant. call() gets the `Option<F>` that it requires, and has returned
        // when this does.
        to_result(unsafe {
            bindings::sp_workqueue_call(self.0.as_ptr(), Some(call::<F>), argument)
        })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: By type invariant; no call() is waiting.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// What this task does differently while this is there.
struct TaskFlag {
    flag: u32,
    old: u32,
    _this_task: NotThreadSafe,
}

impl TaskFlag {
    fn new(flag: u32) -> Self {
        Self {
            flag,
            // SAFETY: Can be called by any task, for these flags.
            old: unsafe { bindings::sp_task_flag_save(flag) },
            _this_task: NotThreadSafe,
        }
    }
}

impl Drop for TaskFlag {
    fn drop(&mut self) {
        // SAFETY: It is what this task had.
        unsafe { bindings::sp_task_flag_restore(self.flag, self.old) };
    }
}

/// While this is there, this task allocates memory without calling filesystems (`GFP_NOFS`),
/// whatever the caller of the allocator says, and whatever flags a mapping has.
///
/// C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)
pub(super) struct NoFs {
    _flag: TaskFlag,
}

impl NoFs {
    pub(super) fn new() -> Self {
        Self {
            _flag: TaskFlag::new(bindings::PF_MEMALLOC_NOFS),
        }
    }
}

/// While this is there, this task is throttled by the device below only: it must not wait for dirty
/// pages that it is there to clean.
pub(super) struct LocalThrottle {
    _flag: TaskFlag,
}

impl LocalThrottle {
    pub(super) fn new() -> Self {
        Self {
            _flag: TaskFlag::new(bindings::PF_LOCAL_THROTTLE),
        }
    }
}

/// While this is there, the page cache of a file below in memory that this task allocates is charged
/// to the control group that a folio above is charged to: a thread of the kernel has none itself,
/// and so no limit.
///
/// The page cache of a file on a disk is not: it goes when it is written. A group whose memory is
/// full of what is dirty above could not be charged for writing that, and the kernel would kill
/// processes of it where it has them wait for the disk without a stack.
///
/// C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)
pub(super) struct ChargeAs {
    old: *mut bindings::mem_cgroup,
    group: *mut bindings::mem_cgroup,
    _this_task: NotThreadSafe,
}

impl ChargeAs {
    /// For writing `folio` to `lower`.
    pub(super) fn of(folio: &Folio, lower: &Inode) -> Self {
        let mut group = ptr::null_mut();
        let of = lower.is_in_memory().then(|| folio.as_raw());
        // SAFETY: The folio is valid, or NULL, and `group` is ours alone.
        let old = unsafe { bindings::sp_charge_folio(of.unwrap_or(ptr::null_mut()), &mut group) };
        Self {
            old,
            group,
            _this_task: NotThreadSafe,
        }
    }

    /// The error of what has been done: want of memory in a group that has a limit is want of room,
    /// and no thread is to wait until there is some.
    pub(super) fn error(&self, error: Error) -> Error {
        // SAFETY: This keeps the group.
        let limited = unsafe { bindings::sp_charge_is_limited(self.group) };
        if error == ENOMEM && limited {
            ENOSPC
        } else {
            error
        }
    }
}

impl Drop for ChargeAs {
    fn drop(&mut self) {
        // SAFETY: Both are from when this was made; the reference to the group is given back.
        unsafe { bindings::sp_charge_end(self.old, self.group) };
    }
}
