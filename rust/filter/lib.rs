// SPDX-License-Identifier: GPL-2.0

//! The table line and the messages of the target `stable-pi`, as the kernel module has them, for
//! test on the host.
//!
//! The module compiles these files, unchanged, as parts of `mod.rs`; the rest of `rust/filter` needs a
//! kernel.

#![no_std]
#![forbid(unsafe_code)]

pub use pi;

#[path = "args.rs"]
pub mod args;

#[path = "message.rs"]
pub mod message;

#[path = "learn.rs"]
pub mod learn;

#[path = "policy.rs"]
pub mod policy;

#[path = "completion.rs"]
pub mod completion;
