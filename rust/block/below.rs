// SPDX-License-Identifier: GPL-2.0

//! What is below a device, as it is now.

use crate::bindings;
use core::ptr::NonNull;
use kernel::prelude::*;

/// The disks below a device: what they show of protection information, and whether their errors
/// arrive as they were.
///
/// # Invariants
///
/// `0` was made by `sp_below_new()` for a device that is open.
pub(super) struct Below(NonNull<bindings::sp_below>);

// SAFETY: All of it can be called on any thread, but for what `Drop` does.
unsafe impl Send for Below {}
// SAFETY: As above.
unsafe impl Sync for Below {}

impl Below {
    /// What is below `bdev`. Sleeps; fails with `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `bdev` must be open, and stay so until the result is dropped.
    pub(super) unsafe fn new(bdev: *mut bindings::block_device) -> Result<Self> {
        // SAFETY: The caller vouches for the device.
        let below = unsafe { bindings::sp_below_new(bdev) };
        // INVARIANT: Made right here.
        NonNull::new(below).map(Self).ok_or(ENOMEM)
    }

    /// Whether the device keeps bios waiting while it is suspended. Any context.
    pub(super) fn defers(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::sp_below_defers(self.0.as_ptr()) }
    }

    /// Whether all disks below show the profile with the number `profile`. Any context.
    pub(super) fn shows(&self, profile: u64) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::sp_below_shows(self.0.as_ptr(), profile) }
    }

    /// Whether an error of a disk below arrives as it was, and no driver in between acts on it. Any
    /// context.
    pub(super) fn passes(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::sp_below_passes(self.0.as_ptr()) }
    }

    /// Sleeps while a queue below is frozen.
    pub(super) fn thaw(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::sp_below_thaw(self.0.as_ptr()) }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; there is no reference to it any more.
        unsafe { bindings::sp_below_free(self.0.as_ptr()) }
    }
}
