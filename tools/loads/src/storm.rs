// SPDX-License-Identifier: GPL-2.0

//! Everybody changes one file at a time, and a device of the kernel, the sample
//! `stable_range`, says whether a part of it stays the same all the same.
//!
//! Threads store into shared mappings of the file, by themselves and by having the
//! kernel store there (a read(2) into the mapping), others write(2), and one
//! truncates its upper half and makes it longer again, which splits large folios.
//! The program's own stores go to the lower half then: the upper one may be gone.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result};
use clap::value_parser;
use serde::Serialize;

use crate::buffer::Buffer;
use crate::errno;
use crate::random::Random;
use crate::units::{parse_bytes, Clock, MAX_SECONDS};
use crate::Usage;

const PAGE: u64 = 4096;

/// Bytes that a read(2) stores into a mapping.
const PIECE: u64 = 64;

/// `_IOWR('S', 1, 80 bytes)`; the fields are described in samples/range.
const CHECK: libc::c_ulong = (3 << 30) | (80 << 16) | ((b'S' as libc::c_ulong) << 8) | 1;

/// Stores, writes and truncation while stable ranges of the file are taken
///
/// Prints: load, path, takes (ranges that were taken), differed (whose checksum was
/// not the same when it was computed again), absent (where the file had ended before),
/// busy (that the kernel gave up), errors, retries (of all), max_retries (of one),
/// pinned, folios and order (the most of each), stores, writes, truncations, seconds.
#[derive(clap::Args)]
pub struct Args {
    /// The file, which is made
    #[arg(long)]
    path: PathBuf,
    /// Its size: a multiple of 8192
    #[arg(long, default_value = "1M", value_parser = parse_bytes)]
    size: u64,
    /// Threads that store into a mapping
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u64).range(0..=1024))]
    stores: u64,
    /// Threads that write(2)
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(0..=1024))]
    writes: u64,
    /// Truncate the upper half again and again
    #[arg(long)]
    truncate: bool,
    /// Ranges to take; more until the file has been truncated, where it is to be
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..))]
    takes: u64,
    /// Go on for so long, however many ranges are taken
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// Bytes of a range, at a random place
    #[arg(long, default_value = "256K", value_parser = parse_bytes)]
    range: u64,
    /// Microseconds between the two checksums
    #[arg(long, default_value_t = 2000)]
    hold_us: u64,
    /// Do not protect the range
    #[arg(long)]
    unprotected: bool,
    /// The device that takes ranges
    #[arg(long, default_value = "/dev/stable-range")]
    device: PathBuf,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome<'a> {
    load: &'static str,
    path: &'a Path,
    #[serde(flatten)]
    taken: Taken,
    stores: u64,
    writes: u64,
    truncations: u64,
    seconds: f64,
}

/// What became of the ranges.
#[derive(Default, Serialize)]
struct Taken {
    takes: u64,
    differed: u64,
    absent: u64,
    busy: u64,
    errors: Vec<String>,
    retries: u64,
    max_retries: u64,
    pinned: u64,
    folios: u32,
    order: u32,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome<'_>> {
    if args.size == 0 || args.size % (2 * PAGE) != 0 || !(1..=args.size).contains(&args.range) {
        return Err(Usage(
            "--size must be a multiple of 8192, and --range not more than that".into(),
        )
        .into());
    }
    let file = make(args).with_context(|| args.path.display().to_string())?;
    let device = File::open(&args.device).with_context(|| args.device.display().to_string())?;
    let source = Source::new()?;
    let storm = Storm {
        args,
        file: &file,
        source: &source.0,
        stop: AtomicBool::new(false),
        stores: AtomicU64::new(0),
        writes: AtomicU64::new(0),
        truncations: AtomicU64::new(0),
    };
    let clock = Clock::start(args.seconds.unwrap_or(0));
    let taken = thread::scope(|scope| {
        for index in 0..args.stores {
            let storm = &storm;
            scope.spawn(move || storm.store(index));
        }
        for index in 0..args.writes {
            let storm = &storm;
            scope.spawn(move || storm.write(index));
        }
        if args.truncate {
            scope.spawn(|| storm.truncate());
        }
        let taken = storm.take(&device, &clock);
        storm.stop.store(true, Relaxed);
        taken
    });
    Ok(Outcome {
        load: "storm",
        path: &args.path,
        taken,
        stores: storm.stores.into_inner(),
        writes: storm.writes.into_inner(),
        truncations: storm.truncations.into_inner(),
        seconds: clock.seconds(),
    })
}

fn make(args: &Args) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&args.path)?;
    // In one piece, so that the folios get as large as they do.
    file.write_all_at(&vec![0x5a; args.size as usize], 0)?;
    Ok(file)
}

