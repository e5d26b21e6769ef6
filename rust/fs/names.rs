// SPDX-License-Identifier: GPL-2.0

//! What changes names in a directory of another filesystem.
//!
//! All of them sleep, and act with the caller's credentials. They lock the directory, and check
//! that the name is still there and in it: where another task has been faster, they fail with
//! ESTALE, ENOENT or EEXIST. Delegations that others have are broken, and waited for without these
//! locks. [`WriteAccess`] is that to the mount of the directory.

use super::{object::idmap, stale, Dentry, File, Inode, Path, Rights, WriteAccess};
use crate::bindings;
use core::ptr;
use kernel::{
    error::{from_err_ptr, from_result, to_result},
    ffi::{c_int, c_void},
    prelude::*,
    sync::aref::ARef, //
};

fn directory(dir: &Dentry) -> Result<ARef<Inode>> {
    dir.inode().filter(|dir| dir.is_directory()).ok_or(ENOTDIR)
}

/// Looks for a name in `dir`. Where there is none the result is a dentry without an inode.
pub(super) fn lookup(dir: &Dentry, name: &Dentry) -> Result<ARef<Dentry>> {
    directory(dir)?;
    // SAFETY: The name of a dentry that is being looked up does not change.
    let mut name = unsafe { (*name.as_raw()).__bindgen_anon_1.d_name };
    // The hash is another one there.
    name.__bindgen_anon_1.__bindgen_anon_1.hash = 0;
    // SAFETY: `dir` is a directory; the function takes its lock where it needs it. The result is a
    // new reference, or an error.
    unsafe { Dentry::take(bindings::lookup_noperm_unlocked(&mut name, dir.as_raw())) }
}

/// Calls `change` until no delegation is in its way.
pub(super) fn without_delegations<F>(mut change: F) -> Result
where
    F: FnMut(*mut bindings::delegated_inode) -> Result,
{
    /// # Safety
    ///
    /// `change` must be an `F` that no other thread uses.
    unsafe extern "C" fn call<F: FnMut(*mut bindings::delegated_inode) -> Result>(
        change: *mut c_void,
        delegated: *mut bindings::delegated_inode,
    ) -> c_int {
        // SAFETY: It is the `F` of without_delegations(), which waits for this.
        let change = unsafe { &mut *change.cast::<F>() };
        from_result(|| change(delegated).map(|()| 0))
    }
    // SAFETY: call() gets the `F` that it requires, before this returns.
    to_result(unsafe {
        bindings::sp_without_delegations(Some(call::<F>), ptr::from_mut(&mut change).cast())
    })
}

/// The error where a name, or a directory, is not where it was when it was looked up.
fn overtaken(error: Error) -> Error {
    if error == EINVAL {
        stale()
    } else {
        error
    }
}

/// A name in a directory that is locked so that the name can change.
///
/// # Invariants
///
/// `child` is referenced, and its parent locked, as start_creating_dentry() leaves them.
struct LockedName {
    dir: *mut bindings::inode,
    child: *mut bindings::dentry,
}

impl LockedName {
    /// For making `child`.
    fn creating(dir: &Dentry, child: &Dentry) -> Result<Self> {
        Self::start(dir, child, bindings::start_creating_dentry)
    }

    /// For removing it.
    fn removing(dir: &Dentry, child: &Dentry) -> Result<Self> {
        Self::start(dir, child, bindings::start_removing_dentry)
    }

    fn start(
        dir: &Dentry,
        child: &Dentry,
        start: unsafe extern "C" fn(
            *mut bindings::dentry,
            *mut bindings::dentry,
        ) -> *mut bindings::dentry,
    ) -> Result<Self> {
        let inode = directory(dir)?;
        // SAFETY: Both dentries are valid, and the first is a directory, as both functions want it.
        let child = unsafe { start(dir.as_raw(), child.as_raw()) };
        // INVARIANT: It has succeeded.
        Ok(Self {
            dir: inode.as_raw(),
            child: from_err_ptr(child).map_err(overtaken)?,
        })
    }

    /// Removes the name by `remove`.
    fn remove(&self, remove: Remove, delegated: *mut bindings::delegated_inode) -> Result {
        // SAFETY: By the type invariant the directory is locked, and the name is in it.
        to_result(unsafe { remove(idmap(), self.dir, self.child, delegated) })
    }
}

/// vfs_unlink() and vfs_rmdir().
type Remove = unsafe extern "C" fn(
    *mut bindings::mnt_idmap,
    *mut bindings::inode,
    *mut bindings::dentry,
    *mut bindings::delegated_inode,
) -> c_int;

impl Drop for LockedName {
    fn drop(&mut self) {
        // SAFETY: By type invariant; an ERR_PTR() is all right, too.
        unsafe { bindings::end_dirop(self.child) };
    }
}

