// SPDX-License-Identifier: GPL-2.0

//! Table lines and messages, and the grammar of both written down a second time.

// Each test uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeSet;

use filter::{
    args::{
        Args,
        Key,
        Policy,
        Refusal,
        Switch, //
    },
    message::{self, Injection, Message, Way},
    pi::Field,
};
use proptest::prelude::*;

pub const POLICIES: [(&str, Policy); 5] = [
    ("auto", Policy::Auto),
    ("optimistic", Policy::Optimistic),
    ("copy", Policy::Copy),
    ("wait", Policy::Wait),
    ("detect", Policy::Detect),
];
pub const SWITCHES: [(&str, Switch); 3] = [
    ("auto", Switch::Auto),
    ("on", Switch::On),
    ("off", Switch::Off),
];
pub const TAGS: [(&str, Field); 3] = [
    ("guard", Field::Guard),
    ("ref", Field::Reference),
    ("app", Field::Application),
];
pub const WAYS: [(&str, Way); 2] = [("read", Way::Read), ("write", Way::Write)];
const BOOLS: [(&str, bool); 2] = [("on", true), ("off", false)];
const HEX: &str = "0123456789abcdef";

/// What a line means, or the first thing that is wrong with it from left to right; the number of
/// arguments counts before the arguments.
pub fn oracle(words: &[&str]) -> Result<Args, Refusal> {
    if words.len() < 2 {
        return Err(Refusal::Missing);
    }
    let mut args = Args {
        offset: number(words[1], 10, u64::MAX).ok_or(Refusal::Offset)?,
        policy: Policy::Auto,
        verify: None,
        waits: Switch::Auto,
        recheck: Switch::Auto,
        trust: Switch::Auto,
        learn: true,
        app_tag: 0,
        passthrough: false,
        inject: false,
    };
    if words.len() == 2 {
        return Ok(args);
    }
    let count = number(words[2], 10, u64::MAX).ok_or(Refusal::Count)?;
    if count != words.len() as u64 - 3 {
        return Err(Refusal::CountMismatch);
    }
    let mut seen = BTreeSet::new();
    for (i, word) in words[3..].iter().enumerate() {
        let (name, key) = [
            ("policy", Key::Policy),
            ("verify", Key::Verify),
            ("waits", Key::Waits),
            ("recheck", Key::Recheck),
            ("trust", Key::Trust),
            ("learn", Key::Learn),
            ("app_tag", Key::AppTag),
            ("passthrough", Key::Passthrough),
            ("inject", Key::Inject),
        ]
        .into_iter()
        .find(|(name, key)| {
            word.starts_with(&format!("{name}:")) || *key == Key::Passthrough && word == name
        })
        .ok_or(Refusal::Unknown(i))?;
        let wrong = Refusal::Value(key);
        let value = if key == Key::Passthrough {
            // Of which there is none to be right or wrong.
            (*word == name).then_some("").ok_or(wrong)?
        } else {
            &word[name.len() + 1..]
        };
        match key {
            Key::Policy => args.policy = among(&POLICIES, value).ok_or(wrong)?,
            Key::Verify => args.verify = Some(among(&BOOLS, value).ok_or(wrong)?),
            Key::Waits => args.waits = among(&SWITCHES, value).ok_or(wrong)?,
            Key::Recheck => args.recheck = among(&SWITCHES, value).ok_or(wrong)?,
            Key::Trust => args.trust = among(&SWITCHES, value).ok_or(wrong)?,
            Key::Learn => args.learn = among(&BOOLS, value).ok_or(wrong)?,
            Key::AppTag => args.app_tag = tag(value).ok_or(wrong)?,
            Key::Passthrough => args.passthrough = true,
            Key::Inject => args.inject = among(&BOOLS, value).ok_or(wrong)?,
        }
        if !seen.insert(name) {
            return Err(Refusal::Twice(key));
        }
    }
    Ok(args)
}

