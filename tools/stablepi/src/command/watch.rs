// SPDX-License-Identifier: GPL-2.0

//! `stablepi watch`.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{bail, Context, Result};

use super::{ours, say, say_json, status::segments, Outcome};
use crate::cli;
use crate::failure::Code;
use crate::model::event::{parse_log, Event};
use crate::model::fault::{Fault, Kind, Seen};
use crate::model::stack::Dev;
use crate::system::dm::{self, Id};
use crate::system::interrupt;
use crate::system::log::Log;

/// Seconds from one look to the next.
const PAUSE: f64 = 1.0;

/// Waits for faults, and tells of each.
pub fn run(args: &cli::Watch, json: bool) -> Outcome {
    interrupt::note();
    let began = Instant::now();
    let mut watch = Watch {
        seen: HashMap::new(),
        lines: HashMap::new(),
        log: Log::from_now().context("the kernel log cannot be read; are you root?")?,
    };
    for (_, dev) in ours(&args.names)? {
        watch.seen.insert(dev, look(dev)?);
    }
    let (mut count, mut corrupt) = (0, false);
    loop {
        let over = args
            .seconds
            .is_some_and(|s| began.elapsed().as_secs_f64() >= s);
        for fault in watch.faults(&args.names)? {
            count += 1;
            corrupt |= fault.kind == Kind::Corrupt;
            tell(args, &fault, json)?;
        }
        let enough = args.count.is_some_and(|most| count >= most);
        if over || enough || interrupt::is_asked() {
            return Ok(corrupt.then_some(Code::Found));
        }
        let left = args.seconds.map(|s| s - began.elapsed().as_secs_f64());
        interrupt::sleep(left.unwrap_or(PAUSE).clamp(0.0, PAUSE));
    }
}

/// What is known of the devices.
struct Watch {
    /// By their last event.
    seen: HashMap<Dev, Seen>,
    /// The lines of the log since then that tell of a fault. The target writes them before it raises
    /// the event.
    lines: HashMap<Dev, Vec<Event>>,
    log: Log,
}

impl Watch {
    /// What there is since the last look.
    fn faults(&mut self, names: &[String]) -> Result<Vec<Fault>> {
        let devices = ours(names)?;
        let is_there = |dev: &Dev| devices.iter().any(|(_, known)| known == dev);
        self.seen.retain(|dev, _| is_there(dev));
        self.lines.retain(|dev, _| is_there(dev));
        // Counters first, so that the lines of what they count are there.
        let now: Vec<_> = devices
            .iter()
            .filter_map(|(name, dev)| Some((name, *dev, look(*dev).ok()?)))
            .collect();
        while let Some(record) = self.log.next() {
            if let Some(event) = parse_log(&record).filter(Kind::is_told_by) {
                if let Some(dev) = event.dev {
                    self.lines.entry(dev).or_default().push(event);
                }
            }
        }
        let mut faults = Vec::new();
        for (name, dev, now) in now {
            let before = self.seen.entry(dev).or_default();
            if let Some(before) = now.since(*before) {
                let lines = self.lines.remove(&dev).unwrap_or_default();
                faults.push(Fault::new(name, &lines, now, before));
            }
            if now.event_nr != before.event_nr {
                *before = now;
            }
        }
        Ok(faults)
    }
}

fn look(dev: Dev) -> Result<Seen> {
    Ok(Seen {
        event_nr: dm::info(Id::Dev(dev))?.event_nr,
        corrupt: segments(dev)?
            .iter()
            .map(|segment| segment.status.count("corrupt"))
            .sum(),
    })
}

fn tell(args: &cli::Watch, fault: &Fault, json: bool) -> Result<()> {
    if json {
        say_json(fault)?;
    } else {
        say(&format!(
            "{} {}: {}",
            fault.device,
            fault.kind.name(),
            fault.text
        ))?;
    }
    // What cannot be told in one way is told in the others, and the next one is, too.
    if args.journal {
        complain(to_journal(fault));
    }
    if let Some(program) = args.run.as_deref().filter(|program| program.exists()) {
        complain(run_program(program, fault));
    }
    Ok(())
}

fn complain(done: Result<()>) {
    if let Err(e) = done {
        eprintln!("stablepi: {}", format!("{e:#}").replace('\n', " "));
    }
}

/// By logger of util-linux, which every machine has that has a journal.
fn to_journal(fault: &Fault) -> Result<()> {
    let mut logger = Command::new("logger")
        .arg("--journald")
        .stdin(Stdio::piped())
        .spawn()
        .context("the journal cannot be written to: logger")?;
    let mut stdin = logger.stdin.take().context("logger takes nothing")?;
    let written = stdin.write_all(fault.journal().as_bytes());
    drop(stdin);
    let status = logger.wait().context("logger")?;
    if !status.success() {
        bail!("the journal cannot be written to: logger has failed ({status})");
    }
    written.context("the journal cannot be written to")
}

fn run_program(program: &Path, fault: &Fault) -> Result<()> {
    let status = Command::new(program)
        .args([fault.device.as_str(), fault.kind.name()])
        .envs(fault.variables())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    if !status.success() {
        bail!("{} has failed ({status})", program.display());
    }
    Ok(())
}
