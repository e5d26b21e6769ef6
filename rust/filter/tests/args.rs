// SPDX-License-Identifier: GPL-2.0

//! The table line: what is taken, what it means, and how it prints.

mod support;

use filter::args::{
    Args,
    Line,
    Policy,
    Refusal,
    Switch,
    Verify, //
};
use proptest::prelude::*;

fn parse(words: &[impl AsRef<str>]) -> Result<Args, Refusal> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    Line::parse(&words).map(|line| line.args())
}

fn defaults() -> Args {
    Args {
        offset: 0,
        policy: Policy::Auto,
        verify: None,
        waits: Switch::Auto,
        recheck: Switch::Auto,
        trust: Switch::Auto,
        learn: true,
        app_tag: 0,
        passthrough: false,
        inject: false,
    }
}

#[test]
fn without_arguments_it_is_automatic() {
    assert_eq!(parse(&["/dev/sda", "0"]), Ok(defaults()));
    assert_eq!(parse(&["/dev/sda", "0", "0"]), Ok(defaults()));
}

#[test]
fn the_device_is_taken_as_it_is() {
    for device in ["/dev/sda", "8:0", "", "anything at all"] {
        assert_eq!(Line::parse(&[device, "7"]).unwrap().device, device);
    }
}

#[test]
fn what_is_the_default_is_not_printed_but_for_the_policy() {
    assert_eq!(defaults().to_string(), "0 1 policy:auto");
    let all = Args {
        offset: 2048,
        policy: Policy::Wait,
        verify: Some(false),
        waits: Switch::Off,
        recheck: Switch::On,
        trust: Switch::Off,
        learn: false,
        app_tag: 0x2a,
        passthrough: true,
        inject: true,
    };
    assert_eq!(
        all.to_string(),
        "2048 9 policy:wait verify:off waits:off recheck:on trust:off learn:off app_tag:0x002a passthrough inject:on"
    );
}

#[test]
fn what_is_the_default_is_measured_too() {
    let measured = |args: Args| {
        let mut out = String::new();
        args.measured(&mut out).unwrap();
        out
    };
    assert_eq!(
        measured(defaults()),
        ",start=0,policy=auto,verify=auto,waits=auto,recheck=auto,trust=auto,learn=on,app_tag=0x0000,passthrough=n,inject=off"
    );
    let other = Args {
        offset: 8,
        policy: Policy::Detect,
        verify: Some(true),
        waits: Switch::On,
        recheck: Switch::Off,
        trust: Switch::On,
        learn: false,
        app_tag: 0xfffe,
        passthrough: true,
        inject: true,
    };
    assert_eq!(
        measured(other),
        ",start=8,policy=detect,verify=on,waits=on,recheck=off,trust=on,learn=off,app_tag=0xfffe,passthrough=y,inject=on"
    );
}

#[test]
fn an_application_tag_has_two_notations() {
    for (value, tag) in [
        ("0", 0),
        ("00042", 42),
        ("65534", 0xfffe),
        ("0x0", 0),
        ("0xFFfe", 0xfffe),
        ("0x0000002a", 42),
    ] {
        let args = parse(&["8:0", "0", "1", &format!("app_tag:{value}")]);
        assert_eq!(args.map(|a| a.app_tag), Ok(tag), "{value}");
    }
}

#[test]
fn wait_and_detect_need_those_above_to_wait() {
    for (_, policy) in support::POLICIES {
        let needs = matches!(policy, Policy::Wait | Policy::Detect);
        assert_eq!(policy.needs_waits(), needs, "{policy}");
    }
}

#[test]
fn only_a_device_with_a_profile_can_be_verified_or_passed_through() {
    let with = |verify, passthrough| Args {
        verify,
        passthrough,
        ..defaults()
    };
    for (said, profile, left) in [
        (None, true, Ok(None)),
        (None, false, Ok(None)),
        (Some(true), true, Ok(Some(true))),
        (Some(false), true, Ok(Some(false))),
        (Some(true), false, Err(Refusal::VerifyWithoutProfile)),
        (Some(false), false, Ok(None)),
    ] {
        let left = left.map(|verify| with(verify, false));
        assert_eq!(
            with(said, false).check_against(profile, true),
            left,
            "{said:?} {profile}"
        );
    }
    assert_eq!(
        with(None, true).check_against(true, true),
        Ok(with(None, true))
    );
    assert_eq!(
        with(None, true).check_against(false, true),
        Err(Refusal::PassthroughWithoutProfile)
    );
}

