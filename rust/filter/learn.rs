// SPDX-License-Identifier: GPL-2.0

//! Which owners change the pages of their writes, learned from what was found changed.
//!
//! A write in place that turns out to have changed costs a rejected write, a copy and a second
//! write. That is cheap where it is rare. An owner of pages (a file, or a process) that does it all
//! the time is better copied from the start, and no other is to pay for it. So each has a
//! [`Standing`]:
//!
//! ```text
//!           changed            changed, often enough
//! unknown ──────────▶ Suspect ───────────────────────▶ Copied ──╮ a probe in place has changed:
//!    ▲                   │ its writes do not change       │ ▲    │ the next one comes later
//!    ╰───────────────────┴─────── or CLEAN probes ────────╯ ╰───╯
//! ```
//!
//! An owner that nothing was found of is not in the [`Table`], and none of its writes write to it.
//! This file knows nothing of the kernel: atomic memory is behind the trait [`Slot`].

/// Owners that can be known at a time, a power of two.
pub const SLOTS: usize = 64;

/// Slots that an owner may have.
const WAYS: usize = 4;

/// What a changed write adds to the score of a suspect, from which each of its writes takes one.
///
/// A changed write costs a second write, of some 36000 instructions and the time of the disk; a copy
/// costs some 4000 instructions more than a write in place (`make bench`). So copies pay where more than
/// one write in 16 changes, with some room for the disk; below that the score falls.
const WEIGHT: u8 = 16;

/// The score from which on the writes of a suspect are copied: three changed ones soon after each
/// other.
const ENOUGH: u8 = 40;

/// Writes between two probes, as the logarithm to base 2: of an owner that has just been learned.
const PAUSE_FIRST: u8 = 6;

/// The same, of one whose probes have changed time and again.
const PAUSE_MOST: u8 = 10;

/// Probes in a row that were not found changed, until an owner is forgotten.
const CLEAN: u8 = 4;

/// After so many ticks without a write an owner is forgotten: 10.7 seconds.
pub const IDLE: u32 = 160;

/// The number of bits by which nanoseconds are shifted to make a tick: 67 milliseconds.
pub const TICK_SHIFT: u32 = 26;

const TICK_MASK: u32 = (1 << 18) - 1;

/// What is thought of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A write of it was found changed; all go in place.
    Suspect {
        /// How much speaks against it, from 1 on.
        score: u8,
    },
    /// Its writes are copied, but for a probe now and then.
    Copied {
        /// Probes in a row that were not found changed.
        clean: u8,
        /// The last probe has not been found changed.
        probing: bool,
        /// The logarithm of the number of writes between two probes.
        pause: u8,
        /// Writes until the next probe, from 1 on.
        left: u16,
    },
}

impl Standing {
    /// Of an owner that a first write was found changed of.
    pub const NEW: Self = Self::Suspect { score: WEIGHT };

    /// After one more write was found changed.
    pub fn changed(self) -> Self {
        match self {
            Self::Suspect { score } if score + WEIGHT < ENOUGH => Self::Suspect {
                score: score + WEIGHT,
            },
            Self::Suspect { .. } => Self::Copied {
                clean: 0,
                probing: false,
                pause: PAUSE_FIRST,
                left: 1 << PAUSE_FIRST,
            },
            Self::Copied {
                probing: true,
                pause,
                ..
            } => {
                let pause = (pause + 1).min(PAUSE_MOST);
                Self::Copied {
                    clean: 0,
                    probing: false,
                    pause,
                    left: 1 << pause,
                }
            }
            // One that was under way when it was learned.
            Self::Copied { probing: false, .. } => self,
        }
    }