/// Makes a regular file.
pub fn create(_: &WriteAccess<'_>, dir: &Dentry, new: &Dentry, mode: u16) -> Result {
    without_delegations(|delegated| {
        let at = LockedName::creating(dir, new)?;
        // SAFETY: The directory is locked, and the name free.
        to_result(unsafe { bindings::vfs_create(idmap(), at.child, mode, delegated) })
    })
}

/// Makes a regular file without a name in the directory at `dir`, and opens it with these
/// rights. It can be given a name. EOPNOTSUPP where the filesystem has no such files.
pub fn tmpfile(_: &WriteAccess<'_>, dir: &Path, mode: u16, rights: &Rights) -> Result<ARef<File>> {
    directory(dir.dentry())?;
    let flags = bindings::SP_O_RDWR | bindings::SP_O_LARGEFILE;
    let credential = rights.credential().as_ptr();
    // SAFETY: The path is that of a directory; the function takes references of its own. The result
    // is a new reference, or an error.
    unsafe {
        File::take(bindings::kernel_tmpfile_open(
            idmap(),
            dir.as_raw(),
            mode,
            flags as i32,
            credential,
        ))
    }
}

/// Makes a directory. The answer is whether `new` stands for it: a filesystem may make another
/// dentry for it than the one it was asked for.
pub fn mkdir(_: &WriteAccess<'_>, dir: &Dentry, new: &Dentry, mode: u16) -> Result<bool> {
    let mut same = false;
    without_delegations(|delegated| {
        let mut at = LockedName::creating(dir, new)?;
        // SAFETY: The directory is locked, and the name free.
        at.child = unsafe { bindings::vfs_mkdir(idmap(), at.dir, at.child, mode, delegated) };
        // INVARIANT: In case of an error the function has unlocked the directory; end_dirop() knows.
        same = ptr::eq(from_err_ptr(at.child)?, new.as_raw());
        Ok(())
    })?;
    Ok(same)
}

/// Makes a device node, a FIFO or a socket.
pub fn mknod(_: &WriteAccess<'_>, dir: &Dentry, new: &Dentry, mode: u16, device: u32) -> Result {
    without_delegations(|delegated| {
        let at = LockedName::creating(dir, new)?;
        // SAFETY: The directory is locked, and the name free.
        to_result(unsafe {
            bindings::vfs_mknod(idmap(), at.dir, at.child, mode, device, delegated)
        })
    })
}

/// Makes a symbolic link.
pub fn symlink(_: &WriteAccess<'_>, dir: &Dentry, new: &Dentry, target: &CStr) -> Result {
    let target = target.as_char_ptr();
    without_delegations(|delegated| {
        let at = LockedName::creating(dir, new)?;
        // SAFETY: The directory is locked, and the name free.
        to_result(unsafe { bindings::vfs_symlink(idmap(), at.dir, at.child, target, delegated) })
    })
}

/// Gives `old` another name.
pub fn link(_: &WriteAccess<'_>, old: &Dentry, dir: &Dentry, new: &Dentry) -> Result {
    old.inode().ok_or(ENOENT)?;
    without_delegations(|delegated| {
        let at = LockedName::creating(dir, new)?;
        // SAFETY: The directory is locked, the name free, and the old one something.
        to_result(unsafe { bindings::vfs_link(old.as_raw(), idmap(), at.dir, at.child, delegated) })
    })
}

/// Removes what is no directory.
pub fn unlink(_: &WriteAccess<'_>, dir: &Dentry, old: &Dentry) -> Result {
    without_delegations(|delegated| {
        LockedName::removing(dir, old)?.remove(bindings::vfs_unlink, delegated)
    })
}

/// Removes a directory.
pub fn rmdir(_: &WriteAccess<'_>, dir: &Dentry, old: &Dentry) -> Result {
    without_delegations(|delegated| {
        LockedName::removing(dir, old)?.remove(bindings::vfs_rmdir, delegated)
    })
}

/// Moves `old` to where `new` is; `flags` are those of renameat2(2).
pub fn rename(
    _: &WriteAccess<'_>,
    (old_dir, old): (&Dentry, &Dentry),
    (new_dir, new): (&Dentry, &Dentry),
    flags: u32,
) -> Result {
    directory(old_dir)?;
    directory(new_dir)?;
    without_delegations(|delegated| {
        let mut data = bindings::renamedata {
            mnt_idmap: idmap(),
            old_parent: old_dir.as_raw(),
            old_dentry: ptr::null_mut(),
            new_parent: new_dir.as_raw(),
            new_dentry: ptr::null_mut(),
            delegated_inode: delegated,
            flags,
        };
        // SAFETY: All of them are valid, and the parents directories.
        to_result(unsafe {
            bindings::start_renaming_two_dentries(&mut data, old.as_raw(), new.as_raw())
        })
        .map_err(overtaken)?;
        let result = if old.inode().is_none() {
            Err(ENOENT)
        } else {
            // SAFETY: What is to be locked is, and checked; there is something to move.
            to_result(unsafe { bindings::vfs_rename(&mut data) })
        };
        // SAFETY: It was started above.
        unsafe { bindings::end_renaming(&mut data) };
        result
    })
}
