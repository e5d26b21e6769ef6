// SPDX-License-Identifier: GPL-2.0

//! Direct I/O to and from parts of pages while another thread forks, and children
//! write to what they inherited.
//!
//! The shape of the reproducers of 2009: a page that is being read into is shared
//! with a child and must not be copied away from the parent. Each page has eight
//! parts of 512 bytes. One is read into and one is written from, by a thread each,
//! and nobody else changes them. Two more are read into and written from while a
//! second thread changes one word of them, so that a disk with protection
//! information, or whoever checks it, has something to find. The last part belongs
//! to that second thread, which looks whether its stores stay.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use clap::{value_parser, ValueEnum};
use serde::Serialize;

use crate::buffer::Buffer;
use crate::pattern::Pattern;
use crate::random::Random;
use crate::tally::Tally;
use crate::target::{Access, Target};
use crate::units::{Clock, MAX_SECONDS};
use crate::Usage;

const PAGE: usize = 4096;

/// Bytes of a part, which is what is read and written at once.
const PART: usize = 512;

/// The word of a part that changes while the part is in flight.
const RACED: usize = 17;

/// Bytes from one part to the next on the target: with a gap, so that no request
/// is merged with that of another thread, which it would fail together with.
const STRIDE: u64 = 2 * PART as u64;

/// O_DIRECT reads and writes of parts of pages while children are forked
///
/// Prints: load, path, memory, forks, writes, failed, errors, bytes, writes_lost
/// (those that succeeded, but do not read back), reads, reads_failed, reads_lost
/// (those that succeeded, but the memory holds something else); the same of parts
/// that change in flight: raced_writes, raced_writes_failed, raced_writes_lost,
/// raced_reads, raced_reads_failed, raced_reads_lost; mutations (stores), stores_lost
/// (what a thread stored in its own part of a page and did not find there), seconds.
#[derive(clap::Args)]
pub struct Args {
    /// Regular file or block device with blocks of 512 bytes
    #[arg(long)]
    path: PathBuf,
    /// What the pages are
    #[arg(long, value_enum, default_value_t = Memory::Anon)]
    memory: Memory,
    /// Pages
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u64).range(1..=4096))]
    pages: u64,
    /// Wall time of the load
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// End when each thread has done so many operations, if that is earlier
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true,
          value_parser = value_parser!(u64).range(1..))]
    op_limit: u64,
    /// Seed of the contents and of the order of the pages
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Memory {
    /// Private and anonymous: what a child writes to is its own
    Anon,
    /// Shared with the children
    Shared,
    /// Private, in reserved huge pages
    Hugetlb,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    memory: Memory,
    forks: u64,
    #[serde(flatten)]
    writes: Tally,
    writes_lost: u64,
    reads: u64,
    reads_failed: u64,
    reads_lost: u64,
    raced_writes: u64,
    raced_writes_failed: u64,
    raced_writes_lost: u64,
    raced_reads: u64,
    raced_reads_failed: u64,
    raced_reads_lost: u64,
    stores_lost: u64,
    mutations: u64,
    seconds: f64,
}

/// What one of the eight parts of each page is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Read,
    RacedRead,
    Written,
    RacedWritten,
    /// The scribbling thread's own: the last 512 bytes, as in 2009.
    Scribbled = 7,
}

impl Part {
    /// Those that are in flight.
    const IO: [Self; 4] = [
        Self::Read,
        Self::RacedRead,
        Self::Written,
        Self::RacedWritten,
    ];

    fn is_raced(self) -> bool {
        matches!(self, Self::RacedRead | Self::RacedWritten)
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::RacedRead)
    }

    /// The bytes of this part of a page.
    fn range(self, page: u64) -> Range<usize> {
        let start = page as usize * PAGE + self as usize * PART;
        start..start + PART
    }

    /// Where it is on the target.
    fn offset(self, page: u64, pages: u64) -> u64 {
        (self as u64 * pages + page) * STRIDE
    }
}

/// From one child to the next: an operation of a fast device. Without it the parent
/// does little but fork.
const PAUSE: Duration = Duration::from_millis(1);

/// Bytes of the target that a load with so many pages needs.
fn size(pages: u64) -> u64 {
    Part::IO.len() as u64 * pages * STRIDE
}

fn words(range: &Range<usize>) -> Range<usize> {
    range.start / 8..range.end / 8
}