    /// For one more write, and after it: whether it is copied, and what is thought of the owner then;
    /// nothing if it is forgotten.
    pub fn write(self) -> (bool, Option<Self>) {
        match self {
            Self::Suspect { score } => (
                false,
                (score > 1).then(|| Self::Suspect { score: score - 1 }),
            ),
            Self::Copied {
                clean,
                probing,
                pause,
                left,
            } if left > 1 => (
                true,
                Some(Self::Copied {
                    clean,
                    probing,
                    pause,
                    left: left - 1,
                }),
            ),
            Self::Copied {
                clean,
                probing,
                pause,
                ..
            } => {
                let clean = clean + u8::from(probing);
                let next = Self::Copied {
                    clean,
                    probing: true,
                    pause,
                    left: 1 << pause,
                };
                (false, (clean < CLEAN).then_some(next))
            }
        }
    }

    fn is_copied(self) -> bool {
        matches!(self, Self::Copied { .. })
    }
}

/// What a slot holds: of whom, what is thought of it, and when it was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// 24 bits of the owner's number, not 0.
    pub tag: u32,
    /// What is thought of it.
    pub standing: Standing,
    /// The tick, of 18 bits, of its last write.
    pub seen: u32,
}

impl Record {
    /// From the value of a slot; none from 0.
    pub fn unpack(word: u64) -> Option<Self> {
        let field = |shift: u32, bits: u32| (word >> shift) as u32 & ((1 << bits) - 1);
        let tag = field(40, 24);
        let standing = if field(39, 1) == 0 {
            Standing::Suspect {
                score: field(29, 6) as u8,
            }
        } else {
            Standing::Copied {
                clean: field(29, 6) as u8,
                probing: field(38, 1) != 0,
                pause: PAUSE_FIRST + field(35, 3) as u8,
                left: field(18, 11) as u16,
            }
        };
        (tag != 0).then_some(Self {
            tag,
            standing,
            seen: field(0, 18),
        })
    }

    /// The value of a slot, not 0.
    pub fn pack(self) -> u64 {
        let word = (u64::from(self.tag) << 40) | u64::from(self.seen & TICK_MASK);
        word | match self.standing {
            Standing::Suspect { score } => u64::from(score) << 29,
            Standing::Copied {
                clean,
                probing,
                pause,
                left,
            } => {
                (1 << 39)
                    | (u64::from(probing) << 38)
                    | (u64::from(pause - PAUSE_FIRST) << 35)
                    | (u64::from(clean) << 29)
                    | (u64::from(left) << 18)
            }
        }
    }

    fn is_idle(self, now: u32) -> bool {
        now.wrapping_sub(self.seen) & TICK_MASK > IDLE
    }
}

/// A word that CPUs share.
pub trait Slot {
    /// Its value.
    fn load(&self) -> u64;

    /// Makes `new` of it, if it is `old`. Returns whether it was.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// That the writes of an owner begin to be copied, or go in place again. The number is that of its
/// slot, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They are copied from now on.
    Enters(usize),
    /// They go in place from now on.
    Leaves(usize),
}

/// The owners that something is known of.
///
/// It needs no lock: a slot that another CPU was quicker with is left to that, which at worst loses
/// what one write says.
pub struct Table<S> {
    slots: [S; SLOTS],
    /// How many slots are taken.
    taken: S,
}

impl<S: Slot> Table<S> {
    /// One that knows no owner, of words that are 0.
    pub const fn new(slots: [S; SLOTS], taken: S) -> Self {
        Self { slots, taken }
    }

