// SPDX-License-Identifier: GPL-2.0

//! What `stablepi top` shows.

use std::collections::HashMap;

use ratatui::backend::Backend;
use ratatui::layout::{Constraint, Direction, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Paragraph, Row, Table};
use ratatui::Frame;

use super::event::Owner;
use super::size;
use super::status::Status;

/// One picture.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Seconds between this picture and the one before.
    pub seconds: f64,
    /// The devices, by name.
    pub devices: Vec<Device>,
    /// Whose pages changed, by name, and how often; most often first.
    pub owners: Vec<(String, u64)>,
    /// What could not be looked at.
    pub note: String,
}

/// A target.
#[derive(Clone, Debug)]
pub struct Device {
    /// The name of the mapped device.
    pub name: String,
    /// As it is now.
    pub now: Status,
    /// As it was in the picture before.
    pub before: Status,
    /// How long reads waited to be verified, if that was looked at.
    pub waits: Option<Waits>,
}

/// How long reads waited for a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Reads.
    pub reads: u64,
    /// Nanoseconds of all of them.
    pub total_ns: u64,
    /// Nanoseconds of the longest.
    pub longest_ns: u64,
}

impl Waits {
    /// One read more.
    pub fn add(&mut self, ns: u64) {
        self.reads += 1;
        self.total_ns += ns;
        self.longest_ns = self.longest_ns.max(ns);
    }
}

impl Device {
    /// What a counter grew by. One that became smaller was reset meanwhile.
    fn grew(&self, key: &str) -> u64 {
        let (now, before) = (self.now.count(key), self.before.count(key));
        now.checked_sub(before).unwrap_or(now)
    }

    fn rate(&self, key: &str, seconds: f64) -> String {
        per_second(self.grew(key) as f64, seconds)
    }

    fn written(&self, seconds: f64) -> String {
        let bytes = self.grew("intervals") * self.now.count("interval");
        if seconds > 0.0 {
            format!("{}/s", size::human((bytes as f64 / seconds) as u64))
        } else {
            "-".into()
        }
    }
}

fn per_second(n: f64, seconds: f64) -> String {
    if seconds > 0.0 {
        format!("{:.0}", n / seconds)
    } else {
        "-".into()
    }
}

/// The classes of pages that are copied, as the status counts them, with their headings.
const CLASSES: [(&str, &str); 6] = [
    ("copied_kernel", "KERNEL"),
    ("copied_waits", "WAITS"),
    ("copied_cache", "CACHE"),
    ("copied_anon", "ANON"),
    ("copied_pinned", "PINNED"),
    ("copied_foreign", "FOREIGN"),
];

/// Draws it.
pub fn draw<B: Backend>(frame: &mut Frame<B>, screen: &Screen) {
    let rows = screen.devices.len() as u16 + 2;
    let areas = Layout::default()
        .direction(Direction::Vertical)
        .constraints([
            Constraint::Length(2),
            Constraint::Length(rows),
            Constraint::Length(rows),
            Constraint::Length(rows),
            Constraint::Min(0),
        ])
        .split(frame.size());
    let title = format!(
        "stablepi top: {} devices, every {:.1} s; q ends it\n{}",
        screen.devices.len(),
        screen.seconds,
        screen.note
    );
    frame.render_widget(Paragraph::new(title), areas[0]);
    writes(frame, screen, areas[1]);
    copies(frame, screen, areas[2]);
    reads(frame, screen, areas[3]);
    owners(frame, screen, areas[4]);
}

fn table<B: Backend>(frame: &mut Frame<B>, area: Rect, heads: Vec<String>, rows: Vec<Vec<String>>) {
    let mut widths = vec![Constraint::Length(12)];
    widths.extend(
        heads
            .iter()
            .skip(1)
            .map(|head| Constraint::Length((head.len() as u16).max(6))),
    );
    let head = Row::new(heads).style(Style::default().add_modifier(Modifier::REVERSED));
    let rows = rows.into_iter().map(Row::new);
    frame.render_widget(Table::new(rows).header(head).widths(&widths), area);
}

fn heads(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| w.to_string()).collect()
}

fn writes<B: Backend>(frame: &mut Frame<B>, screen: &Screen, area: Rect) {
    let rows = screen.devices.iter().map(|d| {
        let rate = |key| d.rate(key, screen.seconds);
        vec![
            d.name.clone(),
            d.now.get("policy").unwrap_or("?").to_string(),
            rate("writes"),
            d.written(screen.seconds),
            rate("in_place"),
            rate("unstable"),
            rate("repaired"),
            d.now.count("unrepaired").to_string(),
        ]
    });
    let heads = heads(&[
        "WRITES",
        "POLICY    ",
        "WRITE/s",
        "WRITTEN     ",
        "INPLACE/s",
        "CHANGE/s",
        "REPAIR/s",
        "FAILED",
    ]);
    table(frame, area, heads, rows.collect());
}

fn copies<B: Backend>(frame: &mut Frame<B>, screen: &Screen, area: Rect) {
    let rows = screen.devices.iter().map(|d| {
        let mut row = vec![d.name.clone(), d.rate("copied", screen.seconds)];
        row.extend(CLASSES.iter().map(|(key, _)| d.rate(key, screen.seconds)));
        row
    });
    let mut words = vec!["COPIES", "COPY/s"];
    words.extend(CLASSES.iter().map(|(_, head)| *head));
    table(frame, area, heads(&words), rows.collect());
}

