// SPDX-License-Identifier: GPL-2.0

//! The messages that a live device takes, as types.
//!
//! ```text
//! policy auto|optimistic|copy|wait|detect
//! verify on|off
//! recheck auto|on|off
//! learn on|off
//! reset
//! inject guard|ref|app read|write <sector> [<count>] [once]
//! inject off
//! ```
//!
//! Words are those of a table line, see [`Args`](super::args::Args); what is not here is for the
//! life of a table.

use super::args::{
    decimal,
    on_off,
    Policy,
    Switch, //
};
use crate::pi::Field;
use core::ops::Range;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// How writes are kept stable from now on.
    Policy(Policy),
    /// Whether reads are verified from now on.
    Verify(bool),
    /// Whether writes are compared with their tuples from now on.
    Recheck(Switch),
    /// Whether the policy `auto` learns from now on which owners change their pages.
    Learn(bool),
    /// Counters begin at 0 again.
    Reset,
    /// Which tuples are wrong on purpose from now on, in place of those before.
    Inject(Option<Injection>),
}

/// Tuples that are wrong on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// What is wrong in them.
    pub field: Field,
    /// Whether those that a read brings, or those that are made for a write.
    pub way: Way,
    /// The sectors (of 512 bytes) of the mapped device that they are for.
    pub sectors: Range<u64>,
    /// Only the next I/O that has one of these sectors gets them.
    pub once: bool,
}

/// Which way an I/O goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A read.
    Read,
    /// A write.
    Write,
}

/// What a message is sent to.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The device below has an integrity profile.
    pub profile: bool,
    /// Its rejections are relied upon.
    pub trusted: bool,
    /// The profile has reference tags.
    pub ref_tag: bool,
    /// The table line says `inject:on`.
    pub injects: bool,
    /// The sectors of the mapped device that are the target's.
    pub sectors: Range<u64>,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no words, or the first one is none that there is.
    Unknown,
    /// It lacks the value.
    Missing,
    /// It has more words than it takes.
    Extra,
    /// `policy` with a value that it cannot have.
    Policy,
    /// `verify` with a value that it cannot have.
    Verify,
    /// `recheck` with a value that it cannot have.
    Recheck,
    /// `learn` with a value that it cannot have.
    Learn,
    /// `waits`, which only a table line can say.
    Waits,
    /// `verify on` over a device without an integrity profile.
    VerifyWithoutProfile,
    /// `trust`, which only a table line can say.
    Trust,
    /// `policy optimistic` over what is not trusted.
    OptimisticWithoutTrust,
    /// `inject` without the tag, the way or the sector.
    InjectWords,
    /// `inject` with a tag that there is not.
    InjectTag,
    /// `inject` with a way that there is not.
    InjectWay,
    /// `inject` with sectors that are none, or no numbers.
    InjectSectors,
    /// `inject app read`, which nothing would notice.
    InjectUnseen,
    /// `inject` with sectors that are not the target's.
    InjectBeyond,
    /// `inject` where the table line does not allow it.
    InjectNotAllowed,
    /// `inject` over a device without an integrity profile.
    InjectWithoutProfile,
    /// `inject ref` over a device whose format has no reference tags.
    InjectWithoutRefTag,
}

impl Message {
    /// Takes the words of a message apart.
    pub fn parse(words: &[&str]) -> Result<Self, Refusal> {
        let (name, values) = words.split_first().ok_or(Refusal::Unknown)?;
        match *name {
            "policy" => one(values)?
                .parse()
                .map(Self::Policy)
                .map_err(|()| Refusal::Policy),
            "verify" => on_off(one(values)?)
                .map(Self::Verify)
                .ok_or(Refusal::Verify),
            "recheck" => one(values)?
                .parse()
                .map(Self::Recheck)
                .map_err(|()| Refusal::Recheck),
            "learn" => on_off(one(values)?).map(Self::Learn).ok_or(Refusal::Learn),
            "reset" if values.is_empty() => Ok(Self::Reset),
            "reset" => Err(Refusal::Extra),
            "inject" => Injection::parse(values).map(Self::Inject),
            "waits" => Err(Refusal::Waits),
            "trust" => Err(Refusal::Trust),
            _ => Err(Refusal::Unknown),
        }
    }

