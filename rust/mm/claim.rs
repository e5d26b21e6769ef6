// SPDX-License-Identifier: GPL-2.0

//! A block device that is claimed from all others.

use super::{not_supported, Mapping};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{error::from_err_ptr, prelude::*};

/// While this is there, the page cache of a block device is changed under the locks of its folios
/// only, as that of a file is.
///
/// A filesystem that is mounted on the device has its metadata there, in buffers, which it changes
/// with locks of its own, or those of its journal: the lock of a buffer is not among them. So it is
/// refused where the device is open exclusively (for a mount, swap, the device mapper,
/// `O_EXCL`), and meanwhile they are.
///
/// # Invariants
///
/// It is a file of the block device, opened for all claims of this module together.
pub(super) struct Claim(NonNull<bindings::file>);

impl Claim {
    /// Claims the device of the mapping, if it is that of one. Sleeps, and takes the lock of the
    /// disk, so no folio may be locked.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` where the device is claimed already; what opening it says.
    pub(super) fn of(mapping: &Mapping) -> Result<Option<Self>> {
        // SAFETY: By the type invariant the mapping has an inode.
        let file = from_err_ptr(unsafe { bindings::sp_mapping_claim(mapping.as_raw()) });
        match file {
            // INVARIANT: It was opened just now.
            Ok(file) => Ok(NonNull::new(file).map(Self)),
            Err(EBUSY) => Err(not_supported()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_mapping_unclaim(self.0.as_ptr()) };
    }
}
