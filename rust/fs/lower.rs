// SPDX-License-Identifier: GPL-2.0

//! The file below an open file.

use super::{
    object::Object,
    rights::{act, Rights},
    File, //
};
use crate::{bindings, mm::FreezeProtection};
use core::ops::Deref;
use kernel::{cred::Credential, error::to_result, ffi::c_int, prelude::*};

/// A file below. What moves data of it does so with the rights that it was opened with, whatever
/// task it is done by.
#[derive(Clone, Copy)]
pub struct Lower<'a>(&'a File);

impl Deref for Lower<'_> {
    type Target = File;

    #[inline]
    fn deref(&self) -> &File {
        self.0
    }
}

impl<'a> Lower<'a> {
    /// `file` is what [`Path::open`](super::Path::open) has returned.
    #[inline]
    pub(super) fn new(file: &'a File) -> Self {
        Self(file)
    }

    /// Calls `f` with the file, and its rights.
    pub(super) fn act<R>(self, f: impl FnOnce(*mut bindings::file) -> R) -> R {
        let raw = self.0.as_raw();
        // SAFETY: An open file keeps its credentials.
        let rights = unsafe { Credential::from_ptr((*raw).f_cred) };
        act(rights, || f(raw))
    }

    /// Whether limits see it as they see `rights`.
    pub(super) fn has_limits_of(self, rights: &Rights) -> bool {
        // SAFETY: Both credentials are valid, since an open file keeps its own.
        unsafe {
            bindings::sp_rights_alike((*self.0.as_raw()).f_cred, rights.credential().as_ptr())
        }
    }

    /// The file itself, for as long as it is there.
    #[inline]
    pub(super) fn file(self) -> &'a File {
        self.0
    }
}

impl Lower<'_> {
    /// fsync(2), of a range of bytes. Sleeps.
    pub fn sync(&self, range: core::ops::RangeInclusive<i64>, datasync: bool) -> Result {
        // SAFETY: The file is valid.
        to_result(self.act(|file| unsafe {
            bindings::vfs_fsync_range(file, *range.start(), *range.end(), datasync.into())
        }))
    }

    /// fallocate(2). Sleeps.
    pub fn allocate(&self, mode: u32, offset: i64, length: i64) -> Result {
        to_result(self.act(|file| {
            // SAFETY: The file is valid.
            unsafe { bindings::vfs_fallocate(file, mode as c_int, offset, length) }
        }))
    }

    /// lseek(2). Sleeps. Only for a file whose position no other task uses.
    pub fn seek(&self, offset: i64, whence: c_int) -> Result<i64> {
        // SAFETY: The file is valid.
        let offset = self.act(|file| unsafe { bindings::vfs_llseek(file, offset, whence) });
        if offset < 0 {
            return Err(Error::from_errno(offset as c_int));
        }
        Ok(offset)
    }
}

impl<'a> Lower<'a> {
    /// Keeps the filesystem from being frozen until the guard is dropped. Sleeps while it is. To be
    /// taken before all locks of the filesystem, and before those of folios above it.
    pub fn start_write(self) -> FreezeProtection<'a> {
        self.file().super_block().start_write()
    }
}
