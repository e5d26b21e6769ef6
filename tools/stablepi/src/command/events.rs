// SPDX-License-Identifier: GPL-2.0

//! `stablepi events`.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use super::{ours, say, say_json, Outcome};
use crate::cli;
use crate::failure::Code;
use crate::model::event::{parse_log, parse_trace, Event};
use crate::model::stack::Dev;
use crate::system::dm::{self, Id};
use crate::system::files::Names;
use crate::system::interrupt;
use crate::system::log::Log;
use crate::system::trace::Trace;

/// What comes too often to be shown.
const OFTEN: [&str; 2] = ["in_place", "verify"];

/// Prints events.
pub fn run(args: &cli::Events, json: bool) -> Outcome {
    let devices = ours(&args.names)?;
    let mut printer = Printer {
        only: !args.names.is_empty(),
        devices: devices
            .iter()
            .map(|(name, dev)| (*dev, name.clone()))
            .collect(),
        names: Names::new(),
        json,
        count: 0,
        mismatches: 0,
    };
    if args.follow {
        printer.follow(args)?;
    } else {
        let mut log = Log::from_start().context("the kernel log cannot be read; are you root?")?;
        while let Some(record) = log.next() {
            if let Some(event) = parse_log(&record) {
                printer.print(&event)?;
            }
        }
    }
    Ok((printer.mismatches > 0).then_some(Code::Found))
}

struct Printer {
    /// Only events of devices that are known.
    only: bool,
    devices: HashMap<Dev, String>,
    names: Names,
    json: bool,
    count: u64,
    mismatches: u64,
}

impl Printer {
    fn follow(&mut self, args: &cli::Events) -> Result<()> {
        let mut leave_out = OFTEN.to_vec();
        if !args.copies {
            leave_out.push("copy");
        }
        interrupt::note();
        let mut trace = Trace::begin(&leave_out)?;
        let began = Instant::now();
        let mut numbers: HashMap<Dev, u32> = HashMap::new();
        self.device_events(&mut numbers, None)?;
        loop {
            let over = args
                .seconds
                .is_some_and(|s| began.elapsed().as_secs_f64() >= s);
            for line in trace.lines(if over { 0 } else { 200 })? {
                if let Some(event) = parse_trace(&line) {
                    self.print(&event)?;
                } else if line.contains("LOST") {
                    eprintln!("stablepi: events came faster than they were read:{line}");
                }
                if args.count.is_some_and(|count| self.count >= count) {
                    return Ok(());
                }
            }
            self.device_events(&mut numbers, Some(began))?;
            if over || interrupt::is_asked() || args.count.is_some_and(|count| self.count >= count)
            {
                return Ok(());
            }
        }
    }

    /// Tells of device mapper's event counters that have grown.
    fn device_events(
        &mut self,
        numbers: &mut HashMap<Dev, u32>,
        tell: Option<Instant>,
    ) -> Result<()> {
        if !self.only {
            // There may be new ones.
            self.devices = ours(&[])?
                .into_iter()
                .map(|(name, dev)| (dev, name))
                .collect();
        }
        for dev in self.devices.keys().copied().collect::<Vec<_>>() {
            let Ok(info) = dm::info(Id::Dev(dev)) else {
                continue;
            };
            let before = numbers.insert(dev, info.event_nr);
            if tell.is_some() && before.is_some_and(|n| n != info.event_nr) {
                let event = Event {
                    time: uptime(),
                    name: "device_event".into(),
                    dev: Some(dev),
                    sector: None,
                    sectors: None,
                    owner: None,
                    text: format!("event number {}", info.event_nr),
                };
                self.print(&event)?;
            }
        }
        Ok(())
    }

    fn print(&mut self, event: &Event) -> Result<()> {
        let name = event.dev.and_then(|dev| self.devices.get(&dev).cloned());
        if self.only && name.is_none() {
            return Ok(());
        }
        self.count += 1;
        self.mismatches += u64::from(event.name == "read_mismatch");
        let device = name.or_else(|| event.dev.map(|d| d.to_string()));
        let whose = event.owner.as_ref().map(|owner| self.names.owner(owner));
        if self.json {
            let path = event
                .owner
                .as_ref()
                .and_then(|o| o.file)
                .and_then(|(dev, ino)| self.names.file(dev, ino));
            return say_json(
                &json!({ "device": device, "event": event, "whose": whose, "path": path }),
            );
        }
        let device = device.unwrap_or_default();
        let place = match (event.sector, event.sectors) {
            (Some(sector), Some(sectors)) => format!(" sector {sector} + {sectors}"),
            (Some(sector), None) => format!(" sector {sector}"),
            _ => String::new(),
        };
        let what = whose.unwrap_or_else(|| event.text.clone());
        say(&format!(
            "{:.6} {device}{place} {}: {what}",
            event.time, event.name
        ))
    }
}

/// Seconds since the machine was started, as trace events have them.
fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0)
}
