// SPDX-License-Identifier: GPL-2.0

//! Trace events of writes.

use super::Bio;
use crate::bindings;

/// `stable_pi:unstable_write`: `changed` intervals of a write, `interval` the first of them, are no
/// longer what their metadata was made from. `sector` and `sectors` are those of the write. Any
/// context.
pub fn unstable_write(bio: &Bio, sector: u64, sectors: u32, interval: u32, changed: u32) {
    // SAFETY: By the type invariant the bio is valid; the event only reads its device.
    unsafe { bindings::sp_trace_unstable_write(bio.as_raw(), sector, sectors, interval, changed) }
}

/// `stable_pi:copy`: the data of a write was copied, always or for its `repair`. Any context.
pub fn copy(bio: &Bio, sector: u64, sectors: u32, repair: bool) {
    // SAFETY: By the type invariant the bio is valid; the event only reads its device.
    unsafe { bindings::sp_trace_copy(bio.as_raw(), sector, sectors, repair) }
}
