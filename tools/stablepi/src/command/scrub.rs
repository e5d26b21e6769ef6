// SPDX-License-Identifier: GPL-2.0

//! `stablepi scrub`.

use anyhow::{Context, Result};
use serde::Serialize;

use super::sweep::{Plan, Subject};
use super::{say, say_json, Outcome};
use crate::cli;
use crate::failure::{failure, Code};
use crate::model::size::{clock, human};
use crate::model::stack::Node;
use crate::model::status::Status;
use crate::model::sweep;
use crate::system::device::{self, Device};
use crate::system::dm::{self, Id};
use crate::system::owner::{self, Owned};
use crate::system::sysfs::{self, Machine};

/// What was found, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    device: &'a str,
    verified_by: Option<&'a str>,
    from: u64,
    to: u64,
    next: u64,
    read_bytes: u64,
    seconds: Option<f64>,
    complete: bool,
    bad: &'a [Owned],
}

/// Reads all of it.
pub fn run(args: &cli::Scrub, json: bool) -> Outcome {
    let machine = Machine::this();
    let node = machine.node(sysfs::resolve(&args.device)?)?;
    let verified_by = verified_by(&node);
    if verified_by.is_none() && !args.unverified {
        let text = format!(
            "nothing verifies what is read from {}: open it with stable-pi, or stablepi change NAME --verify on, \
             or take --unverified",
            node.path
        );
        return Err(failure(Code::Refused, text));
    }
    let mut device = Device::open(&node.path)?;
    let grain = node
        .logical_block
        .max(node.integrity.as_ref().map_or(0, |i| i.interval))
        .max(interval(&node));
    let identity = device::identity(&node.path, &node.name);
    let subject = Subject {
        command: "scrub",
        path: &node.path,
        identity: &identity,
        length: device.length,
        grain,
    };
    let mut plan = Plan::new(&subject, &args.sweep)?;
    let path = &node.path;
    let seconds = plan.go(json, |state, bytes| {
        sweep::read(&mut device, state.next, bytes, grain, &mut state.bad)
            .with_context(|| format!("{path} cannot be read at byte {}", state.next))
    })?;
    let bad = owner::owners(&machine, &node, plan.state.bad.list())?;
    if json {
        say_json(&Report {
            device: &node.path,
            verified_by: verified_by.as_deref(),
            from: plan.state.from,
            to: plan.state.to,
            next: plan.state.next,
            read_bytes: plan.done(),
            seconds,
            complete: seconds.is_some(),
            bad: &bad,
        })?;
    } else {
        let by = verified_by.unwrap_or_else(|| "nobody".into());
        let took = seconds.map_or_else(|| "stopped".into(), |s| format!("in {}", clock(s as u64)));
        let done = human(plan.done());
        say(&format!(
            "{path}: {done} read, {took}, verified by {by}\n{}",
            list(&bad)
        ))?;
    }
    if seconds.is_none() {
        return Err(plan.stopped());
    }
    Ok((!bad.is_empty()).then_some(Code::Found))
}

fn list(bad: &[Owned]) -> String {
    if bad.is_empty() {
        return "nothing bad".into();
    }
    let mut out = String::new();
    for Owned { range, files, note } in bad {
        let (first, last) = (range.sector, range.end() - 1);
        let what = match range.error.as_str() {
            "EILSEQ" => "does not match (EILSEQ)".to_string(),
            error => format!("cannot be read ({error})"),
        };
        out.push_str(&format!("bad: sectors {first}-{last}: {what}\n"));
        for part in files {
            let (from, to) = (part.offset, part.offset + part.bytes - 1);
            out.push_str(&format!("     {} bytes {from}-{to}\n", part.path));
        }
        if let Some(note) = note {
            out.push_str(&format!("     {note}\n"));
        }
    }
    out.push_str(&format!("{} bad ranges", bad.len()));
    out
}

/// The status of the targets of a device.
fn statuses(node: &Node) -> Vec<Status> {
    let targets = dm::status(Id::Dev(node.dev)).unwrap_or_default();
    let ours = targets.iter().filter(|t| t.is_ours());
    ours.map(|t| {
        let Ok(status) = t.params.parse();
        status
    })
    .collect()
}

/// The bytes that one tuple protects, by the target's status.
fn interval(node: &Node) -> u64 {
    if !node.is_stable() {
        return 0;
    }
    statuses(node)
        .iter()
        .map(|s| s.count("interval"))
        .max()
        .unwrap_or(0)
}

/// Who verifies all that is read from a device, if it is verified.
fn verified_by(node: &Node) -> Option<String> {
    if node.is_stable() {
        let on = statuses(node).iter().all(|s| s.get("verify") == Some("on"));
        return on.then(|| "stable-pi".to_string());
    }
    if node.integrity.as_ref().is_some_and(|i| i.verifies) {
        return Some("the block layer".into());
    }
    if node.kind.target_kinds() == ["integrity"] {
        return Some("dm-integrity".into());
    }
    let below: Option<Vec<String>> = node.below.iter().map(verified_by).collect();
    let mut below = below?;
    below.sort();
    below.dedup();
    (!below.is_empty()).then(|| below.join(", "))
}

/// Shared with `adopt`: an error for a device that is not there or not a plain one.
pub fn must_have_profile(node: &Node) -> Result<()> {
    if node.integrity.is_some() {
        return Ok(());
    }
    let text = format!(
        "{} has no protection information; see: stablepi probe {}",
        node.path, node.path
    );
    Err(failure(Code::Refused, text))
}
