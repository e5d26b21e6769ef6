// SPDX-License-Identifier: GPL-2.0

//! Messages: what is taken, and what the kernel log says of the others.

mod support;

use std::collections::BTreeSet;

use filter::{
    args::Policy,
    message::{Message, Refusal}, //
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
        "not one of policy, verify, recheck, learn, reset",
    ),
    (
        &[""],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset",
    ),
    (
        &["Policy", "copy"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset",
    ),
    (
        &["policy:copy"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset",
    ),
    (
        &["app_tag", "1"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset",
    ),
    (
        &["passthrough"],
        Refusal::Unknown,
        "not one of policy, verify, recheck, learn, reset",
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
        Refusal::OptimisticWithoutTrust => 10,
    }
}

#[test]
fn there_is_a_message_for_every_refusal_and_a_text_of_its_own() {
    let numbers: BTreeSet<usize> = REFUSED.iter().map(|(_, r, _)| number(*r)).collect();
    assert_eq!(numbers, (1..10).collect());
    let texts: BTreeSet<&str> = REFUSED.iter().map(|(_, _, text)| *text).collect();
    assert_eq!(texts.len(), numbers.len());
    assert!(!texts.contains(Refusal::VerifyWithoutProfile.text()));
}

#[test]
fn only_a_device_with_a_profile_can_be_verified() {
    let on = Message::Verify(true);
    assert_eq!(on.check_against(true, false), Ok(on));
    assert_eq!(
        on.check_against(false, true),
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
    assert_eq!(policy.check_against(true, true), Ok(policy));
    assert_eq!(
        policy.check_against(true, false),
        Err(Refusal::OptimisticWithoutTrust)
    );
    let policy = Message::Policy(Policy::Auto);
    assert_eq!(policy.check_against(true, false), Ok(policy));
    assert_eq!(
        Refusal::OptimisticWithoutTrust.text(),
        "policy: optimistic relies on what is below, which is not trusted"
    );
}

proptest! {
    #[test]
    fn a_valid_message_is_taken(words in support::valid_message(), profile: bool) {
        let message = parse(&words);
        prop_assert!(message.is_ok());
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(message, support::message_oracle(&borrowed));
        let message = message.unwrap();
        if profile || message != Message::Verify(true) {
            prop_assert_eq!(message.check_against(profile, true), Ok(message));
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
        prop_assert_eq!(result, support::message_oracle(&words));
        if let Err(refusal) = result {
            prop_assert!(!refusal.text().is_empty());
        }
    }
}
