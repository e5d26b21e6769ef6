// SPDX-License-Identifier: GPL-2.0

//! The messages that a live device takes, as types.
//!
//! ```text
//! policy auto|optimistic|copy|wait|detect
//! verify on|off
//! recheck auto|on|off
//! learn on|off
//! reset
//! ```
//!
//! Words are those of a table line, see [`Args`](super::args::Args); what is not here is for the
//! life of a table.

use super::args::{
    on_off,
    Policy,
    Switch, //
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            "waits" => Err(Refusal::Waits),
            "trust" => Err(Refusal::Trust),
            _ => Err(Refusal::Unknown),
        }
    }

    /// The same message to a device that has an integrity profile, or has none, and whose rejections
    /// are relied upon, or are not.
    pub fn check_against(self, profile: bool, trusted: bool) -> Result<Self, Refusal> {
        match self {
            Self::Verify(true) if !profile => Err(Refusal::VerifyWithoutProfile),
            Self::Policy(policy) if policy.needs_trust() && !trusted => {
                Err(Refusal::OptimisticWithoutTrust)
            }
            message => Ok(message),
        }
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
            Self::Unknown => "not one of policy, verify, recheck, learn, reset",
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
        }
    }
}