/// What a message asks for, or what is wrong with it: its first word, then how many there are, then
/// the value.
pub fn message_oracle(words: &[&str]) -> Result<Message, message::Refusal> {
    let name = *words.first().ok_or(message::Refusal::Unknown)?;
    if ![
        "policy", "verify", "recheck", "learn", "reset", "waits", "trust", "inject",
    ]
    .contains(&name)
    {
        return Err(message::Refusal::Unknown);
    }
    if name == "waits" {
        return Err(message::Refusal::Waits);
    }
    if name == "trust" {
        return Err(message::Refusal::Trust);
    }
    if name == "inject" {
        return inject_oracle(&words[1..]).map(Message::Inject);
    }
    let wanted = if name == "reset" { 1 } else { 2 };
    if words.len() != wanted {
        return Err(if words.len() < wanted {
            message::Refusal::Missing
        } else {
            message::Refusal::Extra
        });
    }
    match name {
        "policy" => among(&POLICIES, words[1])
            .map(Message::Policy)
            .ok_or(message::Refusal::Policy),
        "verify" => among(&BOOLS, words[1])
            .map(Message::Verify)
            .ok_or(message::Refusal::Verify),
        "recheck" => among(&SWITCHES, words[1])
            .map(Message::Recheck)
            .ok_or(message::Refusal::Recheck),
        "learn" => among(&BOOLS, words[1])
            .map(Message::Learn)
            .ok_or(message::Refusal::Learn),
        _ => Ok(Message::Reset),
    }
}

/// What is behind `inject`: how many words there are, then these in their order.
fn inject_oracle(words: &[&str]) -> Result<Option<Injection>, message::Refusal> {
    if words.first() == Some(&"off") {
        return match words.len() {
            1 => Ok(None),
            _ => Err(message::Refusal::Extra),
        };
    }
    if words.len() < 3 {
        return Err(message::Refusal::InjectWords);
    }
    let field = among(&TAGS, words[0]).ok_or(message::Refusal::InjectTag)?;
    let way = among(&WAYS, words[1]).ok_or(message::Refusal::InjectWay)?;
    let once = words.len() > 3 && words.last() == Some(&"once");
    let numbers = &words[2..words.len() - usize::from(once)];
    let count = match numbers {
        [_] => Some(1),
        [_, count] => number(count, 10, u64::MAX),
        _ => return Err(message::Refusal::Extra),
    };
    // The first is looked at first, but what is said is the same.
    let first = number(numbers[0], 10, u64::MAX);
    let (first, count) = first.zip(count).ok_or(message::Refusal::InjectSectors)?;
    let end = u128::from(first) + u128::from(count);
    if count == 0 || end > u128::from(u64::MAX) {
        return Err(message::Refusal::InjectSectors);
    }
    if words[0] == "app" && words[1] == "read" {
        return Err(message::Refusal::InjectUnseen);
    }
    Ok(Some(Injection {
        field,
        way,
        sectors: first..end as u64,
        once,
    }))
}

fn among<T: Copy>(table: &[(&str, T)], value: &str) -> Option<T> {
    table
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, t)| *t)
}

fn tag(value: &str) -> Option<u16> {
    let tag = if let Some(digits) = value.strip_prefix("0x") {
        number(digits, 16, 0xfffe)?
    } else {
        number(value, 10, 0xfffe)?
    };
    Some(tag as u16)
}

/// At least one digit of the base, and no more than `max` in all.
fn number(word: &str, base: usize, max: u64) -> Option<u64> {
    let mut sum = 0_u128;
    for c in word.chars() {
        let digit = HEX.find(c.to_ascii_lowercase()).filter(|d| *d < base)?;
        sum = (sum * base as u128 + digit as u128).min(u128::from(u64::MAX) + 1);
    }
    (!word.is_empty() && sum <= u128::from(max)).then_some(sum as u64)
}

