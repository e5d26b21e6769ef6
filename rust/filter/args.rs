// SPDX-License-Identifier: GPL-2.0

//! The arguments of a table line, as types.
//!
//! ```text
//! <dev> <offset> [<#args> <arg>…]
//! ```
//!
//! [`Line`] is what a user typed; [`Args`] is what it means, and prints itself as a line that means
//! the same.

use core::{ffi::CStr, fmt, str::FromStr};

/// Optional arguments that there are.
const KEYS: usize = 9;

/// A table line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// A path or `major:minor`.
    pub device: &'a str,
    /// The sector (of 512 bytes) of the device at which the target begins.
    pub offset: u64,
    options: Options,
}

/// What a table line says besides the device, and what messages make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Args {
    /// The sector (of 512 bytes) of the device at which the target begins.
    pub offset: u64,
    /// How a write is kept stable.
    pub policy: Policy,
    /// Whether reads are verified; where nothing is said, those of a device with an integrity
    /// profile are, as long as it shows that.
    pub verify: Option<bool>,
    /// Whether filesystems above are told to wait.
    pub waits: Switch,
    /// Whether a write is compared with its tuples after it has succeeded.
    pub recheck: Switch,
    /// Whether a rejection by what is below is relied upon.
    pub trust: Switch,
    /// Whether the policy `auto` learns which owners change their pages.
    pub learn: bool,
    /// The application tag to write.
    pub app_tag: u16,
    /// Whether the mapped device shows the profile of the device below.
    pub passthrough: bool,
    /// Whether messages may ask for tuples that are wrong on purpose.
    pub inject: bool,
}

/// How a write is kept stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// By who can change the data, and by what the device checks.
    #[default]
    Auto,
    /// In place; copied when it turns out to have changed.
    Optimistic,
    /// Copied, always.
    Copy,
    /// In place; those above are told to leave it alone.
    Wait,
    /// In place; what changed all the same is reported, and nothing is done about it.
    Detect,
}

/// Yes, no, or what is best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Switch {
    /// What is best.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// Whether reads are verified, by the word of the table line or of a message, or without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Verify {
    /// They are not.
    #[default]
    Off,
    /// They are while the device shows its profile, since the table says nothing.
    Possible,
    /// They are, and fail where that cannot be.
    Required,
}

/// Why a table line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `<dev>` or `<offset>` is missing.
    Missing,
    /// `<offset>` is no number of sectors.
    Offset,
    /// `<#args>` is no number.
    Count,
    /// `<#args>` is not the number of arguments behind it.
    CountMismatch,
    /// The optional argument of this number, from 0, is none that there is.
    Unknown(usize),
    /// This optional argument is given twice.
    Twice(Key),
    /// This optional argument has a value that it cannot have.
    Value(Key),
    /// `verify:on` over a device without an integrity profile.
    VerifyWithoutProfile,
    /// `passthrough` over a device without an integrity profile.
    PassthroughWithoutProfile,
    /// `policy:optimistic` over what is not known to hand an error on as it is.
    OptimisticWithoutTrust,
}

/// The name of an optional argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `policy:`
    Policy,
    /// `verify:`
    Verify,
    /// `waits:`
    Waits,
    /// `recheck:`
    Recheck,
    /// `trust:`
    Trust,
    /// `learn:`
    Learn,
    /// `app_tag:`
    AppTag,
    /// `passthrough`
    Passthrough,
    /// `inject:`
    Inject,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    policy: Option<Policy>,
    verify: Option<bool>,
    waits: Option<Switch>,
    recheck: Option<Switch>,
    trust: Option<Switch>,
    learn: Option<bool>,
    app_tag: Option<u16>,
    passthrough: Option<()>,
    inject: Option<bool>,
}

