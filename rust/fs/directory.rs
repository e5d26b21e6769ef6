// SPDX-License-Identifier: GPL-2.0

//! `file_operations` of directories, which are read below.

use super::{
    open,
    stack::Stacked,
    File, //
};
use crate::bindings;
use kernel::{error::from_result, ffi::c_int};

pub(super) const OPERATIONS: bindings::file_operations = bindings::file_operations {
    open: Some(open_directory),
    release: Some(open::close),
    llseek: Some(llseek),
    read: Some(bindings::generic_read_dir),
    iterate_shared: Some(iterate),
    fsync: Some(fsync),
    ..pin_init::zeroed()
};

/// # Safety
///
/// As for [`open::open`]: `file` is what do_dentry_open() calls `->open` with, for a directory of
/// this library.
unsafe extern "C" fn open_directory(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: do_dentry_open() calls `->open` with it.
    unsafe {
        open::open(file, |opening| {
            let dentry = opening.dentry();
            dentry.path()?.open(0, &dentry.layer().rights()?)
        })
    }
}

/// # Safety
///
/// `file` must be a directory of this library that is open, and stay so until this returns: the
/// caller of `->llseek` holds a reference to it. Its position is locked (`f_pos_lock`), or no other
/// task has the file.
unsafe extern "C" fn llseek(file: *mut bindings::file, offset: i64, whence: c_int) -> i64 {
    // SAFETY: The caller of `->llseek` keeps the file open until this returns, and has locked its
    // position. The file below is used with that lock only.
    unsafe {
        Stacked::<File>::from_raw(file).lower().act(|lower| {
            (*lower).f_pos = (*file).f_pos;
            let offset = bindings::vfs_llseek(lower, offset, whence);
            if offset >= 0 {
                (*file).f_pos = offset;
            }
            offset
        })
    }
}

/// # Safety
///
/// `file` must be a directory of this library that is open, and stay so until this returns: the
/// caller of `->iterate_shared` holds a reference to it. Its position is locked (`f_pos_lock`), or
/// no other task has the file. `context` is the caller's, and the inode is locked, shared.
unsafe extern "C" fn iterate(
    file: *mut bindings::file,
    context: *mut bindings::dir_context,
) -> c_int {
    // SAFETY: The caller of `->iterate_shared` keeps the file open until this returns, and has
    // locked its position. The file below is used with that lock only; `context` is the caller's
    // until this returns.
    unsafe {
        Stacked::<File>::from_raw(file).lower().act(|lower| {
            (*lower).f_pos = (*context).pos;
            bindings::iterate_dir(lower, context)
        })
    }
}

/// # Safety
///
/// `file` must be a directory of this library that is open, and stay so until this returns: the
/// caller of `->fsync` holds a reference to it.
unsafe extern "C" fn fsync(
    file: *mut bindings::file,
    start: i64,
    end: i64,
    datasync: c_int,
) -> c_int {
    // SAFETY: The caller of `->fsync` keeps the file open until this returns.
    let file = unsafe { Stacked::<File>::from_raw(file) };
    from_result(|| file.lower().sync(start..=end, datasync != 0).map(|()| 0))
}
