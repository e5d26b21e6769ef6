// SPDX-License-Identifier: GPL-2.0

//! `stablepi tab`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::open::{remove, Wanted};
use super::{say, say_json, Outcome};
use crate::cli::{self, TabAction};
use crate::failure::{failure, Code};
use crate::model::tab::{self, Entry};
use crate::system::dm::{self, Id};

/// Goes through the entries; one that fails does not keep the others from being tried.
pub fn run(args: &cli::Tab, json: bool) -> Outcome {
    let path = args.file.display();
    let text = match fs::read_to_string(&args.file) {
        Ok(text) => text,
        // No tab is an empty one, unless it was asked for by name.
        Err(e)
            if e.kind() == std::io::ErrorKind::NotFound
                && args.names.is_empty()
                && args.action != TabAction::Check =>
        {
            String::new()
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(failure(Code::Missing, format!("there is no {path}")));
        }
        Err(e) => return Err(e).with_context(|| format!("{path} cannot be read")),
    };
    let (entries, mut wrong) = tab::parse(&text);
    if args.action == TabAction::Member {
        let links = std::env::var("DEVLINKS").unwrap_or_default();
        let is_member = args
            .names
            .iter()
            .any(|node| tab::has_member(&entries, node, &links));
        return Ok((!is_member).then_some(Code::Failed));
    }
    let chosen: Vec<&Entry> = if args.names.is_empty() {
        entries
            .iter()
            .filter(|e| args.action == TabAction::Check || !e.has("noauto"))
            .collect()
    } else {
        let find = |name: &String| {
            entries
                .iter()
                .find(|e| e.name == *name)
                .ok_or_else(|| failure(Code::Missing, format!("{path} has no entry {name}")))
        };
        args.names.iter().map(find).collect::<Result<_>>()?
    };
    let mut done = Vec::new();
    for entry in chosen {
        match act(args.action, entry) {
            Ok(what) => done.push((entry, what)),
            Err(e) => wrong.push(format!("{}: {e:#}", entry.name)),
        }
    }
    if json {
        let entries: Vec<_> = done
            .iter()
            .map(|(e, what)| json!({ "name": e.name, "device": e.path(), "options": e.options, "did": what }))
            .collect();
        say_json(&json!({ "entries": entries, "wrong": wrong }))?;
    } else if args.action == TabAction::Check {
        for (entry, what) in &done {
            say(&format!("{}: {what}", entry.name))?;
        }
    }
    if !wrong.is_empty() {
        return Err(failure(
            Code::Failed,
            format!("{path}: {}", wrong.join("; ")),
        ));
    }
    Ok(None)
}

/// What was done, or would be.
fn act(action: TabAction, entry: &Entry) -> Result<String> {
    let is_open = dm::info(Id::Name(&entry.name)).is_ok();
    match action {
        TabAction::Close if !is_open => Ok("is not open".into()),
        TabAction::Close => remove(&entry.name, false).map(|()| "closed".into()),
        TabAction::Open if is_open => {
            super::must_be_ours(&entry.name)?;
            Ok("is open already".into())
        }
        TabAction::Open | TabAction::Check | TabAction::Member => {
            let (arguments, offset, sectors) =
                entry.arguments().map_err(|e| failure(Code::Usage, e))?;
            let device = entry.path();
            let device = device.to_string_lossy();
            let wanted = Wanted {
                name: &entry.name,
                device: &device,
                arguments,
                offset,
                sectors,
                read_only: false,
            };
            let target = wanted.target()?;
            if action == TabAction::Open {
                wanted.make(&target)?;
            }
            Ok(target.to_string())
        }
    }
}