impl<'a> Line<'a> {
    /// Takes the words of a line apart.
    pub fn parse(words: &[&'a str]) -> Result<Self, Refusal> {
        let (device, offset, rest) = match words {
            [device, offset, rest @ ..] => (*device, *offset, rest),
            _ => return Err(Refusal::Missing),
        };
        let offset = decimal(offset).ok_or(Refusal::Offset)?;
        let mut options = Options::default();
        if let [count, rest @ ..] = rest {
            if decimal(count).ok_or(Refusal::Count)? != rest.len() as u64 {
                return Err(Refusal::CountMismatch);
            }
            for (i, word) in rest.iter().enumerate() {
                options.take(i, word)?;
            }
        }
        Ok(Self {
            device,
            offset,
            options,
        })
    }

    /// What the line means.
    pub fn args(&self) -> Args {
        Args {
            offset: self.offset,
            policy: self.options.policy.unwrap_or_default(),
            verify: self.options.verify,
            waits: self.options.waits.unwrap_or_default(),
            recheck: self.options.recheck.unwrap_or_default(),
            trust: self.options.trust.unwrap_or_default(),
            learn: self.options.learn.unwrap_or(true),
            app_tag: self.options.app_tag.unwrap_or_default(),
            passthrough: self.options.passthrough.is_some(),
            inject: self.options.inject.unwrap_or(false),
        }
    }
}

impl Args {
    /// The same arguments over a device that has an integrity profile, or has none, and that is
    /// known to hand an error of a disk on as it is (`passes`), or is not.
    ///
    /// What is not verified without a profile is no longer said then, so that it is not printed.
    pub fn check_against(mut self, profile: bool, passes: bool) -> Result<Self, Refusal> {
        if !profile && self.verify == Some(true) {
            return Err(Refusal::VerifyWithoutProfile);
        }
        if !profile && self.passthrough {
            return Err(Refusal::PassthroughWithoutProfile);
        }
        if self.policy.needs_trust() && !self.trust.decide(passes) {
            return Err(Refusal::OptimisticWithoutTrust);
        }
        self.verify = self.verify.filter(|_| profile);
        Ok(self)
    }
}

impl Options {
    fn take(&mut self, i: usize, word: &str) -> Result<(), Refusal> {
        if word == "passthrough" {
            return set(&mut self.passthrough, Some(()), Key::Passthrough);
        }
        let (key, value) = word.split_once(':').ok_or(Refusal::Unknown(i))?;
        match key {
            "policy" => set(&mut self.policy, value.parse().ok(), Key::Policy),
            "verify" => set(&mut self.verify, on_off(value), Key::Verify),
            "waits" => set(&mut self.waits, value.parse().ok(), Key::Waits),
            "recheck" => set(&mut self.recheck, value.parse().ok(), Key::Recheck),
            "trust" => set(&mut self.trust, value.parse().ok(), Key::Trust),
            "learn" => set(&mut self.learn, on_off(value), Key::Learn),
            "app_tag" => set(&mut self.app_tag, app_tag(value), Key::AppTag),
            "inject" => set(&mut self.inject, on_off(value), Key::Inject),
            "passthrough" => Err(Refusal::Value(Key::Passthrough)),
            _ => Err(Refusal::Unknown(i)),
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>, key: Key) -> Result<(), Refusal> {
    let value = value.ok_or(Refusal::Value(key))?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::Twice(key)),
    }
}

/// Yes or no.
pub(super) fn on_off(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A number of decimal digits, without a sign.
pub(super) fn decimal(word: &str) -> Option<u64> {
    word.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| word.parse().ok())?
}

/// An application tag, decimal or with `0x` hexadecimal; 0xffff means that nothing is checked.
fn app_tag(word: &str) -> Option<u16> {
    let tag = match word.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u16::from_str_radix(hex, 16).ok()?
        }
        Some(_) => return None,
        None => u16::try_from(decimal(word)?).ok()?,
    };
    (tag != 0xffff).then_some(tag)
}

impl Policy {
    /// Whether the policy relies on those above to leave a page alone.
    pub fn needs_waits(self) -> bool {
        matches!(self, Self::Wait | Self::Detect)
    }

    /// Whether the policy relies on a rejection by what is below.
    pub fn needs_trust(self) -> bool {
        matches!(self, Self::Optimistic)
    }

    /// The policy of which `as u8` made this number; the default for any other.
    pub fn from_u8(number: u8) -> Self {
        const OPTIMISTIC: u8 = Policy::Optimistic as u8;
        const COPY: u8 = Policy::Copy as u8;
        const WAIT: u8 = Policy::Wait as u8;
        const DETECT: u8 = Policy::Detect as u8;
        match number {
            OPTIMISTIC => Self::Optimistic,
            COPY => Self::Copy,
            WAIT => Self::Wait,
            DETECT => Self::Detect,
            _ => Self::default(),
        }
    }
}

impl FromStr for Policy {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "auto" => Self::Auto,
            "optimistic" => Self::Optimistic,
            "copy" => Self::Copy,
            "wait" => Self::Wait,
            "detect" => Self::Detect,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Optimistic => "optimistic",
            Self::Copy => "copy",
            Self::Wait => "wait",
            Self::Detect => "detect",
        })
    }
}

impl Switch {
    /// Yes or no, where `best` is what is best.
    pub fn decide(self, best: bool) -> bool {
        match self {
            Self::Auto => best,
            Self::On => true,
            Self::Off => false,
        }
    }

    /// The switch of which `as u8` made this number; the default for any other.
    pub fn from_u8(number: u8) -> Self {
        const ON: u8 = Switch::On as u8;
        const OFF: u8 = Switch::Off as u8;
        match number {
            ON => Self::On,
            OFF => Self::Off,
            _ => Self::default(),
        }
    }
}

impl Verify {
    /// What `said` means over a device with a profile, or without one.
    pub fn new(said: Option<bool>, profile: bool) -> Self {
        match said {
            Some(true) => Self::Required,
            None if profile => Self::Possible,
            None | Some(false) => Self::Off,
        }
    }

    /// What says the same over a device with a profile, or without one.
    pub fn said(self, profile: bool) -> Option<bool> {
        match self {
            Self::Off => profile.then_some(false),
            Self::Possible => None,
            Self::Required => Some(true),
        }
    }

