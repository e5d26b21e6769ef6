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
    object::Object,
    rights::Recent,
    Path, //
};
use crate::{bindings, mm::SuperBlock};
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
    pub(super) queue: crate::workqueue::ReclaimQueue,
    pub(super) option: CString,
    /// The errors of the filesystem below that were told here.
    pub(super) seen: AtomicU32,
}

impl Layer {
    /// The folder below.
    #[inline]
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
pub struct Stacked<T>(T);

impl<T> Deref for Stacked<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: The references are those of the object.
unsafe impl<T: AlwaysRefCounted> AlwaysRefCounted for Stacked<T> {
    fn inc_ref(&self) {
        self.0.inc_ref()
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: The caller gives away a reference; the type is transparent.
        unsafe { T::dec_ref(object.cast()) }
    }
}

impl<T: Object> Stacked<T> {
    /// # Safety
    ///
    /// `raw` must be valid, and stay so for `'a`. It must be of a filesystem of this library: a
    /// superblock that has its layer, an inode that has its node and is not evicted, a dentry of
    /// such a superblock, or a file that is open.
    pub(super) unsafe fn from_raw<'a>(raw: *mut T::Raw) -> &'a Self {
        // INVARIANT: By the requirements.
        // SAFETY: By the requirements it is valid for `'a`, and both types are transparent.
        unsafe { &*raw.cast() }
    }

    /// The superblock.
    pub(super) fn super_block(&self) -> &Stacked<SuperBlock> {
        // SAFETY: By the type invariant it is of this library, too; the object keeps it.
        unsafe { Stacked::from_raw(self.0.super_block().as_raw()) }
    }

    /// What the mount is stacked on.
    pub fn layer(&self) -> &Layer {
        let sb = self.super_block().as_raw();
        // SAFETY: By the type invariant the superblock has its layer, which kill_super() frees
        // after all that is of the superblock.
        unsafe { &*(*sb).s_fs_info.cast() }
    }
}
