// SPDX-License-Identifier: GPL-2.0

//! The model of a read: a medium, those who write to it meanwhile, a device, the path to it, and the
//! pages of an application.
//!
//! As with a write, a checksum is perfect, and the application changes its pages right before they
//! are looked at. A write is stored torn, and settles later; both happen right before an interval is
//! transferred, since at another time no read would see the difference.

use crate::choices::Choices;
use core::num::NonZeroU8;
use filter::completion::{Event, Io, Outcome, Read, Reread};
use std::ops::Range;

/// A failure for another reason.
pub const OTHER: Outcome = Outcome::Other(NonZeroU8::new(10).unwrap());

/// What a model is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The device checks what it reads, unless it is told not to.
    pub checks: bool,
    /// Intervals may be corrupt on the medium.
    pub corrupt: bool,
    /// The application may change its pages.
    pub changes: bool,
    /// Data may be damaged the first time that it is transferred.
    pub glitches: bool,
    /// An I/O may be rejected on account of another one in its request, or fail otherwise; one that
    /// is read again may fail otherwise.
    pub faults: bool,
    /// The most writes that come, to an interval each.
    pub writes: u32,
    /// How often the path may spoil what is read again: damage an interval, or invent an error.
    pub spoils: u32,
}

/// The intervals of the read.
pub const INTERVALS: usize = 2;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The application changes an interval to this.
    Change(usize, u8),
    /// A write to an interval is stored, torn.
    Torn(usize),
    /// It settles.
    Settled(usize),
    /// The data is compared with its tuples.
    Look {
        /// It matches.
        matches: bool,
    },
    /// Intervals are read again.
    Again(usize, usize, Outcome),
    /// An interval that was read again is judged.
    Judge(usize, bool),
    /// An interval that was read again is handed over.
    HandOver(usize),
    /// All writes in flight are waited for.
    Wait,
    /// An interval is reported as corrupt.
    Report(usize),
    /// Something is counted.
    Note(Event),
}

/// The read.
pub struct Model<'a> {
    choices: &'a Choices,
    setup: Setup,
    /// Data and tuple of each interval on the medium.
    pub medium: Vec<(u8, u8)>,
    /// What the medium held in the beginning.
    pub before: Vec<(u8, u8)>,
    /// Whether a write to the interval is in flight.
    pub in_flight: Vec<bool>,
    /// The application's pages.
    pub page: Vec<u8>,
    tuples: Vec<u8>,
    private: Vec<u8>,
    last: Range<usize>,
    /// Which intervals a write came to since they are watched.
    disturbed: Option<Vec<bool>>,
    /// Which intervals of what was read last do not match, or were not compared.
    wrong: Vec<bool>,
    /// Which intervals have not matched once since then, nor right before.
    never_matched: Vec<bool>,
    writes: u32,
    /// How often the path has spoiled something.
    pub spoiled: u32,
    /// All that happened.
    pub steps: Vec<Step>,
}

/// What an interval holds, and one that is written.
pub const GOOD: u8 = 1;
/// See above.
pub const NEW: u8 = 5;
const BAD: u8 = 2;
const GLITCH: u8 = 3;
const SCRIBBLE: u8 = 4;
const TORN: u8 = 6;

impl<'a> Model<'a> {
    /// A read that has not begun.
    pub fn new(choices: &'a Choices, setup: Setup) -> Self {
        let data = |_| match setup.corrupt && choices.flip() {
            true => (BAD, GOOD),
            false => (GOOD, GOOD),
        };
        let medium: Vec<_> = (0..INTERVALS).map(data).collect();
        Self {
            choices,
            setup,
            before: medium.clone(),
            medium,
            in_flight: vec![false; INTERVALS],
            page: vec![0; INTERVALS],
            tuples: vec![0; INTERVALS],
            private: vec![0; INTERVALS],
            last: 0..0,
            disturbed: None,
            wrong: vec![true; INTERVALS],
            never_matched: vec![true; INTERVALS],
            writes: 0,
            spoiled: 0,
            steps: Vec::new(),
        }
    }

    /// Reads the data into the application's pages.
    pub fn begin(&mut self) -> Outcome {
        if self.setup.faults {
            match self.choices.below(3) {
                0 => {}
                1 => return Outcome::Protection,
                _ => return OTHER,
            }
        }
        for i in 0..INTERVALS {
            self.write(i);
            let (data, tuple) = self.medium[i];
            let glitch = self.setup.glitches && self.choices.flip();
            self.page[i] = if glitch { GLITCH } else { data };
            self.tuples[i] = tuple;
            if self.setup.checks && data != tuple {
                return Outcome::Protection;
            }
        }
        Outcome::Ok
    }

    /// Whether an interval is corrupt on the medium, and no write in flight is the reason.
    pub fn is_corrupt(&self, i: usize) -> bool {
        let (data, tuple) = self.medium[i];
        data != tuple && !self.in_flight[i]
    }

