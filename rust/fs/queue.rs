// SPDX-License-Identifier: GPL-2.0

//! What a task that writes pages back does differently, so that it does not wait for itself.

use super::Inode;
use crate::{
    bindings,
    mm::Folio, //
};
use core::ptr;
use kernel::{prelude::*, types::NotThreadSafe};

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
