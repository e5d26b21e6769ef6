// SPDX-License-Identifier: GPL-2.0

//! What becomes of a write that went down in place and is suspect.
//!
//! A request holds many bios, and one changed page fails it whole. So the first question is whether
//! it is this write whose data differs from its tuples. If so, the data is copied and the copy is
//! written to the same sectors. If not, the write is sent down in place again, apart from others;
//! and should that be rejected time and again without a difference to be seen (a page that changed
//! and changed back), it is copied in the end without anybody to blame.

use super::{counters::Counter, StablePi};
use crate::block::{
    dm::{Io, Working},
    trace,
    Destination,
    Misfit,
    Status, //
};

/// Times that a write without a difference is sent down in place before it is copied.
const RETRIES: u32 = 2;

/// Settles how a write to `to` ends that ended with `status` at first. May sleep.
pub(super) fn settle(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    to: &Destination<'_>,
    status: Status,
) -> Status {
    if status.is_ok() {
        filter.counters.add(Counter::Rechecked, 1);
    }
    // The data is a whole number of intervals, since it went down with tuples.
    try_settle(filter, io, to, status).unwrap_or(Status::IOERR)
}

fn try_settle(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    to: &Destination<'_>,
    mut status: Status,
) -> Result<Status, Misfit> {
    for _ in 0..RETRIES {
        if blame(io, to)? {
            return copy(filter, io, to);
        }
        if status.is_ok() {
            return Ok(status);
        }
        filter.counters.add(Counter::Retried, 1);
        status = io.write_again(to)?;
        if status != Status::PROTECTION && !(status.is_ok() && filter.rechecks()) {
            return Ok(status);
        }
    }
    if !blame(io, to)? && status.is_ok() {
        return Ok(status);
    }
    copy(filter, io, to)
}

/// Whether the data differs from its tuples; if so, says where.
fn blame(io: &mut Io<'_, StablePi, Working>, to: &Destination<'_>) -> Result<bool, Misfit> {
    let mut first = None;
    let changed = io.compare(to, &mut |mismatch| {
        first.get_or_insert(mismatch.interval);
    })?;
    if let Some(first) = first {
        trace::unstable_write(to, io.data_bytes(), first as u32, changed as u32);
    }
    Ok(changed != 0)
}

/// Writes a copy of the data, in as many pieces as memory makes necessary.
fn copy(
    filter: &StablePi,
    io: &mut Io<'_, StablePi, Working>,
    to: &Destination<'_>,
) -> Result<Status, Misfit> {
    let mut done = 0;
    while done < io.data_bytes() {
        let to = to.advance(done);
        let (status, bytes) = io.write_copy(&to, done)?;
        trace::copy(&to, bytes, true);
        if !status.is_ok() {
            filter.counters.add(Counter::Unrepaired, 1);
            return Ok(status);
        }
        done += bytes;
    }
    filter.counters.add(Counter::Repaired, 1);
    Ok(Status::OK)
}
