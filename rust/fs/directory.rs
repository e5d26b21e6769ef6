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
/// To be called by the kernel, for a file of this library.
unsafe extern "C" fn open_directory(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The caller passes a file that is being opened.
    unsafe {
        open::open(file, |opening| {
            let dentry = opening.dentry();
            dentry.path()?.open(0, &dentry.layer().rights()?)
        })
    }
}

/// # Safety
///
/// To be called by the kernel, for a file of this library.
unsafe extern "C" fn llseek(file: *mut bindings::file, offset: i64, whence: c_int) -> i64 {
    // SAFETY: The caller passes it, with its position locked; the one below is used by it only.
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
/// To be called by the kernel, for a file of this library.
unsafe extern "C" fn iterate(
    file: *mut bindings::file,
    context: *mut bindings::dir_context,
) -> c_int {
    // SAFETY: The caller passes both, with the position locked; the one below is used by it
    // only.
    unsafe {
        Stacked::<File>::from_raw(file).lower().act(|lower| {
            (*lower).f_pos = (*context).pos;
            bindings::iterate_dir(lower, context)
        })
    }
}

/// # Safety
///
/// To be called by the kernel, for a file of this library.
unsafe extern "C" fn fsync(
    file: *mut bindings::file,
    start: i64,
    end: i64,
    datasync: c_int,
) -> c_int {
    // SAFETY: The caller passes it.
    let file = unsafe { Stacked::<File>::from_raw(file) };
    from_result(|| file.lower().sync(start..=end, datasync != 0).map(|()| 0))
}
