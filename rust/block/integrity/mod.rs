// SPDX-License-Identifier: GPL-2.0

//! Metadata that goes with the data of a bio: protection information that a target makes, compares
//! and keeps right while others change the data.
//!
//! # How to use it
//!
//! A device-mapper target [`dm::Target`](super::dm::Target) that makes or checks metadata
//!
//! - has an [`IoData`] with what it wants to keep with an I/O as its
//!   [`dm::Target::IoData`](super::dm::Target::IoData), and implements [`Target`];
//! - makes [`Pools`] in its constructor, for the device below, and owns them;
//! - makes a [`Region`] of the place that an I/O goes to.
//!
//! Then each phase of an [`Io`] has more methods:
//!
//! | phase | methods |
//! | --- | --- |
//! | [`Submitting`] | [`generate`](Io::generate), [`attach_read_metadata`](Io::attach_read_metadata), [`reserve`](Io::reserve), [`verify_payload`](Io::verify_payload), [`send`](Io::send); [`copy_and_generate`](Io::copy_and_generate), [`copy_with_payload`](Io::copy_with_payload), [`submit_copy`](Io::submit_copy) |
//! | [`Completing`] | [`was_hasty`](Io::was_hasty) |
//! | [`Looking`] | [`change`](Io::change), [`verify`](Io::verify) |
//! | [`Working`] | [`change`](Io::change), [`write_again`](Io::write_again), [`write_copy`](Io::write_copy), [`watch_writes`](Io::watch_writes), [`read_again`](Io::read_again), [`verify_again`](Io::verify_again), [`copy_to_bio`](Io::copy_to_bio) |
//!
//! This is a whole target, `samples/dm-pi-rust`, that makes tuples and checks them, but does nothing
//! about data that changes:
//!
//! ```ignore
#![doc = include_str!("../../../samples/dm-pi-rust/dm_pi_rust.rs")]
//! ```
//!
//! A payload is attached to a bio without an allocation: there is room for one in the [`IoData`],
//! which device mapper allocates with the bio. The block layer would free a payload that it finds on
//! a bio that ends, so it is taken off before device mapper hears of the end, by the destructor at
//! the latest.
//!
//! # Forward progress
//!
//! An I/O may need metadata, a private bio and a page for that, and waits for them in this order
//! only, for one of each at the most. So the one that waits for nothing more ends and gives back
//! what the others wait for, however short memory is; what one of each is not enough for is done
//! piece by piece. A read may wait for writes in flight between the first and the second; see
//! [`watch_writes`](Io::watch_writes).
//!
//! Metadata is waited for when an I/O is mapped, never by a worker: where there is only one worker
//! left, those whose metadata is waited for would wait for that worker.
//!
//! Each CPU keeps some of the pages that come back, for the next copy. A page that the reserve lacks
//! goes there first, since an I/O may be waiting for it.
//!
//! A write that has to stay whole waits for several pages, holding a lock that is taken for this
//! only: one at a time, so that the pages that all the others give back are enough for it.
//!
//! [`Submitting`]: super::dm::Submitting
//! [`Completing`]: super::dm::Completing
//! [`Looking`]: super::dm::Looking
//! [`Working`]: super::dm::Working
//!
//! C header: [`include/linux/bio-integrity.h`](srctree/include/linux/bio-integrity.h)

mod data;
mod io;
mod metadata;
mod payload;
mod pool;
mod pools;
mod private;
mod region;
mod spoil;
mod writes;

pub mod trace;

pub(crate) use self::data::init;
pub use self::{
    io::{Change, IoData, Private, Reread, Target},
    payload::Payload,
    pools::{longest_whole, Pools}, //
    region::{MetadataError, Region},
    spoil::Spoil,
};

#[cfg(doc)]
use super::dm::Io;
