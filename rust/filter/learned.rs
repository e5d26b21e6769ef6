// SPDX-License-Identifier: GPL-2.0

//! The owners of pages that a target has found changing them.

use super::{
    args::Policy,
    learn::{Slot, Table, Turn, SLOTS, TICK_SHIFT},
    owners::mix,
    StablePi, //
};
use crate::{
    block::{
        integrity::trace,
        Submitter, //
    },
    mm,
};
use kernel::{
    sync::atomic::{Atomic, Relaxed},
    time::{Instant, Monotonic}, //
};

/// Whose pages they are: those of the page cache a file's, all others the process's that submits the
/// write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    File {
        /// The device of the filesystem (`dev_t`), or the block device itself.
        device: u32,
        /// 0 for a block device.
        inode: u64,
    },
    Process(i32),
}

impl Owner {
    /// The owner of a page of a write. None for memory of the kernel's own, which many share.
    pub(super) fn of(page: &mm::Owner, submitter: &Submitter) -> Option<Self> {
        match (page.class(), page.file()) {
            (mm::Class::Kernel, _) => None,
            (mm::Class::Cache | mm::Class::Waits, Some(place)) => Some(Self::File {
                device: place.device,
                inode: place.inode,
            }),
            _ => Some(Self::Process(submitter.process())),
        }
    }

    /// Two words that tell it apart from all others.
    pub(super) fn pack(self) -> [u64; 2] {
        match self {
            Self::File { device, inode } => [u64::from(device), inode],
            Self::Process(process) => [u64::MAX, process as u64],
        }
    }

    fn unpack(words: [u64; 2]) -> Self {
        match words {
            [u64::MAX, process] => Self::Process(process as i32),
            [device, inode] => Self::File {
                device: device as u32,
                inode,
            },
        }
    }
}

impl Slot for Atomic<u64> {
    #[inline]
    fn load(&self) -> u64 {
        self.load(Relaxed)
    }

    fn replace(&self, old: u64, new: u64) -> bool {
        self.cmpxchg(old, new, Relaxed).is_ok()
    }
}

/// What a target has learned of the owners of pages. Any context.
pub(super) struct Learned {
    born: Instant<Monotonic>,
    on: Atomic<bool>,
    table: Table<Atomic<u64>>,
    /// The owner in each slot whose writes are copied, for what is said when that ends.
    owners: [[Atomic<u64>; 2]; SLOTS],
}

impl Learned {
    pub(super) fn new(on: bool) -> Self {
        Self {
            born: Instant::now(),
            on: Atomic::new(on),
            table: Table::new([const { Atomic::new(0) }; SLOTS], Atomic::new(0)),
            owners: [const { [const { Atomic::new(0) }; 2] }; SLOTS],
        }
    }

    /// Whether it learns.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// The owners whose writes are copied now.
    pub(super) fn count(&self) -> usize {
        self.table.copied(self.now())
    }

    /// Whether no owner is known.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn now(&self) -> u32 {
        (self.born.elapsed().as_nanos() >> TICK_SHIFT) as u32
    }
}

impl StablePi {
    /// Begins to learn, or stops and forgets all.
    pub(super) fn set_learns(&self, on: bool) {
        self.learned.on.store(on, Relaxed);
        if !on {
            self.learned
                .table
                .clear(|turn| self.report_turn(turn, None));
        }
    }

    /// Whether a write is copied since `owner` changes its pages.
    pub(super) fn is_changer(&self, owner: Owner) -> bool {
        let (learned, id) = (&self.learned, mix(&owner.pack()));
        let turn = |turn| self.report_turn(turn, None);
        learned.is_on() && learned.table.write(id, learned.now(), turn)
    }

    /// A write of `owner`, which `submitter` has sent, was found changed.
    pub(super) fn learn_change(&self, owner: Owner, submitter: &Submitter) {
        let (learned, id) = (&self.learned, mix(&owner.pack()));
        if !learned.is_on() || self.policy() != Policy::Auto {
            return;
        }
        let turn = |turn| self.report_turn(turn, Some((owner, submitter)));
        learned.table.changed(id, learned.now(), turn);
    }

    /// Traces and logs that an owner's writes are copied from now on, or go in place again. `changed`
    /// is the owner of the write that was found changed, and its submitter.
    fn report_turn(&self, turn: Turn, changed: Option<(Owner, &Submitter)>) {
        let (number, enters) = match turn {
            Turn::Enters(number) => (number, true),
            Turn::Leaves(number) => (number, false),
        };
        let Some(slot) = self.learned.owners.get(number) else {
            return;
        };
        let (owner, submitter) = match changed {
            Some((owner, submitter)) if enters => {
                for (word, part) in slot.iter().zip(owner.pack()) {
                    word.store(part, Relaxed);
                }
                (owner, Some(submitter))
            }
            _ => (
                Owner::unpack([slot[0].load(Relaxed), slot[1].load(Relaxed)]),
                None,
            ),
        };
        let (file, process) = match owner {
            Owner::File { device, inode } => (Some((device, inode)), 0),
            Owner::Process(process) => (None, process),
        };
        trace::learn(self.mapped, file, process, enters);
        self.owners.report_turn(self, owner, submitter);
    }
}
