// SPDX-License-Identifier: GPL-2.0

//! What a constructor gets and what it can complain about.

use crate::{
    bindings,
    block::{Device, Sector}, //
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::to_result, prelude::*, str::CString};

/// Why a table line is refused: device mapper logs the text, and the ioctl fails with the error.
#[derive(Debug)]
pub struct TableError {
    pub(super) text: &'static CStr,
    pub(super) error: Error,
}

impl TableError {
    /// The line is wrong (`EINVAL`).
    pub fn invalid(text: &'static CStr) -> Self {
        Self {
            text,
            error: EINVAL,
        }
    }

    /// The line is right, but something failed.
    #[inline]
    pub fn failed(text: &'static CStr, error: Error) -> Self {
        Self { text, error }
    }
}

/// How many clones a target gets of a bio that has no data of its own (`ti->num_flush_bios` and
/// others).
#[derive(Clone, Copy, Debug, Default)]
pub struct NumBios {
    /// Of a flush.
    pub flush: u32,
    /// Of a discard.
    pub discard: u32,
    /// Of a secure erase.
    pub secure_erase: u32,
    /// Of a "write zeroes".
    pub write_zeroes: u32,
}

impl NumBios {
    /// One of each, as a target over one device wants them.
    pub const ONE: Self = Self {
        flush: 1,
        discard: 1,
        secure_erase: 1,
        write_zeroes: 1,
    };
}

/// A target while it is being constructed.
///
/// # Invariants
///
/// `ti` is valid, and outlives what the constructor makes.
pub struct Setup<'a> {
    ti: NonNull<bindings::dm_target>,
    _ti: PhantomData<&'a mut bindings::dm_target>,
}

impl Setup<'_> {
    /// # Safety
    ///
    /// `ti` must be valid, in its constructor, and outlive what the constructor makes.
    pub(super) unsafe fn from_raw(ti: NonNull<bindings::dm_target>) -> Self {
        // INVARIANT: The caller vouches for it.
        Self {
            ti,
            _ti: PhantomData,
        }
    }

    fn ti(&self) -> &bindings::dm_target {
        // SAFETY: By the type invariant the target is valid; device mapper waits for its constructor.
        unsafe { self.ti.as_ref() }
    }

    fn ti_mut(&mut self) -> &mut bindings::dm_target {
        // SAFETY: As above.
        unsafe { self.ti.as_mut() }
    }

    /// The first sector of the mapped device that is the target's.
    #[inline]
    pub fn begin(&self) -> Sector {
        Sector::new(self.ti().begin)
    }

    /// The length of the target in sectors of 512 bytes.
    #[inline]
    pub fn len(&self) -> u64 {
        self.ti().len
    }

    /// Whether the target is empty, which device mapper does not allow.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number (`dev_t`) of the mapped device that the target is to be part of.
    #[inline]
    pub fn mapped_device(&self) -> u32 {
        // SAFETY: By the type invariant the target is valid and has a table, which has a device.
        unsafe { bindings::sp_dm_target_dev(self.ti.as_ptr()) }
    }

    /// Whether the mapped device shows an integrity profile already, by the table that it has.
    #[inline]
    pub fn shows_profile(&self) -> bool {
        // SAFETY: By the type invariant the target is valid and has a table, which has a device.
        unsafe { bindings::sp_dm_target_shows_profile(self.ti.as_ptr()) }
    }

    /// Asks for a clone of each flush, discard, secure erase and "write zeroes". Of what is not asked
    /// for device mapper sends none, as if the target could not do it.
    pub fn set_num_bios(&mut self, num: NumBios) {
        let ti = self.ti_mut();
        ti.num_flush_bios = num.flush;
        ti.num_discard_bios = num.discard;
        ti.num_secure_erase_bios = num.secure_erase;
        ti.num_write_zeroes_bios = num.write_zeroes;
    }

    /// Has device mapper make writes of zone appends, so that each write knows its sectors.
    #[inline]
    pub fn set_emulate_zone_append(&mut self, on: bool) {
        self.ti_mut().set_emulate_zone_append(on);
    }

    /// Says that what takes the place of a clone is accounted when it is submitted.
    pub(in crate::block) fn set_accounts_remapped_io(&mut self) {
        self.ti_mut().set_accounts_remapped_io(true);
    }

    /// Opens the device that `path` names (a path, or `major:minor`), for as long as the target
    /// lives. Sleeps.
    pub fn open(&mut self, path: &str) -> Result<Device> {
        let path = CString::try_from_fmt(fmt!("{path}"))?;
        let mut dev = core::ptr::null_mut();
        // SAFETY: By the type invariant the target is valid and has a table.
        to_result(unsafe {
            bindings::dm_get_device(
                self.ti.as_ptr(),
                path.as_char_ptr(),
                bindings::dm_table_get_mode((*self.ti.as_ptr()).table),
                &mut dev,
            )
        })?;
        let dev = NonNull::new(dev).ok_or(ENXIO)?;
        // SAFETY: It came from `dm_get_device()` for this target, which outlives what is made here.
        unsafe { Device::from_raw(dev, self.ti) }
    }
}
