// SPDX-License-Identifier: GPL-2.0

//! `stablepi metrics`.

use anyhow::Context;

use super::{ours, say, status::segments, Outcome};
use crate::cli;
use crate::failure::{failure, Code};
use crate::model::metrics::{text, Target};
use crate::system::store::replace;

/// Writes what Prometheus reads.
pub fn run(args: &cli::Metrics, json: bool) -> Outcome {
    if json {
        let text = "the format of metrics is that of Prometheus; for JSON: stablepi --json list";
        return Err(failure(Code::Usage, text));
    }
    let mut targets = Vec::new();
    for (name, dev) in ours(&args.names)? {
        for segment in segments(dev)? {
            targets.push(Target {
                name: name.clone(),
                start: segment.start,
                sectors: segment.sectors,
                below: segment.below,
                status: segment.status,
            });
        }
    }
    let text = text(&targets)?;
    match &args.textfile {
        Some(path) => replace(path, text.as_bytes()).with_context(|| {
            format!(
                "cannot write {}; the folder must be there, and yours to write to",
                path.display()
            )
        })?,
        None => say(&text)?,
    }
    Ok(None)
}