/// Any arguments that there can be.
pub fn args() -> impl Strategy<Value = Args> {
    let policy = || prop::sample::select(POLICIES.map(|(_, p)| p).to_vec());
    let switch = || prop::sample::select(SWITCHES.map(|(_, s)| s).to_vec());
    (
        (any::<u64>(), policy(), any::<Option<bool>>()),
        (
            switch(),
            switch(),
            switch(),
            any::<bool>(),
            0..0xffff_u16,
            any::<bool>(),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                (offset, policy, verify),
                (waits, recheck, trust, learn, app_tag, passthrough, inject),
            )| {
                Args {
                    offset,
                    policy,
                    verify,
                    waits,
                    recheck,
                    trust,
                    learn,
                    app_tag,
                    passthrough,
                    inject,
                }
            },
        )
}

/// One of `key:name` for each name of a table.
fn option<T>(key: &'static str, table: &[(&'static str, T)]) -> impl Strategy<Value = String> {
    let words: Vec<String> = table.iter().map(|(n, _)| format!("{key}:{n}")).collect();
    prop::sample::select(words)
}

/// A valid line, as words.
pub fn valid_line() -> impl Strategy<Value = Vec<String>> {
    let app_tag = (0..0xffff_u16, 0..4_usize).prop_map(|(tag, form)| match form {
        0 => format!("app_tag:{tag}"),
        1 => format!("app_tag:{tag:#x}"),
        2 => format!("app_tag:0x{tag:08X}"),
        _ => format!("app_tag:{tag:07}"),
    });
    let options = (
        option("policy", &POLICIES),
        option("verify", &BOOLS),
        option("waits", &SWITCHES),
        option("recheck", &SWITCHES),
        option("trust", &SWITCHES),
        option("learn", &BOOLS),
        app_tag,
        option("inject", &BOOLS),
    )
        .prop_map(|(a, b, c, d, e, f, g, h)| {
            vec![a, b, c, d, e, f, g, h, String::from("passthrough")]
        });
    let options = options
        .prop_flat_map(|all| prop::sample::subsequence(all, 0..=9))
        .prop_shuffle();
    (any::<u64>(), options, any::<bool>()).prop_map(|(offset, options, count)| {
        let mut words = vec![String::from("/dev/sda"), offset.to_string()];
        if count || !options.is_empty() {
            words.push(options.len().to_string());
        }
        words.extend(options);
        words
    })
}

/// A valid message, as words.
pub fn valid_message() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        3 => option("policy", &POLICIES),
        2 => option("verify", &BOOLS),
        2 => option("recheck", &SWITCHES),
        2 => option("learn", &BOOLS),
        1 => Just(String::from("reset")),
        3 => valid_inject(),
    ]
    .prop_map(|message| message.split(':').map(String::from).collect())
}

