// SPDX-License-Identifier: GPL-2.0

//! Block layer: bios and their data, devices, queue limits; device-mapper targets; metadata.
//!
//! Safe abstractions, written as if for `kernel::block`. What one builds with them, and in which
//! order:
//!
//! 1. a device-mapper target: [`dm`];
//! 2. one that makes, checks and repairs protection information: [`integrity`], on top of that.
//!
//! A [`Bio`] is one that is ours to look at and to change, a [`Segment`] is part of its data, a
//! [`Device`] what a target has opened, a [`Status`] how a bio ended. [`Counters`] are there for
//! each CPU, so that nothing is shared where I/O passes.

mod below;
mod bio;
mod counters;
mod device;
mod limits;
mod sector;
mod segment;
mod status;
mod submitter;

pub mod dm;
pub mod integrity;

pub use self::{
    below::BelowNow,
    bio::Bio,
    counters::Counters,
    device::{Device, Profile},
    limits::QueueLimits,
    sector::Sector,
    segment::Segment,
    status::Status,
    submitter::Submitter, //
};
