// SPDX-License-Identifier: GPL-2.0

//! Messages: what is taken, and what the kernel log says of the others.

mod support;

use std::collections::BTreeSet;

use filter::{
    args::Policy,
    message::{Message, Receiver, Refusal}, //
};
use proptest::prelude::*;

fn parse(words: &[impl AsRef<str>]) -> Result<Message, Refusal> {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    Message::parse(&words)
}

/// A message, what it is refused for, and what is said then.
const REFUSED: &[(&[&str], Refusal, &str)] = &[
    (
        &[],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &[""],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &["Policy", "copy"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &["policy:copy"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &["app_tag", "1"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &["passthrough"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset, inject",
    ),
    (
        &["waits", "on"],
        Refusal::Waits,
        "waits: cannot be changed live, only by a table",
    ),
    (&["policy"], Refusal::Missing, "a value is missing"),
    (&["verify"], Refusal::Missing, "a value is missing"),
    (&["recheck"], Refusal::Missing, "a value is missing"),
    (&["learn"], Refusal::Missing, "a value is missing"),
    (
        &["policy", "copy", "copy"],
        Refusal::Extra,
        "more words than it takes",
    ),
    (
        &["policy", "fast", ""],
        Refusal::Extra,
        "more words than it takes",
    ),
    (
        &["reset", "all"],
        Refusal::Extra,
        "more words than it takes",
    ),
    (
        &["policy", "fast"],
        Refusal::Policy,
        "policy: not one of auto, optimistic, copy, wait, detect",
    ),
    (
        &["policy", ""],
        Refusal::Policy,
        "policy: not one of auto, optimistic, copy, wait, detect",
    ),
    (
        &["verify", "auto"],
        Refusal::Verify,
        "verify: not one of on, off",
    ),
    (
        &["trust", "on"],
        Refusal::Trust,
        "trust: cannot be changed live, only by a table",
    ),
    (
        &["recheck", "1"],
        Refusal::Recheck,
        "recheck: not one of auto, on, off",
    ),
    (
        &["learn", "auto"],
        Refusal::Learn,
        "learn: not one of on, off",
    ),
    (
        &["inject"],
        Refusal::InjectWords,
        "inject: expected guard|ref|app read|write <sector> [<count>] [once], or off",
    ),
    (
        &["inject", "guard", "read"],
        Refusal::InjectWords,
        "inject: expected guard|ref|app read|write <sector> [<count>] [once], or off",
    ),
    (
        &["inject", "off", "once"],
        Refusal::Extra,
        "more words than it takes",
    ),
    (
        &["inject", "data", "read", "0"],
        Refusal::InjectTag,
        "inject: the tag is not one of guard, ref, app",
    ),
    (
        &["inject", "guard", "reads", "0"],
        Refusal::InjectWay,
        "inject: not one of read, write",
    ),
    (
        &["inject", "guard", "read", "-1"],
        Refusal::InjectSectors,
        "inject: no sector and number of sectors",
    ),
    (
        &["inject", "guard", "read", "once"],
        Refusal::InjectSectors,
        "inject: no sector and number of sectors",
    ),
    (
        &["inject", "guard", "read", "8", "0"],
        Refusal::InjectSectors,
        "inject: no sector and number of sectors",
    ),
    (
        &["inject", "guard", "read", "18446744073709551615", "1"],
        Refusal::InjectSectors,
        "inject: no sector and number of sectors",
    ),
    (
        &["inject", "guard", "read", "8", "8", "twice"],
        Refusal::Extra,
        "more words than it takes",
    ),
    (
        &["inject", "app", "read", "8"],
        Refusal::InjectUnseen,
        "inject: application tags of reads are not compared",
    ),
];

#[test]
fn each_message_is_refused_for_what_is_wrong_with_it() {
    for (words, refusal, text) in REFUSED {
        assert_eq!(Message::parse(words), Err(*refusal), "{words:?}");
        assert_eq!(refusal.text(), *text, "{words:?}");
    }
}

/// The number of a refusal. A new one does not compile here, and then lacks a message above.
fn number(refusal: Refusal) -> usize {
    match refusal {
        Refusal::VerifyWithoutProfile => 0,
        Refusal::Unknown => 1,
        Refusal::Missing => 2,
        Refusal::Extra => 3,
        Refusal::Policy => 4,
        Refusal::Verify => 5,
        Refusal::Recheck => 6,
        Refusal::Waits => 7,
        Refusal::Trust => 8,
        Refusal::Learn => 9,
        Refusal::InjectWords => 10,
        Refusal::InjectTag => 11,
        Refusal::InjectWay => 12,
        Refusal::InjectSectors => 13,
        Refusal::InjectUnseen => 14,
        // Those that depend on the receiver have tests below.
        Refusal::OptimisticWithoutTrust
        | Refusal::InjectBeyond
        | Refusal::InjectNotAllowed
        | Refusal::InjectWithoutProfile
        | Refusal::InjectWithoutRefTag => 15,
    }
}

#[test]
fn there_is_a_message_for_every_refusal_and_a_text_of_its_own() {
    let numbers: BTreeSet<usize> = REFUSED.iter().map(|(_, r, _)| number(*r)).collect();
    assert_eq!(numbers, (1..15).collect());
    let texts: BTreeSet<&str> = REFUSED.iter().map(|(_, _, text)| *text).collect();
    assert_eq!(texts.len(), numbers.len());
    assert!(!texts.contains(Refusal::VerifyWithoutProfile.text()));
}

/// A target that takes every message for its sectors 8 to 15.
fn receiver() -> Receiver {
    Receiver {
        profile: true,
        trusted: true,
        ref_tag: true,
        injects: true,
        sectors: 8..16,
    }
}

/// The same, with a profile or without, trusted or not.
fn over(profile: bool, trusted: bool) -> Receiver {
    Receiver {
        profile,
        trusted,
        ..receiver()
    }
}

#[test]
fn only_a_device_with_a_profile_can_be_verified() {
    let on = Message::Verify(true);
    assert_eq!(on.clone().check_against(&over(true, false)), Ok(on.clone()));
    assert_eq!(
        on.check_against(&over(false, true)),
        Err(Refusal::VerifyWithoutProfile)
    );
    assert_eq!(
        Refusal::VerifyWithoutProfile.text(),
        "verify: the device has no integrity profile"
    );
}

#[test]
fn only_what_is_trusted_is_written_to_with_optimism() {
    let policy = Message::Policy(Policy::Optimistic);
    assert_eq!(
        policy.clone().check_against(&receiver()),
        Ok(policy.clone())
    );
    assert_eq!(
        policy.check_against(&over(true, false)),
        Err(Refusal::OptimisticWithoutTrust)
    );
    let policy = Message::Policy(Policy::Auto);
    assert_eq!(policy.clone().check_against(&over(true, false)), Ok(policy));
    assert_eq!(
        Refusal::OptimisticWithoutTrust.text(),
        "policy: optimistic relies on what is below, which is not trusted"
    );
}

#[test]
fn errors_on_purpose_are_for_the_sectors_of_a_target_that_allows_them() {
    let inject = |words: &str, to: &Receiver| {
        let words: Vec<&str> = words.split(' ').collect();
        let message = Message::parse(&words)?;
        message.check_against(to).map(drop)
    };
    let all = "inject guard write 8 8";
    let reference = "inject ref read 8";
    assert_eq!(inject(all, &receiver()), Ok(()));
    assert_eq!(inject(reference, &receiver()), Ok(()));
    for outside in ["7", "7 2", "15 2", "16", "8 9"] {
        let words = format!("inject guard write {outside}");
        assert_eq!(inject(&words, &receiver()), Err(Refusal::InjectBeyond));
    }
    let forbids = Receiver {
        injects: false,
        ..receiver()
    };
    for words in [all, "inject off"] {
        assert_eq!(inject(words, &forbids), Err(Refusal::InjectNotAllowed));
    }
    let without = over(false, true);
    assert_eq!(inject(all, &without), Err(Refusal::InjectWithoutProfile));
    assert_eq!(inject("inject off", &without), Ok(()));
    let without = Receiver {
        ref_tag: false,
        ..receiver()
    };
    assert_eq!(
        inject(reference, &without),
        Err(Refusal::InjectWithoutRefTag)
    );
    assert_eq!(inject(all, &without), Ok(()));
    let texts = [
        Refusal::InjectBeyond,
        Refusal::InjectNotAllowed,
        Refusal::InjectWithoutProfile,
        Refusal::InjectWithoutRefTag,
    ]
    .map(Refusal::text);
    assert_eq!(
        texts,
        [
            "inject: the sectors are not the target's",
            "inject: the table line does not say inject:on",
            "inject: the device has no integrity profile",
            "inject: the format has no reference tags",
        ]
    );
}

proptest! {
    #[test]
    fn a_valid_message_is_taken(words in support::valid_message(), profile: bool) {
        let message = parse(&words);
        prop_assert!(message.is_ok());
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(&message, &support::message_oracle(&borrowed));
        let message = message.unwrap();
        let to = Receiver { sectors: 0..u64::MAX, ..over(profile, true) };
        let needs = matches!(message, Message::Verify(true) | Message::Inject(Some(_)));
        if profile || !needs {
            prop_assert_eq!(message.clone().check_against(&to), Ok(message));
        }
    }

    /// A value says the same in a message as in a table line.
    #[test]
    fn a_message_says_what_an_argument_says(words in support::valid_message()) {
        let Ok([key, value]) = <[String; 2]>::try_from(words.clone()) else {
            return Ok(());
        };
        let line = ["8:0", "0", "1", &format!("{key}:{value}")].map(String::from);
        let borrowed: Vec<&str> = line.iter().map(String::as_str).collect();
        let args = filter::args::Line::parse(&borrowed).unwrap().args();
        match parse(&words).unwrap() {
            Message::Policy(policy) => prop_assert_eq!(args.policy, policy),
            Message::Verify(verify) => prop_assert_eq!(args.verify, Some(verify)),
            Message::Recheck(recheck) => prop_assert_eq!(args.recheck, recheck),
            Message::Learn(learn) => prop_assert_eq!(args.learn, learn),
            Message::Inject(injection) => prop_assert_eq!((args.inject, injection), (false, None)),
            Message::Reset => prop_assert!(false),
        }
    }

    #[test]
    fn a_changed_message_is_what_the_grammar_says(
        mut words in support::valid_message(),
        changes in prop::collection::vec(support::change(), 1..3),
    ) {
        for change in &changes {
            support::apply(change, &mut words);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(parse(&words), support::message_oracle(&words));
    }

    /// Whatever arrives, there is an answer, and a text for a refusal.
    #[test]
    fn any_words_get_an_answer(words in prop::collection::vec(any::<String>(), 0..5)) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let result = parse(&words);
        prop_assert_eq!(&result, &support::message_oracle(&words));
        if let Err(refusal) = result {
            prop_assert!(!refusal.text().is_empty());
        }
    }
}
