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

    /// What is below now, of which `profile` is the number of a profile. Any context.
    pub(super) fn now(&self, profile: u64) -> BelowNow {
        // SAFETY: By the type invariant.
        let flags = unsafe { bindings::sp_below_now(self.0.as_ptr(), profile) };
        BelowNow {
            shows: flags & bindings::SP_BELOW_SHOWS != 0,
            passes: flags & bindings::SP_BELOW_PASSES != 0,
        }
    }

    /// Whether all disks below show the profile with the number `profile`. Sleeps while a queue below
    /// is frozen.
    pub(super) fn shows_thawed(&self, profile: u64) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::sp_below_shows_thawed(self.0.as_ptr(), profile) }
    }
}

/// What is below a device at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BelowNow {
    /// The device, and all that it is made of, show the profile that was asked for.
    pub shows: bool,
    /// An error of a disk below arrives as it was, with no driver in between that acts on it. What
    /// changes below counts as unknown until it has been looked at.
    pub passes: bool,
}

impl Drop for Below {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; there is no reference to it any more.
        unsafe { bindings::sp_below_free(self.0.as_ptr()) }
    }
}
