// SPDX-License-Identifier: GPL-2.0

//! Protection information, as the kernel module has it, for use and test on the host.
//!
//! The module compiles `mod.rs` itself; this root adds nothing to it but the crate.

#![no_std]
#![forbid(unsafe_code)]

#[path = "mod.rs"]
mod pi;

pub use self::pi::*;