    /// The same message to that receiver.
    pub fn check_against(self, to: &Receiver) -> Result<Self, Refusal> {
        match &self {
            Self::Verify(true) if !to.profile => Err(Refusal::VerifyWithoutProfile),
            Self::Policy(policy) if policy.needs_trust() && !to.trusted => {
                Err(Refusal::OptimisticWithoutTrust)
            }
            Self::Inject(_) if !to.injects => Err(Refusal::InjectNotAllowed),
            Self::Inject(Some(injection)) => injection.check_against(to).map(|()| self),
            _ => Ok(self),
        }
    }
}

impl Injection {
    /// Takes the words behind `inject` apart; `None` is `off`.
    fn parse(words: &[&str]) -> Result<Option<Self>, Refusal> {
        let (field, way, first, rest) = match words {
            ["off"] => return Ok(None),
            ["off", ..] => return Err(Refusal::Extra),
            [field, way, first, rest @ ..] => (*field, *way, *first, rest),
            _ => return Err(Refusal::InjectWords),
        };
        let field = match field {
            "guard" => Field::Guard,
            "ref" => Field::Reference,
            "app" => Field::Application,
            _ => return Err(Refusal::InjectTag),
        };
        let way = match way {
            "read" => Way::Read,
            "write" => Way::Write,
            _ => return Err(Refusal::InjectWay),
        };
        let (count, once) = match rest {
            [] => ("1", false),
            ["once"] => ("1", true),
            [count] => (*count, false),
            [count, "once"] => (*count, true),
            _ => return Err(Refusal::Extra),
        };
        let first = decimal(first).ok_or(Refusal::InjectSectors)?;
        let count = decimal(count).ok_or(Refusal::InjectSectors)?;
        let end = first.checked_add(count).ok_or(Refusal::InjectSectors)?;
        if first == end {
            return Err(Refusal::InjectSectors);
        }
        if (field, way) == (Field::Application, Way::Read) {
            return Err(Refusal::InjectUnseen);
        }
        Ok(Some(Self {
            field,
            way,
            sectors: first..end,
            once,
        }))
    }

    fn check_against(&self, to: &Receiver) -> Result<(), Refusal> {
        if !to.profile {
            return Err(Refusal::InjectWithoutProfile);
        }
        if self.field == Field::Reference && !to.ref_tag {
            return Err(Refusal::InjectWithoutRefTag);
        }
        if self.sectors.start < to.sectors.start || self.sectors.end > to.sectors.end {
            return Err(Refusal::InjectBeyond);
        }
        Ok(())
    }
}

/// The only word.
fn one<'a>(words: &[&'a str]) -> Result<&'a str, Refusal> {
    match words {
        [] => Err(Refusal::Missing),
        [word] => Ok(word),
        _ => Err(Refusal::Extra),
    }
}

impl Refusal {
    /// What the kernel log says.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "not one of policy, verify, recheck, learn, reset, inject",
            Self::Missing => "a value is missing",
            Self::Extra => "more words than it takes",
            Self::Policy => "policy: not one of auto, optimistic, copy, wait, detect",
            Self::Verify => "verify: not one of on, off",
            Self::Recheck => "recheck: not one of auto, on, off",
            Self::Learn => "learn: not one of on, off",
            Self::Waits => "waits: cannot be changed live, only by a table",
            Self::VerifyWithoutProfile => "verify: the device has no integrity profile",
            Self::Trust => "trust: cannot be changed live, only by a table",
            Self::OptimisticWithoutTrust => {
                "policy: optimistic relies on what is below, which is not trusted"
            }
            Self::InjectWords => {
                "inject: expected guard|ref|app read|write <sector> [<count>] [once], or off"
            }
            Self::InjectTag => "inject: the tag is not one of guard, ref, app",
            Self::InjectWay => "inject: not one of read, write",
            Self::InjectSectors => "inject: no sector and number of sectors",
            Self::InjectUnseen => "inject: application tags of reads are not compared",
            Self::InjectBeyond => "inject: the sectors are not the target's",
            Self::InjectNotAllowed => "inject: the table line does not say inject:on",
            Self::InjectWithoutProfile => "inject: the device has no integrity profile",
            Self::InjectWithoutRefTag => "inject: the format has no reference tags",
        }
    }
}