/// What the threads share.
struct Shared<'a> {
    args: &'a Args,
    file: File,
    buffer: Buffer,
    /// The load is over.
    stop: AtomicBool,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    let (target, _) = Target::create(&args.path, Access::Direct, 0, Some(size(args.pages)))?;
    if target.block_size as usize > PART && target.is_device {
        let size = target.block_size;
        return Err(Usage(format!("--path has blocks of {size} bytes, not of 512")).into());
    }
    let len = args.pages as usize * PAGE;
    let buffer = match args.memory {
        Memory::Anon => Buffer::anonymous(len, false),
        Memory::Shared => Buffer::inherited(len),
        Memory::Hugetlb => Buffer::reserved(len),
    };
    let shared = Shared {
        args,
        file: target.file,
        buffer: buffer.context("no memory for --pages")?,
        stop: AtomicBool::new(false),
    };
    shared.write_out()?;
    let clock = Clock::start(args.seconds);
    let (done, forks, stores) = shared.run(clock)?;
    let [reads, raced_reads, writes, raced_writes] = done;
    Ok(Outcome {
        load: "fork",
        path: &args.path,
        memory: args.memory,
        forks,
        writes_lost: writes.lost,
        writes: writes.tally,
        reads: reads.tally.writes,
        reads_failed: reads.tally.failed,
        reads_lost: reads.lost,
        raced_writes: raced_writes.tally.writes,
        raced_writes_failed: raced_writes.tally.failed,
        raced_writes_lost: raced_writes.lost,
        raced_reads: raced_reads.tally.writes,
        raced_reads_failed: raced_reads.tally.failed,
        raced_reads_lost: raced_reads.lost,
        mutations: stores.tally.writes,
        stores_lost: stores.lost,
        seconds: clock.seconds(),
    })
}

/// What a thread did, and how much of it was not there afterwards.
#[derive(Default)]
struct Done {
    tally: Tally,
    lost: u64,
}

