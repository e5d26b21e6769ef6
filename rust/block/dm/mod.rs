// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! # How to write one
//!
//! Implement [`Target`] and keep a [`Registration`] of it for as long as the module is loaded. The
//! constructor gets a [`Setup`], with which it opens the devices below, and the arguments of the
//! table line.
//!
//! An I/O is a bio that device mapper cloned for the target: an [`Io`]. What can be done with it
//! depends on its phase, so each phase is a type of its own, and what ends the phase consumes it:
//!
//! | phase | context | ends with |
//! | --- | --- | --- |
//! | [`Mapping`] | the submitter's; may sleep | [`remap`](Io::remap), [`submit_copy`](Io::submit_copy), [`end`](Io::end) |
//! | [`Completing`] | any, hard interrupts included | [`done`](Io::done), [`defer`](Io::defer) |
//! | [`Looking`] | a worker of the target's own; must not wait | [`done`](Io::done), [`hand_on`](Io::hand_on) |
//! | [`Working`] | another worker of the target's own; may sleep | a [`Status`](super::Status) |
//!
//! ```text
//!              remap               done
//! Mapping ──────────────▶ Completing ──▶ (gone)
//!    │   ╲ submit_copy  ▲     │ defer       ▲
//!    │    ╲─────────────╯     ▼      done   │
//!    │                     Looking ─────────┤
//!    │                        │ hand_on     │
//!    │ end                    ▼             │
//!    │                     Working ─────────┤
//!    ╰──────────────────────────────────────╯
//! ```
//!
//! Between the phases the I/O carries the target's state ([`Target::State`]), the metadata attached
//! to it, and where its data begins: a bio that has ended no longer knows that. All of it is part
//! of the memory that device mapper allocates with the bio, and is dropped when the I/O is gone.
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
    instance::longest_whole,
    io::{
        Change,
        Completing,
        Deferred,
        Ended,
        Io,
        Looked,
        Looking,
        Mapped,
        Mapping,
        Private,
        Reread,
        Watch,
        Working, //
    },
    setup::{Setup, TableError},
    target::Target,
    vtable::Registration, //
};
