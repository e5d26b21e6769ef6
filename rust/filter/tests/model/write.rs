// SPDX-License-Identifier: GPL-2.0

//! The model of a write: a page, a medium, and a device between them.
//!
//! A checksum is perfect here: the tuple of some data is the data. Data can change right before it
//! is read, by whomever: by the generator, by the device, by the comparison, or by the copy. A
//! change at another time is one before the next reading, so nothing is lost.

use crate::choices::Choices;
use core::num::NonZeroU8;
use filter::completion::{Event, Io, Outcome, Private, Repair, Write, RETRIES, TRIES};

/// A failure for another reason.
const OTHER: Outcome = Outcome::Other(NonZeroU8::new(10).unwrap());

/// What the medium holds before the write.
pub const OLD: u8 = 100;

/// What a device checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Nothing.
    Blind,
    /// The data that it stores.
    Checks,
    /// The data as it was a while before it reads it again and stores that, as some simulators do.
    ChecksEarly,
}

/// Who changes the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// Nobody.
    Nobody,
    /// Somebody who never changes anything back.
    Onward,
    /// Somebody who may.
    AndBack,
}

/// What a model is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The device.
    pub device: Device,
    /// Who changes the data.
    pub mutator: Mutator,
    /// The intervals of the write.
    pub intervals: usize,
    /// The most changes.
    pub changes: u32,
    /// How often a submission may be rejected on account of another bio in its request, or without
    /// a reason to be seen, or fail otherwise.
    pub faults: u32,
    /// Whether an operation may turn out to be impossible.
    pub misfits: bool,
}

/// What happens, for the story of a counterexample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An interval changes to this.
    Change(usize, u8),
    /// The tuple of an interval is generated.
    Generate(usize, u8),
    /// An interval, with its tuple, reaches the medium.
    Store(usize, u8, u8),
    /// A submission in place ends.
    InPlace(Outcome),
    /// A submission of a copy ends: of so many intervals from this one on.
    Copy(u32, u32, Outcome),
    /// The data is compared with its tuples.
    Look {
        /// It differs.
        changed: bool,
    },
    /// Something is counted.
    Note(Event),
    /// An operation is impossible.
    MetadataError,
}

/// An operation is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataError;

/// The write.
pub struct Model<'a> {
    choices: &'a Choices,
    setup: Setup,
    page: Vec<u8>,
    tuples: Vec<u8>,
    /// Data and tuple of each interval.
    pub medium: Vec<(u8, u8)>,
    changes: u32,
    faults: u32,
    /// After some step the medium held data that did not match its tuple. That is what a crash
    /// right then would have left behind.
    pub torn: bool,
    /// All that happened.
    pub steps: Vec<Step>,
}

impl<'a> Model<'a> {
    /// A write that has not begun.
    pub fn new(choices: &'a Choices, setup: Setup) -> Self {
        Self {
            choices,
            setup,
            page: vec![0; setup.intervals],
            tuples: vec![OLD; setup.intervals],
            medium: vec![(OLD, OLD); setup.intervals],
            changes: 0,
            faults: 0,
            torn: false,
            steps: Vec::with_capacity(64),
        }
    }

    /// Sends the data down in place for the first time.
    pub fn begin_in_place(&mut self) -> Outcome {
        self.generate();
        self.submit()
    }

    /// Sends writes down in place in one request for the first time. If one is rejected, all are.
    pub fn begin_merged(models: &mut [Self]) -> Outcome {
        for model in models.iter_mut() {
            model.generate();
        }
        let taken = |model: &mut Self| model.transfer(model.setup.intervals) == Outcome::Ok;
        let outcome = match models.iter_mut().all(taken) {
            true => Outcome::Ok,
            false => Outcome::Protection,
        };
        for model in models {
            model.steps.push(Step::InPlace(outcome));
        }
        outcome
    }

    /// Sends the data down as a copy from the start, as one piece.
    pub fn begin_copy(&mut self) -> Outcome {
        self.submit_copy(0, self.setup.intervals as u32)
    }

    /// The intervals of which a copy was stored, from the first one on.
    pub fn copied(&self) -> u32 {
        let end = |step: &Step| match step {
            Step::Copy(begin, n, Outcome::Ok) => begin + n,
            _ => 0,
        };
        self.steps.iter().map(end).max().unwrap_or(0)
    }

    /// Whether the data, and all of it, is on the medium with tuples that match.
    pub fn is_stored(&self) -> bool {
        self.medium
            .iter()
            .all(|(data, tuple)| data == tuple && *data != OLD)
    }

    /// Whether somebody has changed the data.
    pub fn has_changed(&self) -> bool {
        self.changes > 0
    }

    /// Whether an interval reached the medium more than once.
    pub fn rewrote(&self) -> bool {
        (0..self.setup.intervals)
            .any(|i| self.count(|step| matches!(step, Step::Store(n, ..) if *n == i)) > 1)
    }

