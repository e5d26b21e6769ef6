// SPDX-License-Identifier: GPL-2.0

//! Open files.

use super::{object, Dentry, Inode, Object};
use crate::{bindings, mm::SuperBlock};
use core::ptr;
use kernel::prelude::*;

object! {
    /// An open file.
    ///
    /// # Invariants
    ///
    /// It has a reference for as long as the Rust reference lives.
    ///
    /// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
    File, file, get_file, fput
}

impl Object for File {
    type Raw = bindings::file;

    fn super_block(&self) -> &SuperBlock {
        self.inode().super_block()
    }
}

impl File {
    /// The inode.
    #[inline]
    pub fn inode(&self) -> &Inode {
        // SAFETY: The field is set when the file is opened, which keeps the inode.
        unsafe { Inode::from_raw((*self.as_raw()).f_inode) }
    }

    /// The name that it was opened by.
    #[inline]
    pub fn dentry(&self) -> &Dentry {
        // SAFETY: The field is set when the file is opened, which keeps the dentry.
        unsafe { Dentry::from_raw((*self.as_raw()).__bindgen_anon_1.f_path.dentry) }
    }

    /// The flags of open(2).
    #[inline]
    pub fn flags(&self) -> u32 {
        // SAFETY: The file is valid; fcntl(2) may change some flags meanwhile.
        unsafe { ptr::addr_of!((*self.as_raw()).f_flags).read_volatile() }
    }

    /// How it was opened: to be read, to be written, or both (`O_ACCMODE`).
    #[inline]
    pub fn access(&self) -> u32 {
        self.flags() & bindings::SP_O_ACCMODE
    }

    /// Whether it can be written to.
    #[inline]
    pub fn is_writable(&self) -> bool {
        // SAFETY: The file is valid, and this flag does not change.
        unsafe { (*self.as_raw()).f_mode & bindings::SP_FMODE_WRITE != 0 }
    }

    /// Whether O_DIRECT is possible.
    pub fn can_direct(&self) -> bool {
        // SAFETY: The file is valid.
        unsafe { bindings::sp_file_can_direct(self.as_raw()) }
    }

    /// Sets the time of access, unless the mount or the file says that there is none.
    pub(in crate::fs) fn accessed(&self) {
        // SAFETY: The file is valid.
        unsafe { bindings::sp_file_accessed(self.as_raw()) };
    }
}