/// A file for the kernel to read from.
struct Source(File);

impl Source {
    fn new() -> Result<Self> {
        Ok(Self(
            File::open("/proc/self/exe").context("the program cannot be read")?,
        ))
    }
}

struct Storm<'a> {
    args: &'a Args,
    file: &'a File,
    source: &'a File,
    stop: AtomicBool,
    stores: AtomicU64,
    writes: AtomicU64,
    truncations: AtomicU64,
}

impl Storm<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Stores of a thread with a mapping of its own.
    fn store(&self, index: u64) {
        let mut random = Random::new(1, index);
        let size = self.args.size;
        let map = Buffer::shared(self.file, size as usize).expect("the file cannot be mapped");
        let safe = if self.args.truncate { size / 2 } else { size };
        while !self.is_over() {
            for _ in 0..64 {
                let word = random.below(safe / 8) as usize;
                map.words()[word].store(random.next(), Relaxed);
            }
            // EFAULT where the file is shorter just now.
            let at = random.below(size / PIECE) * PIECE;
            let piece = at as usize..(at + PIECE) as usize;
            let _ = map.read_at(self.source, piece, random.below(256) * PIECE);
            self.stores.fetch_add(65, Relaxed);
        }
    }

    fn write(&self, index: u64) {
        let mut random = Random::new(2, index);
        let mut data = vec![0; 2 * PAGE as usize];
        while !self.is_over() {
            data.fill(random.next() as u8);
            let at = random.below(self.args.size - 2 * PAGE + 1);
            let _ = self.file.write_all_at(&data, at);
            self.writes.fetch_add(1, Relaxed);
        }
    }

    fn truncate(&self) {
        come_often();
        let mut random = Random::new(3, 0);
        let size = self.args.size;
        while !self.is_over() {
            let _ = self.file.set_len(size / 2 + random.below(size / 2));
            let _ = self.file.set_len(size);
            let _ = self.file.write_all_at(&[1; 512], size - 512);
            self.truncations.fetch_add(1, Relaxed);
        }
    }

    fn take(&self, device: &File, clock: &Clock) -> Taken {
        come_first();
        let mut random = Random::new(4, 0);
        let mut taken = Taken::default();
        let over = |taken: &Taken| match self.args.seconds {
            Some(_) => clock.over(),
            None => taken.takes + taken.absent >= self.args.takes && self.has_truncated(),
        };
        while !over(&taken) && taken.errors.len() < 8 {
            let start = random.below(self.args.size - self.args.range + 1);
            taken.count(self.check(device, start));
        }
        taken
    }

    /// It waits for every folio as all the others do, and so may be late.
    fn has_truncated(&self) -> bool {
        !self.args.truncate || self.truncations.load(Relaxed) > 0
    }

    fn check(&self, device: &File, start: u64) -> Result<Check, std::io::Error> {
        let mut check = Check {
            fd: self.file.as_raw_fd(),
            flags: self.args.unprotected.into(),
            start,
            len: self.args.range,
            hold: self.args.hold_us,
            ..Check::default()
        };
        // SAFETY: the structure is what the device takes for this command.
        match unsafe { libc::ioctl(device.as_raw_fd(), CHECK, &mut check) } {
            0 => Ok(check),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

/// Lets this thread run before the others, which would all have their turn whenever it
/// has waited for a lock. Without the right to do so it only takes longer.
fn come_first() {
    let param = libc::sched_param { sched_priority: 1 };
    // SAFETY: the structure is valid, and the thread is the calling one.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &param) };
}

/// Gives this thread the time of ten others: there is one of it, and it waits for
/// every folio.
fn come_often() {
    // SAFETY: no memory is involved; 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
}

/// The device's argument.
#[repr(C)]
#[derive(Default)]
struct Check {
    fd: i32,
    flags: u32,
    start: u64,
    len: u64,
    hold: u64,
    found: u64,
    first: u64,
    second: u64,
    retries: u64,
    folios: u32,
    pinned: u32,
    order: u32,
    zero: u32,
}

const _: () = assert!(size_of::<Check>() == 80);

impl Taken {
    fn count(&mut self, check: Result<Check, std::io::Error>) {
        match check {
            Ok(check) if check.found == 0 => self.absent += 1,
            Ok(check) => {
                self.takes += 1;
                self.differed += u64::from(check.first != check.second);
                self.retries += check.retries;
                self.max_retries = self.max_retries.max(check.retries);
                self.pinned += u64::from(check.pinned);
                self.folios = self.folios.max(check.folios);
                self.order = self.order.max(check.order);
            }
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                self.takes += 1;
                self.busy += 1;
            }
            // Without protection a page may just not be there.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => self.absent += 1,
            Err(e) => self.errors.push(errno::name_of(&e)),
        }
    }
}