    /// How often `step` happened.
    pub fn count(&self, step: impl Fn(&Step) -> bool) -> u32 {
        self.steps.iter().filter(|s| step(s)).count() as u32
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> u32 {
        self.count(|step| *step == Step::Note(event))
    }

    /// Reads an interval, which may just have changed.
    fn read(&mut self, i: usize) -> u8 {
        let can_change = self.setup.mutator != Mutator::Nobody && self.changes < self.setup.changes;
        if can_change && self.choices.flip() {
            self.changes += 1;
            self.page[i] = match self.setup.mutator {
                Mutator::AndBack => 1 - self.page[i],
                _ => self.page[i] + 1,
            };
            self.steps.push(Step::Change(i, self.page[i]));
        }
        self.page[i]
    }

    fn generate(&mut self) {
        for i in 0..self.setup.intervals {
            self.tuples[i] = self.read(i);
            self.steps.push(Step::Generate(i, self.tuples[i]));
        }
    }

    fn store(&mut self, i: usize, data: u8) {
        self.medium[i] = (data, self.tuples[i]);
        self.torn |= data != self.tuples[i];
        self.steps.push(Step::Store(i, data, self.tuples[i]));
    }

    /// Sends the data down where it is.
    fn submit(&mut self) -> Outcome {
        let outcome = match self.fault() {
            Some(outcome) => {
                // Some of it may have been stored, as the device stores data.
                let some = self.choices.below(self.setup.intervals as u8 + 1);
                self.transfer(some.into());
                outcome
            }
            None => self.transfer(self.setup.intervals),
        };
        self.steps.push(Step::InPlace(outcome));
        outcome
    }

    fn fault(&mut self) -> Option<Outcome> {
        if self.faults == self.setup.faults {
            return None;
        }
        let faults = [None, Some(Outcome::Protection), Some(OTHER)];
        let fault = faults[usize::from(self.choices.below(3))];
        self.faults += u32::from(fault.is_some());
        fault
    }

    /// Transfers the first `n` intervals, as far as the device takes them.
    fn transfer(&mut self, n: usize) -> Outcome {
        if self.setup.device == Device::ChecksEarly {
            for i in 0..n {
                if self.read(i) != self.tuples[i] {
                    return Outcome::Protection;
                }
            }
        }
        for i in 0..n {
            let data = self.read(i);
            if self.setup.device == Device::Checks && data != self.tuples[i] {
                return Outcome::Protection;
            }
            self.store(i, data);
        }
        Outcome::Ok
    }

    /// Copies `n` intervals from `begin` on, and sends the copy down. No application can change a copy, so
    /// the device has no reason to reject it; whether it does all the same is up to it.
    fn submit_copy(&mut self, begin: u32, n: u32) -> Outcome {
        let piece = begin as usize..(begin + n) as usize;
        for i in piece.clone() {
            self.tuples[i] = self.read(i);
        }
        let outcome = self.fault().unwrap_or(Outcome::Ok);
        if outcome == Outcome::Ok {
            for i in piece {
                self.store(i, self.tuples[i]);
            }
        }
        self.steps.push(Step::Copy(begin, n, outcome));
        outcome
    }

    fn possible(&mut self) -> Result<(), MetadataError> {
        if self.setup.misfits && self.choices.flip() {
            self.steps.push(Step::MetadataError);
            return Err(MetadataError);
        }
        Ok(())
    }
}

/// After so many submissions in place, or of a piece of a copy, there is no end to be expected.
const ENDLESS: u32 = RETRIES + 2;
const ENDLESS_COPIES: u32 = TRIES + 2;

impl Io for Model<'_> {
    type Error = MetadataError;

    fn bytes(&self) -> u32 {
        self.setup.intervals as u32
    }

    fn record(&mut self, event: Event) {
        self.steps.push(Step::Note(event));
    }
}

impl Write for Model<'_> {
    fn changed(&mut self) -> Result<bool, MetadataError> {
        self.possible()?;
        let mut changed = false;
        for i in 0..self.setup.intervals {
            changed |= self.read(i) != self.tuples[i];
        }
        self.steps.push(Step::Look { changed });
        Ok(changed)
    }
}

impl Private for Model<'_> {
    fn copy(&mut self, skip: u32) -> Result<(Outcome, u32), MetadataError> {
        self.possible()?;
        if self.count(|step| matches!(step, Step::Copy(at, ..) if *at == skip)) == ENDLESS_COPIES {
            return Err(MetadataError);
        }
        let left = self.setup.intervals as u32 - skip;
        let n = 1 + u32::from(self.choices.below(left as u8));
        Ok((self.submit_copy(skip, n), n))
    }
}

impl Repair for Model<'_> {
    fn resubmit(&mut self) -> Result<Outcome, MetadataError> {
        self.possible()?;
        if self.count(|step| matches!(step, Step::InPlace(_))) == ENDLESS {
            return Err(MetadataError);
        }
        self.generate();
        Ok(self.submit())
    }
}
