// SPDX-License-Identifier: GPL-2.0

//! What the module reports: lines of the trace, and lines of the kernel log.

use serde::Serialize;

use super::stack::Dev;

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds since the machine was started, as the kernel counts them.
    pub time: f64,
    /// The trace event's name, or the one that stands for the log line.
    pub name: String,
    /// The mapped device.
    pub dev: Option<Dev>,
    /// The first sector on it.
    pub sector: Option<u64>,
    /// How many.
    pub sectors: Option<u64>,
    /// Whose page it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The line as the kernel has it.
    pub text: String,
}

/// The page that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// `cache`, `anon`, `pinned`...
    pub class: String,
    /// The file in whose page cache it is: the filesystem's device and the inode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<(Dev, u64)>,
    /// The index of the page in that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The name of the thread that submitted the write.
    pub comm: String,
    /// Its number.
    pub pid: u32,
}

/// A line of `trace_pipe`:
/// `  loads-372  [000] .....  70.432197: in_place: 254,0 sector 8216 + 8 class pinned`.
pub fn parse_trace(line: &str) -> Option<Event> {
    // The name of the task in front may hold anything, a bracket as well.
    let mut rest = line;
    loop {
        let at = rest.find(" [")?;
        let after = &rest[at + 2..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && after[digits..].starts_with("] ") {
            rest = &after[digits + 2..];
            break;
        }
        rest = after;
    }
    let (_flags, rest) = rest.trim_start().split_once(' ')?;
    let (time, rest) = rest.trim_start().split_once(": ")?;
    let time = time.parse().ok()?;
    let (name, text) = rest.split_once(": ")?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let dev = words.first().and_then(|w| w.parse().ok());
    let sectors = match words.iter().position(|w| *w == "sector") {
        Some(i) if words.get(i + 2) == Some(&"+") => words.get(i + 3).and_then(|w| w.parse().ok()),
        _ => None,
    };
    Some(Event {
        time,
        name: name.to_string(),
        dev,
        sector: after(&words, "sector"),
        sectors,
        owner: (name == "unstable_write")
            .then(|| owner_of(&words, text))
            .flatten(),
        text: text.to_string(),
    })
}

/// The number behind the first `word`.
fn after(words: &[&str], word: &str) -> Option<u64> {
    let at = words.iter().position(|w| *w == word)?;
    words.get(at + 1)?.trim_end_matches(',').parse().ok()
}

fn owner_of(words: &[&str], text: &str) -> Option<Owner> {
    let at = words.iter().position(|w| *w == "class")?;
    let file = words
        .iter()
        .position(|w| *w == "inode")
        .and_then(|i| file(words.get(i + 1)?));
    // The name may hold " by " itself.
    let (comm, pid) = text.split_once(" by ")?.1.rsplit_once('-')?;
    Some(Owner {
        class: words.get(at + 1)?.to_string(),
        index: file.and_then(|_| after(words, "index")),
        file,
        comm: comm.to_string(),
        pid: pid.trim().parse().ok()?,
    })
}

/// `254,0:13`; none where there is no file.
fn file(word: &str) -> Option<(Dev, u64)> {
    let (dev, ino) = word.split_once(':')?;
    let (dev, ino): (Dev, u64) = (dev.parse().ok()?, ino.parse().ok()?);
    (dev != Dev::default() || ino != 0).then_some((dev, ino))
}

/// A record of `/dev/kmsg`: `4,339,5140900,-;stable_pages: stable-pi 254:0: sector 3: ...`.
pub fn parse_log(record: &str) -> Option<Event> {
    let (head, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let micros: f64 = head.split(',').nth(2)?.parse().ok()?;
    let rest = text.strip_prefix("stable_pages: stable-pi ")?;
    let (dev, said) = rest.split_once(": ")?;
    let dev = dev.parse().ok()?;
    let (name, owner) = if said.contains("read does not match") {
        ("read_mismatch", None)
    } else if said.contains("data changed under a write") {
        ("unstable_write", owner_in_log(said))
    } else {
        ("log", None)
    };
    let words: Vec<&str> = said.split_ascii_whitespace().collect();
    let sector = words.iter().position(|w| *w == "sector");
    let sector = sector.and_then(|i| words.get(i + 1)?.trim_end_matches(':').parse().ok());
    Some(Event {
        time: micros / 1e6,
        name: name.into(),
        dev: Some(dev),
        sector,
        sectors: None,
        owner,
        text: said.to_string(),
    })
}

/// `...: cache page, inode 13 on 254:0 index 0, submitted by loads (410)`.
fn owner_in_log(said: &str) -> Option<Owner> {
    let rest = said.split_once("data changed under a write: ")?.1;
    let class = rest.split_once(" page")?.0;
    let (what, by) = rest.split_once(", submitted by ")?;
    let (comm, pid) = by.rsplit_once(" (")?;
    let words: Vec<&str> = what.split_ascii_whitespace().collect();
    let on = words.iter().position(|w| *w == "on");
    let file = on.and_then(|i| {
        Some((
            words.get(i + 1)?.trim_end_matches(',').parse().ok()?,
            after(&words, "inode")?,
        ))
    });
    Some(Owner {
        class: class.to_string(),
        index: file.and_then(|_| after(&words, "index")),
        file,
        comm: comm.to_string(),
        pid: pid.trim_end_matches(')').parse().ok()?,
    })
}

/// The reason that the kernel log gives for what device mapper or the target refused.
pub fn refusal(record: &str) -> Option<String> {
    let text = record.split_once(';')?.1.lines().next()?;
    let reason = if let Some(rest) = text.strip_prefix("stable_pages: stable-pi: message: ") {
        rest
    } else {
        let rest = text.strip_prefix("device-mapper: table: ")?;
        let (dev, rest) = rest.split_once(": ")?;
        if dev.parse::<Dev>().is_err() {
            return None;
        }
        rest.strip_prefix("stable-pi: ").unwrap_or(rest)
    };
    Some(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_the_trace() {
        let line = "         kworker/0:4-214     [000] .....    73.785420: unstable_write: 254,0 sector 17026 + 128 \
            lower 8,0 sector 17026 intervals 2-126 changed 54 class cache inode 254,0:13 index 7 by my-app by x-410";
        let event = parse_trace(line).expect("an event");
        assert_eq!(event.time, 73.785420);
        assert_eq!(event.name, "unstable_write");
        assert_eq!(
            (event.dev, event.sector, event.sectors),
            (Some(Dev::new(254, 0)), Some(17026), Some(128))
        );
        let owner = event.owner.expect("a page");
        assert_eq!((owner.class.as_str(), owner.pid), ("cache", 410));
        assert_eq!(owner.comm, "my-app by x");
        assert_eq!(
            (owner.file, owner.index),
            (Some((Dev::new(254, 0), 13)), Some(7))
        );

        let line = "  a [b] c-9 [001] d..1. 79.4: read_mismatch: 254,0 sector 3 guard 0x1926 should be 0xad69 \
            app 0x0 should be 0x0 ref 0x3 should be 0x3";
        let event = parse_trace(line).expect("an event");
        assert_eq!(
            (event.name.as_str(), event.sector, event.sectors),
            ("read_mismatch", Some(3), None)
        );
    }

    #[test]
    fn a_page_without_a_file() {
        let line = " x-1 [000] ..... 1.5: unstable_write: 254,0 sector 8 + 8 lower 8,0 sector 8 intervals 0-0 \
            changed 1 class pinned inode 0,0:0 index 0 by dd-77";
        let owner = parse_trace(line).and_then(|e| e.owner).expect("a page");
        assert_eq!((owner.file, owner.index, owner.pid), (None, None, 77));
    }

    #[test]
    fn an_event_that_is_not_known_is_told_as_it_is() {
        let event =
            parse_trace("x-1 [000] ..... 2.0: learned: 254,1 inode 8,0:4").expect("an event");
        assert_eq!(
            (event.name.as_str(), event.dev),
            ("learned", Some(Dev::new(254, 1)))
        );
        assert_eq!(event.text, "254,1 inode 8,0:4");
        for line in [
            "",
            "CPU:0 [LOST 12 EVENTS]",
            "# tracer: nop",
            "x-1 [000] .....",
        ] {
            assert_eq!(parse_trace(line), None, "{line}");
        }
    }

    #[test]
    fn lines_of_the_log() {
        let record = "4,339,73785420,-;stable_pages: stable-pi 254:0: sector 17026: data changed under a write: \
            cache page, inode 13 on 254:0 index 0, submitted by loads (410)\n SUBSYSTEM=block\n";
        let event = parse_log(record).expect("a report");
        assert_eq!(
            (event.name.as_str(), event.time, event.sector),
            ("unstable_write", 73.78542, Some(17026))
        );
        let owner = event.owner.expect("a page");
        assert_eq!(
            (owner.file, owner.comm.as_str(), owner.pid),
            (Some((Dev::new(254, 0), 13)), "loads", 410)
        );

        let record = "4,1,5,-;stable_pages: stable-pi 254:0: sector 99328: data changed under a write: pinned page, \
            submitted by loads (333)";
        let owner = parse_log(record).and_then(|e| e.owner).expect("a page");
        assert_eq!((owner.class.as_str(), owner.file), ("pinned", None));

        let record = "4,1,5,-;stable_pages: stable-pi 254:0: sector 3: read does not match: guard 0x1926 should be \
            0xad69, app 0x0, ref 0x3 should be 0x3";
        let event = parse_log(record).expect("a report");
        assert_eq!(
            (event.name.as_str(), event.sector),
            ("read_mismatch", Some(3))
        );
        assert_eq!(parse_log("6,1,5,-;usb 1-1: new device"), None);
    }

    #[test]
    fn reasons() {
        let table = "3,9,9,-;device-mapper: table: 254:0: stable-pi: policy: not one of auto, copy (-EINVAL)";
        assert_eq!(
            refusal(table).as_deref(),
            Some("policy: not one of auto, copy (-EINVAL)")
        );
        let message = "4,9,9,-;stable_pages: stable-pi: message: a value is missing";
        assert_eq!(refusal(message).as_deref(), Some("a value is missing"));
        let unknown = "3,9,9,-;device-mapper: table: 254:0: unknown target type (-EINVAL)";
        assert_eq!(
            refusal(unknown).as_deref(),
            Some("unknown target type (-EINVAL)")
        );
        assert_eq!(refusal("6,1,5,-;usb 1-1: new device"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = (parse_trace(&text), parse_log(&text), refusal(&text));
        }

        #[test]
        fn any_name_of_a_task(comm in "[ -~]{1,15}", pid in 1u32..1 << 22, sector in any::<u64>()) {
            let line = format!(
                "{comm}-{pid} [003] ..... 1.25: unstable_write: 254,0 sector {sector} + 8 lower 8,0 sector 0 \
                intervals 0-0 changed 1 class anon inode 0,0:0 index 0 by {comm}-{pid}"
            );
            // A task that looks like the fields behind it can pass for them: not a fault to look for.
            prop_assume!(!comm.contains('[') && !comm.contains(" by "));
            let event = parse_trace(&line).expect("an event");
            prop_assert_eq!(event.sector, Some(sector));
            let owner = event.owner.expect("a page");
            prop_assert_eq!((owner.comm, owner.pid), (comm, pid));
        }
    }
}
