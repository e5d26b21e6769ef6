// SPDX-License-Identifier: GPL-2.0

//! Block layer: bios, their data and integrity payloads, queue limits, device-mapper targets.
//!
//! Safe abstractions, written as if for `kernel::block`. A device-mapper target implements
//! [`dm::Target`] and is registered by [`dm::Registration`]; what it can do with an I/O at a time
//! is what the methods of [`dm::Io`] in its phase offer.

mod below;
mod bio;
mod counters;
mod destination;
mod device;
mod limits;
mod metadata;
mod payload;
mod pool;
mod private;
mod segment;
mod status;
mod submitter;
mod writes;

pub mod dm;
pub mod trace;

pub use self::{
    bio::Bio,
    counters::Counters,
    destination::{Destination, Misfit},
    device::{Device, Profile},
    limits::QueueLimits,
    payload::Payload,
    segment::Segment,
    status::Status,
    submitter::Submitter, //
};
