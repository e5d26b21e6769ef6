// SPDX-License-Identifier: GPL-2.0

//! Trace events.

use super::{Change, Region};
use crate::{
    bindings,
    block::{Sector, Submitter},
    mm,
    pi, //
};

/// Part of a mapped device.
#[derive(Clone, Copy)]
pub struct Extent(bindings::sp_extent);

impl Extent {
    /// `bytes` bytes of the mapped device with the number `device` (`dev_t`), from `sector` on.
    pub fn new(device: u32, sector: Sector, bytes: u32) -> Self {
        Self(bindings::sp_extent {
            dev: device,
            sectors: bytes >> bindings::SECTOR_SHIFT,
            sector: sector.number(),
        })
    }

    /// The first sector.
    pub fn sector(&self) -> Sector {
        Sector::new(self.0.sector)
    }
}

/// `stable_pi:unstable_write`: some intervals of a write are no longer what their metadata was made
/// from. Any context.
pub fn unstable_write(extent: &Extent, to: &Region<'_>, change: &Change, submitter: &Submitter) {
    let raw = bindings::sp_change {
        lower_sector: to.sector.number(),
        lower: to.device.number(),
        first: change.first as u32,
        last: change.last as u32,
        changed: change.intervals as u32,
        class: change.owner.class() as u32,
    };
    // SAFETY: The event only reads what it is given.
    unsafe {
        bindings::sp_trace_unstable_write(
            &extent.0,
            &raw,
            change.owner.as_raw(),
            submitter.as_raw(),
        )
    }
}

/// `stable_pi:in_place`: a write is sent down where its data is. `class` takes a look at its pages,
/// and is called only where the event is traced. Any context.
pub fn in_place(extent: &Extent, class: impl FnOnce() -> mm::Class) {
    // SAFETY: Can be called in any context.
    if unsafe { bindings::sp_trace_in_place_enabled() } {
        // SAFETY: The event only reads what it is given.
        unsafe { bindings::sp_trace_in_place(&extent.0, class() as u32) }
    }
}

/// `stable_pi:copy`: a write was copied, from the start or for its `repair`. Any context.
pub fn copy(extent: &Extent, class: mm::Class, repair: bool) {
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_copy(&extent.0, class as u32, repair) }
}

/// Whether [`verify`] is traced: what it costs to take the time is to be spent only then.
pub fn verify_is_enabled() -> bool {
    // SAFETY: Can be called in any context.
    unsafe { bindings::sp_trace_verify_enabled() }
}

/// `stable_pi:verify`: a read was verified, after it had waited for a worker, if for one. Any
/// context.
pub fn verify(extent: &Extent, wait_ns: u64, verify_ns: u64) {
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_verify(&extent.0, wait_ns, verify_ns) }
}

/// `stable_pi:read_mismatch`: an interval on the medium does not match its tuple. Any context.
pub fn read_mismatch(extent: &Extent, mismatch: &pi::Mismatch) {
    let raw = |tuple: &pi::Tuple| bindings::sp_tuple {
        guard: tuple.guard,
        ref_: tuple.reference,
        app: tuple.app,
    };
    let (expected, actual) = (raw(&mismatch.expected), raw(&mismatch.actual));
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_read_mismatch(&extent.0, &expected, &actual) }
}

/// `stable_pi:learn`: the writes of a file, of this device and inode, or without one of a process to
/// `device` are copied from now on (`copied`), or go in place again. Any context.
pub fn learn(device: u32, file: Option<(u32, u64)>, process: i32, copied: bool) {
    let (s_dev, ino) = file.unwrap_or_default();
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_learn(device, s_dev, ino, process, copied) }
}

/// `stable_pi:false_alarm`: a read did not match because an application changed the memory that it went
/// to. Any context.
pub fn false_alarm(extent: &Extent) {
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_false_alarm(&extent.0) }
}
