// SPDX-License-Identifier: GPL-2.0

//! `stablepi list` and `status`.

use anyhow::Result;
use serde::Serialize;

use super::{must_be_ours, ours, say, say_json, Outcome};
use crate::cli;
use crate::model::size::{human, SECTOR};
use crate::model::stack::Dev;
use crate::model::status::{meaning, Status};
use crate::model::table::Line;
use crate::system::dm::{self, Id};
use crate::system::sysfs::Machine;

/// A target of a device, as JSON.
#[derive(Serialize)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) sectors: u64,
    table: Line,
    pub(super) below: String,
    pub(super) status: Status,
}

/// A device, as JSON.
#[derive(Serialize)]
struct Report {
    name: String,
    dev: Dev,
    open_count: i32,
    event_nr: u32,
    read_only: bool,
    suspended: bool,
    segments: Vec<Segment>,
}

impl Report {
    fn of(dev: Dev) -> Result<Self> {
        let info = dm::info(Id::Dev(dev))?;
        Ok(Self {
            name: info.name,
            dev,
            open_count: info.open_count,
            event_nr: info.event_nr,
            read_only: info.read_only,
            suspended: info.suspended,
            segments: segments(dev)?,
        })
    }
}

/// The targets of a device that are ours.
pub(super) fn segments(dev: Dev) -> Result<Vec<Segment>> {
    let tables = dm::table(Id::Dev(dev))?;
    let statuses = dm::status(Id::Dev(dev))?;
    let machine = Machine::this();
    let pairs = tables
        .into_iter()
        .zip(statuses)
        .filter(|(t, _)| t.is_ours());
    Ok(pairs
        .map(|(target, status)| {
            let Ok(status) = status.params.parse();
            let line: Line = target.params.parse().unwrap_or_default();
            let node = line
                .device
                .parse()
                .ok()
                .and_then(|dev| machine.node(dev).ok());
            Segment {
                start: target.start,
                sectors: target.length,
                below: node.map_or_else(|| line.device.clone(), |n| n.path),
                table: line,
                status,
            }
        })
        .collect())
}

/// One line for each device.
pub fn list(json: bool) -> Outcome {
    let devices = ours(&[])?;
    let reports = devices
        .iter()
        .map(|(_, dev)| Report::of(*dev))
        .collect::<Result<Vec<_>>>()?;
    if json {
        say_json(&reports)?;
        return Ok(None);
    }
    let heads = [
        "NAME", "DEV", "OVER", "SIZE", "POLICY", "VERIFY", "PROFILE", "CHANGED", "CORRUPT",
    ];
    let mut rows = vec![heads.map(String::from)];
    for report in reports {
        let segments = &report.segments;
        let sum = |key| segments.iter().map(|s| s.status.count(key)).sum::<u64>();
        let first = |key| {
            segments
                .first()
                .and_then(|s| s.status.get(key))
                .unwrap_or("?")
        };
        let below: Vec<&str> = segments.iter().map(|s| s.below.as_str()).collect();
        let bytes = segments.iter().map(|s| s.sectors).sum::<u64>() * SECTOR;
        rows.push([
            report.name.clone(),
            report.dev.to_string(),
            below.join(","),
            human(bytes),
            first("policy").to_string(),
            first("verify").to_string(),
            first("profile").to_string(),
            sum("unstable").to_string(),
            sum("corrupt").to_string(),
        ]);
    }
    say(&columns(&rows))?;
    Ok(None)
}

fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
            line.push_str(&format!("{cell:width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// All that a device tells.
pub fn status(args: &cli::Status, json: bool) -> Outcome {
    let name = args.name.strip_prefix("/dev/mapper/").unwrap_or(&args.name);
    must_be_ours(name)?;
    let report = Report::of(dm::info(Id::Name(name))?.dev)?;
    if json {
        say_json(&report)?;
        return Ok(None);
    }
    let state = match (report.suspended, report.read_only) {
        (true, _) => ", suspended",
        (_, true) => ", read-only",
        _ => "",
    };
    let (dev, opened) = (report.dev, report.open_count);
    let mut out = format!("/dev/mapper/{name} ({dev}){state}, opened {opened} times\n");
    for segment in &report.segments {
        out.push_str(&format!(
            "{} from sector {}, over sector {} on of {}\n",
            human(segment.sectors * SECTOR),
            segment.start,
            segment.table.offset,
            segment.below
        ));
        out.push_str(&words(&segment.status));
    }
    say(&out)?;
    Ok(None)
}

/// The status, a word a line with what it means.
fn words(status: &Status) -> String {
    let mut out = String::new();
    for (key, value) in status.words() {
        let line = format!(
            "  {key:<15} {:>18}  {}",
            value.unwrap_or(""),
            meaning(key).unwrap_or("")
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_shown_as_it_is() {
        let Ok(status) = "policy:auto trust:device copied:3".parse();
        let text = words(&status);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "  policy                        auto  how a write is kept stable"
        );
        assert_eq!(lines[1], "  trust                       device");
        assert!(lines[2].ends_with("copied first"));
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["A", "B"], ["long", "x"]].map(|row| row.map(String::from));
        assert_eq!(columns(&rows), "A     B\nlong  x\n");
    }
}
