// SPDX-License-Identifier: GPL-2.0

//! Memory management: who can change a page, and how to keep them from it.
//!
//! Safe abstractions, written as if for `kernel::mm`.
//!
//! - [`Class`] says who can change a page.
//! - [`Folio`] is memory of the page cache; [`Locked`], [`Stable`] and [`Writeback`] are folios of
//!   which more is known, each with what can be done with it then.
//! - [`Mapping`] is the page cache of a file, and where folios are found.
//! - [`VmFault`] is a page fault, [`VmFaultResult`] what is said of it, [`page_mkwrite`] what to do for one.
//! - [`StableRange`] is a part of a file that nobody changes; [`HeldRange`] one of a page cache,
//!   for a transfer past it.
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
        File,
        Owner, //
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
