// SPDX-License-Identifier: GPL-2.0

//! What a target has for the metadata of all of its I/O.

use super::{
    pool::PagePool,
    private::BioPool,
    writes::Writes, //
};
use crate::{
    block::{dm::Setup, Device},
    pi,
};
use kernel::{
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*, //
};

/// Bios and pages that each target keeps in reserve.
///
/// One of each is enough for progress; more keep a device busy while memory is short.
const RESERVE: u16 = 16;

/// Pages that a target keeps in reserve where writes have to stay whole.
const RESERVE_WHOLE: u16 = 64;

/// The most bytes of a write that has to stay whole: as much as there is a reserve for, both of
/// pages and of metadata, and a power of two.
///
/// Such is an atomic write, and one to a zone, whose sectors have to be written in their order.
pub fn longest_whole(format: &pi::Format) -> u32 {
    let intervals = format.intervals_in_metadata(PAGE_SIZE) as u32;
    let bytes = (intervals << format.interval_exp()).min(u32::from(RESERVE_WHOLE) << PAGE_SHIFT);
    1 << bytes.checked_ilog2().unwrap_or(0)
}

/// The reserves of a target, of metadata, private bios and pages, and its writes in flight.
///
/// The target owns them, so that they are there as long as it has I/O.
pub struct Pools {
    pub(super) metadata: PagePool,
    pub(super) bios: BioPool,
    pub(super) writes: Writes,
}

impl Pools {
    /// Those of the target that `setup` is for, over `device`. Sleeps; fails with `ENOMEM`.
    pub fn new(setup: &mut Setup<'_>, device: &Device) -> Result<Self> {
        // A copy is submitted in the place of the clone.
        setup.set_accounts_remapped_io();
        // Tuples are made for the sectors that data goes to, which an append does not know.
        setup.set_emulate_zone_append(device.is_zoned());
        let pages = if device.is_zoned() || device.is_atomic() {
            RESERVE_WHOLE
        } else {
            RESERVE
        };
        Ok(Self {
            metadata: PagePool::new(RESERVE)?,
            bios: BioPool::new(RESERVE, pages)?,
            writes: Writes::new()?,
        })
    }
}
