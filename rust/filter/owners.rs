// SPDX-License-Identifier: GPL-2.0

//! Log lines, not too many for any one owner of a page.

use super::{learned::Owner, StablePi};
use crate::{
    block::{
        integrity::{trace::Extent, Change},
        Submitter, //
    },
    mm,
    pi, //
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{Instant, Monotonic}, //
};

/// Owners that are told apart at a time, a power of two.
const SLOTS: usize = 64;

/// Slots that an owner may have.
const WAYS: usize = 4;

/// Milliseconds between two lines about the same owner.
const PAUSE_MS: i64 = 5000;

/// The owners that a line has named lately. Any context.
///
/// An owner has no more than one line in [`PAUSE_MS`], and all together no more than [`SLOTS`].
pub(super) struct Owners {
    born: Instant<Monotonic>,
    /// The owner's number in the upper half, the time of the last line in the lower one, in
    /// milliseconds; 0 for none.
    slots: [Atomic<u64>; SLOTS],
}

impl Owners {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            slots: [const { Atomic::new(0) }; SLOTS],
        }
    }

    /// Logs that data changed under a write, unless its owner has just been named.
    pub(super) fn report_change(
        &self,
        filter: &StablePi,
        extent: &Extent,
        change: &Change,
        submitter: &Submitter,
    ) {
        let class = change.owner.class();
        let name = class.name();
        let file = change.owner.file();
        let owner = match file {
            Some(mm::PageLocation { device, inode, .. }) => Owner::File { device, inode },
            None => Owner::Process(submitter.process()),
        };
        let [kind, id] = owner.pack();
        if !self.is_due(mix(&[class as u64, kind, id])) {
            return;
        }
        let (major, minor) = major_minor(filter.mapped);
        let (pid, comm) = (submitter.pid(), submitter.comm());
        let sector = extent.sector().number();
        match file {
            Some(mm::PageLocation {
                device,
                inode,
                index,
            }) => {
                let (on_major, on_minor) = major_minor(device);
                pr_notice!(
                    "stable-pi {major}:{minor}: sector {sector}: data changed under a write: \
                     {name} page, inode {inode} on {on_major}:{on_minor} index {index}, \
                     submitted by {comm} ({pid})\n"
                )
            }
            None => pr_notice!(
                "stable-pi {major}:{minor}: sector {sector}: data changed under a write: \
                 {name} page, submitted by {comm} ({pid})\n"
            ),
        }
    }

    /// Logs that the writes of `owner` are copied from now on, which `submitter` has sent the last of,
    /// or, without one, that they go in place again, unless that has just been said of it.
    pub(super) fn report_turn(
        &self,
        filter: &StablePi,
        owner: Owner,
        submitter: Option<&Submitter>,
    ) {
        let [kind, id] = owner.pack();
        if !self.is_due(mix(&[
            u64::MAX - 2,
            u64::from(submitter.is_some()),
            kind,
            id,
        ])) {
            return;
        }
        let (major, minor) = major_minor(filter.mapped);
        match (owner, submitter) {
            (Owner::File { device, inode }, Some(submitter)) => {
                let (on_major, on_minor) = major_minor(device);
                let (pid, comm) = (submitter.pid(), submitter.comm());
                pr_notice!(
                    "stable-pi {major}:{minor}: inode {inode} on {on_major}:{on_minor} changes under \
                     its writes: they are copied now, submitted by {comm} ({pid})\n"
                )
            }
            (Owner::File { device, inode }, None) => {
                let (on_major, on_minor) = major_minor(device);
                pr_notice!(
                    "stable-pi {major}:{minor}: inode {inode} on {on_major}:{on_minor} does not \
                     change any more: its writes go in place\n"
                )
            }
            (Owner::Process(process), Some(submitter)) => {
                let comm = submitter.comm();
                pr_notice!(
                    "stable-pi {major}:{minor}: process {process} ({comm}) changes memory under its \
                     writes: they are copied now\n"
                )
            }
            (Owner::Process(process), None) => pr_notice!(
                "stable-pi {major}:{minor}: process {process} does not change memory any more: its \
                 writes go in place\n"
            ),
        }
    }

    /// Logs that an interval on the medium does not match its tuple, unless that has just been said
    /// of the same one.
    pub(super) fn report_mismatch(
        &self,
        filter: &StablePi,
        extent: &Extent,
        mismatch: &pi::Mismatch,
    ) {
        let sector = extent.sector().number();
        if !self.is_due(mix(&[u64::MAX, sector])) {
            return;
        }
        let (major, minor) = major_minor(filter.mapped);
        let pi::Mismatch {
            expected, actual, ..
        } = mismatch;
        pr_err!(
            "stable-pi {major}:{minor}: sector {sector}: read does not match: \
             guard {:#x} should be {:#x}, app {:#x}, ref {:#x} should be {:#x}\n",
            actual.guard,
            expected.guard,
            actual.app,
            actual.reference,
            expected.reference
        );
    }

    /// Logs that the device below does not show the profile of the table any more, or that it does
    /// again, unless that has just been said.
    pub(super) fn report_below(&self, filter: &StablePi, as_made: bool) {
        if !self.is_due(mix(&[u64::MAX - 1, u64::from(as_made)])) {
            return;
        }
        let (major, minor) = major_minor(filter.mapped);
        let below = filter.device.name();
        match as_made {
            true => pr_notice!(
                "stable-pi {major}:{minor}: {below} below is again as the table was made for\n"
            ),
            false if filter.profile.stored => pr_err!(
                "stable-pi {major}:{minor}: {below} below does not show the profile that the table \
                 was made for: what needs protection information fails, the rest goes on \
                 without\n"
            ),
            false => pr_notice!(
                "stable-pi {major}:{minor}: {below} below shows another profile than the table was \
                 made for, which goes on without protection information\n"
            ),
        }
    }

    /// Whether there has been no line about the owner with this number for a while.
    fn is_due(&self, owner: u64) -> bool {
        let now = self.born.elapsed().as_millis().max(1) as u32;
        let first = owner as usize;
        let tag = owner & !u64::from(u32::MAX);
        let mut stale = None;
        for way in 0..WAYS {
            let Some(slot) = self.slots.get((first + way) & (SLOTS - 1)) else {
                return false;
            };
            let seen = slot.load(Relaxed);
            let fresh = seen != 0 && i64::from(now.wrapping_sub(seen as u32)) < PAUSE_MS;
            if fresh && seen & !u64::from(u32::MAX) == tag {
                return false;
            }
            if !fresh {
                stale.get_or_insert((slot, seen));
            }
        }
        // Where another CPU was quicker, it may have been about the same owner.
        stale.is_some_and(|(slot, seen)| slot.cmpxchg(seen, tag | u64::from(now), Relaxed).is_ok())
    }
}

/// A number for what is told apart by `parts`; all of its bits depend on all of them.
pub(super) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |hash: u64, part| {
        let hash = (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 32)
    })
}

/// Major and minor number of a `dev_t`.
pub(super) fn major_minor(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}