fn reads<B: Backend>(frame: &mut Frame<B>, screen: &Screen, area: Rect) {
    let rows = screen.devices.iter().map(|d| {
        let (average, longest) = match d.waits {
            Some(w) if w.reads > 0 => (
                microseconds(w.total_ns / w.reads),
                microseconds(w.longest_ns),
            ),
            _ => ("-".into(), "-".into()),
        };
        vec![
            d.name.clone(),
            d.now.get("verify").unwrap_or("?").to_string(),
            d.rate("reads_verified", screen.seconds),
            d.rate("false_alarms", screen.seconds),
            d.now.count("corrupt").to_string(),
            average,
            longest,
        ]
    });
    let heads = heads(&[
        "READS",
        "VERIFY",
        "VERIFY/s",
        "FALSE/s",
        "CORRUPT",
        "WAIT us",
        "LONGEST us",
    ]);
    table(frame, area, heads, rows.collect());
}

fn microseconds(ns: u64) -> String {
    format!("{}", ns / 1000)
}

fn owners<B: Backend>(frame: &mut Frame<B>, screen: &Screen, area: Rect) {
    let mut text = String::from("PAGES CHANGED BY OR OF\n");
    for (name, times) in screen
        .owners
        .iter()
        .take(usize::from(area.height).saturating_sub(1))
    {
        text.push_str(&format!("{times:>8}  {name}\n"));
    }
    frame.render_widget(Paragraph::new(text), area);
}

/// Counts whose pages changed; a file counts once, wherever in it that was.
#[derive(Default)]
pub struct Tally {
    times: HashMap<Owner, u64>,
}

impl Tally {
    /// One change more.
    pub fn add(&mut self, owner: Owner) {
        *self
            .times
            .entry(Owner {
                index: None,
                ..owner
            })
            .or_default() += 1;
    }

    /// The owners, named by `name`, most changes first.
    pub fn named(&self, mut name: impl FnMut(&Owner) -> String) -> Vec<(String, u64)> {
        let mut all: Vec<(&Owner, u64)> = self.times.iter().map(|(owner, n)| (owner, *n)).collect();
        all.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        all.truncate(40);
        all.into_iter().map(|(owner, n)| (name(owner), n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;

    fn status(text: &str) -> Status {
        let Ok(status) = text.parse();
        status
    }

    fn sample() -> Screen {
        let before = status("policy:auto verify:on interval:512 writes:100 intervals:800 in_place:90 copied:10 copied_pinned:10");
        let now = status(
            "policy:auto verify:on trust:new interval:512 writes:300 intervals:4896 in_place:240 copied:60 \
             copied_pinned:50 copied_cache:10 unstable:4 repaired:4 unrepaired:2 reads_verified:20 corrupt:1",
        );
        Screen {
            seconds: 2.0,
            devices: vec![Device {
                name: "pi".into(),
                now,
                before,
                waits: Some(Waits {
                    reads: 2,
                    total_ns: 30_000,
                    longest_ns: 20_000,
                }),
            }],
            owners: vec![("pinned page of /usr/bin/db (410)".into(), 4)],
            note: String::new(),
        }
    }

    fn lines(screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
        terminal
            .draw(|frame| draw(frame, screen))
            .expect("a test backend");
        let buffer = terminal.backend().buffer();
        (0..height)
            .map(|y| {
                (0..width)
                    .map(|x| buffer.get(x, y).symbol.as_str())
                    .collect::<String>()
            })
            .map(|line| line.trim_end().to_string())
            .collect()
    }

    fn words(line: &str) -> Vec<&str> {
        line.split_ascii_whitespace().collect()
    }

    #[test]
    fn all_that_is_to_be_seen_fits_in_a_terminal_of_80_columns() {
        let lines = lines(&sample(), 80, 16);
        assert_eq!(lines[0], "stablepi top: 1 devices, every 2.0 s; q ends it");
        assert_eq!(
            words(&lines[2]),
            [
                "WRITES",
                "POLICY",
                "WRITE/s",
                "WRITTEN",
                "INPLACE/s",
                "CHANGE/s",
                "REPAIR/s",
                "FAILED"
            ]
        );
        assert_eq!(
            words(&lines[3])[..8],
            ["pi", "auto", "100", "1.0", "MiB/s", "75", "2", "2"]
        );
        assert_eq!(
            words(&lines[5]),
            ["COPIES", "COPY/s", "KERNEL", "WAITS", "CACHE", "ANON", "PINNED", "FOREIGN"]
        );
        assert_eq!(
            words(&lines[6]),
            ["pi", "25", "0", "0", "5", "0", "20", "0"]
        );
        assert_eq!(words(&lines[9]), ["pi", "on", "10", "0", "1", "15", "20"]);
        assert_eq!(lines[11], "PAGES CHANGED BY OR OF");
        assert_eq!(lines[12], "       4  pinned page of /usr/bin/db (410)");
    }

    #[test]
    fn a_small_terminal_and_no_device_are_no_trouble() {
        lines(&sample(), 10, 3);
        lines(&sample(), 1, 1);
        assert!(lines(&Screen::default(), 80, 10)[0].contains("0 devices"));
    }

    #[test]
    fn counters_that_were_reset_begin_anew() {
        let device = Device {
            now: status("writes:5"),
            before: status("writes:100"),
            ..sample().devices[0].clone()
        };
        assert_eq!(device.rate("writes", 1.0), "5");
        assert_eq!(device.rate("writes", 0.0), "-");
    }

    #[test]
    fn a_file_counts_once() {
        let owner = |index, pid| Owner {
            class: "cache".into(),
            file: Some((super::super::stack::Dev::new(8, 0), 13)),
            index: Some(index),
            comm: "db".into(),
            pid,
        };
        let mut tally = Tally::default();
        tally.add(owner(0, 1));
        tally.add(owner(7, 1));
        tally.add(owner(0, 2));
        let named = tally.named(|o| format!("{}", o.pid));
        assert_eq!(named, [("1".to_string(), 2), ("2".to_string(), 1)]);
    }
}
