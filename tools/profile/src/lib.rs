// SPDX-License-Identifier: GPL-2.0

//! A plugin of QEMU that counts what the processors of a guest do, between two marks.
//!
//! A program of the guest (`loads steady`) executes [`code::MARK`], which does nothing else; the
//! first begins a section, the second ends it, and so on. Of each section the plugin writes, in
//! lines of words:
//!
//! - `section NUMBER`, from 1;
//! - `user INSTRUCTIONS`, of all programs;
//! - `block ADDRESS INSTRUCTIONS LOCKED RUNS`, for each block of the kernel's code that has run: where
//!   it begins, how many instructions it has, how many of them lock the bus, and how often it
//!   ran;
//! - `line ADDRESS BLOCK CPU READS WRITES`, only with the argument `lines=on`: for each piece of 64
//!   bytes of the kernel's memory that several processors have touched and one has written,
//!   how often the instructions of which block did that on which processor.
//!
//! Arguments: `out=PATH`, where to write; `lines=on`.
//!
//! Blocks are counted when they begin, so one that is left half-way, by a fault, counts whole.

#[cfg(not(test))] // Only QEMU has the functions that it calls.
mod api;
pub mod code;
pub mod counts;
