// SPDX-License-Identifier: GPL-2.0

//! Places in the tree of mounts.

use super::{super::Rights, Dentry, File, Object};
use crate::bindings;
use kernel::{error::to_result, prelude::*, sync::aref::ARef};

/// A place in the tree of mounts.
///
/// # Invariants
///
/// Both of its members are valid and referenced.
///
/// C header: [`include/linux/path.h`](srctree/include/linux/path.h)
pub struct Path(bindings::path);

// SAFETY: Mounts and dentries count their references atomically.
unsafe impl Send for Path {}

// SAFETY: Nothing of it changes but when it is dropped.
unsafe impl Sync for Path {}

impl Path {
    /// Looks for a directory, with the caller's root, working directory and credentials. Sleeps.
    pub fn directory(name: &CStr) -> Result<Self> {
        let mut path = bindings::path::default();
        // SAFETY: The name ends with a zero, and `path` can be written.
        to_result(unsafe {
            bindings::kern_path(
                name.as_char_ptr(),
                bindings::SP_LOOKUP_FOLLOW | bindings::SP_LOOKUP_DIRECTORY,
                &mut path,
            )
        })?;
        // INVARIANT: The function has succeeded, and took the references.
        Ok(Self(path))
    }

    /// Whether owners are the same here as on the filesystem: it is no idmapped mount.
    pub fn is_plain(&self) -> bool {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_path_is_plain(&self.0) }
    }

    /// The dentry.
    #[inline]
    pub fn dentry(&self) -> &Dentry {
        // SAFETY: By type invariant.
        unsafe { Dentry::from_raw(self.0.dentry) }
    }

    /// Whether it is the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.mnt == other.0.mnt && self.0.dentry == other.0.dentry
    }

    /// Another place below the same mount.
    ///
    /// `dentry` must be of the same filesystem.
    pub fn at(&self, dentry: &Dentry) -> Result<Self> {
        if !dentry.super_block().is(self.dentry().super_block()) {
            return Err(EXDEV);
        }
        let path = bindings::path {
            mnt: self.0.mnt,
            dentry: dentry.as_raw(),
        };
        // SAFETY: Both are valid.
        unsafe { bindings::path_get(&path) };
        // INVARIANT: It has references of its own now.
        Ok(Self(path))
    }

    /// Opens what is there, with `flags` of open(2) and these rights. What is read through it is no
    /// access: who accesses what is above says so. It does not count as one of the files that a
    /// system may have open. Sleeps.
    pub fn open(&self, flags: u32, rights: &Rights) -> Result<ARef<File>> {
        let flags = (flags | bindings::SP_O_LARGEFILE | bindings::SP_O_NOATIME) as i32;
        let credential = rights.credential().as_ptr();
        // SAFETY: By type invariant; the function takes references of its own. The result is a new
        // reference, or an error.
        rights.act(|| unsafe { File::take(bindings::kernel_file_open(&self.0, flags, credential)) })
    }

    /// Keeps the mount writable, and its filesystem from being frozen, until the guard is dropped.
    /// Sleeps while it is frozen.
    pub fn want_write(&self) -> Result<WriteAccess<'_>> {
        // SAFETY: By type invariant.
        to_result(unsafe { bindings::mnt_want_write(self.0.mnt) })?;
        Ok(WriteAccess(self))
    }

    /// What stat(2) tells; `mask` and `flags` are those of statx(2). Sleeps.
    pub(in crate::fs) fn attributes(&self, mask: u32, flags: u32) -> Result<bindings::kstat> {
        let mut stat = bindings::kstat::default();
        // SAFETY: By type invariant.
        to_result(unsafe { bindings::vfs_getattr(&self.0, &mut stat, mask, flags) })?;
        Ok(stat)
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *const bindings::path {
        &self.0
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::path_put(&self.0) };
    }
}

/// A mount that stays writable. See [`Path::want_write`].
pub struct WriteAccess<'a>(&'a Path);

impl Drop for WriteAccess<'_> {
    fn drop(&mut self) {
        // SAFETY: Access was taken when this was made.
        unsafe { bindings::mnt_drop_write(self.0 .0.mnt) };
    }
}
