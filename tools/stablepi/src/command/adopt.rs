// SPDX-License-Identifier: GPL-2.0

//! `stablepi adopt`.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::scrub::must_have_profile;
use super::sweep::{Plan, Subject};
use super::{say, say_json, Outcome};
use crate::cli;
use crate::failure::{failure, Code};
use crate::model::bad::Ranges;
use crate::model::size::{human, SECTOR};
use crate::model::stack::Node;
use crate::model::sweep::{self, Medium, State};
use crate::system::device::{self, Device};
use crate::system::sysfs::{self, Machine};

/// Writes the data back as it is.
pub fn run(args: &cli::Adopt, json: bool) -> Outcome {
    let machine = Machine::this();
    let node = machine.node(sysfs::resolve(&args.device)?)?;
    must_have_profile(&node)?;
    let integrity = node.integrity.clone().context("a profile")?;
    if !integrity.generates {
        let text = format!(
            "the block layer makes no tuples for {}: write 1 to its integrity/write_generate",
            node.path
        );
        return Err(failure(Code::Refused, text));
    }
    let above = machine.above(&node)?;
    if let Some(user) = above.first() {
        return Err(failure(
            Code::Refused,
            format!("{} is in use: {user}; take that down first", node.path),
        ));
    }
    let mut device = Device::open_alone(&node.path)?;
    let verification = Verification::of(&node, args.sweep.resume)?;
    let grain = node.logical_block.max(integrity.interval);
    let identity = device::identity(&node.path, &node.name);
    let subject = Subject {
        command: "adopt",
        path: &node.path,
        identity: &identity,
        length: device.length,
        grain,
    };
    let mut plan = Plan::new(&subject, &args.sweep)?;
    if !args.yes {
        ask(&node.path, &plan.state)?;
    }
    let mut done = Done::default();
    let seconds = plan.go(json, |state, bytes| {
        step(
            &mut device,
            &verification,
            state,
            bytes,
            grain,
            args.only_bad,
            &mut done,
        )
    });
    device
        .flush()
        .context("what was written may not be on the medium")?;
    let seconds = seconds?;
    let believed: u64 = plan
        .state
        .bad
        .list()
        .iter()
        .filter(|r| r.error == "EILSEQ")
        .map(|r| r.sectors)
        .sum();
    let unread: Vec<_> = plan
        .state
        .bad
        .list()
        .iter()
        .filter(|r| r.error != "EILSEQ")
        .collect();
    if json {
        say_json(&json!({
            "device": node.path,
            "from": plan.state.from,
            "to": plan.state.to,
            "next": plan.state.next,
            "written_bytes": done.written,
            "complete": seconds.is_some(),
            "believed_sectors": believed,
            "believed": plan.state.bad.list().iter().filter(|r| r.error == "EILSEQ").collect::<Vec<_>>(),
            "unreadable": unread,
        }))?;
    } else {
        let mut out = format!(
            "{}: {} written with new protection information\n",
            node.path,
            human(done.written)
        );
        for range in plan.state.bad.list().iter().filter(|r| r.error == "EILSEQ") {
            out.push_str(&format!(
                "believed although it did not match: sectors {}-{}\n",
                range.sector,
                range.end() - 1
            ));
        }
        for range in &unread {
            out.push_str(&format!(
                "not readable, left as it is: sectors {}-{}\n",
                range.sector,
                range.end() - 1
            ));
        }
        say(&out)?;
    }
    if seconds.is_none() {
        return Err(plan.stopped());
    }
    Ok((!unread.is_empty()).then_some(Code::Found))
}

#[derive(Default)]
struct Done {
    written: u64,
}

/// A step: reads with verification, and where that fails without, and writes what was read.
fn step(
    device: &mut Device,
    verification: &Verification,
    state: &mut State,
    bytes: u64,
    grain: u64,
    only_bad: bool,
    done: &mut Done,
) -> Result<()> {
    let at = state.next;
    let before = state.bad.sectors();
    // What does not match is noted before it is believed.
    let mut found = Ranges::default();
    sweep::read(device, at, bytes, grain, &mut found)
        .with_context(|| format!("cannot read at byte {at}"))?;
    if found.list().is_empty() {
        // All of it was read in one go, so it is in the buffer as it is.
        if !only_bad {
            device
                .write_back(at, bytes)
                .with_context(|| format!("cannot write at byte {at}"))?;
            done.written += bytes;
        }
        return Ok(());
    }
    let off = verification.off()?;
    for offset in (at..at + bytes).step_by(grain as usize) {
        let sector = offset / SECTOR;
        let mismatch = found
            .list()
            .iter()
            .find(|r| r.sector <= sector && sector < r.end());
        if only_bad && mismatch.is_none() {
            continue;
        }
        match device.read(offset, grain) {
            Ok(()) => {
                device
                    .write_back(offset, grain)
                    .with_context(|| format!("cannot write at byte {offset}"))?;
                done.written += grain;
                if mismatch.is_some() {
                    state.bad.push(sector, grain / SECTOR, "EILSEQ");
                }
            }
            // Not even without verification: the medium itself.
            Err(_) => state.bad.push(sector, grain / SECTOR, "EIO"),
        }
    }
    drop(off);
    debug_assert!(state.bad.sectors() > before);
    Ok(())
}

/// The switch of the block layer for the verification of reads.
struct Verification {
    file: PathBuf,
}

/// Verification is off until this is dropped.
struct Off<'a>(&'a Verification);

impl Verification {
    /// That of the disk. One that was killed may have left it off.
    fn of(node: &Node, resumed: bool) -> Result<Self> {
        let disk = node.leaves().first().map_or(node.dev, |leaf| leaf.dev);
        let file = Path::new("/sys/dev/block")
            .join(disk.to_string())
            .join("integrity/read_verify");
        let verification = Self { file };
        if resumed {
            verification.set("1")?;
        }
        Ok(verification)
    }

    fn set(&self, value: &str) -> Result<()> {
        fs::write(&self.file, value)
            .with_context(|| format!("{} cannot be set to {value}", self.file.display()))
    }

    fn off(&self) -> Result<Off<'_>> {
        self.set("0")?;
        Ok(Off(self))
    }
}

impl Drop for Off<'_> {
    fn drop(&mut self) {
        if let Err(e) = self.0.set("1") {
            eprintln!("stablepi: {e:#}: set it by hand");
        }
    }
}

fn ask(path: &str, state: &State) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(failure(
            Code::Refused,
            "nothing was done: there is no terminal to ask on; take --yes",
        ));
    }
    let (first, last) = (state.next / SECTOR, state.to / SECTOR - 1);
    write!(
        io::stderr(),
        "adopt reads sectors {first} to {last} of {path} ({}) and writes them back, so that they get new\n\
         protection information (application tag 0).\n\
         It believes the data as it is: what is damaged now passes for right afterwards, and is not\n\
         found any more. What did not match is listed at the end.\n\
         Type yes to go on: ",
        human(state.to - state.next)
    )?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        return Err(failure(Code::Refused, "nothing was done"));
    }
    Ok(())
}
