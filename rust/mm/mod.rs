// SPDX-License-Identifier: GPL-2.0

//! Memory management: who can change a page, and how to keep them from it.
//!
//! Safe abstractions, written as if for `kernel::mm`.
//!
//! - [`Class`] says who can change a page.
//! - [`Folio`] is memory of the page cache; [`Locked`], [`Stable`] and [`Writeback`] are folios of
//!   which more is known, each with what can be done with it then.
//! - [`Mapping`] is the page cache of a file, and where folios are found; [`SuperBlock`] the
//!   filesystem that it is of.
//! - [`VmFault`] is a page fault, [`VmFaultResult`] what is said of it, [`page_mkwrite`] what to do
//!   for one.
//! - [`StableRange`] is a part of a file that stays as it is; [`HeldRange`] one of a page cache,
//!   for a transfer past it.
//!
//! # A filesystem whose data stays while it is written
//!
//! 1. `->page_mkwrite` of its `vm_operations_struct` calls [`page_mkwrite`] with the [`VmFault`],
//!    how to wait ([`Wait`]), and a closure that reserves what writing the folio will need. It
//!    returns a [`VmFaultResult`]. In C that is `stable_page_mkwrite()` and its like.
//! 2. write(2) takes a folio by [`Mapping::grab`], which waits for writeback where the mapping says
//!    that it has stable writes.
//! 3. `->writepages` puts a [`Locked`] folio under writeback ([`Locked::start_writeback`]), after
//!    [`Locked::clear_dirty_for_io`] has write-protected it; when the [`Writeback`] is dropped, all
//!    who wait go on.
//!
//! The first of these in a module of its own, where `fs::OneFile` does the rest:
//!
#![doc = "```ignore"]
#![doc = include_str!("../../samples/mkwrite-rust/mkwrite_rust.rs")]
#![doc = "```"]
//!
//! # A part of a file that stays as it is
//!
//! 1. Find the [`Mapping`] of an open file ([`Mapping::of`]). No folio of it may be locked, nor
//!    `invalidate_lock` held.
//! 2. [`StableRange::take`] with bytes of the file reads, locks and protects their folios. Allocate
//!    what is needed before.
//! 3. [`StableRange::read`] copies the data, and [`StableRange::pinned`] says which folios may
//!    change all the same. Touch no memory of user space, and drop the range soon: others wait.
//!
//! `samples/range` is one that does so for any file.
//!
//! # Lock order
//!
//! ```text
//! mmap_lock or the lock of the area
//!   protection against freezing (sb_start_pagefault)
//!     invalidate_lock
//!       locks of folios of one mapping, in ascending order; the writeback of each is waited for
//!       before the next one is locked
//!         i_mmap_rwsem
//!           locks of page tables
//!         i_pages
//! ```

mod claim;
mod class;
mod fault;
mod folio;
mod hold;
mod locked;
mod mapping;
mod mkwrite;
mod range;
mod stable;
mod super_block;
mod trace;
mod writeback;

pub use self::{
    class::{
        Class,
        Owner, //
        PageLocation,
    },
    fault::{
        VmFault,
        VmFaultResult, //
    },
    folio::{
        Folio,
        Sleep, //
    },
    hold::{
        HeldRange,
        Missing, //
    },
    locked::Locked,
    mapping::Mapping,
    mkwrite::{
        page_mkwrite,
        page_mkwrite_guarded,
        page_mkwrite_stacked,
        Wait, //
    },
    range::{
        RangeError,
        StableRange, //
    },
    stable::Stable,
    super_block::{
        FreezeProtection,
        SuperBlock, //
    },
    writeback::Writeback, //
};

/// Locks of folios do not protect that.
fn not_supported() -> kernel::error::Error {
    kernel::error::Error::from_errno(-(crate::bindings::EOPNOTSUPP as i32))
}
