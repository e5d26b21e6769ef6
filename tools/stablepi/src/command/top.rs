// SPDX-License-Identifier: GPL-2.0

//! `stablepi top`.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::backend::{TermionBackend, TestBackend};
use ratatui::Terminal;
use serde::Serialize;
use termion::raw::IntoRawMode;
use termion::screen::IntoAlternateScreen;

use super::{ours, say, say_json, Outcome};
use crate::cli;
use crate::failure::{failure, Code};
use crate::model::event::parse_trace;
use crate::model::screen::{draw, Device, Screen, Tally, Waits};
use crate::model::stack::Dev;
use crate::model::status::Status;
use crate::system::dm::{self, Id};
use crate::system::files::Names;
use crate::system::interrupt;
use crate::system::trace::Trace;

/// Shows pictures until it is ended.
pub fn run(args: &cli::Top, json: bool) -> Outcome {
    ours(&args.names)?;
    interrupt::note();
    let mut looker = Looker::new(args);
    match args.batch {
        Some(count) => batch(args, &mut looker, count, json)?,
        None if json => return Err(failure(Code::Usage, "--json needs --batch COUNT")),
        None if !io::stdout().is_terminal() => {
            return Err(failure(
                Code::Usage,
                "this is no terminal; take --batch COUNT",
            ));
        }
        None => live(args, &mut looker)?,
    }
    Ok(None)
}

/// Makes pictures.
struct Looker<'a> {
    args: &'a cli::Top,
    trace: Option<Trace>,
    note: String,
    names: Names,
    tally: Tally,
    waits: HashMap<Dev, Waits>,
    before: HashMap<String, Status>,
    at: Instant,
}

impl<'a> Looker<'a> {
    fn new(args: &'a cli::Top) -> Self {
        let mut leave_out = vec!["in_place", "copy", "read_mismatch", "false_alarm"];
        if !args.waits {
            leave_out.push("verify");
        }
        // The counters can be shown without the trace.
        let (trace, note) = match Trace::begin(&leave_out) {
            Ok(trace) => (Some(trace), String::new()),
            Err(e) => (None, format!("owners are not shown: {e:#}")),
        };
        let mut looker = Self {
            args,
            trace,
            note,
            names: Names::new(),
            tally: Tally::default(),
            waits: HashMap::new(),
            before: HashMap::new(),
            at: Instant::now(),
        };
        // So that the first picture shows rates as well.
        let _ = looker.look();
        looker
    }

    fn look(&mut self) -> Result<Screen> {
        self.waits.clear();
        if let Some(trace) = &mut self.trace {
            for event in trace.lines(0)?.iter().filter_map(|line| parse_trace(line)) {
                if let Some(owner) = event.owner {
                    self.tally.add(owner);
                } else if event.name == "verify" {
                    let wait = event
                        .text
                        .split_once(" wait ")
                        .and_then(|(_, t)| t.split(' ').next()?.parse().ok());
                    if let (Some(dev), Some(ns)) = (event.dev, wait) {
                        self.waits.entry(dev).or_default().add(ns);
                    }
                }
            }
        }
        let seconds = self.at.elapsed().as_secs_f64();
        self.at = Instant::now();
        let mut devices = Vec::new();
        // One that was named may have gone meanwhile: the others are shown.
        let all = ours(&[])?
            .into_iter()
            .filter(|(name, _)| self.args.names.is_empty() || self.args.names.contains(name));
        for (name, dev) in all {
            for (i, target) in dm::status(Id::Dev(dev))?
                .iter()
                .filter(|t| t.is_ours())
                .enumerate()
            {
                let Ok(now) = target.params.parse::<Status>();
                let name = if i == 0 {
                    name.clone()
                } else {
                    format!("{name}+{}", target.start)
                };
                let before = self
                    .before
                    .insert(name.clone(), now.clone())
                    .unwrap_or_else(|| now.clone());
                let waits = self
                    .args
                    .waits
                    .then(|| self.waits.get(&dev).copied().unwrap_or_default());
                devices.push(Device {
                    name,
                    now,
                    before,
                    waits,
                });
            }
        }
        let names = &mut self.names;
        Ok(Screen {
            seconds,
            devices,
            owners: self.tally.named(|owner| names.owner(owner)),
            note: self.note.clone(),
        })
    }
}

/// A picture, as JSON.
#[derive(Serialize)]
struct Picture<'a> {
    seconds: f64,
    devices: Vec<Row<'a>>,
    owners: Vec<Changes<'a>>,
    note: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    status: &'a Status,
}

#[derive(Serialize)]
struct Changes<'a> {
    whose: &'a str,
    changes: u64,
}

impl<'a> Picture<'a> {
    fn of(screen: &'a Screen) -> Self {
        let rows = screen.devices.iter().map(|d| Row {
            name: &d.name,
            status: &d.now,
        });
        let owners = screen.owners.iter().map(|(whose, changes)| Changes {
            whose,
            changes: *changes,
        });
        Self {
            seconds: screen.seconds,
            devices: rows.collect(),
            owners: owners.collect(),
            note: &screen.note,
        }
    }
}

fn batch(args: &cli::Top, looker: &mut Looker<'_>, count: u32, json: bool) -> Result<()> {
    for _ in 0..count {
        interrupt::sleep(args.interval);
        let screen = looker.look()?;
        if json {
            say_json(&Picture::of(&screen))?;
        } else {
            say(&text(&screen)?)?;
        }
        if interrupt::is_asked() {
            break;
        }
    }
    Ok(())
}

/// A picture as lines.
fn text(screen: &Screen) -> Result<String> {
    let height = (3 * (screen.devices.len() + 2) + 4 + screen.owners.len()) as u16;
    let mut terminal = Terminal::new(TestBackend::new(120, height))?;
    terminal.draw(|frame| draw(frame, screen))?;
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..height {
        let line: String = (0..120).map(|x| buffer.get(x, y).symbol.as_str()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    Ok(out)
}

fn live(args: &cli::Top, looker: &mut Looker<'_>) -> Result<()> {
    let out = io::stdout()
        .into_raw_mode()
        .context("the terminal cannot be set up")?;
    let out = out
        .into_alternate_screen()
        .context("the terminal cannot be set up")?;
    let mut terminal = Terminal::new(TermionBackend::new(out))?;
    terminal.clear()?;
    terminal.hide_cursor()?;
    let shown = (|| {
        while !interrupt::is_asked() {
            let screen = looker.look()?;
            terminal.draw(|frame| draw(frame, &screen))?;
            if key_within(Duration::from_secs_f64(args.interval))? {
                return Ok(());
            }
        }
        anyhow::Ok(())
    })();
    terminal.show_cursor()?;
    shown
}

/// Waits so long for a key that ends it: q, Escape or Control-C.
fn key_within(time: Duration) -> Result<bool> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd {
            fd: 0,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, that lives longer than the call.
        let ready = unsafe { libc::poll(&mut poll, 1, left.as_millis() as i32) };
        if ready <= 0 || interrupt::is_asked() {
            return Ok(false);
        }
        let mut keys = [0; 32];
        let n = io::stdin().read(&mut keys)?;
        if n == 0 || keys[..n].iter().any(|k| matches!(k, b'q' | b'Q' | 3 | 27)) {
            return Ok(true);
        }
    }
}