#[test]
fn only_what_is_trusted_can_be_written_to_with_optimism() {
    for policy in support::POLICIES.map(|(_, policy)| policy) {
        for (trust, passes, taken) in [
            (Switch::Auto, true, true),
            (Switch::Auto, false, policy != Policy::Optimistic),
            (Switch::On, false, true),
            (Switch::Off, true, policy != Policy::Optimistic),
        ] {
            let args = Args {
                policy,
                trust,
                ..defaults()
            };
            let expected = taken.then_some(args).ok_or(Refusal::OptimisticWithoutTrust);
            assert_eq!(args.check_against(true, passes), expected);
            assert_eq!(args.check_against(false, passes), expected);
        }
    }
}

#[test]
fn who_asks_for_reads_to_be_verified_gets_no_others() {
    for (said, profile, verify) in [
        (None, false, Verify::Off),
        (None, true, Verify::Possible),
        (Some(true), true, Verify::Required),
        (Some(false), true, Verify::Off),
        (Some(false), false, Verify::Off),
    ] {
        assert_eq!(Verify::new(said, profile), verify);
        assert_eq!(Verify::new(verify.said(profile), profile), verify);
        assert_eq!(Verify::from_u8(verify as u8), verify);
    }
}

/// The numbers are for memory that holds nothing else; what is none of them is the default.
#[test]
fn a_policy_and_a_switch_are_numbers_as_well() {
    for number in 0..=u8::MAX {
        let policies: Vec<Policy> = support::POLICIES
            .iter()
            .map(|(_, p)| *p)
            .filter(|p| *p as u8 == number)
            .collect();
        assert!(policies.len() <= 1);
        let policy = policies.first().copied().unwrap_or_default();
        assert_eq!(Policy::from_u8(number), policy);

        let switches: Vec<Switch> = support::SWITCHES
            .iter()
            .map(|(_, s)| *s)
            .filter(|s| *s as u8 == number)
            .collect();
        assert!(switches.len() <= 1);
        let switch = switches.first().copied().unwrap_or_default();
        assert_eq!(Switch::from_u8(number), switch);
    }
}

proptest! {
    /// What prints is a line that means the same, and prints the same.
    #[test]
    fn arguments_survive_printing(args in support::args()) {
        let printed = args.to_string();
        let words: Vec<&str> = std::iter::once("8:0").chain(printed.split(' ')).collect();
        prop_assert_eq!(words[2].parse(), Ok(words.len() - 3));
        let again = parse(&words);
        prop_assert_eq!(again, Ok(args));
        prop_assert_eq!(again.unwrap().to_string(), printed);
    }

    /// What is left over a device is what was said, and prints as a line that is the same over it.
    #[test]
    fn the_same_device_gets_the_same_arguments_again(
        args in support::args(),
        profile: bool,
        passes: bool,
    ) {
        let Ok(over) = args.check_against(profile, passes) else {
            prop_assert!(!profile || args.policy == Policy::Optimistic && !args.trust.decide(passes));
            return Ok(());
        };
        prop_assert_eq!(
            over.verify.unwrap_or(profile),
            args.verify.unwrap_or(profile)
        );
        prop_assert_eq!(Args { verify: args.verify, ..over }, args);
        let printed = over.to_string();
        let words: Vec<&str> = std::iter::once("8:0").chain(printed.split(' ')).collect();
        prop_assert_eq!(parse(&words).unwrap().check_against(profile, passes), Ok(over));
    }

    /// The order of the arguments and the notation of numbers do not matter.
    #[test]
    fn a_valid_line_is_taken(words in support::valid_line()) {
        let args = parse(&words);
        prop_assert!(args.is_ok());
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(args, support::oracle(&borrowed));
    }

    /// A line that is nearly valid is taken for what the grammar says, or refused for what is wrong
    /// with it.
    #[test]
    fn a_changed_line_is_what_the_grammar_says(
        mut words in support::valid_line(),
        changes in prop::collection::vec(support::change(), 1..4),
    ) {
        for change in &changes {
            support::apply(change, &mut words);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(parse(&words), support::oracle(&words));
    }

    /// Whatever arrives, there is an answer, and a text for a refusal.
    #[test]
    fn any_words_get_an_answer(words in prop::collection::vec(any::<String>(), 0..40)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let result = parse(&words);
        prop_assert_eq!(result, support::oracle(&words));
        if let Err(refusal) = result {
            prop_assert!(!refusal.text().is_empty());
        }
    }
}
