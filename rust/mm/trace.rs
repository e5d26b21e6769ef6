// SPDX-License-Identifier: GPL-2.0

//! Trace events, `stable_pages:*`.

use super::Mapping;
use crate::bindings;

fn place(mapping: &Mapping, index: usize, order: u32) -> bindings::sp_place {
    bindings::sp_place {
        ino: mapping.inode(),
        index: index as u64,
        dev: mapping.device(),
        order,
    }
}

/// `stable_pages:mkwrite_wait`: a store waited `ns` nanoseconds for writeback of its folio, and was
/// given up for `error` if that is not 0. Any context.
pub(super) fn mkwrite_wait(mapping: &Mapping, index: usize, order: u32, ns: u64, error: i32) {
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_mkwrite_wait(&place(mapping, index, order), ns, error) }
}

/// Why a range is looked up again. The numbers are those of the trace event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Retry {
    /// The folio was truncated, split or migrated before it could be locked.
    Moved = 0,
    /// There was no folio any more.
    Hole = 1,
    /// The folio was no longer up to date.
    Stale = 2,
}

/// `stable_pages:range_retry`: a page of a range was not as it had been found, for the `retries`th
/// time. Any context.
pub(super) fn range_retry(mapping: &Mapping, index: usize, reason: Retry, retries: u32) {
    // SAFETY: The event only reads what it is given.
    unsafe { bindings::sp_trace_range_retry(&place(mapping, index, 0), reason as u32, retries) }
}
