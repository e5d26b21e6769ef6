// SPDX-License-Identifier: GPL-2.0

//! Trace events of writes.

use super::Destination;
use crate::bindings;

/// `stable_pi:unstable_write`: `changed` intervals of a write of `bytes` bytes, `interval` the first
/// of them, are no longer what their metadata was made from. Any context.
pub fn unstable_write(to: &Destination<'_>, bytes: u32, interval: u32, changed: u32) {
    let sectors = bytes >> bindings::SECTOR_SHIFT;
    // SAFETY: A `Device` is open; the event only reads its number.
    unsafe {
        bindings::sp_trace_unstable_write(to.device.bdev(), to.sector, sectors, interval, changed)
    }
}

/// `stable_pi:copy`: `bytes` bytes of a write were copied, always or for its `repair`. Any context.
pub fn copy(to: &Destination<'_>, bytes: u32, repair: bool) {
    let sectors = bytes >> bindings::SECTOR_SHIFT;
    // SAFETY: A `Device` is open; the event only reads its number.
    unsafe { bindings::sp_trace_copy(to.device.bdev(), to.sector, sectors, repair) }
}