fn valid_inject() -> impl Strategy<Value = String> {
    let name = |table: &[&'static str]| prop::sample::select(table.to_vec());
    let way = name(&[
        "guard:read",
        "guard:write",
        "ref:read",
        "ref:write",
        "app:write",
    ]);
    let count = prop_oneof![
        Just(String::new()),
        (1..1000_u32).prop_map(|n| format!(":{n}"))
    ];
    let armed = (way, any::<u32>(), count, name(&["", ":once"]))
        .prop_map(|(way, first, count, once)| format!("inject:{way}:{first}{count}{once}"));
    prop_oneof![
        4 => armed,
        1 => Just(String::from("inject:off")),
    ]
}

/// A way to change a line.
#[derive(Clone, Debug)]
pub enum Change {
    /// Leave out a word.
    Drop(usize),
    /// Say a word twice, without or with counting it.
    Repeat(usize, bool),
    /// Exchange two words.
    Swap(usize, usize),
    /// Put another word in its place.
    Replace(usize, String),
    /// Put a character into a word.
    Insert(usize, usize, char),
    /// Take a character out of a word.
    Remove(usize, usize),
    /// Add a word, counted.
    Append(String),
}

/// Words that are nearly right, and some that are not at all.
fn word() -> impl Strategy<Value = String> {
    let near = [
        "",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "+1",
        "-1",
        "00",
        "01",
        "1_000",
        "0x",
        "0x1",
        "policy:",
        "policy",
        "policy:auto",
        "policy:automatic",
        "policy:detect",
        "policy:optimist",
        "policy:Copy",
        "policy:copy",
        "policy:copy:copy",
        "policy=copy",
        "waits:",
        "waits:1",
        "waits:on",
        "recheck:yes",
        "recheck:off",
        "trust:on",
        "learn:on",
        "learn:auto",
        "trust:",
        "trust",
        "app_tag:",
        "app_tag:0x",
        "app_tag:0X1",
        "app_tag:0xffff",
        "app_tag:0xfffe",
        "app_tag:65535",
        "app_tag:65534",
        "app_tag:65536",
        "app_tag:0x10000",
        "app_tag:+1",
        "app_tag:0x+1",
        "app_tag:-1",
        "app_tag:0x0x1",
        "app_tag:ff",
        "verify:",
        "verify:on",
        "verify:auto",
        "passthrough",
        "passthrough:",
        "passthrough:on",
        "Passthrough",
        "inject:",
        "inject:on",
        "inject:once",
        "inject",
        "guard",
        "ref",
        "app",
        "read",
        "write",
        "once",
        "policy",
        "verify",
        "waits",
        "recheck",
        "reset",
        "auto",
        "on",
        "off",
        "detect",
        "ON",
        ":",
        "::",
        "18446744073709551615",
        "18446744073709551616",
        "١",
    ];
    prop_oneof![
        4 => prop::sample::select(near.to_vec()).prop_map(String::from),
        1 => any::<String>(),
    ]
}

/// Any change.
pub fn change() -> impl Strategy<Value = Change> {
    let at = || 0..8_usize;
    let c = prop_oneof![
        prop::sample::select("0123456789abcdefx:+-_ \u{0}é１".chars().collect::<Vec<_>>()),
        any::<char>(),
    ];
    prop_oneof![
        at().prop_map(Change::Drop),
        (at(), any::<bool>()).prop_map(|(i, counted)| Change::Repeat(i, counted)),
        (at(), at()).prop_map(|(i, j)| Change::Swap(i, j)),
        (at(), word()).prop_map(|(i, w)| Change::Replace(i, w)),
        (at(), 0..16_usize, c).prop_map(|(i, j, c)| Change::Insert(i, j, c)),
        (at(), 0..16_usize).prop_map(|(i, j)| Change::Remove(i, j)),
        word().prop_map(Change::Append),
    ]
}

/// The line after the change.
pub fn apply(change: &Change, words: &mut Vec<String>) {
    let n = words.len();
    if n == 0 {
        return;
    }
    match change {
        Change::Drop(i) => drop(words.remove(i % n)),
        Change::Repeat(i, counted) => {
            words.push(words[i % n].clone());
            if *counted {
                recount(words);
            }
        }
        Change::Swap(i, j) => words.swap(i % n, j % n),
        Change::Replace(i, word) => words[i % n].clone_from(word),
        Change::Insert(i, j, c) => edit(&mut words[i % n], |chars| {
            chars.insert(j % (chars.len() + 1), *c)
        }),
        Change::Remove(i, j) => edit(&mut words[i % n], |chars| {
            if !chars.is_empty() {
                chars.remove(j % chars.len());
            }
        }),
        Change::Append(word) => {
            if n == 2 {
                words.push(String::new());
            }
            words.push(word.clone());
            recount(words);
        }
    }
}

fn recount(words: &mut [String]) {
    if words.len() > 2 {
        words[2] = (words.len() - 3).to_string();
    }
}

fn edit(word: &mut String, f: impl FnOnce(&mut Vec<char>)) {
    let mut chars = word.chars().collect();
    f(&mut chars);
    *word = chars.into_iter().collect();
}
