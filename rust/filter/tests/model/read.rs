// SPDX-License-Identifier: GPL-2.0

//! The model of a read: a medium, a device, and the pages of an application.
//!
//! As with a write, a checksum is perfect, and the application changes its pages right before they
//! are looked at.

use crate::choices::Choices;
use filter::settle::{Event, Outcome, Read};
use std::ops::Range;

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
    /// is read again, too.
    pub faults: bool,
}

/// The intervals of the read.
pub const INTERVALS: usize = 2;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The application changes an interval to this.
    Change(usize, u8),
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
    /// Something is counted.
    Note(Event),
}

/// The read.
pub struct Model<'a> {
    choices: &'a Choices,
    setup: Setup,
    /// Data and tuple of each interval on the medium.
    pub medium: Vec<(u8, u8)>,
    /// The application's pages.
    pub page: Vec<u8>,
    tuples: Vec<u8>,
    private: Vec<u8>,
    last: Range<usize>,
    /// All that happened.
    pub steps: Vec<Step>,
}

const GOOD: u8 = 1;
const BAD: u8 = 2;
const GLITCH: u8 = 3;
const SCRIBBLE: u8 = 4;

impl<'a> Model<'a> {
    /// A read that has not begun.
    pub fn new(choices: &'a Choices, setup: Setup) -> Self {
        let data = |_| match setup.corrupt && choices.flip() {
            true => (BAD, GOOD),
            false => (GOOD, GOOD),
        };
        Self {
            choices,
            setup,
            medium: (0..INTERVALS).map(data).collect(),
            page: vec![0; INTERVALS],
            tuples: vec![0; INTERVALS],
            private: vec![0; INTERVALS],
            last: 0..0,
            steps: Vec::new(),
        }
    }

    /// Reads the data into the application's pages.
    pub fn begin(&mut self) -> Outcome {
        if let Some(outcome) = self.fault() {
            return outcome;
        }
        for i in 0..INTERVALS {
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

    /// Whether an interval is corrupt on the medium.
    pub fn is_corrupt(&self) -> bool {
        self.medium.iter().any(|(data, tuple)| data != tuple)
    }

    /// How often `step` happened.
    pub fn count(&self, step: impl Fn(&Step) -> bool) -> usize {
        self.steps.iter().filter(|s| step(s)).count()
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> usize {
        self.count(|step| *step == Step::Note(event))
    }

    fn fault(&mut self) -> Option<Outcome> {
        if !self.setup.faults {
            return None;
        }
        [None, Some(Outcome::Protection), Some(Outcome::Other)][usize::from(self.choices.below(3))]
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
}

impl Read for Model<'_> {
    type Error = ();

    fn bytes(&self) -> u32 {
        INTERVALS as u32
    }

    fn matches(&mut self) -> Result<bool, ()> {
        for i in 0..INTERVALS {
            self.change(i);
        }
        let matches = self.page == self.tuples;
        self.steps.push(Step::Look { matches });
        Ok(matches)
    }

    fn again(&mut self, skip: u32) -> Result<(Outcome, u32), ()> {
        let begin = skip as usize;
        let n = 1 + usize::from(self.choices.below((INTERVALS - begin) as u8));
        self.last = begin..begin + n;
        let outcome = self.fault().unwrap_or(Outcome::Ok);
        if outcome == Outcome::Ok {
            for i in self.last.clone() {
                (self.private[i], self.tuples[i]) = self.medium[i];
            }
        }
        self.steps.push(Step::Again(begin, n, outcome));
        Ok((outcome, n as u32))
    }

    fn matches_again(&mut self) -> Result<bool, ()> {
        let mut all = true;
        for i in self.last.clone() {
            let matches = self.private[i] == self.tuples[i];
            self.steps.push(Step::Judge(i, matches));
            all &= matches;
        }
        Ok(all)
    }

    fn hand_over(&mut self) -> Result<(), ()> {
        for i in self.last.clone() {
            self.page[i] = self.private[i];
            self.steps.push(Step::HandOver(i));
        }
        Ok(())
    }

    fn note(&mut self, event: Event) {
        self.steps.push(Step::Note(event));
    }
}