    /// Whether no owner is known. A load from a line that no CPU writes then.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.taken.load() == 0
    }

    /// Whether a write of `owner` is copied at the tick `now`, and whose turn that, or time, has
    /// brought.
    pub fn write(&self, owner: u64, now: u32, mut turn: impl FnMut(Turn)) -> bool {
        self.forget_idle(now as usize % SLOTS, now, &mut turn);
        let tag = tag(owner);
        for way in 0..WAYS {
            let Some((number, slot)) = self.slot(owner, way) else {
                continue;
            };
            let word = slot.load();
            let Some(record) = Record::unpack(word).filter(|record| record.tag == tag) else {
                continue;
            };
            if record.is_idle(now) {
                self.forget_idle(number, now, &mut turn);
                return false;
            }
            let (copied, standing) = record.standing.write();
            let next = standing.map_or(0, |standing| {
                Record {
                    standing,
                    seen: now,
                    ..record
                }
                .pack()
            });
            if slot.replace(word, next) && next == 0 {
                self.count(-1);
                if record.standing.is_copied() {
                    turn(Turn::Leaves(number));
                }
            }
            return copied;
        }
        false
    }

    /// A write of `owner` was found changed at the tick `now`.
    ///
    /// Where all slots that the owner may have are taken, a suspect or one that is idle makes room;
    /// where there is neither, nothing is learned.
    pub fn changed(&self, owner: u64, now: u32, mut turn: impl FnMut(Turn)) {
        let tag = tag(owner);
        let new = Record {
            tag,
            standing: Standing::NEW,
            seen: now & TICK_MASK,
        };
        let mut room: Option<(u8, usize, &S, u64)> = None;
        for way in 0..WAYS {
            let Some((number, slot)) = self.slot(owner, way) else {
                continue;
            };
            let word = slot.load();
            let price = match Record::unpack(word) {
                None => 0,
                Some(record) if record.tag == tag && !record.is_idle(now) => {
                    let standing = record.standing.changed();
                    let next = Record { standing, ..new };
                    let enters = standing.is_copied() && !record.standing.is_copied();
                    if slot.replace(word, next.pack()) && enters {
                        turn(Turn::Enters(number));
                    }
                    return;
                }
                Some(record) if record.is_idle(now) => 1,
                Some(Record {
                    standing: Standing::Suspect { score },
                    ..
                }) => 1 + score,
                Some(_) => continue,
            };
            if room.is_none_or(|(least, ..)| price < least) {
                room = Some((price, number, slot, word));
            }
        }
        if let Some((_, number, slot, word)) = room {
            if slot.replace(word, new.pack()) {
                match Record::unpack(word) {
                    None => self.count(1),
                    Some(record) if record.standing.is_copied() => turn(Turn::Leaves(number)),
                    Some(_) => {}
                }
            }
        }
    }

    /// The owners whose writes are copied at the tick `now`.
    pub fn copied(&self, now: u32) -> usize {
        let copied = |slot: &&S| {
            Record::unpack(slot.load())
                .is_some_and(|record| record.standing.is_copied() && !record.is_idle(now))
        };
        self.slots.iter().filter(copied).count()
    }

    /// Forgets all.
    pub fn clear(&self, mut turn: impl FnMut(Turn)) {
        for number in 0..SLOTS {
            self.forget(number, |_| true, &mut turn);
        }
    }

    fn forget_idle(&self, number: usize, now: u32, turn: &mut impl FnMut(Turn)) {
        self.forget(number, |record| record.is_idle(now), turn);
    }

    fn forget(&self, number: usize, which: impl Fn(Record) -> bool, turn: &mut impl FnMut(Turn)) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let word = slot.load();
        let Some(record) = Record::unpack(word).filter(|record| which(*record)) else {
            return;
        };
        if slot.replace(word, 0) {
            self.count(-1);
            if record.standing.is_copied() {
                turn(Turn::Leaves(number));
            }
        }
    }

    fn slot(&self, owner: u64, way: usize) -> Option<(usize, &S)> {
        let number = (owner as usize).wrapping_add(way) % SLOTS;
        self.slots.get(number).map(|slot| (number, slot))
    }

    fn count(&self, by: i64) {
        loop {
            let taken = self.taken.load();
            if self.taken.replace(taken, taken.wrapping_add_signed(by)) {
                return;
            }
        }
    }
}

/// The bits of an owner's number that its slot has; not 0.
fn tag(owner: u64) -> u32 {
    ((owner >> 40) as u32).max(1)
}
