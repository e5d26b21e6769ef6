// SPDX-License-Identifier: GPL-2.0

//! A part of a file goes to the medium as it is at one moment, as a journal commits it.
//!
//! One ioctl, `_IOWR('s', 1, 32 bytes)`, of a file that can be written to:
//!
//! | offset | field | |
//! | --- | --- | --- |
//! | 0 | u64 start | of the range, in bytes |
//! | 8 | u64 len | of the range; out: what of it is within the file |
//! | 16 | u32 written | out: folios that were written |
//! | 20 | u32 frozen | out: those of them that were pinned, and copied |
//! | 24 | u32 retries | out: how often the range changed while it was taken |
//! | 28 | u32 | out: 0 |

#![deny(unsafe_code)]

use super::StackFs;
use kernel::{
    ioctl::_IOWR,
    prelude::*,
    uaccess::{UserPtr, UserSlice}, //
};
use stable_pages::fs::{File, Upper};

#[repr(C, align(8))]
struct Argument([u8; 32]);

const COMMIT: u32 = _IOWR::<Argument>(b's' as u32, 1);

/// Where what comes back begins, and how long it is.
const OUT: usize = 8;
const OUT_LEN: usize = 24;

pub(super) fn ioctl(file: &Upper<File>, command: u32, argument: usize) -> Result<isize> {
    if command != COMMIT {
        return Err(ENOTTY);
    }
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
