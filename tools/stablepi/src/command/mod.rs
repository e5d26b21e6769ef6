// SPDX-License-Identifier: GPL-2.0

//! The commands, a file each.

pub mod adopt;
pub mod events;
pub mod generator;
pub mod metrics;
pub mod open;
pub mod pages;
pub mod probe;
pub mod scrub;
pub mod status;
pub mod sweep;
pub mod tab;
pub mod test;
pub mod top;
pub mod watch;

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::failure::{failure, Code};
use crate::model::stack::Dev;
use crate::system::dm;

/// How a command ended that could do its work.
pub type Outcome = Result<Option<Code>>;

/// Prints text.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    out.flush()?;
    Ok(())
}

/// Prints one JSON value on a line.
pub fn say_json(value: &impl Serialize) -> Result<()> {
    say(&serde_json::to_string(value)?)
}

/// The stable-pi devices that there are, or those of these names.
pub fn ours(names: &[String]) -> Result<Vec<(String, Dev)>> {
    if names.is_empty() {
        let mut found = dm::devices()?;
        found.retain(|(_, dev)| {
            dm::table(dm::Id::Dev(*dev)).is_ok_and(|t| t.iter().any(|t| t.is_ours()))
        });
        found.sort();
        return Ok(found);
    }
    names
        .iter()
        .map(|name| {
            let name = name.strip_prefix("/dev/mapper/").unwrap_or(name);
            must_be_ours(name)?;
            Ok((name.to_string(), dm::info(dm::Id::Name(name))?.dev))
        })
        .collect()
}

/// An error unless it is a mapped device with a target of stable-pi.
pub fn must_be_ours(name: &str) -> Result<()> {
    let table = dm::table(dm::Id::Name(name))?;
    if table.iter().any(|t| t.is_ours()) {
        return Ok(());
    }
    let kinds: Vec<_> = table.iter().map(|t| t.kind.as_str()).collect();
    let kinds = if kinds.is_empty() {
        "empty".into()
    } else {
        kinds.join(", ")
    };
    Err(failure(
        Code::Missing,
        format!("{name} is no stable-pi device but {kinds}; see: stablepi list"),
    ))
}
