// SPDX-License-Identifier: GPL-2.0

//! Asynchronous direct writes from buffers that a second thread changes while
//! the writes are in flight.
//!
//! The direct profiles of the 2011 "wac" series never did that: their writers
//! used private buffers and waited for each write. Here each job has a thread
//! that submits and one, the mutator, that stores random words all over the
//! buffers, without a pause, from before the first write until after the last.

mod chosen;
mod job;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use clap::value_parser;
use serde::Serialize;

use self::job::{Counts, Job, Verified};
use crate::tally::Tally;
use crate::target::{Access, Target};
use crate::units::{parse_bytes, Clock, MAX_SECONDS};
use crate::Usage;

/// The largest block, bytes.
const MAX_BLOCK: u64 = 64 << 20;

/// io_uring O_DIRECT writes whose buffers change while they are in flight
///
/// Prints: load, path, writes (completed writes), failed, errors, bytes, short
/// (writes that moved fewer bytes, in neither failed nor bytes), reads,
/// reads_failed, read_errors, mutations (stores), seconds; with --change also
/// chosen (writes whose buffers it changed); with --verify also verified (blocks
/// read back), mismatched and unreadable (those of them that hold something
/// else, or fail to read).
#[derive(clap::Args)]
pub struct Args {
    /// Regular file or block device. A file that is missing, too small or has
    /// holes is written out first
    #[arg(long)]
    path: PathBuf,
    /// Bytes to write to; for an existing target the default is all of it
    #[arg(long, value_parser = parse_bytes)]
    size: Option<u64>,
    /// Where these bytes begin
    #[arg(long, default_value = "0", value_name = "BYTES", value_parser = parse_bytes)]
    start: u64,
    /// Bytes of each write
    #[arg(long, default_value = "4096", value_parser = parse_bytes)]
    block_size: u64,
    /// Operations in flight, for each job
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=1024))]
    depth: u32,
    /// Jobs, each with its own part of the target, a submitter and a mutator
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Wall time of the load
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// End after so many operations in all, if that is earlier
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    op_limit: Option<u64>,
    /// So many of a hundred operations are reads, into the same buffers
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u64).range(0..=100))]
    read_percent: u64,
    /// Submit from io_uring's own threads, which can wait. Otherwise it tries without
    /// waiting first, and what a busy device does not take is tried twice
    #[arg(long)]
    wait: bool,
    /// Register the buffers before, so that they are pinned all the time
    #[arg(long)]
    fixed: bool,
    /// Change the buffers of N of a thousand writes, from before each is submitted until it
    /// has completed, and leave those of all others alone
    #[arg(long, value_name = "N", conflicts_with = "no_mutate", value_parser = value_parser!(u64).range(0..=1000))]
    change: Option<u64>,
    /// Undo each store right after it, so that a buffer is what it was whenever it is looked at
    /// again
    #[arg(long, conflicts_with_all = ["no_mutate", "change"])]
    undo: bool,
    /// Leave the buffers alone
    #[arg(long)]
    no_mutate: bool,
    /// Check at the end that each block holds the last write that succeeded
    #[arg(long, requires = "no_mutate")]
    verify: bool,
    /// Put the buffers in huge pages, where the kernel has some
    #[arg(long)]
    huge: bool,
    /// Seed of the offsets and the contents
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    #[serde(flatten)]
    writes: Tally,
    short: u64,
    reads: u64,
    reads_failed: u64,
    read_errors: BTreeMap<String, u64>,
    mutations: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen: Option<u64>,
    #[serde(flatten)]
    verified: Option<Verified>,
    seconds: f64,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    if !(1..=MAX_BLOCK).contains(&args.block_size) {
        return Err(Usage("--block-size must be from one block to 64M".into()).into());
    }
    let (target, size) = Target::create(&args.path, Access::Direct, args.start, args.size)?;
    target.check_aligned("--block-size", args.block_size)?;
    target.check_aligned("--start", args.start)?;
    let blocks = size / args.block_size / args.jobs;
    if blocks < args.depth.into() {
        let message = "--size is too small for --jobs times --depth writes of --block-size";
        return Err(Usage(message.into()).into());
    }
    let file = Arc::new(target.file);
    let jobs = (0..args.jobs)
        .map(|index| Job::new(args, index, blocks, &file))
        .collect::<Result<Vec<_>>>()?;
    let clock = Clock::start(args.seconds);
    let counts = run_jobs(jobs, clock)?;
    Ok(Outcome {
        load: "direct",
        path: &args.path,
        writes: counts.writes,
        short: counts.short,
        reads: counts.reads.writes,
        reads_failed: counts.reads.failed,
        read_errors: counts.reads.errors,
        mutations: counts.mutations,
        chosen: args.change.map(|_| counts.chosen),
        verified: counts.verified,
        seconds: clock.seconds(),
    })
}

fn run_jobs(jobs: Vec<Job>, clock: Clock) -> Result<Counts> {
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for job in jobs {
            let builder = thread::Builder::new();
            let handle = builder.spawn_scoped(scope, move || job.run(clock));
            handles.push(handle.context("a thread does not start")?);
        }
        let mut sum = Counts::default();
        for handle in handles {
            sum.add(handle.join().expect("a job panicked")?);
        }
        Ok(sum)
    })
}
