// SPDX-License-Identifier: GPL-2.0

//! Memory management: who can change a page.
//!
//! Safe abstractions, written as if for `kernel::mm`.

mod class;

pub use self::class::{
    Class,
    File,
    Owner, //
};
