// SPDX-License-Identifier: GPL-2.0

//! Every behaviour, to a bounded depth, of pages that change and devices that reject: what
//! `completion.rs` decides is right in all of them, and decisions that are wrong are caught.

mod choices;
mod flaws;
mod read;
mod reads;
mod write;
mod writes;
