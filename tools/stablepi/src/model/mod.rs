// SPDX-License-Identifier: GPL-2.0

//! What needs no machine: texts that are taken apart and put together, and what follows from them.

pub mod advise;
pub mod bad;
pub mod event;
pub mod fault;
pub mod metrics;
pub mod screen;
pub mod size;
pub mod stack;
pub mod status;
pub mod sweep;
pub mod tab;
pub mod table;
