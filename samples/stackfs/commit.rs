// SPDX-License-Identifier: GPL-2.0

//! A part of a file goes to the medium as it is at one moment, as a journal commits it.
//!
//! Two ioctls of a file that can be written to. `_IOWR('s', 1, 32 bytes)` is for a part of it:
//!
//! | offset | field | |
//! | --- | --- | --- |
//! | 0 | u64 start | of the range, in bytes |
//! | 8 | u64 len | of the range; out: what of it is within the file |
//! | 16 | u32 written | out: folios that were written |
//! | 20 | u32 frozen | out: those of them that were pinned, and copied |
//! | 24 | u32 retries | out: how often the range changed while it was taken |
//! | 28 | u32 | out: 0 |
//!
//! `_IOWR('s', 2, 24 bytes)` is for parts of several files of the filesystem:
//!
//! | offset | field | |
//! | --- | --- | --- |
//! | 0 | u64 parts | the address of the parts |
//! | 8 | u32 count | how many of them there are |
//! | 12 | u32 written | out: folios that were written |
//! | 16 | u32 frozen | out: those of them that were pinned, and copied |
//! | 20 | u32 | out: 0 |
//!
//! A part has 24 bytes: u32 descriptor of the file, u32 0, u64 start and u64 length, in bytes.

#![deny(unsafe_code)]

use super::StackFs;
use kernel::{
    ioctl::_IOWR,
    prelude::*,
    sync::aref::ARef,
    uaccess::{UserPtr, UserSlice}, //
};
use stable_pages::fs::{CommitSet, File, Stacked};

#[repr(C, align(8))]
struct Argument([u8; 32]);

const COMMIT: u32 = _IOWR::<Argument>(b's' as u32, 1);

#[repr(C, align(8))]
struct SetArgument([u8; 24]);

const COMMIT_SET: u32 = _IOWR::<SetArgument>(b's' as u32, 2);

/// Bytes of a part.
const PART_LEN: usize = 24;

/// Where what comes back begins, and how long it is.
const OUT: usize = 8;
const OUT_LEN: usize = 24;

pub(super) fn ioctl(file: &Stacked<File>, command: u32, argument: usize) -> Result<isize> {
    match command {
        COMMIT => commit(file, argument),
        COMMIT_SET => commit_set(file, argument),
        _ => Err(ENOTTY),
    }
}

fn commit(file: &Stacked<File>, argument: usize) -> Result<isize> {
    let mut reader = UserSlice::new(UserPtr::from_addr(argument), 16).reader();
    let (start, len) = (reader.read::<u64>()?, reader.read::<u64>()?);
    let end = start.checked_add(len).ok_or(EINVAL)?;
    let committed = file.commit::<StackFs>(start..end)?;
    let range = committed.range;
    file.lower()
        .sync(range.start as i64..=range.end as i64 - 1, true)?;
    let mut writer = UserSlice::new(UserPtr::from_addr(argument + OUT), OUT_LEN).writer();
    writer.write(&(range.end - range.start))?;
    writer.write(&(committed.written as u32))?;
    writer.write(&(committed.frozen as u32))?;
    writer.write(&committed.retries)?;
    writer.write(&0_u32)?;
    Ok(0)
}

fn commit_set(file: &Stacked<File>, argument: usize) -> Result<isize> {
    let mut reader = UserSlice::new(UserPtr::from_addr(argument), 12).reader();
    let (parts, count) = (reader.read::<u64>()?, reader.read::<u32>()? as usize);
    if count > CommitSet::MAX_PARTS {
        return Err(E2BIG);
    }
    let mut reader = UserSlice::new(UserPtr::from_addr(parts as usize), count * PART_LEN).reader();
    let mut files: KVec<(ARef<Stacked<File>>, u64, u64)> = KVec::with_capacity(count, GFP_KERNEL)?;
    for _ in 0..count {
        let sibling = file.sibling(reader.read::<u32>()?)?;
        if reader.read::<u32>()? != 0 {
            return Err(EINVAL);
        }
        let (start, len) = (reader.read::<u64>()?, reader.read::<u64>()?);
        let end = start.checked_add(len).ok_or(EINVAL)?;
        files.push((sibling, start, end), GFP_KERNEL)?;
    }
    let mut set = CommitSet::default();
    for (file, start, end) in &files {
        set.add(file, *start..*end)?;
    }
    let committed = set.commit::<StackFs>()?;
    for (file, _, _) in &files {
        file.lower().sync(0..=i64::MAX, true)?;
    }
    let mut writer = UserSlice::new(UserPtr::from_addr(argument + 12), 12).writer();
    writer.write(&(committed.written as u32))?;
    writer.write(&(committed.frozen as u32))?;
    writer.write(&0_u32)?;
    Ok(0)
}
