// SPDX-License-Identifier: GPL-2.0

//! What a stackable filesystem keeps about the one below it.
//!
//! | of | is kept | until |
//! | --- | --- | --- |
//! | a mount | the folder below, and who mounted it | it is gone |
//! | a dentry | the dentry below | it is released |
//! | an inode | the inode below, and a file to write it through | it is evicted |
//! | an open file | the file below that was opened with it | it is closed |

use super::{
    devices::Devices,
    rights::Recent,
    Path, //
};
use crate::bindings;
use core::{ops::Deref, ptr::NonNull, sync::atomic::AtomicU32};
use kernel::{
    cred::Credential,
    prelude::*,
    str::CString,
    sync::aref::{ARef, AlwaysRefCounted}, //
};

/// What a mount is stacked on.
pub struct Layer {
    pub(super) lower: Path,
    pub(super) credential: ARef<Credential>,
    pub(super) recent: Recent,
    pub(super) devices: Devices,
    pub(super) queue: super::Queue,
    pub(super) option: CString,
    /// The errors of the filesystem below that were told here.
    pub(super) seen: AtomicU32,
}

impl Layer {
    /// The folder below.
    pub fn lower(&self) -> &Path {
        &self.lower
    }

    /// The number of a device below, as it is here; `own` is that of the filesystem.
    pub(super) fn device(
        &self,
        lower: bindings::dev_t,
        own: bindings::dev_t,
    ) -> Result<bindings::dev_t> {
        if lower == self.lower.dentry().super_block().device() {
            return Ok(own);
        }
        self.devices.get(lower)
    }
}

/// An object of a filesystem that this library has registered.
///
/// # Invariants
///
/// The private data of the object, and of its superblock, are what is set here.
#[repr(transparent)]
pub struct Upper<T>(T);

impl<T> Deref for Upper<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: The references are those of the object.
unsafe impl<T: AlwaysRefCounted> AlwaysRefCounted for Upper<T> {
    fn inc_ref(&self) {
        self.0.inc_ref()
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: The caller gives away a reference; the type is transparent.
        unsafe { T::dec_ref(object.cast()) }
    }
}

/// # Safety
///
/// The superblock must be one of this library's, and stay so for `'a`.
pub(super) unsafe fn layer<'a>(sb: *mut bindings::super_block) -> &'a Layer {
    // SAFETY: fill_super() puts a layer there, which goes after all that is of the superblock.
    unsafe { &*(*sb).s_fs_info.cast() }
}
