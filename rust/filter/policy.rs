// SPDX-License-Identifier: GPL-2.0

//! How a write is kept stable: which way it goes down, and what is done when its data has changed.
//!
//! One table has all of the [policies](args::Policy). It knows nothing of the kernel, so that the
//! decision table of the documentation is tested on the host, line by line.

use super::{
    args,
    completion::{CompletionPolicy, OnMismatch}, //
};

/// How a write goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WritePath {
    /// With its data where it is.
    InPlace(CompletionPolicy),
    /// With a private copy of its data.
    Copy,
}

/// What the [`write_path`] of a write depends on, besides its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteContext {
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
    /// The write came with a payload, which is the submitter's promise.
    pub payload: bool,
}

/// Which writes a policy copies before they go down.
enum Copies {
    /// All.
    All,
    /// None.
    None,
    /// Those with a page that user space can change, unless a rejection by what is below is relied
    /// upon.
    UnlessTrusted,
    /// Those with a page that user space can change, unless the device checks the guard itself, and
    /// its rejection is relied upon.
    UnlessRejected,
}

/// What a policy does.
struct Rule {
    copies: Copies,
    /// What is done about a write in place whose data has changed.
    on_mismatch: OnMismatch,
    /// Whether each write in place is compared with its metadata, without being asked to.
    rechecks: bool,
    /// Whether the writes of an owner that is known to change its pages are copied as well.
    learns: bool,
}

/// The rule of a policy.
const fn rule(policy: args::Policy) -> Rule {
    match policy {
        // In place wherever that is safe, a copy where it is not. A device that checks the guard
        // itself rejects a changed write; that is as good as stable where only the target gets to
        // know. Something in between, such as an array, may act on it. Where nothing checks, a crash
        // between a changed write and its repair would leave a sector behind that no longer reads:
        // what user space can change is copied there.
        args::Policy::Auto => Rule {
            copies: Copies::UnlessRejected,
            on_mismatch: OnMismatch::Repair,
            rechecks: false,
            learns: true,
        },
        // In place, and a copy when the data turns out to have changed on the way. Over what is not
        // trusted no table has this policy; should that change below, it does as `auto`.
        args::Policy::Optimistic => Rule {
            copies: Copies::UnlessTrusted,
            on_mismatch: OnMismatch::Repair,
            rechecks: false,
            learns: false,
        },
        // A copy, from which the tuples are made in the same pass. No application can reach it, so
        // they match whatever happens.
        args::Policy::Copy => Rule {
            copies: Copies::All,
            on_mismatch: OnMismatch::Repair,
            rechecks: false,
            learns: false,
        },
        // In place: the filesystems above are told to leave the data alone (BLK_FEAT_STABLE_WRITES).
        // A write whose data changes all the same fails.
        args::Policy::Wait => Rule {
            copies: Copies::None,
            on_mismatch: OnMismatch::Fail,
            rechecks: false,
            learns: false,
        },
        // In place, and what changes is reported; each write ends as the device ends it.
        args::Policy::Detect => Rule {
            copies: Copies::None,
            on_mismatch: OnMismatch::Report,
            rechecks: true,
            learns: false,
        },
    }
}

impl WriteContext {
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
        rule(self.policy).rechecks
            || match self.recheck {
                args::Switch::Auto => !self.rejected(),
                args::Switch::On => true,
                args::Switch::Off => false,
            }
    }
}

/// The pages of a write. They are asked only where that matters, since each has to be looked at.
pub trait Pages {
    /// Whether user space can change one of them.
    fn are_user_writable(&mut self) -> bool;

    /// Whether their owner is [known](super::learn) to change its pages. To be asked once for a
    /// write, and only of one that would go in place otherwise: the answer counts it.
    fn have_changer(&mut self) -> bool;
}

/// Decides how a write with data goes down.
pub fn write_path(context: &WriteContext, pages: &mut impl Pages) -> WritePath {
    let rule = rule(context.policy);
    let copies = match rule.copies {
        // A sector of a zone cannot be written twice, whatever the policy.
        _ if context.zoned => true,
        Copies::All => true,
        Copies::None => false,
        Copies::UnlessTrusted => !context.trusted() && pages.are_user_writable(),
        Copies::UnlessRejected => !context.rejected() && pages.are_user_writable(),
    };
    // The promise of a payload is the submitter's: such a write is not repaired, so nothing is learned
    // from it.
    if copies || rule.learns && !context.payload && pages.have_changer() {
        return WritePath::Copy;
    }
    WritePath::InPlace(CompletionPolicy {
        // With tuples of our own it would be another promise than the submitter's.
        on_mismatch: if context.payload {
            OnMismatch::Fail
        } else {
            rule.on_mismatch
        },
        recheck: context.rechecks(),
    })
}
