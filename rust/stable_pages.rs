// SPDX-License-Identifier: GPL-2.0

//! Stable pages for any stack of Linux storage: the data of a write does not change between its
//! checksum and the medium.
//!
//! A layer knows only what is below it:
//!
//! - [`filter`]: the device-mapper target `stable-pi`;
//! - [`block`]: safe abstractions of the block layer and of device mapper;
//! - [`fs`]: safe abstractions of filesystems, above all of stackable ones;
//! - [`mm`]: safe abstractions of memory management;
//! - [`pi`]: protection information itself, without a kernel around it;
//! - `workqueue`: what both filesystems and targets have work done by;
//! - `bindings`: raw C.

use kernel::prelude::*;

mod bindings;
pub mod block;
pub mod filter;
pub mod fs;
pub mod mm;
pub mod pi;
mod workqueue;

module! {
    type: StablePages,
    name: "stable_pages",
    authors: ["The stable-pages authors"],
    description: "Keeps the data of a write unchanged between its checksum and the medium",
    license: "GPL v2",
    alias: ["dm-stable-pi"],
}

/// The module: what it registers, for as long as it is loaded.
pub struct StablePages {
    _target: block::dm::Registration<filter::StablePi>,
}

impl kernel::Module for StablePages {
    fn init(module: &'static ThisModule) -> Result<Self> {
        block::integrity::init();
        Ok(Self {
            _target: block::dm::Registration::new(module)?,
        })
    }
}
