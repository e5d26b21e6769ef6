// SPDX-License-Identifier: GPL-2.0

//! Every refusal of a table line, by lines that get it, and what `ti->error` says then.

use std::collections::BTreeSet;

use filter::args::{
    Key,
    Line,
    Refusal, //
};

/// A line and what it is refused for.
const LINES: &[(&str, Refusal, &str)] = &[
    (
        "",
        Refusal::Missing,
        "expected: <dev> <offset> [<#args> <arg>...]",
    ),
    (
        "/dev/sda",
        Refusal::Missing,
        "expected: <dev> <offset> [<#args> <arg>...]",
    ),
    (
        "/dev/sda x",
        Refusal::Offset,
        "offset: not a number of sectors",
    ),
    (
        "/dev/sda -8",
        Refusal::Offset,
        "offset: not a number of sectors",
    ),
    (
        "/dev/sda +8",
        Refusal::Offset,
        "offset: not a number of sectors",
    ),
    (
        "/dev/sda 0x8",
        Refusal::Offset,
        "offset: not a number of sectors",
    ),
    (
        "/dev/sda 18446744073709551616",
        Refusal::Offset,
        "offset: not a number of sectors",
    ),
    (
        "/dev/sda 0 policy:copy",
        Refusal::Count,
        "#args: not a number",
    ),
    ("/dev/sda 0 -1", Refusal::Count, "#args: not a number"),
    (
        "/dev/sda 0 1",
        Refusal::CountMismatch,
        "#args: not the number of arguments that follow",
    ),
    (
        "/dev/sda 0 0 policy:copy",
        Refusal::CountMismatch,
        "#args: not the number of arguments that follow",
    ),
    (
        "/dev/sda 0 2 policy:copy",
        Refusal::CountMismatch,
        "#args: not the number of arguments that follow",
    ),
    (
        "/dev/sda 0 1 verify",
        Refusal::Unknown(0),
        "optional argument 1 is unknown",
    ),
    (
        "/dev/sda 0 1 passthroug",
        Refusal::Unknown(0),
        "optional argument 1 is unknown",
    ),
    (
        "/dev/sda 0 1 Policy:copy",
        Refusal::Unknown(0),
        "optional argument 1 is unknown",
    ),
    (
        "/dev/sda 0 2 policy:copy x",
        Refusal::Unknown(1),
        "optional argument 2 is unknown",
    ),
    (
        "/dev/sda 0 3 policy:copy waits:on x:",
        Refusal::Unknown(2),
        "optional argument 3 is unknown",
    ),
    (
        "/dev/sda 0 4 policy:copy waits:on recheck:on :",
        Refusal::Unknown(3),
        "optional argument 4 is unknown",
    ),
    (
        "/dev/sda 0 5 policy:copy waits:on recheck:on app_tag:1 x",
        Refusal::Unknown(4),
        "optional argument 5 is unknown",
    ),
    (
        "/dev/sda 0 6 policy:copy waits:on recheck:on app_tag:1 passthrough on",
        Refusal::Unknown(5),
        "optional argument 6 is unknown",
    ),
    (
        "/dev/sda 0 7 policy:copy verify:on waits:on recheck:on app_tag:1 passthrough x",
        Refusal::Unknown(6),
        "optional argument 7 is unknown",
    ),
    (
        "/dev/sda 0 8 policy:copy verify:on waits:on recheck:on trust:on app_tag:1 passthrough x",
        Refusal::Unknown(7),
        "optional argument 8 is unknown",
    ),
    (
        "/dev/sda 0 9 policy:copy verify:on waits:on recheck:on trust:on learn:on app_tag:1 passthrough x",
        Refusal::Unknown(8),
        "optional argument 9 is unknown",
    ),
    (
        "/dev/sda 0 10 policy:copy verify:on waits:on recheck:on trust:on learn:on app_tag:1 passthrough inject:on x",
        Refusal::Unknown(9),
        "an optional argument behind the ninth is unknown",
    ),
    (
        "/dev/sda 0 2 policy:copy policy:copy",
        Refusal::Twice(Key::Policy),
        "policy: given twice",
    ),
    (
        "/dev/sda 0 2 verify:on verify:on",
        Refusal::Twice(Key::Verify),
        "verify: given twice",
    ),
    (
        "/dev/sda 0 2 passthrough passthrough",
        Refusal::Twice(Key::Passthrough),
        "passthrough: given twice",
    ),
    (
        "/dev/sda 0 2 waits:on waits:off",
        Refusal::Twice(Key::Waits),
        "waits: given twice",
    ),
    (
        "/dev/sda 0 2 recheck:auto recheck:on",
        Refusal::Twice(Key::Recheck),
        "recheck: given twice",
    ),
    (
        "/dev/sda 0 2 trust:on trust:on",
        Refusal::Twice(Key::Trust),
        "trust: given twice",
    ),
    (
        "/dev/sda 0 2 learn:on learn:off",
        Refusal::Twice(Key::Learn),
        "learn: given twice",
    ),
    (
        "/dev/sda 0 1 learn:auto",
        Refusal::Value(Key::Learn),
        "learn: not one of on, off",
    ),
    (
        "/dev/sda 0 2 inject:on inject:off",
        Refusal::Twice(Key::Inject),
        "inject: given twice",
    ),
    (
        "/dev/sda 0 1 inject:guard",
        Refusal::Value(Key::Inject),
        "inject: not one of on, off",
    ),
    (
        "/dev/sda 0 2 app_tag:0 app_tag:0",
        Refusal::Twice(Key::AppTag),
        "app_tag: given twice",
    ),
    (
        "/dev/sda 0 1 policy:",
        Refusal::Value(Key::Policy),
        "policy: not one of auto, optimistic, copy, wait, detect",
    ),
    (
        "/dev/sda 0 1 policy:automatic",
        Refusal::Value(Key::Policy),
        "policy: not one of auto, optimistic, copy, wait, detect",
    ),
    (
        "/dev/sda 0 1 policy:copy:",
        Refusal::Value(Key::Policy),
        "policy: not one of auto, optimistic, copy, wait, detect",
    ),
    (
        "/dev/sda 0 1 verify:auto",
        Refusal::Value(Key::Verify),
        "verify: not one of on, off",
    ),
    (
        "/dev/sda 0 1 passthrough:",
        Refusal::Value(Key::Passthrough),
        "passthrough: takes no value",
    ),
    (
        "/dev/sda 0 1 passthrough:on",
        Refusal::Value(Key::Passthrough),
        "passthrough: takes no value",
    ),
    (
        "/dev/sda 0 1 waits:1",
        Refusal::Value(Key::Waits),
        "waits: not one of auto, on, off",
    ),
    (
        "/dev/sda 0 1 recheck:yes",
        Refusal::Value(Key::Recheck),
        "recheck: not one of auto, on, off",
    ),
    (
        "/dev/sda 0 1 trust:none",
        Refusal::Value(Key::Trust),
        "trust: not one of auto, on, off",
    ),
    (
        "/dev/sda 0 1 app_tag:",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:0x",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:ff",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:-1",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:0xffff",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:65535",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
    (
        "/dev/sda 0 1 app_tag:0x10000",
        Refusal::Value(Key::AppTag),
        "app_tag: not a number from 0 to 0xfffe",
    ),
];

/// A line and what it is refused for where the device has no integrity profile.
const LINES_WITHOUT_PROFILE: &[(&str, Refusal, &str)] = &[
    (
        "/dev/sda 0 1 verify:on",
        Refusal::VerifyWithoutProfile,
        "verify: the device has no integrity profile",
    ),
    (
        "/dev/sda 0 2 passthrough verify:off",
        Refusal::PassthroughWithoutProfile,
        "passthrough: the device has no integrity profile",
    ),
    (
        "/dev/sda 0 2 passthrough verify:on",
        Refusal::VerifyWithoutProfile,
        "verify: the device has no integrity profile",
    ),
];

/// A line and what it is refused for over what is not known to hand errors on as they are.
const LINES_WITHOUT_TRUST: &[(&str, Refusal, &str)] = &[(
    "/dev/md0 0 1 policy:optimistic",
    Refusal::OptimisticWithoutTrust,
    "policy: optimistic relies on what is below, which is not known to hand errors on as they are; \
     trust:on says that it does",
)];

#[test]
fn some_lines_are_refused_only_where_nothing_is_trusted() {
    for (line, refusal, text) in LINES_WITHOUT_TRUST {
        let words: Vec<&str> = line.split_whitespace().collect();
        let args = Line::parse(&words).unwrap().args();
        assert!(args.check_against(true, true).is_ok(), "{line}");
        assert_eq!(args.check_against(true, false), Err(*refusal), "{line}");
        assert_eq!(refusal.text().to_str(), Ok(*text), "{line}");
    }
}

#[test]
fn some_lines_are_refused_only_where_there_is_no_profile() {
    for (line, refusal, text) in LINES_WITHOUT_PROFILE {
        let words: Vec<&str> = line.split_whitespace().collect();
        let args = Line::parse(&words).unwrap().args();
        assert!(args.check_against(true, true).is_ok(), "{line}");
        assert_eq!(args.check_against(false, true), Err(*refusal), "{line}");
        assert_eq!(refusal.text().to_str(), Ok(*text), "{line}");
    }
}

#[test]
fn each_line_is_refused_for_what_is_wrong_with_it() {
    for (line, refusal, text) in LINES {
        let words: Vec<&str> = line.split_whitespace().collect();
        let result = Line::parse(&words);
        assert_eq!(result, Err(*refusal), "{line}");
        assert_eq!(refusal.text().to_str(), Ok(*text), "{line}");
    }
}

/// The first of several faults is the one that is named; a wrong value before its being doubled.
#[test]
fn the_first_fault_counts() {
    for (line, refusal) in [
        ("/dev/sda x y", Refusal::Offset),
        ("/dev/sda 0 9 x", Refusal::CountMismatch),
        ("/dev/sda 0 2 x policy:y", Refusal::Unknown(0)),
        ("/dev/sda 0 2 policy:y x", Refusal::Value(Key::Policy)),
        (
            "/dev/sda 0 2 policy:copy policy:y",
            Refusal::Value(Key::Policy),
        ),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(Line::parse(&words), Err(refusal), "{line}");
    }
}

/// The number of a refusal. A new one does not compile here, and then lacks a line above.
fn number(refusal: Refusal) -> usize {
    let key = |key| match key {
        Key::Policy => 0,
        Key::Verify => 1,
        Key::Waits => 2,
        Key::Recheck => 3,
        Key::AppTag => 4,
        Key::Passthrough => 5,
        Key::Trust => 6,
        Key::Learn => 7,
        Key::Inject => 8,
    };
    match refusal {
        Refusal::Missing => 0,
        Refusal::Offset => 1,
        Refusal::Count => 2,
        Refusal::CountMismatch => 3,
        Refusal::VerifyWithoutProfile => 4,
        Refusal::PassthroughWithoutProfile => 5,
        Refusal::Unknown(i) => 6 + i.min(9),
        Refusal::Twice(k) => 16 + key(k),
        Refusal::Value(k) => 25 + key(k),
        Refusal::OptimisticWithoutTrust => 34,
    }
}

#[test]
fn there_is_a_line_for_every_refusal_and_a_text_of_its_own() {
    let lines = || {
        LINES
            .iter()
            .chain(LINES_WITHOUT_PROFILE)
            .chain(LINES_WITHOUT_TRUST)
    };
    let numbers: BTreeSet<usize> = lines().map(|(_, r, _)| number(*r)).collect();
    assert_eq!(numbers, (0..35).collect());
    let texts: BTreeSet<&str> = lines().map(|(_, _, text)| *text).collect();
    assert_eq!(texts.len(), numbers.len());
}

/// The section of the manual that says what the texts mean has all of them.
#[test]
fn each_text_is_in_the_manual() {
    let manual = include_str!("../../../Documentation/admin-guide/stable-pi.rst");
    let section = manual
        .split("\nRefused table lines\n")
        .nth(1)
        .and_then(|rest| rest.split("\nRefused messages\n").next())
        .expect("the section is there");
    for (_, _, text) in LINES
        .iter()
        .chain(LINES_WITHOUT_TRUST)
        .chain(LINES_WITHOUT_PROFILE)
    {
        // Those that differ in a number or in the name of an argument share an entry.
        let (first, rest) = text.split_once(':').unwrap_or((text, ""));
        let named = match rest {
            " given twice" => section.contains(&format!("``{first}:``")) || first == "policy",
            _ if first.starts_with("optional argument") => {
                let number = first.split(' ').nth(2).and_then(|n| n.parse().ok());
                number.is_some_and(|n| (1..=9).contains(&n)) && section.contains("and 2 to 9\n")
            }
            _ => section.contains(&format!("``{text}``")),
        };
        assert!(named, "{text}");
    }
}
