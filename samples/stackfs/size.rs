// SPDX-License-Identifier: GPL-2.0

//! What changes the size of a file, or takes parts out of it.
//!
//! The file below is changed first, and the page cache only when that has succeeded. What is dirty
//! is not written back in between: it would bring back what has gone below.

#![deny(unsafe_code)]

use kernel::prelude::*;
use stable_pages::fs::{allocate as flag, Attributes, File, Inode, Stacked};

const ZERO: u32 = flag::PUNCH_HOLE | flag::ZERO_RANGE | flag::WRITE_ZEROES;
const SHIFT: u32 = flag::COLLAPSE_RANGE | flag::INSERT_RANGE;

/// Sets the size of a file; `change` does so below.
pub(super) fn set(inode: &Stacked<Inode>, size: i64, change: Attributes<'_>) -> Result {
    if size >= inode.size() {
        change.apply()?;
        inode.extend(size);
        return Ok(());
    }
    let cache = inode.hold_writeback()?;
    change.apply()?;
    cache.truncate(size);
    Ok(())
}

/// fallocate(2).
pub(super) fn allocate(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result {
    let inode = file.inode();
    let _lock = inode.lock();
    if mode & !(flag::KEEP_SIZE | flag::UNSHARE_RANGE | ZERO | SHIFT) != 0 {
        return Err(EINVAL);
    }
    file.remove_privileges()?;
    if mode & SHIFT != 0 {
        shift(file, mode, offset, length)?;
    } else if mode & ZERO != 0 {
        zero(file, mode, offset, length)?;
    } else {
        file.lower().allocate(mode, offset, length)?;
    }
    if mode & (flag::KEEP_SIZE | SHIFT) == 0 {
        inode.extend(offset + length);
    }
    inode.copy_attributes();
    Ok(())
}

/// What is dirty in the range goes, once it is zero below. A folio with an end of it may go as a
/// whole, if it cannot be split, and so must not be dirty. Nor may the one with the end of the file,
/// which alone may know the size.
fn zero(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result {
    let inode = file.inode();
    let range = offset..offset + length;
    let _stores = inode.hold_stores()?;
    inode.settle_size()?;
    inode.write_and_wait_range(offset..offset + 1)?;
    inode.write_and_wait_range(range.end - 1..range.end)?;
    let cache = inode.hold_writeback()?;
    let result = file.lower().allocate(mode, offset, length);
    match result {
        Ok(()) => cache.discard(range),
        // Some of it may be zero.
        Err(_) => cache.forget_clean(range),
    }
    result
}

/// What is dirty is not where it will be, and so is written back before. Stores wait: afterwards
/// they find their page again, wherever it is.
fn shift(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result {
    let inode = file.inode();
    let _stores = inode.hold_stores()?;
    // The file below is as long as this one then.
    inode.write_and_wait()?;
    let cache = inode.hold_writeback()?;
    let result = file.lower().allocate(mode, offset, length);
    // Where it has failed, some of it may have moved.
    cache.forget_behind(offset);
    result
}
