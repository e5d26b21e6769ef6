// SPDX-License-Identifier: GPL-2.0

//! `open` and `release` of files and directories: the file below is opened and closed with it.

use super::{stack::Stacked, Dentry, File};
use crate::bindings;
use kernel::{
    error::from_result,
    ffi::c_int,
    prelude::*,
    sync::aref::ARef, //
};

/// A file that is being opened.
///
/// # Invariants
///
/// The file and its dentry are of this library. The file has none below yet, and no task but the
/// one that opens it knows the file.
pub(super) struct Opening<'a>(&'a File);

impl Opening<'_> {
    /// The file, without one below.
    pub(super) fn file(&self) -> &File {
        self.0
    }

    /// The name that it is opened by.
    pub(super) fn dentry(&self) -> &Stacked<Dentry> {
        // SAFETY: By the type invariant it is of this library; the file keeps it.
        unsafe { Stacked::<Dentry>::from_raw(self.0.dentry().as_raw()) }
    }

    /// Whether it is opened to be run, with rights that running it below would not give. May sleep.
    pub(super) fn is_refused(&self) -> Result<bool> {
        let lower = self.dentry().path()?;
        // SAFETY: Both are valid, and an opened dentry has an inode, here and below.
        Ok(unsafe { bindings::sp_exec_is_refused(self.0.as_raw(), lower.as_raw()) })
    }

    /// Says what the file can do beside what each can: O_DIRECT, where it is `direct`.
    pub(super) fn set_modes(&self, direct: bool) {
        // SAFETY: By the type invariant no other task looks at the modes.
        unsafe { bindings::sp_file_set_modes(self.0.as_raw(), direct) };
    }
}

/// Opens `file`, with the file below that `below` opens.
///
/// # Safety
///
/// `file` must be what do_dentry_open() calls `->open` with, for a file or a directory of this
/// library: its caller has the file to itself until that returns, and the path in it keeps the
/// dentry.
pub(super) unsafe fn open(
    file: *mut bindings::file,
    below: impl FnOnce(&Opening<'_>) -> Result<ARef<File>>,
) -> c_int {
    // INVARIANT: do_dentry_open() calls `->open` before the file gets a descriptor.
    // SAFETY: The caller of `->open` has a reference to the file.
    let opening = Opening(unsafe { File::from_raw(file) });
    from_result(|| {
        let lower = ARef::into_raw(below(&opening)?).as_ptr();
        // SAFETY: By the type invariant no other task looks at the field. close() gives the
        // reference back.
        unsafe { (*file).private_data = lower.cast() };
        Ok(0)
    })
}

/// `file_operations.release`
///
/// # Safety
///
/// `file` must be of this library, and have been opened: __fput() calls this once, when the last
/// reference is gone. It frees the file afterwards.
pub(super) unsafe extern "C" fn close(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: open() has put a reference to the file below there, and the file keeps its inode
    // until this has returned. No other task uses the file any more.
    unsafe {
        let stacked = Stacked::<File>::from_raw(file);
        if stacked.is_written_back() {
            stacked.inode().end_writing();
        }
        bindings::fput((*file).private_data.cast());
    }
    0
}
