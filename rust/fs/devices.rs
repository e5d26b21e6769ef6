// SPDX-License-Identifier: GPL-2.0

//! Device numbers (`st_dev`) for a filesystem below that has more than one.
//!
//! An inode number is one of a device: two subvolumes of btrfs both have a file with the number 257.

use crate::bindings;
use kernel::{
    alloc::flags::GFP_KERNEL,
    error::to_result,
    prelude::*,
    xarray::{AllocKind, XArray}, //
};

/// A device number that nothing else has.
///
/// # Invariants
///
/// It is an anonymous one, and allocated.
struct Anonymous(bindings::dev_t);

impl Anonymous {
    fn new() -> Result<Self> {
        let mut device = 0;
        // SAFETY: It can be written.
        to_result(unsafe { bindings::get_anon_bdev(&mut device) })?;
        // INVARIANT: The function has succeeded.
        Ok(Self(device))
    }
}

impl Drop for Anonymous {
    fn drop(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::free_anon_bdev(self.0) };
    }
}

/// One number here for each below, until they are dropped.
pub(super) struct Devices(Pin<KBox<XArray<KBox<Anonymous>>>>);

impl Devices {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(KBox::pin_init(
            XArray::new(AllocKind::Alloc),
            GFP_KERNEL,
        )?))
    }

    /// What stands for `lower`. Sleeps; ENOMEM or EMFILE, where it is new.
    pub(super) fn get(&self, lower: bindings::dev_t) -> Result<bindings::dev_t> {
        if let Some(known) = self.0.lock().get(lower as usize) {
            return Ok(known.0);
        }
        let new = KBox::new(Anonymous::new()?, GFP_KERNEL)?;
        let mut devices = self.0.lock();
        // Another thread may have been faster.
        if let Some(known) = devices.get(lower as usize) {
            return Ok(known.0);
        }
        let device = new.0;
        devices.store(lower as usize, new, GFP_KERNEL)?;
        Ok(device)
    }
}
