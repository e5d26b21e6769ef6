// SPDX-License-Identifier: GPL-2.0

//! `stablepi open`, `close` and `change`.

use anyhow::Result;
use serde_json::json;

use super::{must_be_ours, say, say_json, Outcome};
use crate::cli::{self, word};
use crate::failure::{failure, Code};
use crate::model::size::SECTOR;
use crate::model::tab;
use crate::model::table::{Line, Target, TARGET};
use crate::system::dm;
use crate::system::sysfs::{self, Machine};

/// Makes a device.
pub fn open(args: &cli::Open, json: bool) -> Outcome {
    if args.offset % SECTOR != 0 || args.size.is_some_and(|size| size % SECTOR != 0) {
        let text = format!("--offset and --size have to be multiples of {SECTOR} bytes");
        return Err(failure(Code::Usage, text));
    }
    let mut arguments = Vec::new();
    let mut add =
        |key: &str, value: Option<String>| arguments.extend(value.map(|v| format!("{key}:{v}")));
    add("policy", args.policy.map(word));
    add("verify", args.verify.map(word));
    add("waits", args.waits.map(word));
    add("recheck", args.recheck.map(word));
    add("learn", args.learn.map(word));
    add("app_tag", args.app_tag.clone());
    arguments.extend(args.passthrough.then(|| "passthrough".to_string()));
    arguments.extend(args.arguments.iter().cloned());
    let wanted = Wanted {
        name: &args.name,
        device: &args.device,
        arguments,
        offset: args.offset / SECTOR,
        sectors: args.size.map(|size| size / SECTOR),
        read_only: args.read_only,
    };
    let target = wanted.target()?;
    if !args.dry_run {
        wanted.make(&target)?;
    }
    if json {
        say_json(&json!({
            "name": args.name,
            "path": format!("/dev/mapper/{}", args.name),
            "table": target.to_string(),
            "opened": !args.dry_run,
        }))?;
    } else {
        say(&target.to_string())?;
    }
    Ok(None)
}

/// A device to be made.
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// The device below.
    pub device: &'a str,
    /// The optional arguments of the table line.
    pub arguments: Vec<String>,
    /// The sector at which it begins.
    pub offset: u64,
    /// Its length, if it is not all that follows.
    pub sectors: Option<u64>,
    /// Nothing can be written.
    pub read_only: bool,
}

impl Wanted<'_> {
    /// Its table.
    pub fn target(&self) -> Result<Target> {
        if !tab::is_name(self.name) {
            let text = format!(
                "{} is no name for a mapped device; letters, digits and #+-.:=@_ make one",
                self.name
            );
            return Err(failure(Code::Usage, text));
        }
        let dev = sysfs::resolve(self.device)?;
        let node = Machine::this().node(dev)?;
        let left = node.sectors.saturating_sub(self.offset);
        let unit = (node
            .integrity
            .as_ref()
            .map_or(node.logical_block, |i| i.interval)
            / SECTOR)
            .max(1);
        let length = self.sectors.unwrap_or(left / unit * unit);
        if length == 0 || length > left {
            let text = format!(
                "{} has {} sectors of 512 bytes; take less of it",
                self.device, node.sectors
            );
            return Err(failure(Code::Usage, text));
        }
        // The path stays as it was typed, if it is one: it says more than a number.
        let line = Line {
            device: if self.device.contains('/') {
                self.device.to_string()
            } else {
                dev.to_string()
            },
            offset: self.offset,
            args: self.arguments.clone(),
        };
        Ok(Target {
            start: 0,
            length,
            kind: TARGET.into(),
            params: line.to_string(),
        })
    }

    /// Makes it, and sees that its node is there.
    pub fn make(&self, target: &Target) -> Result<()> {
        dm::create(self.name, target, self.read_only).map_err(|e| {
            // "In use" is all that the kernel says.
            match users(self.device) {
                Some(users) if format!("{e}").contains("is in use") => failure(
                    Code::Refused,
                    format!("{} is in use: {users}; take that down first", self.device),
                ),
                _ => e,
            }
        })?;
        let path = format!("/dev/mapper/{}", self.name);
        if sysfs::dev_of(std::path::Path::new(&path)).is_none() {
            let _ = dm::remove(self.name, false);
            return Err(failure(
                Code::Failed,
                format!("{path} is no block device although it was opened; is udev well, or a file in its place?"),
            ));
        }
        Ok(())
    }
}

/// What stands on a device, in one line.
fn users(device: &str) -> Option<String> {
    let machine = Machine::this();
    let node = machine.node(sysfs::resolve(device).ok()?).ok()?;
    let above = machine.above(&node).ok()?;
    let lines: Vec<String> = above.iter().map(|a| a.to_string()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Removes a device.
pub fn close(args: &cli::Close, json: bool) -> Outcome {
    let name = args.name.strip_prefix("/dev/mapper/").unwrap_or(&args.name);
    remove(name, args.deferred)?;
    if json {
        say_json(
            &json!({ "name": name, "closed": !args.deferred || dm::info(dm::Id::Name(name)).is_err() }),
        )?;
    }
    Ok(None)
}

/// Removes a device of ours.
pub fn remove(name: &str, deferred: bool) -> Result<()> {
    must_be_ours(name)?;
    dm::remove(name, deferred).map_err(|e| {
        if crate::failure::code_of(&e) != Code::Refused {
            return e;
        }
        let users = users(name).unwrap_or_else(|| "a process has it open; see fuser".into());
        failure(
            Code::Refused,
            format!("{name} is in use: {users}; take that down first, or use --deferred"),
        )
    })
}

/// Sends messages to all targets of a device.
pub fn change(args: &cli::Change, json: bool) -> Outcome {
    let name = args.name.strip_prefix("/dev/mapper/").unwrap_or(&args.name);
    must_be_ours(name)?;
    let mut messages = Vec::new();
    messages.extend(args.policy.map(|p| format!("policy {}", word(p))));
    messages.extend(args.verify.map(|v| format!("verify {}", word(v))));
    messages.extend(args.recheck.map(|r| format!("recheck {}", word(r))));
    messages.extend(args.learn.map(|l| format!("learn {}", word(l))));
    messages.extend(args.messages.iter().cloned());
    messages.extend(args.reset.then(|| "reset".to_string()));
    for message in &messages {
        for target in dm::table(dm::Id::Name(name))?
            .iter()
            .filter(|t| t.is_ours())
        {
            dm::message(name, target.start, message)?;
        }
    }
    if json {
        say_json(&json!({ "name": name, "messages": messages }))?;
    }
    Ok(None)
}
