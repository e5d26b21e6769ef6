// SPDX-License-Identifier: GPL-2.0

//! How a write is kept stable: which way it goes down, and what it is promised.
//!
//! Each policy is a type in a file of its own. None of them knows anything of the kernel, so that
//! the decision table of the documentation is tested on the host, line by line.

mod auto;
mod copy;
mod detect;
mod optimistic;
mod wait;

use self::{
    auto::Auto,
    copy::Copy,
    detect::Detect,
    optimistic::Optimistic,
    wait::Wait, //
};
use super::{
    args,
    settle::{Duty, Promise}, //
};

/// How a write goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// With its data where it is.
    InPlace(Promise),
    /// With a private copy of its data.
    Copy,
}

/// What the [`way`] of a write depends on, besides its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The policy.
    pub policy: args::Policy,
    /// The switch `recheck`.
    pub recheck: args::Switch,
    /// The device is zoned, so that no sector can be written twice.
    pub zoned: bool,
    /// The switch `trust`.
    pub trust: args::Switch,
    /// What is below is known to hand an error of a disk on as it is, and nothing there acts on it.
    pub passes: bool,
    /// The device shows an integrity profile, the one that it had when the table was made.
    pub profile: bool,
    /// The device checks the guard itself (`BLK_INTEGRITY_DEVICE_CAPABLE`).
    pub checks: bool,
    /// The write came with a payload, which is somebody else's promise.
    pub payload: bool,
}

/// A way to keep writes stable.
trait Policy {
    /// What is done about a write in place whose data has changed.
    const DUTY: Duty;

    /// Whether a write in place is compared with its metadata even where nobody asks for it.
    const RECHECKS: bool = false;

    /// Whether the data of a write is copied.
    ///
    /// `exposed` says whether user space can change one of its pages, which takes a look at each.
    fn copies(facts: &Facts, exposed: impl FnOnce() -> bool) -> bool;
}

impl Facts {
    /// Whether a rejection by what is below is relied upon.
    pub fn trusted(&self) -> bool {
        self.trust.decide(self.passes)
    }

    /// Whether a changed write is rejected by the device, and only the target gets to know.
    fn rejected(&self) -> bool {
        self.profile && self.checks && self.trusted()
    }

    /// Whether a write in place is compared with its metadata when it has succeeded.
    pub fn rechecks(&self) -> bool {
        match self.policy {
            args::Policy::Auto => self.rechecks_with::<Auto>(),
            args::Policy::Optimistic => self.rechecks_with::<Optimistic>(),
            args::Policy::Copy => self.rechecks_with::<Copy>(),
            args::Policy::Wait => self.rechecks_with::<Wait>(),
            args::Policy::Detect => self.rechecks_with::<Detect>(),
        }
    }

    fn rechecks_with<P: Policy>(&self) -> bool {
        P::RECHECKS
            || match self.recheck {
                args::Switch::Auto => !self.rejected(),
                args::Switch::On => true,
                args::Switch::Off => false,
            }
    }

    fn way_with<P: Policy>(&self, exposed: impl FnOnce() -> bool) -> Way {
        // A sector of a zone cannot be written twice, whatever the policy.
        if self.zoned || P::copies(self, exposed) {
            return Way::Copy;
        }
        Way::InPlace(Promise {
            // With tuples of our own it would be another promise than the one that was made.
            duty: if self.payload { Duty::Refuse } else { P::DUTY },
            recheck: self.rechecks_with::<P>(),
        })
    }
}

/// Decides how a write with data goes down.
///
/// `exposed` says whether user space can change one of its pages. It is called only where that
/// matters, since it has to look at each page.
pub fn way(facts: &Facts, exposed: impl FnOnce() -> bool) -> Way {
    match facts.policy {
        args::Policy::Auto => facts.way_with::<Auto>(exposed),
        args::Policy::Optimistic => facts.way_with::<Optimistic>(exposed),
        args::Policy::Copy => facts.way_with::<Copy>(exposed),
        args::Policy::Wait => facts.way_with::<Wait>(exposed),
        args::Policy::Detect => facts.way_with::<Detect>(exposed),
    }
}
