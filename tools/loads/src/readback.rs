// SPDX-License-Identifier: GPL-2.0

//! Reads everything back and finds the blocks that fail.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::buffer::Buffer;
use crate::errno;
use crate::target::{Access, Target};
use crate::units::{parse_bytes, Clock};
use crate::Usage;

/// How many offsets of bad blocks are printed.
const FIRST_BAD: usize = 8;

/// Reads a whole target with O_DIRECT and counts the blocks that fail
///
/// Prints: load, path, blocks (logical blocks read), block_size, bad (blocks
/// that fail to read on their own), first_bad (byte offsets of the first 8),
/// errors (of these blocks), transient (chunks that failed, although each of
/// their blocks could be read), bytes, seconds.
#[derive(clap::Args)]
pub struct Args {
    /// Regular file or block device
    #[arg(long)]
    path: PathBuf,
    /// Where to begin
    #[arg(long, default_value = "0", value_name = "BYTES", value_parser = parse_bytes)]
    start: u64,
    /// Bytes to read; the default is the rest of the target
    #[arg(long, value_parser = parse_bytes)]
    size: Option<u64>,
    /// Bytes of one read
    #[arg(long, default_value = "1M", value_parser = parse_bytes)]
    chunk: u64,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    blocks: u64,
    block_size: u64,
    #[serde(flatten)]
    found: Found,
    bytes: u64,
    seconds: f64,
}

#[derive(Default, Serialize)]
struct Found {
    bad: u64,
    first_bad: Vec<u64>,
    errors: BTreeMap<String, u64>,
    transient: u64,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    let clock = Clock::start(0);
    let target = Target::open(&args.path, Access::DirectRead)?;
    let end = check(args, &target)?;
    let buffer = Buffer::anonymous(args.chunk as usize, false).context("no memory for --chunk")?;
    let found = read_all(args.start..end, args.chunk, target.block_size, |range| {
        read(&target, &buffer, range)
    });
    let blocks = (end - args.start).div_ceil(target.block_size);
    Ok(Outcome {
        load: "readback",
        path: &args.path,
        blocks,
        block_size: target.block_size,
        bytes: (end - args.start).saturating_sub(found.bad * target.block_size),
        found,
        seconds: clock.seconds(),
    })
}

fn check(args: &Args, target: &Target) -> Result<u64, Usage> {
    target.check_aligned("--start", args.start)?;
    target.check_aligned("--chunk", args.chunk)?;
    if !(1..=1 << 30).contains(&args.chunk) {
        return Err(Usage("--chunk must be from one block to 1G".into()));
    }
    let end = match args.size {
        Some(size) => {
            target.check_aligned("--size", size)?;
            args.start.saturating_add(size)
        }
        None => target.size,
    };
    if args.start > end || end > target.size {
        let (path, size) = (args.path.display(), target.size);
        return Err(Usage(format!("{path} has only {size} bytes")));
    }
    Ok(end)
}

/// Reads a range of bytes that begins at a block; the last block of a regular
/// file may be a partial one.
fn read_all(
    range: Range<u64>,
    chunk: u64,
    block_size: u64,
    mut read: impl FnMut(Range<u64>) -> Result<(), i32>,
) -> Found {
    let mut found = Found::default();
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + chunk);
        if read(start..end).is_err() {
            let before = found.bad;
            narrow(start..end, block_size, &mut read, &mut found);
            found.transient += u64::from(found.bad == before);
        }
        start = end;
    }
    found
}

/// Halves a range that has failed until the blocks are found that fail on
/// their own.
fn narrow(
    range: Range<u64>,
    block_size: u64,
    read: &mut impl FnMut(Range<u64>) -> Result<(), i32>,
    found: &mut Found,
) {
    let blocks = (range.end - range.start).div_ceil(block_size);
    let middle = range.start + (blocks / 2).max(1) * block_size;
    for half in [range.start..middle.min(range.end), middle..range.end] {
        if half.is_empty() {
            continue;
        }
        match read(half.clone()) {
            Ok(()) => {}
            Err(errno) if half.end - half.start <= block_size => found.add(half.start, errno),
            Err(_) => narrow(half, block_size, read, found),
        }
    }
}

impl Found {
    fn add(&mut self, offset: u64, errno: i32) {
        self.bad += 1;
        if self.first_bad.len() < FIRST_BAD {
            self.first_bad.push(offset);
        }
        *self.errors.entry(errno::name(errno)).or_default() += 1;
    }
}

/// Reads all of a range; fails if any part of it does.
fn read(target: &Target, buffer: &Buffer, range: Range<u64>) -> Result<(), i32> {
    let mut start = range.start;
    while start < range.end {
        // Direct I/O wants whole blocks, past the end of a file too.
        let len = (range.end - start).next_multiple_of(target.block_size);
        match buffer.read_at(&target.file, 0..len as usize, start) {
            Ok(read) if start + read as u64 >= range.end => return Ok(()),
            Ok(read) => {
                let whole = read as u64 / target.block_size * target.block_size;
                if whole == 0 {
                    return Err(libc::EIO);
                }
                start += whole;
            }
            Err(e) => return Err(e.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(end: u64, bad: &[u64]) -> (Found, u64) {
        let mut reads = 0;
        let found = read_all(0..end, 1 << 20, 512, |range| {
            reads += 1;
            match bad.iter().any(|offset| range.contains(offset)) {
                true => Err(libc::EILSEQ),
                false => Ok(()),
            }
        });
        (found, reads)
    }

    #[test]
    fn a_good_target_is_read_once() {
        let (found, reads) = search(8 << 20, &[]);
        assert_eq!((found.bad, found.transient, reads), (0, 0, 8));
    }

    #[test]
    fn each_bad_block_is_found_and_no_other() {
        let bad = [0, 512, 1 << 20, (3 << 20) - 512];
        let (found, reads) = search(3 << 20, &bad);
        assert_eq!(found.bad, 4);
        assert_eq!(found.first_bad, bad);
        assert_eq!(found.errors["EILSEQ"], 4);
        assert!(reads < 3 + 4 * 2 * 11 + 1);
    }

    #[test]
    fn only_the_first_offsets_are_kept() {
        let bad: Vec<_> = (0..100).map(|block| block * 512).collect();
        let (found, _) = search(1 << 20, &bad);
        assert_eq!(found.bad, 100);
        assert_eq!(found.first_bad, bad[..FIRST_BAD]);
    }

    #[test]
    fn a_partial_last_block_counts_as_one() {
        let (found, _) = search(1000, &[999]);
        assert_eq!(found.first_bad, [512]);
        let (found, _) = search(100, &[99]);
        assert_eq!(found.first_bad, [0]);
    }

    #[test]
    fn an_error_that_does_not_come_again_is_no_bad_block() {
        let mut first = true;
        let found = read_all(0..1 << 20, 1 << 20, 512, |_| {
            match std::mem::replace(&mut first, false) {
                true => Err(libc::EIO),
                false => Ok(()),
            }
        });
        assert_eq!((found.bad, found.transient), (0, 1));
    }
}
