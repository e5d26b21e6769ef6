// SPDX-License-Identifier: GPL-2.0

//! The status of a target: words of the form `key:value`.
//!
//! A key that this program does not know is kept and shown: a newer module may have more of them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The words of a status line, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    words: Vec<(String, Option<String>)>,
}

impl Status {
    /// What stands behind `key:`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let word = self.words.iter().find(|(name, _)| name == key)?;
        word.1.as_deref()
    }

    /// A counter; 0 where there is none of that name.
    pub fn count(&self, key: &str) -> u64 {
        self.get(key).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// All words.
    pub fn words(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.words.iter().map(|(k, v)| (k.as_str(), v.as_deref()))
    }
}

impl FromStr for Status {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let words = text
            .split_ascii_whitespace()
            .map(|word| match word.split_once(':') {
                Some((key, value)) => (key.to_string(), Some(value.to_string())),
                None => (word.to_string(), None),
            });
        Ok(Self {
            words: words.collect(),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.words.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            match value {
                Some(value) => write!(f, "{space}{key}:{value}")?,
                None => write!(f, "{space}{key}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.words.len()))?;
        for (key, value) in &self.words {
            match value {
                Some(value) => match value.parse::<u64>() {
                    Ok(number) => map.serialize_entry(key, &number)?,
                    Err(_) => map.serialize_entry(key, value)?,
                },
                None => map.serialize_entry(key, &true)?,
            }
        }
        map.end()
    }
}

/// What a key of the status counts or says, in a few words.
pub fn meaning(key: &str) -> Option<&'static str> {
    Some(match key {
        "policy" => "how a write is kept stable",
        "verify" => "whether reads are verified",
        "recheck" => "whether writes in place are compared once more",
        "profile" => "protection information of the device below",
        "interval" => "bytes that one tuple protects",
        "learned" => "files and processes that change their pages: copied",
        "writes" => "writes with data",
        "intervals" => "intervals in them",
        "in_place" => "written where their data is",
        "copied" => "copied first",
        "copied_kernel" => "of these: memory of the kernel",
        "copied_waits" => "page cache that waits",
        "copied_cache" => "page cache that does not wait",
        "copied_anon" => "memory of a process",
        "copied_pinned" => "pinned, such as buffers of direct I/O",
        "copied_foreign" => "memory of a device",
        "copied_learned" => "of all copied: of those that change their pages",
        "forwarded" => "with a payload from above",
        "rechecked" => "compared once more",
        "retried" => "sent down once more",
        "unstable" => "changed under the write",
        "blameless" => "rejected without a difference",
        "repaired" => "of unstable and blameless: made good by a copy",
        "unrepaired" => "not made good: the write failed, or was let be",
        "reads_verified" => "reads compared with their tuples",
        "false_alarms" => "of these: the reader's memory had changed",
        "corrupt" => "of these: wrong on the medium",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEN: &str = "policy:auto verify:on recheck:off profile:T10-DIF-TYPE1-CRC interval:512 \
        writes:330 intervals:8706 in_place:330 copied:0 unstable:116 corrupt:1";

    fn parsed(text: &str) -> Status {
        let Ok(status) = text.parse();
        status
    }

    #[test]
    fn a_line_as_the_target_prints_it() {
        let status = parsed(SEEN);
        assert_eq!(status.get("profile"), Some("T10-DIF-TYPE1-CRC"));
        assert_eq!(status.count("unstable"), 116);
        assert_eq!(status.count("no_such_counter"), 0);
        assert_eq!(status.to_string(), SEEN);
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let status = parsed("policy:auto trust:a:b new");
        assert_eq!(status.get("trust"), Some("a:b"));
        let json = serde_json::to_string(&status).expect("a map");
        assert_eq!(json, r#"{"policy":"auto","trust":"a:b","new":true}"#);
    }

    proptest! {
        #[test]
        fn round_trip(words in prop::collection::vec("[a-z_]{1,12}(:[!-9;-~]{0,12}(:[!-~]{0,4})?)?", 0..30)) {
            let line = words.join(" ");
            prop_assert_eq!(parsed(&line).to_string(), line);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = parsed(&text).to_string();
        }
    }
}