    /// How often `step` happened.
    pub fn count(&self, step: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().filter(|s| step(s)).count()
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> usize {
        self.count(|step| *step == Step::Note(event))
    }

    /// Another application may write to an interval, or its write goes on.
    fn write(&mut self, i: usize) {
        if self.in_flight[i] {
            if self.choices.flip() {
                self.resolve_write(i);
            }
        } else if self.writes < self.setup.writes && self.choices.flip() {
            self.writes += 1;
            self.in_flight[i] = true;
            self.medium[i] = (TORN, NEW);
            if let Some(disturbed) = &mut self.disturbed {
                disturbed[i] = true;
            }
            self.steps.push(Step::Torn(i));
        }
    }

    fn resolve_write(&mut self, i: usize) {
        self.in_flight[i] = false;
        self.medium[i] = (NEW, NEW);
        self.steps.push(Step::Settled(i));
    }

    /// Whether the path spoils something now.
    fn spoils(&mut self) -> bool {
        let spoils = self.spoiled < self.setup.spoils && self.choices.flip();
        self.spoiled += u32::from(spoils);
        spoils
    }

    /// The application changes an interval, to something else or to what it should be.
    fn change(&mut self, i: usize) {
        if !self.setup.changes {
            return;
        }
        let new = match self.choices.below(3) {
            0 => return,
            1 => SCRIBBLE,
            _ => self.tuples[i],
        };
        self.page[i] = new;
        self.steps.push(Step::Change(i, new));
    }

    /// Watches for writes without waiting for those in flight, which is wrong.
    pub fn watch_only(&mut self) {
        self.disturbed = Some(vec![false; INTERVALS]);
        self.never_matched = self.wrong.clone();
        self.steps.push(Step::Wait);
    }

    fn matches_at(&self, i: usize) -> bool {
        self.private[i] == self.tuples[i]
    }
}

impl Io for Model<'_> {
    type Error = ();

    fn bytes(&self) -> u32 {
        INTERVALS as u32
    }

    fn record(&mut self, event: Event) {
        self.steps.push(Step::Note(event));
    }
}

impl Read for Model<'_> {
    fn matches(&mut self) -> Result<bool, ()> {
        for i in 0..INTERVALS {
            self.change(i);
        }
        let matches = self.page == self.tuples;
        self.steps.push(Step::Look { matches });
        Ok(matches)
    }
}

impl Reread for Model<'_> {
    fn interval(&self) -> u32 {
        1
    }

    fn read_again(&mut self, skip: u32, most: u32) -> Result<(Outcome, u32), ()> {
        let begin = skip as usize;
        let most = most.min((INTERVALS - begin) as u32);
        let n = 1 + usize::from(self.choices.below(most as u8));
        self.last = begin..begin + n;
        self.wrong = vec![true; INTERVALS];
        let mut outcome = Outcome::Ok;
        if self.setup.faults && self.choices.flip() {
            outcome = OTHER;
        } else if self.spoils() {
            outcome = Outcome::Protection;
        }
        for i in self.last.clone() {
            self.write(i);
            if outcome == Outcome::Ok {
                (self.private[i], self.tuples[i]) = self.medium[i];
                if self.spoils() {
                    self.private[i] = GLITCH;
                }
            }
        }
        self.steps.push(Step::Again(begin, n, outcome));
        Ok((outcome, n as u32))
    }

    fn matching(&mut self) -> Result<u32, ()> {
        for i in self.last.clone() {
            self.steps.push(Step::Judge(i, self.matches_at(i)));
            self.wrong[i] = !self.matches_at(i);
            self.never_matched[i] &= self.wrong[i];
        }
        let matching = self.last.clone().take_while(|i| self.matches_at(*i));
        Ok(matching.count() as u32)
    }

    fn copy_to_bio(&mut self, bytes: u32) -> Result<(), ()> {
        for i in self.last.clone().take(bytes as usize) {
            self.page[i] = self.private[i];
            self.steps.push(Step::HandOver(i));
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), ()> {
        self.watch_only();
        for i in 0..INTERVALS {
            if self.in_flight[i] {
                self.resolve_write(i);
            }
        }
        Ok(())
    }

    fn disturbed(&mut self, skip: u32, bytes: u32) -> bool {
        let range = skip as usize..INTERVALS.min((skip + bytes) as usize);
        match &self.disturbed {
            None => true,
            Some(disturbed) => disturbed[range].contains(&true),
        }
    }

    fn report(&mut self) -> Result<bool, ()> {
        let mut found = false;
        for i in self.last.clone() {
            if self.never_matched[i] && !self.matches_at(i) && !self.disturbed(i as u32, 1) {
                self.steps.push(Step::Report(i));
                found = true;
            }
        }
        Ok(found)
    }
}
