// SPDX-License-Identifier: GPL-2.0

//! Dentries.

use super::{object, Inode, Object};
use crate::{bindings, mm::SuperBlock};
use core::ptr::NonNull;
use kernel::{prelude::*, sync::aref::ARef};

object! {
    /// A name in a directory, or the absence of one.
    ///
    /// To drop the last reference may sleep.
    ///
    /// # Invariants
    ///
    /// It has a reference for as long as the Rust reference lives.
    ///
    /// C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)
    Dentry, dentry, sp_dget, dput
}

impl Object for Dentry {
    type Raw = bindings::dentry;

    fn super_block(&self) -> &SuperBlock {
        // SAFETY: The field is set when the dentry is made, which keeps the superblock.
        unsafe { SuperBlock::from_raw((*self.as_raw()).d_sb) }
    }
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

    /// Whether names here can be equal without being the same.
    pub(in crate::fs) fn folds(&self) -> bool {
        // SAFETY: The dentry is valid.
        unsafe { bindings::sp_d_folds(self.as_raw()) }
    }

    /// The directory that it is in now.
    pub fn parent(&self) -> ARef<Dentry> {
        // SAFETY: The dentry is valid; the function returns a reference, and never fails.
        unsafe {
            ARef::from_raw(NonNull::new_unchecked(bindings::sp_d_parent(self.as_raw())).cast())
        }
    }
}
