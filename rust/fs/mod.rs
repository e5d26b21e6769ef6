// SPDX-License-Identifier: GPL-2.0

//! Filesystems: safe abstractions of what a stackable one needs, and one with a single file
//! ([`OneFile`]).
//!
//! Written as if for `kernel::fs`. A filesystem implements [`FileSystem`], declares a static
//! [`Type`] and registers it. It is mounted on a folder of another filesystem: names, attributes,
//! extended attributes and permissions are what they are there. What lies between the data of a file
//! and that of the file below is up to the implementation, with a page cache of its own.
//!
//! # Locks
//!
//! In the order in which they are taken; what is below comes after what is here:
//!
//! 1. `i_rwsem` of an inode: [`Inode::lock`];
//! 2. its stores kept away: [`Stacked::<Inode>::hold_stores`];
//! 3. its writeback kept away: [`Stacked::<Inode>::hold_writeback`], or writing back, which is kept away;
//! 4. the right to write below: [`Lower::start_write`];
//! 5. folios of the mapping, in ascending order;
//! 6. all other locks of the filesystem below.
//!
//! Pages are written back without 1 and 2, with the folio under writeback instead of locked while
//! 4 and 6 are taken. A folio stays locked over what is done below in two cases only: it is being
//! read, or it is held while a part of the file is read or written past it.
//!
//! Somebody may write to a file below from memory that is a mapping of a file here. Then 4 and
//! `i_rwsem` of that file below come before `mmap_lock`, and this before `invalidate_lock` and the
//! folios here. So `invalidate_lock` is never held here by who changes something below, and 4 comes
//! before 5. 2 and 3 are no locks; nobody waits for them who reads a page.

mod aops;
mod attributes;
mod cache;
mod commit;
mod commit_set;
mod dentry;
mod devices;
mod direct;
mod directory;
mod entries;
mod file;
mod folio;
mod gate;
mod inode;
mod lower;
mod modified;
mod mount;
pub mod names;
mod node;
mod object;
mod one_file;
mod open;
mod pass;
mod queue;
mod registration;
mod request;
mod rights;
mod stack;
mod super_block;
mod writer;
mod xattr;

use crate::{
    bindings,
    mm::{Folio, Locked, Writeback}, //
};
use core::ops::RangeInclusive;
use kernel::{prelude::*, sync::aref::ARef};

pub use self::{
    cache::{
        NoStores,
        NoWriteback, //
    },
    commit::Committed,
    commit_set::{CommitSet, CommittedSet},
    lower::Lower,
    object::{Dentry, File, Inode, InodeGuard, Path, WriteAccess},
    one_file::OneFile,
    registration::{Registration, Type},
    request::{Buffer, Request},
    rights::Rights,
    stack::{Layer, Stacked},
    writer::WriterFile,
};

use self::queue::Queue;

/// How fallocate(2) changes a file (`FALLOC_FL_*`).
pub mod allocate {
    use crate::bindings;

    /// The size stays.
    pub const KEEP_SIZE: u32 = bindings::SP_FALLOC_FL_KEEP_SIZE;
    /// Makes a hole.
    pub const PUNCH_HOLE: u32 = bindings::SP_FALLOC_FL_PUNCH_HOLE;
    /// Makes it zero.
    pub const ZERO_RANGE: u32 = bindings::SP_FALLOC_FL_ZERO_RANGE;
    /// Takes bytes out.
    pub const COLLAPSE_RANGE: u32 = bindings::SP_FALLOC_FL_COLLAPSE_RANGE;
    /// Puts bytes in.
    pub const INSERT_RANGE: u32 = bindings::SP_FALLOC_FL_INSERT_RANGE;
    /// No part is shared with other files.
    pub const UNSHARE_RANGE: u32 = bindings::SP_FALLOC_FL_UNSHARE_RANGE;
    /// Makes it zero, and writes that.
    pub const WRITE_ZEROES: u32 = bindings::SP_FALLOC_FL_WRITE_ZEROES;
}

/// A stackable filesystem. All of its methods may sleep.
pub trait FileSystem: Sized + Send + Sync + 'static {
    /// The name for mount(8).
    const NAME: &'static CStr;
    /// The number that statfs(2) tells.
    const MAGIC: usize;
    /// The mount option that names the folder below.
    const LOWER_OPTION: &'static CStr;

    /// Opens the file below for `file`, which is just being opened.
    fn open(dentry: &Stacked<Dentry>, file: &File) -> Result<ARef<File>>;

    /// Reads into `buffer`. The answer is the number of bytes; the request moves on by it.
    fn read(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize>;

    /// Writes from `buffer`; otherwise as [`FileSystem::read`].
    fn write(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize>;

    /// Reads all of a locked folio from below. `file` is through which it was asked for, if any.
    fn fill(inode: &Stacked<Inode>, file: Option<&Stacked<File>>, folio: &Locked<&Folio>)
        -> Result;

    /// Writes the first `len` bytes of a folio to the file below. Called by a thread of the kernel;
    /// allocations do not wait for filesystems.
    ///
    /// An error is kept, for the next fsync(2) of every file that is open.
    fn write_back(inode: &Stacked<Inode>, folio: &Writeback, len: usize) -> Result;

    /// Writes a copy of what was at `pos` in the file to the file below; otherwise as
    /// [`FileSystem::write_back`].
    fn write_copy(inode: &Stacked<Inode>, pos: u64, data: &[u8]) -> Result;

    /// Brings the bytes in the range (the last is part of it) to the medium.
    fn fsync(file: &Stacked<File>, range: RangeInclusive<i64>, datasync: bool) -> Result;

    /// fallocate(2), with its checks done.
    fn fallocate(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result;

    /// lseek(2) with SEEK_DATA or SEEK_HOLE, as `whence` says.
    fn seek(file: &Stacked<File>, offset: i64, whence: i32) -> Result<i64>;

    /// ioctl(2) of a regular file.
    fn ioctl(_file: &Stacked<File>, _command: u32, _argument: usize) -> Result<isize> {
        Err(ENOTTY)
    }

    /// Changes the size of a regular file, whose inode is locked; `change` does so below.
    fn set_size(inode: &Stacked<Inode>, size: i64, change: Attributes<'_>) -> Result;
}

/// A change of attributes that has been checked, and is to be applied below.
pub struct Attributes<'a> {
    dentry: &'a Stacked<Dentry>,
    lower: bindings::iattr,
}

/// The filesystem below has no such thing.
fn not_supported() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as i32))
}

/// What was found before is not there any more.
fn stale() -> Error {
    Error::from_errno(-(bindings::ESTALE as i32))
}
