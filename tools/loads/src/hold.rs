// SPDX-License-Identifier: GPL-2.0

//! One write that is held in flight by a slow or suspended device, while one
//! byte of its buffer changes: the race of the other loads, made certain.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::value_parser;
use serde::Serialize;

use crate::buffer::Buffer;
use crate::errno;
use crate::pattern::Pattern;
use crate::queue::{Direction, Queue};
use crate::tally::Tally;
use crate::target::{Access, Target};
use crate::units::{parse_bytes, Clock, MAX_SECONDS};
use crate::Usage;

/// One O_DIRECT write, of which one byte changes while it is in flight
///
/// Prints: load, path, result (ok, short or the error's name), writes (1),
/// failed, errors, bytes, mutations (0 or 1), in_flight (whether the write had
/// not completed yet right after --after-ms and the change), seconds, old and
/// new (hashes of the content before and after the change); with --read-back
/// also found (a hash) and content (old, new, other or the error's name).
#[derive(clap::Args)]
pub struct Args {
    /// Regular file or block device; a file must be large enough
    #[arg(long)]
    path: PathBuf,
    /// Where to write
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    offset: u64,
    /// Bytes to write
    #[arg(long, default_value = "4096", value_name = "BYTES", value_parser = parse_bytes)]
    len: u64,
    /// Change one byte of the buffer while the write is in flight
    #[arg(long)]
    mutate_once: bool,
    /// Which byte of the buffer to change
    #[arg(long, default_value = "0", value_name = "BYTE", value_parser = parse_bytes)]
    at: u64,
    /// Time from the submission to the change
    #[arg(long, default_value_t = 100, value_name = "MS",
          value_parser = value_parser!(u64).range(0..=MAX_SECONDS * 1000))]
    after_ms: u64,
    /// Read what is there after the completion, with O_DIRECT
    #[arg(long)]
    read_back: bool,
    /// Seed of the content
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    result: String,
    #[serde(flatten)]
    tally: Tally,
    mutations: u64,
    in_flight: bool,
    seconds: f64,
    old: String,
    new: String,
    #[serde(flatten)]
    read_back: Option<ReadBack>,
}

#[derive(Serialize)]
struct ReadBack {
    found: Option<String>,
    content: String,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    let target = Target::open(&args.path, Access::Direct)?;
    check(args, &target)?;
    let file = Arc::new(target.file);
    let buffer = Buffer::anonymous(args.len as usize, false).context("no memory for --len")?;
    let buffer = Arc::new(buffer);
    let range = 0..args.len as usize;
    let words = &buffer.words()[..range.len() / 8];
    Pattern::new(args.seed, args.offset, 0).fill(words);
    let old = hash(words);

    let clock = Clock::start(0);
    let mut queue = Queue::new(1, file.clone(), buffer.clone())?.asynchronous();
    queue.push(Direction::Write, range.clone(), args.offset, 0)?;
    queue.submit_and_wait(0)?;
    thread::sleep(Duration::from_millis(args.after_ms));
    if args.mutate_once {
        flip(words, args.at);
    }
    let in_flight = !queue.has_completed();
    queue.submit_and_wait(1)?;
    let completion = queue.completed().context("io_uring lost a completion")?;
    let seconds = clock.seconds();

    let mut tally = Tally::default();
    tally.count(completion.result);
    let new = hash(words);
    let read_back = args
        .read_back
        .then(|| read_back(&file, args.offset, range, [&old, &new]))
        .transpose()?;
    Ok(Outcome {
        load: "hold",
        path: &args.path,
        result: describe(completion.result, args.len),
        tally,
        mutations: args.mutate_once.into(),
        in_flight,
        seconds,
        old,
        new,
        read_back,
    })
}

fn check(args: &Args, target: &Target) -> Result<(), Usage> {
    target.check_aligned("--offset", args.offset)?;
    target.check_aligned("--len", args.len)?;
    if !(1..=1 << 30).contains(&args.len) {
        return Err(Usage("--len must be from one block to 1G".into()));
    }
    if args.at >= args.len {
        return Err(Usage("--at is outside of --len".into()));
    }
    if args.offset.saturating_add(args.len) > target.size {
        let (path, size) = (args.path.display(), target.size);
        return Err(Usage(format!("{path} has only {size} bytes")));
    }
    Ok(())
}

/// Changes all bits of one byte, as it lies in memory.
fn flip(words: &[AtomicU64], byte: u64) {
    let mut mask = [0; 8];
    mask[byte as usize % 8] = 0xff;
    words[byte as usize / 8].fetch_xor(u64::from_ne_bytes(mask), Relaxed);
}

fn describe(result: Result<u64, i32>, len: u64) -> String {
    match result {
        Ok(written) if written == len => "ok".into(),
        Ok(_) => "short".into(),
        Err(errno) => errno::name(errno),
    }
}

fn read_back(
    file: &File,
    offset: u64,
    range: Range<usize>,
    [old, new]: [&str; 2],
) -> Result<ReadBack> {
    let len = range.len();
    let buffer = Buffer::anonymous(len, false).context("no memory for --read-back")?;
    let error = match buffer.read_at(file, range, offset) {
        Ok(read) if read == len => None,
        Ok(_) => Some("short".into()),
        Err(e) => Some(errno::name_of(&e)),
    };
    if let Some(content) = error {
        let found = None;
        return Ok(ReadBack { found, content });
    }
    let found = hash(&buffer.words()[..len / 8]);
    let content = match &found {
        found if found == old => "old",
        found if found == new => "new",
        _ => "other",
    };
    Ok(ReadBack {
        content: content.into(),
        found: Some(found),
    })
}

/// FNV-1a, 64 bits: enough to tell contents apart that differ by accident.
fn hash(words: &[AtomicU64]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for word in words {
        for byte in word.load(Relaxed).to_ne_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_changes_and_only_that() {
        let words = [const { AtomicU64::new(0) }; 2];
        flip(&words, 13);
        assert_eq!(words[0].load(Relaxed), 0);
        let bytes = words[1].load(Relaxed).to_ne_bytes();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0xff, 0, 0]);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(&[]), "cbf29ce484222325");
        let words = [AtomicU64::new(u64::from_ne_bytes(*b"chongo w"))];
        let other = [AtomicU64::new(u64::from_ne_bytes(*b"chongo v"))];
        assert_ne!(hash(&words), hash(&other));
    }

    #[test]
    fn a_result_has_a_name() {
        assert_eq!(describe(Ok(4096), 4096), "ok");
        assert_eq!(describe(Ok(512), 4096), "short");
        assert_eq!(describe(Err(libc::EILSEQ), 4096), "EILSEQ");
    }
}
