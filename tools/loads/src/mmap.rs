// SPDX-License-Identifier: GPL-2.0

//! The classic "write after checksum" load: threads scribble on the same pages
//! of a few files, through shared mappings, while others write them back.
//!
//! With `--writers-write` some of the threads use write(2) instead, which gives
//! the three buffered profiles of the 2011 "wac" series: A when all of them do,
//! B when none does, C when half of them do. Each thread has an open file and a
//! mapping of its own, as there, so each hears of a failed writeback once.
//!
//! A thread never ends because of an error: it counts it and goes on. The one
//! thing that it cannot survive is SIGBUS, when the file system cannot serve a
//! page fault (the page was evicted and does not read, no space is left, the
//! file system has shut down). The files are allocated and written out before
//! the load, which leaves the kernel little reason for that.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{value_parser, ValueEnum};
use serde::Serialize;

use crate::buffer::Buffer;
use crate::random::Random;
use crate::tally::Tally;
use crate::target;
use crate::units::{parse_bytes, Clock, MAX_SECONDS};
use crate::Usage;

const PAGE: usize = 4096;

/// Pages that a thread writes with write(2) between two syncs.
const PAGES_PER_SYNC: u64 = 16;

/// Threads scribble on shared mappings of a few files and call msync
///
/// Prints: load, path, writes (msync, sync and final fsync calls that
/// returned), failed (those with an error), errors, bytes, mutations (stores),
/// seconds.
#[derive(clap::Args)]
pub struct Args {
    /// Directory of the files, on the file system under test
    #[arg(long)]
    dir: PathBuf,
    /// Threads in all
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Size of each file: a multiple of 4096
    #[arg(long, default_value = "1M", value_parser = parse_bytes)]
    file_size: u64,
    /// Files that the threads share
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u64).range(1..=1024))]
    files: u64,
    /// The same as --files 1
    #[arg(long, conflicts_with = "files")]
    shared_file: bool,
    /// Wall time of the load, or the longest that it takes with --op-limit
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// End after so many calls for writeback in all, if that is earlier
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    op_limit: Option<u64>,
    /// So many of the threads use write(2) and --sync instead of a mapping
    #[arg(long, default_value_t = 0, value_name = "THREADS")]
    writers_write: u64,
    /// How the threads of --writers-write call for writeback
    #[arg(long, value_enum, default_value_t = Sync::SyncFileRange)]
    sync: Sync,
    /// Bytes that one msync covers, at a random place: a multiple of 4096
    #[arg(long, default_value = "64K", value_parser = parse_bytes)]
    range: u64,
    /// Stores of a thread, all over the file, between two calls of msync
    #[arg(long, default_value_t = 4096, value_parser = value_parser!(u64).range(1..))]
    stores: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sync {
    /// sync_file_range(2) of the whole file: write, and wait before and after
    SyncFileRange,
    /// fdatasync(2)
    Fdatasync,
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
    check(args)?;
    let files: Vec<_> = (0..files(args))
        .map(|file| args.dir.join(format!("loads.{file}")))
        .collect();
    for path in &files {
        target::prepare(path, args.file_size).with_context(|| path.display().to_string())?;
    }
    let threads = (0..args.threads)
        .map(|index| Thread::new(args, index, &files[index as usize % files.len()]))
        .collect::<Result<Vec<_>>>()?;
    let clock = Clock::start(args.seconds);
    let (mut tally, mutations) = run_threads(args, threads)?;
    for path in &files {
        final_fsync(path, args.file_size, &mut tally);
    }
    Ok(Outcome {
        load: "mmap",
        path: &args.dir,
        tally,
        mutations,
        seconds: clock.seconds(),
    })
}

fn files(args: &Args) -> u64 {
    if args.shared_file {
        1
    } else {
        args.files
    }
}

fn check(args: &Args) -> Result<(), Usage> {
    let pages = |bytes: u64| bytes > 0 && bytes % PAGE as u64 == 0;
    if !pages(args.file_size) || !pages(args.range) {
        return Err(Usage(
            "--file-size and --range must be multiples of 4096".into(),
        ));
    }
    if args.writers_write > args.threads {
        return Err(Usage("--writers-write exceeds --threads".into()));
    }
    Ok(())
}

fn run_threads(args: &Args, threads: Vec<Thread>) -> Result<(Tally, u64)> {
    let end = End::new(args.op_limit);
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for thread in threads {
            let builder = thread::Builder::new();
            match builder.spawn_scoped(scope, || thread.run(args, &end)) {
                Ok(handle) => handles.push(handle),
                Err(e) => {
                    end.stop.store(true, Relaxed);
                    return Err(e).context("a thread does not start");
                }
            }
        }
        // A clock of each thread's own would cost more than its stores.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(args.seconds) && !end.has_come() {
            thread::sleep(Duration::from_millis(5));
        }
        end.stop.store(true, Relaxed);
        let mut sum = (Tally::default(), 0);
        for handle in handles {
            let (tally, mutations) = handle.join().expect("a thread panicked");
            sum.0.add(tally);
            sum.1 += mutations;
        }
        Ok(sum)
    })
}

