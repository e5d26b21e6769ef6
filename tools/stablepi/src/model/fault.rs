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

fn is_mismatch(line: &Event) -> bool {
    line.name == "read_mismatch"
}

fn is_below(line: &Event) -> bool {
    line.name == "log" && line.text.contains(" below ")
}

impl Kind {
    /// Whether a line of the log tells of a fault.
    pub fn is_told_by(line: &Event) -> bool {
        is_mismatch(line) || is_below(line)
    }

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

/// What was seen of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The event counter.
    pub event_nr: u32,
    /// How many reads did not match since the table was loaded.
    pub corrupt: u64,
}

impl Seen {
    /// What was there before, if it has raised an event since. A device of the same number may be
    /// another one, which has begun at 0; and so has each table.
    pub fn since(self, before: Self) -> Option<Self> {
        let before = Self {
            event_nr: match before.event_nr {
                nr if nr > self.event_nr => 0,
                nr => nr,
            },
            corrupt: match before.corrupt {
                corrupt if corrupt > self.corrupt => 0,
                corrupt => corrupt,
            },
        };
        (self.event_nr != before.event_nr).then_some(before)
    }
}

/// What all entries of the journal have that are of this kind: a random number.
const MESSAGE_ID: &str = "8bc39bf0f4c44072928d8e5b03fa3260";

impl Fault {
    /// The fault that made `device` raise an event between `before` and `now`, of which the log has
    /// these `lines`.
    pub fn new(device: &str, lines: &[Event], now: Seen, before: Seen) -> Self {
        let mismatches = || lines.iter().filter(|line| is_mismatch(line));
        let below = lines.iter().find(|line| is_below(line));
        let (kind, said) = match (mismatches().next(), below) {
            (Some(first), _) => (Kind::Corrupt, Some(first)),
            // The log says each sector only now and then.
            (None, _) if now.corrupt > before.corrupt => (Kind::Corrupt, None),
            (None, Some(line)) => (Kind::Below, Some(line)),
            (None, None) => (Kind::Other, None),
        };
        let text = match (said, kind) {
            (Some(event), _) => event.text.clone(),
            (None, Kind::Corrupt) => format!("{} reads did not match so far", now.corrupt),
            (None, _) => format!("event number {}", now.event_nr),
        };
        Self {
            device: device.to_string(),
            kind,
            event_nr: now.event_nr,
            sectors: mismatches().filter_map(|e| e.sector).collect(),
            corrupt: now.corrupt,
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

    fn seen(event_nr: u32, corrupt: u64) -> Seen {
        Seen { event_nr, corrupt }
    }

    #[test]
    fn a_device_of_the_same_number_may_be_another() {
        assert_eq!(seen(3, 2).since(seen(3, 2)), None);
        // Counted, and not raised yet.
        assert_eq!(seen(3, 3).since(seen(3, 2)), None);
        assert_eq!(seen(4, 3).since(seen(3, 2)), Some(seen(3, 2)));
        // One that was made anew, without an event and with one.
        assert_eq!(seen(0, 0).since(seen(3, 2)), None);
        assert_eq!(seen(1, 1).since(seen(3, 2)), Some(seen(0, 0)));
        // Another table of the same device.
        assert_eq!(seen(4, 1).since(seen(3, 2)), Some(seen(3, 0)));
    }

    #[test]
    fn what_tells_of_no_fault_is_not_kept() {
        let lines = events(&[
            "254:0: sector 99: data changed under a write: pinned page, submitted by loads (333)",
            "254:0: guard tags of reads of sectors 8 to 8 are wrong on purpose",
            "254:0: sector 3: read does not match: guard 0x1 should be 0x2, app 0x0, ref 0x3 should be 0x3",
        ]);
        let told: Vec<_> = lines.iter().map(Kind::is_told_by).collect();
        assert_eq!(told, [false, false, true]);
    }

    #[test]
    fn the_log_says_which_sectors() {
        let events = events(&[
            "254:0: sector 99: data changed under a write: pinned page, submitted by loads (333)",
            "254:0: sector 3: read does not match: guard 0x1 should be 0x2, app 0x0, ref 0x3 should be 0x3",
            "254:0: sector 8: read does not match: guard 0x1 should be 0x2, app 0x0, ref 0x8 should be 0x8",
        ]);
        let fault = Fault::new("pi", &events, seen(2, 2), seen(0, 0));
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
        let fault = Fault::new("pi", &[], seen(7, 5), seen(6, 4));
        assert_eq!((fault.kind, fault.sectors.len()), (Kind::Corrupt, 0));
        assert_eq!(fault.text, "5 reads did not match so far");
        let fault = Fault::new("pi", &[], seen(7, 5), seen(6, 5));
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
        let fault = Fault::new("pi", &events, seen(1, 0), seen(0, 0));
        assert_eq!(fault.kind, Kind::Below);
        assert!(fault.journal().contains("\nPRIORITY=4\n"));
    }
}
