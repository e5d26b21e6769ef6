// SPDX-License-Identifier: GPL-2.0

//! Loads that change pages while they are being written, and what they report.
//!
//! Each load prints one JSON object on one line of stdout when it ends. The
//! exit status says whether the load did its work, however many of its writes
//! failed: 0 if it did, 1 if it could not run at all, 2 for wrong usage. A load that
//! runs for a time ends earlier with SIGTERM, and reports as ever.

mod buffer;
mod buffered;
mod compare;
mod direct;
mod errno;
mod fork;
mod hold;
mod ledger;
mod mmap;
mod pattern;
mod queue;
mod random;
mod readback;
mod report;
mod steady;
mod storm;
mod tally;
mod target;
mod units;

use std::fmt;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Loads that change pages while they are being written, and what they report.
///
/// Sizes are in bytes; the suffixes K, M and G stand for powers of 1024.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    Mmap(mmap::Args),
    Direct(direct::Args),
    Readback(readback::Args),
    Buffered(buffered::Args),
    Compare(compare::Args),
    Hold(hold::Args),
    Fork(fork::Args),
    Report(report::Args),
    Steady(steady::Args),
    Storm(storm::Args),
}

/// Arguments that are well formed one by one but make no sense together.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => {
            eprintln!(
                "loads: {}",
                usage::in_one_line(&e, "which load? See loads --help")
            );
            return ExitCode::from(2);
        }
    };
    match run(cli.load) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("loads: {e:#}");
            ExitCode::from(if e.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn run(load: Load) -> Result<()> {
    match load {
        Load::Mmap(args) => print(&mmap::run(&args)?),
        Load::Direct(args) => print(&direct::run(&args)?),
        Load::Readback(args) => print(&readback::run(&args)?),
        Load::Compare(args) => print(&compare::run(&args)?),
        Load::Buffered(args) => print(&buffered::run(&args)?),
        Load::Hold(args) => print(&hold::run(&args)?),
        Load::Fork(args) => print(&fork::run(&args)?),
        Load::Report(args) => report::run(&args),
        Load::Steady(args) => print(&steady::run(&args)?),
        Load::Storm(args) => print(&storm::run(&args)?),
    }
}

fn print(outcome: &impl Serialize) -> Result<()> {
    use std::io::Write;
    let line = serde_json::to_string(outcome)?;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
