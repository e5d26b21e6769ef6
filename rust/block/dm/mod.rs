// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! # How to write one
//!
//! 1. Implement [`Target`]: its name, what device mapper may take for granted ([`Features`]), the
//!    constructor and [`map`](Target::map). What it does not have, it leaves out, and device mapper
//!    finds no function there.
//! 2. The constructor gets a [`Setup`], with which it opens the device below, and the arguments of
//!    the table line.
//! 3. Keep a [`Registration`] of it for as long as the module is loaded.
//!
//! This is a whole one, `samples/dm-linear-rust`:
//!
//! ```ignore
#![doc = include_str!("../../../samples/dm-linear-rust/dm_linear_rust.rs")]
//! ```
//!
//! # What can be done with an I/O
//!
//! An I/O is a bio that device mapper cloned for the target: an [`Io`]. What can be done with it
//! depends on its phase, so each phase is a type of its own, and what ends the phase consumes it:
//!
//! | phase | context | ends with |
//! | --- | --- | --- |
//! | [`Submitting`] | the submitter's; may sleep | [`remap`](Io::remap), [`end`](Io::end) |
//! | [`Completing`] | any, hard interrupts included | [`done`](Io::done), [`defer`](Io::defer), [`look_here`](Io::look_here) |
//! | [`Looking`] | a worker of the target's own; must not wait | [`done`](Io::done), [`hand_on`](Io::hand_on) |
//! | [`Working`] | another worker of the target's own; may sleep | a [`Status`](super::Status) |
//!
//! ```text
//!              remap               done
//! Submitting ───────────▶ Completing ──▶ (gone)
//!    │                        │ defer       ▲
//!    │                        ▼      done   │
//!    │                     Looking ─────────┤
//!    │                        │ hand_on     │
//!    │ end                    ▼             │
//!    │                     Working ─────────┤
//!    ╰──────────────────────────────────────╯
//! ```
//!
//! Between the phases the I/O carries what the target wants to keep ([`Target::IoData`]), and where
//! its data begins: a bio that has ended no longer knows that. All of it is part of the memory that
//! device mapper allocates with the bio, stays where it is, and is dropped before the end of the I/O
//! is reported.
//!
//! A target that makes or checks protection information has more to do with an I/O: see
//! `block::integrity`.
//!
//! C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h)

mod event;
mod instance;
mod io;
mod setup;
mod target;
mod vtable;

use self::instance::Instance;

pub use self::{
    io::{
        Completing,
        Deferred,
        Ended,
        Io,
        Looked,
        Looking,
        Mapped,
        Submitting,
        Working, //
    },
    setup::{NumBios, Setup, TableError},
    target::{Features, Target},
    vtable::{Registration, ReportZones}, //
};