impl Shared<'_> {
    /// Gives every part its first content, on the target.
    fn write_out(&self) -> Result<()> {
        let block = Buffer::anonymous(PART, false).context("no memory")?;
        for part in Part::IO {
            for page in 0..self.args.pages {
                self.pattern(part, page, 0).fill(&block.words()[..PART / 8]);
                let offset = part.offset(page, self.args.pages);
                let written = block.write_at(&self.file, 0..PART, offset);
                if written.context("the first writes fail")? != PART {
                    bail!("the first writes are short");
                }
            }
        }
        Ok(())
    }

    fn pattern(&self, part: Part, page: u64, generation: u32) -> Pattern {
        let offset = part.offset(page, self.args.pages);
        Pattern::new(self.args.seed, offset, generation)
    }

    /// Forks until the other threads are done. Returns what each of them did, in the
    /// order of [`Part::IO`], the number of children, and what became of the stores.
    fn run(&self, clock: Clock) -> Result<([Done; 4], u64, Done)> {
        let running = AtomicU64::new(Part::IO.len() as u64);
        let io = |part| {
            let done = self.io(part, clock);
            running.fetch_sub(1, Relaxed);
            done
        };
        let io = &io;
        thread::scope(|scope| {
            let scribbler = scope.spawn(|| self.scribble());
            let threads = Part::IO.map(|part| scope.spawn(move || io(part)));
            let mut forks = Ok(0);
            while running.load(Relaxed) > 0 {
                // Without children the others still end.
                if let Ok(number) = &mut forks {
                    match self.fork() {
                        Ok(()) => *number += 1,
                        Err(e) => forks = Err(e),
                    }
                    thread::sleep(PAUSE);
                }
            }
            self.stop.store(true, Relaxed);
            let done = threads.map(|thread| thread.join().expect("a thread panicked"));
            let stores = scribbler.join().expect("a thread panicked");
            Ok((done, forks.context("fork")?, stores))
        })
    }

    /// Has a child that writes to what it inherited, and waits for its end.
    fn fork(&self) -> io::Result<()> {
        // SAFETY: the child stores to memory and exits, which any thread's child can.
        let child = unsafe { libc::fork() };
        match child {
            0 => {
                self.spoil();
                // SAFETY: ends the child, and runs nothing of the parent's.
                unsafe { libc::_exit(0) }
            }
            1.. => {
                let mut status = 0;
                // SAFETY: the address is that of an int.
                while unsafe { libc::waitpid(child, &mut status, 0) } < 0 {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                match status {
                    0 => Ok(()),
                    _ => Err(io::Error::other(format!(
                        "a child ended with status {status}"
                    ))),
                }
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// What a child does: it changes all of its own memory, or, where that is the
    /// parent's too, what the parent's scribbler changes as well.
    fn spoil(&self) {
        let words = self.buffer.words();
        if self.args.memory == Memory::Shared {
            for page in 0..self.args.pages {
                for part in Part::IO.into_iter().filter(|part| part.is_raced()) {
                    words[part.range(page).start / 8 + RACED].store(page, Relaxed);
                }
            }
        } else {
            for word in words {
                word.store(u64::MAX, Relaxed);
            }
        }
    }

    /// Changes one word of each part that is raced for, and a part of its own.
    fn scribble(&self) -> Done {
        let mut random = Random::new(self.args.seed, 0);
        let mut done = Done::default();
        let words = self.buffer.words();
        while !self.stop.load(Relaxed) {
            for page in 0..self.args.pages {
                for part in Part::IO.into_iter().filter(|part| part.is_raced()) {
                    words[part.range(page).start / 8 + RACED].store(random.next(), Relaxed);
                }
                let own = words[self::words(&Part::Scribbled.range(page))].iter();
                let value = random.next();
                own.clone().for_each(|word| word.store(value, Relaxed));
                done.lost += own.filter(|word| word.load(Relaxed) != value).count() as u64;
            }
            done.tally.writes += self.args.pages * (PART as u64 / 8 + 2);
        }
        done
    }

    /// Reads into, or writes from, one part of one page after another.
    fn io(&self, part: Part, clock: Clock) -> Done {
        let mut random = Random::new(self.args.seed, 1 + part as u64);
        let mut done = Done::default();
        let mut generation = 0;
        while !clock.over() && done.tally.writes < self.args.op_limit {
            let page = random.below(self.args.pages);
            generation += 1;
            let is_there = if part.is_read() {
                self.read(part, page, generation, &mut done.tally)
            } else {
                self.write(part, page, generation, &mut done.tally)
            };
            done.lost += u64::from(is_there == Some(false));
        }
        done
    }

    /// Whether what was read is in the memory; nothing if the read failed.
    fn read(&self, part: Part, page: u64, generation: u32, tally: &mut Tally) -> Option<bool> {
        let range = part.range(page);
        let block = &self.buffer.words()[words(&range)];
        // Something else than what is to be read.
        self.fill(part, block, self.pattern(part, page, generation));
        let offset = part.offset(page, self.args.pages);
        let result = self.buffer.read_at(&self.file, range, offset);
        tally.count_call(&result, PART as u64);
        result.ok()?;
        Some(holds(part, block, self.pattern(part, page, 0)))
    }

    /// Whether what was written reads back; nothing if the write failed.
    fn write(&self, part: Part, page: u64, generation: u32, tally: &mut Tally) -> Option<bool> {
        let range = part.range(page);
        let pattern = self.pattern(part, page, generation);
        self.fill(part, &self.buffer.words()[words(&range)], pattern);
        let offset = part.offset(page, self.args.pages);
        let result = self.buffer.write_at(&self.file, range, offset);
        tally.count_call(&result, PART as u64);
        result.ok()?;
        let back = Buffer::anonymous(PART, false).expect("no memory for a page");
        let read = back.read_at(&self.file, 0..PART, offset);
        Some(matches!(read, Ok(PART)) && holds(part, &back.words()[..PART / 8], pattern))
    }

    /// Fills a block, but for a word that is not this thread's.
    fn fill(&self, part: Part, block: &[AtomicU64], pattern: Pattern) {
        let raced = part.is_raced().then(|| block[RACED].load(Relaxed));
        pattern.fill(block);
        if let Some(value) = raced {
            block[RACED].store(value, Relaxed);
        }
    }
}

/// Whether a block holds the pattern, but for a word that changes all the time.
fn holds(part: Part, block: &[AtomicU64], pattern: Pattern) -> bool {
    let skip = part.is_raced().then_some(RACED);
    pattern.matches_except(block, skip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart_in_memory_and_on_the_target() {
        let mut places = Vec::new();
        let mut offsets = Vec::new();
        for part in Part::IO {
            for page in 0..3 {
                places.push(part.range(page).start);
                offsets.push(part.offset(page, 3));
                assert_eq!(part.range(page).start % PART, 0);
                assert!(part.offset(page, 3) + PART as u64 <= size(3));
            }
        }
        offsets.sort_unstable();
        assert!(offsets
            .windows(2)
            .all(|pair| pair[1] - pair[0] > PART as u64));
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= PART));
        assert_eq!(Part::Scribbled.range(0).end, PAGE);
    }

    #[test]
    fn only_the_raced_word_is_left_out() {
        let block: Vec<_> = (0..PART / 8).map(|_| AtomicU64::new(0)).collect();
        let pattern = Pattern::new(1, 0, 1);
        pattern.fill(&block);
        block[RACED].fetch_xor(1, Relaxed);
        assert!(holds(Part::RacedRead, &block, pattern));
        assert!(!holds(Part::Read, &block, pattern));
        block[RACED + 1].fetch_xor(1, Relaxed);
        assert!(!holds(Part::RacedRead, &block, pattern));
    }
}
