// SPDX-License-Identifier: GPL-2.0

//! The machine: device mapper, sysfs, procfs, tracefs, and devices themselves.

pub mod device;
pub mod dm;
pub mod files;
pub mod interrupt;
pub mod log;
pub mod owner;
pub mod progress;
pub mod store;
pub mod sysfs;
pub mod trace;
