// SPDX-License-Identifier: GPL-2.0

//! What changes the size of a file, or takes parts out of it.

#![deny(unsafe_code)]

use kernel::prelude::*;
use stable_pages::fs::{allocate as flag, Attributes, File, Inode, Upper};

/// Sets the size of a file; `change` does so below.
///
/// When a file gets shorter, the pages behind its new end go first: once they are gone, and their
/// writing back has ended, nothing makes the file below longer again.
pub(super) fn set(inode: &Upper<Inode>, size: i64, change: Attributes<'_>) -> Result {
    let cache = inode.exclude();
    if size >= inode.size() {
        change.apply()?;
        cache.extend(size);
        return Ok(());
    }
    cache.truncate(size);
    change.apply().inspect_err(|_| cache.copy_size())
}

/// fallocate(2): what is below is asked, with the page cache written back and, where the content
/// changes, dropped.
pub(super) fn allocate(file: &Upper<File>, mode: u32, offset: i64, length: i64) -> Result {
    let inode = file.inode();
    let _lock = inode.lock();
    file.remove_privileges()?;
    let cache = inode.exclude();
    // The file below is as long as this one then.
    inode.write_and_wait()?;
    if mode & (flag::COLLAPSE_RANGE | flag::INSERT_RANGE) != 0 {
        cache.invalidate(offset, i64::MAX)?;
    } else if mode & (flag::PUNCH_HOLE | flag::ZERO_RANGE) != 0 {
        cache.invalidate(offset, offset + length - 1)?;
    }
    if mode & flag::KEEP_SIZE == 0 {
        inode.zero_behind_end(offset + length);
    }
    file.lower().allocate(mode, offset, length)?;
    cache.copy_size();
    inode.copy_attributes();
    Ok(())
}
