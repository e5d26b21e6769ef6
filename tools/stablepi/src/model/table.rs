// SPDX-License-Identifier: GPL-2.0

//! Table lines: that of stable-pi, and of other targets what is needed to find the devices below.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::stack::Dev;

/// The target's name.
pub const TARGET: &str = "stable-pi";

/// One target of a mapped device, as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its first sector on the mapped device.
    pub start: u64,
    /// Its sectors.
    pub length: u64,
    /// The name of the target.
    pub kind: String,
    /// What follows in the line.
    pub params: String,
}

impl Target {
    /// Whether it is one of stable-pi.
    pub fn is_ours(&self) -> bool {
        self.kind == TARGET
    }

    /// The device below and the sector of it at which the target begins, where one sector of the
    /// target is one sector of that device.
    pub fn straight(&self) -> Option<(Dev, u64)> {
        let words: Vec<&str> = self.params.split_ascii_whitespace().collect();
        let (device, sector) = match self.kind.as_str() {
            TARGET | "linear" | "delay" | "flakey" | "dust" | "log-writes" => {
                (words.first()?, *words.get(1).unwrap_or(&"0"))
            }
            // <cipher> <key> <iv_offset> <device> <offset>
            "crypt" => (words.get(3)?, *words.get(4)?),
            _ => return None,
        };
        Some((device.parse().ok()?, sector.parse().ok()?))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, length, kind) = (self.start, self.length, &self.kind);
        write!(f, "{start} {length} {kind} {}", self.params)
    }
}

/// The parameters of a stable-pi target. Arguments are kept as they are written, known or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// A path or `major:minor`.
    pub device: String,
    /// The sector of it at which the target begins.
    pub offset: u64,
    /// The optional arguments.
    pub args: Vec<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, self.offset)?;
        if !self.args.is_empty() {
            write!(f, " {} {}", self.args.len(), self.args.join(" "))?;
        }
        Ok(())
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let (Some(device), Some(offset)) = (words.next(), words.next()) else {
            return Err("expected: <dev> <offset> [<#args> <arg>...]".into());
        };
        let offset = offset
            .parse()
            .map_err(|_| "offset: not a number of sectors")?;
        let args: Vec<String> = match words.next() {
            None => Vec::new(),
            Some(count) => {
                let count: usize = count.parse().map_err(|_| "#args: not a number")?;
                let args: Vec<String> = words.map(String::from).collect();
                if args.len() != count {
                    return Err("#args: not the number of arguments that follow".into());
                }
                args
            }
        };
        Ok(Self {
            device: device.into(),
            offset,
            args,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filter::args;
    use proptest::prelude::*;

    #[test]
    fn a_line_as_the_target_prints_it() {
        let text = "8:0 0 5 policy:copy verify:off recheck:on app_tag:0x1234 passthrough";
        let line: Line = text.parse().expect("a good line");
        assert_eq!(
            (line.device.as_str(), line.offset, line.args.len()),
            ("8:0", 0, 5)
        );
        assert_eq!(line.to_string(), text);
    }

    #[test]
    fn refusals() {
        for text in ["", "8:0", "8:0 x", "8:0 0 x", "8:0 0 1", "8:0 0 1 a b"] {
            assert!(text.parse::<Line>().is_err(), "{text}");
        }
    }

    #[test]
    fn devices_below() {
        let below = |kind: &str, params: &str| {
            let target = Target {
                start: 0,
                length: 8,
                kind: kind.into(),
                params: params.into(),
            };
            target.straight()
        };
        assert_eq!(below("linear", "8:1 2048"), Some((Dev::new(8, 1), 2048)));
        assert_eq!(
            below(TARGET, "254:3 16 1 policy:auto"),
            Some((Dev::new(254, 3), 16))
        );
        let crypt = "aes-xts-plain64 :64:logon:x 0 8:0 32768 1 allow_discards";
        assert_eq!(below("crypt", crypt), Some((Dev::new(8, 0), 32768)));
        assert_eq!(below("striped", "2 128 8:0 0 8:16 0"), None);
        assert_eq!(below("zero", ""), None);
    }

    proptest! {
        #[test]
        fn round_trip(
            device in "(/dev/[a-z0-9/-]{1,20}|[0-9]{1,3}:[0-9]{1,6})",
            offset in any::<u64>(),
            args in prop::collection::vec("[a-z_]{1,8}(:[!-~]{1,8})?", 0..8),
        ) {
            let line = Line { device, offset, args };
            prop_assert_eq!(line.to_string().parse::<Line>(), Ok(line));
        }

        // The module has the last word on what a line is; see that it understands ours.
        #[test]
        fn the_module_reads_the_same(
            offset in any::<u64>(),
            policy in prop::sample::select(vec!["auto", "optimistic", "copy", "wait", "detect"]),
            tag in prop::option::of(0u16..0xffff),
        ) {
            let mut args = vec![format!("policy:{policy}")];
            args.extend(tag.map(|tag| format!("app_tag:{tag}")));
            let line = Line { device: "/dev/sda".into(), offset, args }.to_string();
            let words: Vec<&str> = line.split(' ').collect();
            let read = args::Line::parse(&words).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
            prop_assert_eq!(read.offset, offset);
            prop_assert_eq!(read.device, "/dev/sda");
        }
    }
}