    /// Of which `as u8` made this number; the default for any other.
    pub fn from_u8(number: u8) -> Self {
        const POSSIBLE: u8 = Verify::Possible as u8;
        const REQUIRED: u8 = Verify::Required as u8;
        match number {
            POSSIBLE => Self::Possible,
            REQUIRED => Self::Required,
            _ => Self::default(),
        }
    }
}

impl FromStr for Switch {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "auto" => Self::Auto,
            "on" => Self::On,
            "off" => Self::Off,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

impl Args {
    /// Writes all of it, what was not said as well, as it is measured.
    pub fn measured(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verify = match self.verify {
            None => Switch::Auto,
            Some(true) => Switch::On,
            Some(false) => Switch::Off,
        };
        write!(
            out,
            ",start={},policy={},verify={verify},waits={},recheck={},trust={},learn={},app_tag={:#06x},passthrough={},inject={}",
            self.offset,
            self.policy,
            self.waits,
            self.recheck,
            self.trust,
            if self.learn { "on" } else { "off" },
            self.app_tag,
            if self.passthrough { 'y' } else { 'n' },
            if self.inject { "on" } else { "off" },
        )
    }
}

/// The line without its device: the policy always, whatever else is not the default.
impl fmt::Display for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.waits != Switch::Auto;
        let recheck = self.recheck != Switch::Auto;
        let trust = self.trust != Switch::Auto;
        let app_tag = self.app_tag != 0;
        let said = [
            self.verify.is_some(),
            waits,
            recheck,
            trust,
            !self.learn,
            app_tag,
            self.passthrough,
            self.inject,
        ];
        let count = 1 + said.iter().filter(|said| **said).count();
        write!(f, "{} {count} policy:{}", self.offset, self.policy)?;
        if let Some(verify) = self.verify {
            write!(f, " verify:{}", if verify { "on" } else { "off" })?;
        }
        if waits {
            write!(f, " waits:{}", self.waits)?;
        }
        if recheck {
            write!(f, " recheck:{}", self.recheck)?;
        }
        if trust {
            write!(f, " trust:{}", self.trust)?;
        }
        if !self.learn {
            f.write_str(" learn:off")?;
        }
        if app_tag {
            write!(f, " app_tag:{:#06x}", self.app_tag)?;
        }
        if self.passthrough {
            f.write_str(" passthrough")?;
        }
        if self.inject {
            f.write_str(" inject:on")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// What `ti->error` says.
    pub fn text(self) -> &'static CStr {
        match self {
            Self::Missing => c"expected: <dev> <offset> [<#args> <arg>...]",
            Self::Offset => c"offset: not a number of sectors",
            Self::Count => c"#args: not a number",
            Self::CountMismatch => c"#args: not the number of arguments that follow",
            Self::Unknown(i) => {
                const TEXTS: [&CStr; KEYS] = [
                    c"optional argument 1 is unknown",
                    c"optional argument 2 is unknown",
                    c"optional argument 3 is unknown",
                    c"optional argument 4 is unknown",
                    c"optional argument 5 is unknown",
                    c"optional argument 6 is unknown",
                    c"optional argument 7 is unknown",
                    c"optional argument 8 is unknown",
                    c"optional argument 9 is unknown",
                ];
                TEXTS
                    .get(i)
                    .copied()
                    .unwrap_or(c"an optional argument behind the ninth is unknown")
            }
            Self::Twice(Key::Policy) => c"policy: given twice",
            Self::Twice(Key::Verify) => c"verify: given twice",
            Self::Twice(Key::Waits) => c"waits: given twice",
            Self::Twice(Key::Recheck) => c"recheck: given twice",
            Self::Twice(Key::Trust) => c"trust: given twice",
            Self::Twice(Key::Learn) => c"learn: given twice",
            Self::Twice(Key::AppTag) => c"app_tag: given twice",
            Self::Twice(Key::Passthrough) => c"passthrough: given twice",
            Self::Twice(Key::Inject) => c"inject: given twice",
            Self::Value(Key::Policy) => c"policy: not one of auto, optimistic, copy, wait, detect",
            Self::Value(Key::Verify) => c"verify: not one of on, off",
            Self::Value(Key::Waits) => c"waits: not one of auto, on, off",
            Self::Value(Key::Recheck) => c"recheck: not one of auto, on, off",
            Self::Value(Key::Trust) => c"trust: not one of auto, on, off",
            Self::Value(Key::Learn) => c"learn: not one of on, off",
            Self::Value(Key::AppTag) => c"app_tag: not a number from 0 to 0xfffe",
            Self::Value(Key::Passthrough) => c"passthrough: takes no value",
            Self::Value(Key::Inject) => c"inject: not one of on, off",
            Self::VerifyWithoutProfile => c"verify: the device has no integrity profile",
            Self::PassthroughWithoutProfile => c"passthrough: the device has no integrity profile",
            Self::OptimisticWithoutTrust => {
                c"policy: optimistic relies on what is below, which is not known to hand errors on as they are; trust:on says that it does"
            }
        }
    }
}
