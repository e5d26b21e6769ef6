// SPDX-License-Identifier: GPL-2.0

//! One thread, write(2) and fsync(2), for tests that want nothing more.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::value_parser;
use serde::Serialize;

use crate::random::Random;
use crate::tally::Tally;
use crate::target::{Access, Target};
use crate::units::{parse_bytes, Clock, MAX_SECONDS};
use crate::Usage;

/// One thread calls write and fsync in turn, through the page cache
///
/// Prints: load, path, writes (pairs of write and fsync), failed (pairs of
/// which either failed), errors, bytes, mutations (always 0), seconds.
#[derive(clap::Args)]
pub struct Args {
    /// Regular file or block device. A file that is missing, too small or has
    /// holes is written out first
    #[arg(long)]
    path: PathBuf,
    /// Bytes to write to, over and over; for an existing target the default is
    /// all of it
    #[arg(long, value_parser = parse_bytes)]
    size: Option<u64>,
    /// Bytes of each write
    #[arg(long, default_value = "4096", value_parser = parse_bytes)]
    block_size: u64,
    /// Wall time of the load
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// End after so many writes, if that is earlier
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    op_limit: Option<u64>,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    #[serde(flatten)]
    tally: Tally,
    mutations: u64,
    seconds: f64,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    let (target, size) = Target::create(&args.path, Access::Buffered, 0, args.size)?;
    if args.block_size == 0 || args.block_size > size.min(1 << 30) {
        return Err(Usage("--block-size must be from 1 byte to --size, at most 1G".into()).into());
    }
    let blocks = size / args.block_size;
    let limit = args.op_limit.unwrap_or(u64::MAX);
    let mut block = vec![0; args.block_size as usize];
    let mut random = Random::new(1, 0);
    let mut tally = Tally::default();
    let clock = Clock::start(args.seconds);
    while tally.writes < limit && !clock.over() {
        block.fill(random.next() as u8);
        let offset = tally.writes % blocks * args.block_size;
        let result = write_and_fsync(&target, &block, offset);
        tally.count_call(&result, args.block_size);
    }
    Ok(Outcome {
        load: "buffered",
        path: &args.path,
        tally,
        mutations: 0,
        seconds: clock.seconds(),
    })
}

fn write_and_fsync(target: &Target, block: &[u8], offset: u64) -> io::Result<()> {
    target.file.write_all_at(block, offset)?;
    target.file.sync_all()
}
