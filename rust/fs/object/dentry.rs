// SPDX-License-Identifier: GPL-2.0

//! Dentries.

use super::{object, Inode};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{prelude::*, sync::aref::ARef};

object! {
    /// A name in a directory, or the absence of one.
    ///
    /// To drop the last reference may sleep.
    ///
    /// C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)
    Dentry, dentry, sp_dget, dput
}

impl Dentry {
    /// The inode; none if there is nothing of that name.
    pub fn inode(&self) -> Option<ARef<Inode>> {
        // SAFETY: The dentry is valid.
        let raw = NonNull::new(unsafe { bindings::sp_d_inode(self.as_raw()) })?;
        // SAFETY: A dentry with a reference keeps its inode: only dput() and d_delete() take it
        // away, and the latter only from a dentry without other references.
        Some(unsafe { Inode::from_raw(raw.as_ptr()) }.into())
    }

    /// The directory that it is in now.
    pub fn parent(&self) -> ARef<Dentry> {
        // SAFETY: The dentry is valid.
        let raw = unsafe { bindings::sp_d_parent(self.as_raw()) };
        // SAFETY: The function returns a reference, and never fails.
        unsafe { ARef::from_raw(NonNull::new_unchecked(raw.cast())) }
    }

    pub(crate) fn raw_super(&self) -> *mut bindings::super_block {
        // SAFETY: The field is set when the dentry is made.
        unsafe { (*self.as_raw()).d_sb }
    }

    /// The number of the filesystem's device.
    pub(in crate::fs) fn device(&self) -> bindings::dev_t {
        // SAFETY: A dentry keeps its superblock, whose number does not change.
        unsafe { (*self.raw_super()).s_dev }
    }
}
