// SPDX-License-Identifier: GPL-2.0

//! The table line of the target `stable-pi`, as the kernel module has it, for test on the host.
//!
//! The module compiles `args.rs` as a part of `mod.rs`, the rest of which needs a kernel.

#![no_std]
#![forbid(unsafe_code)]

#[path = "args.rs"]
pub mod args;
