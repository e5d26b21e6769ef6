// SPDX-License-Identifier: GPL-2.0

//! A block device below, and what it says of protection information.

use super::below::{Below, BelowNow};
use crate::{bindings, pi};
use core::ptr::NonNull;
use kernel::prelude::*;

/// A block device that a device-mapper target has opened.
///
/// C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h)
pub struct Device {
    // Dropped first: it needs the device to be open.
    below: Below,
    open: Open,
}

/// An open device.
///
/// # Invariants
///
/// `dev` came from `dm_get_device()` for the target `ti` and is open; `ti` outlives it, since the
/// target's own data holds it.
struct Open {
    dev: NonNull<bindings::dm_dev>,
    ti: NonNull<bindings::dm_target>,
}

// SAFETY: What is done with a device can be done on any thread.
unsafe impl Send for Open {}
// SAFETY: Nothing in a `dm_dev` changes while it is open.
unsafe impl Sync for Open {}

impl Device {
    /// Sleeps; fails with `ENOMEM`, and has closed the device then.
    ///
    /// # Safety
    ///
    /// `dev` must come from `dm_get_device()` for `ti`, must not be put elsewhere, and `ti`
    /// must outlive the result.
    pub(super) unsafe fn from_raw(
        dev: NonNull<bindings::dm_dev>,
        ti: NonNull<bindings::dm_target>,
    ) -> Result<Self> {
        // INVARIANT: The caller vouches for it.
        let open = Open { dev, ti };
        Ok(Self {
            // SAFETY: By its type invariant the device is open, and is closed after this is dropped.
            below: unsafe { Below::new((*dev.as_ptr()).bdev) }?,
            open,
        })
    }

    pub(super) fn dm_dev(&self) -> *mut bindings::dm_dev {
        self.open.dev.as_ptr()
    }

    fn dm_dev_ref(&self) -> &bindings::dm_dev {
        // SAFETY: By the type invariant the device is open. Nothing in a `dm_dev` changes while it is.
        unsafe { self.open.dev.as_ref() }
    }

    pub(super) fn bdev(&self) -> *mut bindings::block_device {
        self.dm_dev_ref().bdev
    }

    /// What tells the profiles of the device apart, as it is now.
    fn profile_number(&self) -> u64 {
        // SAFETY: By the type invariant the device is open.
        unsafe { bindings::sp_bdev_profile(self.bdev()) }
    }

    /// The device number as `major:minor`, as device mapper writes it into tables.
    pub fn name(&self) -> &str {
        let name = &self.dm_dev_ref().name;
        let name = name.split(|&c| c == 0).next();
        name.and_then(|name| core::str::from_utf8(name).ok())
            .unwrap_or("?")
    }

    /// The length in sectors of 512 bytes.
    pub fn sectors(&self) -> u64 {
        // SAFETY: By the type invariant the device is open.
        unsafe { (*self.bdev()).bd_nr_sectors }
    }

    /// The logical block size in bytes.
    pub fn logical_block_size(&self) -> u32 {
        // SAFETY: By the type invariant the device is open.
        unsafe { bindings::sp_bdev_logical_block_size(self.bdev()) }
    }

    /// Whether the device is zoned.
    pub fn is_zoned(&self) -> bool {
        // SAFETY: By the type invariant the device is open.
        unsafe { bindings::sp_bdev_is_zoned(self.bdev()) }
    }

    /// Whether the device can write data as a whole or not at all.
    pub fn is_atomic(&self) -> bool {
        // SAFETY: By the type invariant the device is open.
        unsafe { bindings::sp_bdev_can_atomic_write(self.bdev()) }
    }

    /// The device number, `dev_t`.
    pub(super) fn number(&self) -> u32 {
        // SAFETY: By the type invariant the device is open.
        unsafe { (*self.bdev()).bd_dev }
    }

    /// What the device says of protection information; `None` where it has none that we know.
    pub fn profile(&self) -> Option<Profile> {
        // SAFETY: By the type invariant the device is open.
        let integrity = unsafe { bindings::sp_bdev_get_integrity(self.bdev()).as_ref()? };
        let checksum = match integrity.csum_type {
            bindings::blk_integrity_checksum_BLK_INTEGRITY_CSUM_CRC => pi::Checksum::Crc16T10Dif,
            bindings::blk_integrity_checksum_BLK_INTEGRITY_CSUM_IP => pi::Checksum::Ip,
            bindings::blk_integrity_checksum_BLK_INTEGRITY_CSUM_CRC64 => pi::Checksum::Crc64Nvme,
            _ => return None,
        };
        let format = pi::Format::new(
            checksum,
            integrity.flags & bindings::SP_BLK_INTEGRITY_REF_TAG != 0,
            integrity.interval_exp,
            integrity.metadata_size,
            integrity.pi_offset,
        )
        .ok()?;
        Some(Profile {
            format,
            number: self.profile_number(),
            device_checks: integrity.flags & bindings::SP_BLK_INTEGRITY_DEVICE_CAPABLE != 0,
            stored: true,
        })
    }

    /// What is below now, with `profile` as what is asked for. Any context.
    pub fn now(&self, profile: &Profile) -> BelowNow {
        let now = self.below.now(profile.number);
        BelowNow {
            shows: if profile.stored {
                now.shows
            } else {
                profile.number == self.profile_number()
            },
            ..now
        }
    }

    /// Whether an error of a disk below arrives as it was, as [`now`](Self::now) has it. Any context.
    pub fn passes_errors(&self) -> bool {
        self.below.now(0).passes
    }

    /// Whether the device says now that it checks the guard of a write itself
    /// (`BLK_INTEGRITY_DEVICE_CAPABLE`). Any context.
    pub fn checks(&self) -> bool {
        // SAFETY: By the type invariant the device is open.
        unsafe { bindings::sp_bdev_profile_checks(self.bdev()) }
    }

    /// Whether bios wait in the device while it is suspended. Any context.
    pub(super) fn defers(&self) -> bool {
        self.below.defers()
    }

    /// Whether the device, and all that it is made of, show `profile`, which is stored. Sleeps while a
    /// queue below is frozen, after which its profile may be another one.
    pub(super) fn shows_thawed(&self, profile: &Profile) -> bool {
        self.below.shows_thawed(profile.number)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is open, and ours to close.
        unsafe { bindings::dm_put_device(self.ti.as_ptr(), self.dev.as_ptr()) }
    }
}

/// A device's integrity profile, `struct blk_integrity`.
///
/// C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The format of the metadata.
    pub format: pi::Format,
    /// What tells the device's profiles apart.
    number: u64,
    /// Whether the device itself checks the guard of a write (`BLK_INTEGRITY_DEVICE_CAPABLE`).
    pub device_checks: bool,
    /// Whether the metadata goes to the device; if not, it serves to see whether data changes.
    pub stored: bool,
}

impl Profile {
    /// What takes the place of a profile over a device that has none: a checksum for each logical
    /// block, which goes no further down.
    ///
    /// It is the widest that there is, since nothing else tells a changed block from one that is
    /// the same. `None` where a logical block is no interval.
    pub fn snapshot(device: &Device) -> Option<Self> {
        let exp = device.logical_block_size().checked_ilog2()?;
        Some(Self {
            number: device.profile_number(),
            format: pi::Format::new(pi::Checksum::Crc64Nvme, false, exp as u8, 16, 0).ok()?,
            device_checks: false,
            stored: false,
        })
    }
}
