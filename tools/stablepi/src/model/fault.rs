// SPDX-License-Identifier: GPL-2.0

//! What an administrator has to look at: a read that does not match, and a device below that is not
//! what it was.

use serde::Serialize;

use super::event::Event;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A read did not match.
    Corrupt,
    /// The device below changed, or is again what it was.
    Below,
    /// The device raised an event, and the log says no more.
    Other,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Below => "below",
            Self::Other => "other",
        }
    }
}

/// A fault of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// The device's name.
    pub device: String,
    /// What it is.
    pub kind: Kind,
    /// The device's event counter.
    pub event_nr: u32,
    /// The sectors of the device that the log names.
    pub sectors: Vec<u64>,
    /// How many reads did not match since the table was loaded.
    pub corrupt: u64,
    /// What the log says of it first.
    pub text: String,
}

/// What has entries of this kind in the journal; made once, by `systemd-id128 new`.
const MESSAGE_ID: &str = "5f9f1e0d5b7c4a5c9f6a0f3f3a3c7d11";

impl Fault {
    /// The fault that made `device` raise its event counter to `event_nr`. `events` are those lines of
    /// the log about it that are new, and `corrupt` is the count now and before.
    pub fn new(device: &str, event_nr: u32, events: &[Event], corrupt: (u64, u64)) -> Self {
        let (now, before) = corrupt;
        let mismatches = || events.iter().filter(|e| e.name == "read_mismatch");
        let below = events
            .iter()
            .find(|e| e.name == "log" && e.text.contains(" below "));
        let (kind, said) = match (mismatches().next(), below) {
            (Some(first), _) => (Kind::Corrupt, Some(first)),
            // The log says each sector only now and then.
            (None, _) if now > before => (Kind::Corrupt, None),
            (None, Some(line)) => (Kind::Below, Some(line)),
            (None, None) => (Kind::Other, None),
        };
        let text = match (said, kind) {
            (Some(event), _) => event.text.clone(),
            (None, Kind::Corrupt) => format!("{now} reads did not match so far"),
            (None, _) => format!("event number {event_nr}"),
        };
        Self {
            device: device.to_string(),
            kind,
            event_nr,
            sectors: mismatches().filter_map(|e| e.sector).collect(),
            corrupt: now,
            text,
        }
    }

    /// The entry of the journal, a field on each line.
    pub fn journal(&self) -> String {
        let priority = match self.kind {
            Kind::Corrupt => 3,
            Kind::Below => 4,
            Kind::Other => 5,
        };
        let mut fields = vec![
            ("MESSAGE_ID", MESSAGE_ID.to_string()),
            ("MESSAGE", format!("{}: {}", self.device, self.text)),
            ("PRIORITY", priority.to_string()),
            ("SYSLOG_IDENTIFIER", "stablepi".to_string()),
        ];
        fields.extend(self.variables());
        let lines: Vec<_> = fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        lines.join("\n") + "\n"
    }

    /// The same for a program's environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let sectors: Vec<_> = self.sectors.iter().map(u64::to_string).collect();
        vec![
            ("STABLEPI_DEVICE", self.device.clone()),
            ("STABLEPI_KIND", self.kind.name().to_string()),
            ("STABLEPI_EVENT_NR", self.event_nr.to_string()),
            ("STABLEPI_SECTORS", sectors.join(" ")),
            ("STABLEPI_CORRUPT", self.corrupt.to_string()),
            ("STABLEPI_TEXT", self.text.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::parse_log;
    use super::*;

    fn events(lines: &[&str]) -> Vec<Event> {
        lines
            .iter()
            .map(|line| {
                parse_log(&format!("4,339,5140900,-;stable_pages: stable-pi {line}")).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_log_says_which_sectors() {
        let events = events(&[
            "254:0: sector 99: data changed under a write: pinned page, submitted by loads (333)",
            "254:0: sector 3: read does not match: guard 0x1 should be 0x2, app 0x0, ref 0x3 should be 0x3",
            "254:0: sector 8: read does not match: guard 0x1 should be 0x2, app 0x0, ref 0x8 should be 0x8",
        ]);
        let fault = Fault::new("pi", 2, &events, (2, 0));
        assert_eq!(
            (fault.kind, &fault.sectors[..]),
            (Kind::Corrupt, &[3, 8][..])
        );
        assert!(fault.text.starts_with("sector 3: read does not match"));
        let journal = fault.journal();
        assert!(journal.contains("\nPRIORITY=3\n"), "{journal}");
        assert!(journal.contains("\nSTABLEPI_SECTORS=3 8\n"), "{journal}");
        assert!(
            journal.contains("\nMESSAGE=pi: sector 3: read"),
            "{journal}"
        );
    }

    #[test]
    fn without_a_line_the_count_tells() {
        let fault = Fault::new("pi", 7, &[], (5, 4));
        assert_eq!((fault.kind, fault.sectors.len()), (Kind::Corrupt, 0));
        assert_eq!(fault.text, "5 reads did not match so far");
        let fault = Fault::new("pi", 7, &[], (5, 5));
        assert_eq!(
            (fault.kind, fault.text.as_str()),
            (Kind::Other, "event number 7")
        );
    }

    #[test]
    fn what_is_below_can_change() {
        let events = events(&[
            "253:1: 253:0 below does not show the profile that the table was made for: what needs",
        ]);
        let fault = Fault::new("pi", 1, &events, (0, 0));
        assert_eq!(fault.kind, Kind::Below);
        assert!(fault.journal().contains("\nPRIORITY=4\n"));
    }
}