/// When the threads are to end.
struct End {
    stop: AtomicBool,
    /// Calls for writeback that are left.
    left: AtomicU64,
}

impl End {
    fn new(limit: Option<u64>) -> Self {
        Self {
            stop: AtomicBool::new(false),
            left: AtomicU64::new(limit.unwrap_or(u64::MAX)),
        }
    }

    fn has_come(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// A call for writeback has returned.
    fn count_call(&self) {
        // All of them together may count further than to 0.
        if self.left.fetch_sub(1, Relaxed) <= 1 {
            self.stop.store(true, Relaxed);
        }
    }
}

/// A file that is opened anew hears of the errors that no thread was told of,
/// and of those of its own writeback, but of none twice.
fn final_fsync(path: &Path, size: u64, tally: &mut Tally) {
    let result = File::open(path).and_then(|file| file.sync_all());
    tally.count_call(&result, size);
}

enum Thread {
    Maps { buffer: Buffer, random: Random },
    Writes { file: File, random: Random },
}

impl Thread {
    fn new(args: &Args, index: u64, path: &Path) -> Result<Self> {
        let random = Random::new(1, index);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| path.display().to_string())?;
        if index < args.writers_write {
            return Ok(Self::Writes { file, random });
        }
        let buffer = Buffer::shared(&file, args.file_size as usize)
            .with_context(|| format!("mmap of {}", path.display()))?;
        Ok(Self::Maps { buffer, random })
    }

    /// Returns what became of the syncs, and the number of stores.
    fn run(self, args: &Args, end: &End) -> (Tally, u64) {
        match self {
            Self::Maps { buffer, random } => scribble_and_msync(args, &buffer, random, end),
            Self::Writes { file, random } => (write_and_sync(args, &file, random, end), 0),
        }
    }
}

fn scribble_and_msync(args: &Args, buffer: &Buffer, mut random: Random, end: &End) -> (Tally, u64) {
    let mut tally = Tally::default();
    let mut mutations = 0;
    while !end.has_come() {
        mutations += scribble(buffer.words(), args.stores, &mut random, end);
        let range = pages_at_random(args.file_size, args.range, &mut random);
        let bytes = range.len() as u64;
        tally.count_call(&buffer.msync(range), bytes);
        end.count_call();
    }
    (tally, mutations)
}

/// Every store may wait for the writeback of its page, so every one looks
/// whether the time is over.
fn scribble(words: &[AtomicU64], stores: u64, random: &mut Random, end: &End) -> u64 {
    for done in 0..stores {
        if end.has_come() {
            return done;
        }
        let word = random.below(words.len() as u64) as usize;
        words[word].store(random.next(), Relaxed);
    }
    stores
}

fn pages_at_random(file_size: u64, range: u64, random: &mut Random) -> Range<usize> {
    let first = random.below(file_size / PAGE as u64) as usize * PAGE;
    first..(first + range as usize).min(file_size as usize)
}

fn write_and_sync(args: &Args, file: &File, mut random: Random, end: &End) -> Tally {
    let mut tally = Tally::default();
    let mut page = vec![0; PAGE];
    while !end.has_come() {
        let mut written = 0;
        for _ in 0..PAGES_PER_SYNC {
            page.fill(random.next() as u8);
            let offset = random.below(args.file_size / PAGE as u64) * PAGE as u64;
            match file.write_all_at(&page, offset) {
                Ok(()) => written += PAGE as u64,
                // The sync after it succeeds all the same, so count it here.
                Err(e) => tally.count_call::<()>(&Err(e), 0),
            }
        }
        tally.count_call(&sync(file, args.sync), written);
        end.count_call();
    }
    tally
}

fn sync(file: &File, how: Sync) -> io::Result<()> {
    match how {
        Sync::Fdatasync => file.sync_data(),
        Sync::SyncFileRange => sync_file_range(file),
    }
}

fn sync_file_range(file: &File) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: no memory is involved.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_whole_pages_inside_the_file() {
        let mut random = Random::new(1, 1);
        for _ in 0..1000 {
            let range = pages_at_random(10 * 4096, 3 * 4096, &mut random);
            assert!(range.start % PAGE == 0 && range.end % PAGE == 0);
            assert!(!range.is_empty() && range.end <= 10 * PAGE && range.len() <= 3 * PAGE);
        }
    }

    #[test]
    fn scribbling_stops_when_the_time_is_over() {
        let words = [const { AtomicU64::new(0) }; 8];
        let mut random = Random::new(1, 1);
        let end = End::new(None);
        assert_eq!(scribble(&words, 100, &mut random, &end), 100);
        end.stop.store(true, Relaxed);
        assert_eq!(scribble(&words, 100, &mut random, &end), 0);
    }

    #[test]
    fn the_end_comes_after_so_many_calls() {
        let end = End::new(Some(2));
        end.count_call();
        assert!(!end.has_come());
        end.count_call();
        assert!(end.has_come());
        end.count_call();
        assert!(end.has_come());
    }
}
