// SPDX-License-Identifier: GPL-2.0

//! The event counter of a mapped device.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{prelude::*, types::Opaque};

/// Raises the event counter of a target's mapped device, from where no memory may be waited for.
///
/// Device mapper tells udev about it and allocates for that, which may come to wait for the very
/// I/O that has something to tell. So a worker of the kernel's does it.
pub(super) struct Event(KBox<Raise>);

/// # Invariants
///
/// `work` is initialised, with [`Raise::work_callback`]; `ti` outlives it.
#[repr(C)]
struct Raise {
    work: Opaque<bindings::work_struct>,
    ti: NonNull<bindings::dm_target>,
}

// SAFETY: Work items can be queued on any thread, and device mapper raises events on any.
unsafe impl Send for Event {}
// SAFETY: As above.
unsafe impl Sync for Event {}

impl Event {
    /// For `ti`. Sleeps; fails with `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `ti` must outlive the result.
    pub(super) unsafe fn new(ti: NonNull<bindings::dm_target>) -> Result<Self> {
        let raise = KBox::new(
            Raise {
                work: Opaque::zeroed(),
                ti,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The work item is ours and stays where it is, on the heap.
        unsafe {
            bindings::init_work_with_key(
                raise.work.get(),
                Some(Raise::work_callback),
                false,
                c"stable_pages_event".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            )
        };
        // INVARIANT: Initialised right here; the caller vouches for the target.
        Ok(Self(raise))
    }

    /// Raises the counter, soon. Any context. What is raised more than once at a time counts once.
    pub(super) fn raise(&self) {
        // SAFETY: The kernel's workqueue is always there, and the work item is initialised by the
        // type invariant.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                bindings::system_percpu_wq,
                self.0.work.get(),
            )
        };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the work item is initialised; no I/O is left to queue it.
        unsafe { bindings::cancel_work_sync(self.0.work.get()) };
    }
}

impl Raise {
    /// # Safety
    ///
    /// Must be called by the workqueue for the work item of a `Raise`.
    unsafe extern "C" fn work_callback(work: *mut bindings::work_struct) {
        // SAFETY: The work item is the first field; it is cancelled before the rest goes. By the type
        // invariant the target is there, and has a table while it has I/O.
        unsafe {
            let raise = &*work.cast::<Self>();
            bindings::dm_table_event((*raise.ti.as_ptr()).table);
        }
    }
}
