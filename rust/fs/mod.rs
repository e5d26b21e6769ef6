// SPDX-License-Identifier: GPL-2.0

//! Filesystems: safe abstractions of what a stackable one needs, and one with a single file
//! ([`OneFile`]).
//!
//! Written as if for `kernel::fs`.
//!
//! # A stackable filesystem
//!
//! It is mounted on a folder of another filesystem: names, attributes, extended attributes and
//! permissions are what they are there. What lies between the data of a file and that of the file
//! below is up to the implementation, with a page cache of its own. To build one:
//!
//! 1. Implement [`FileSystem`] for a type: it has no values, and its methods say which locks are
//!    held. An object of the filesystem is a [`Stacked`], with the file, inode or dentry below in
//!    `lower()`; data is read and written below by [`Lower`].
//! 2. Declare a `static` [`Type`] for it.
//! 3. Make a [`Registration`] of that in the module's `init()`, and keep it: from then on the
//!    filesystem can be mounted, and the module stays while it is.
//!
//! `samples/stackfs` is one, without unsafe code: its main file does steps 2 and 3, and `data.rs`
//! step 1.
//!
#![doc = "```ignore"]
#![doc = include_str!("../../samples/stackfs/stackfs.rs")]
#![doc = "```"]
//!
#![doc = "```ignore"]
#![doc = include_str!("../../samples/stackfs/data.rs")]
#![doc = "```"]
//!
//! # A filesystem with one file
//!
//! [`OneFile`] is for what is not about names or blocks. Only `page_mkwrite` is left to implement;
//! the other steps are the same, with [`Type::one_file`]. See [`mm`](crate::mm) for one.
//!
//! # Locks
//!
//! In the order in which they are taken; what is below comes after what is here:
//!
//! 1. `i_rwsem` of an inode: [`Inode::lock`];
//! 2. its stores kept away: [`Stacked::<Inode>::hold_stores`];
//! 3. its writeback kept away: [`Stacked::<Inode>::hold_writeback`], or writing back, which is kept
//!    away;
//! 4. the right to write below: [`Lower::start_write`];
//! 5. folios of the mapping, in ascending order;
//! 6. all other locks of the filesystem below.
//!
//! Pages are written back without 1 and 2, with the folio under writeback instead of locked while
//! 4 and 6 are taken. A folio stays locked over what is done below in two cases only: it is being
//! read, or it is held while a part of the file is read or written past it.
//!
//! A task may write to a file below from memory that is a mapping of a file here. Then 4 and
//! `i_rwsem` of that file below come before `mmap_lock`, and this before `invalidate_lock` and the
//! folios here. So `invalidate_lock` is never held here by who changes something below, and 4 comes
//! before 5. 2 and 3 are no locks; what reads a page does not wait for them.

mod aops;
mod attributes;
mod buffer;
mod cache;
mod commit;
mod commit_set;
mod dentry;
mod devices;
mod direct;
mod directory;
mod entries;
mod file;
mod filesystem;
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

use crate::bindings;
use kernel::prelude::*;

pub use self::{
    attributes::Attributes,
    buffer::Buffer,
    cache::{
        NoStores,
        NoWriteback, //
    },
    commit::Committed,
    commit_set::{CommitSet, CommittedSet},
    filesystem::FileSystem,
    lower::Lower,
    object::{Dentry, File, Inode, InodeGuard, Path, WriteAccess},
    one_file::OneFile,
    registration::{Registration, Type},
    request::Request,
    rights::Rights,
    stack::{Layer, Stacked},
    writer::WriterFile,
};

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

/// The filesystem below has no such thing.
fn not_supported() -> Error {
    Error::from_errno(-(bindings::EOPNOTSUPP as i32))
}

/// What was found before is not there any more.
fn stale() -> Error {
    Error::from_errno(-(bindings::ESTALE as i32))
}
