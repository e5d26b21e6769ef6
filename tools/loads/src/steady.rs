// SPDX-License-Identifier: GPL-2.0

//! The same direct I/O again and again, for who counts what the processors do meanwhile.
//!
//! Each thread stays on a processor of its own, with a buffer and a piece of the target of its own,
//! so that what the processors share is the kernel's doing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Barrier;
use std::thread;

use anyhow::{Context, Result};
use clap::{value_parser, ValueEnum};
use serde::Serialize;

use crate::buffer::Buffer;
use crate::random::Random;
use crate::target::{Access, Target};
use crate::units::parse_bytes;
use crate::Usage;

/// What a thread does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Read,
    Write,
}

/// Direct I/O by threads that each wait for theirs, between two marks for tools/profile
///
/// Before the first mark each thread has done a tenth of it, for what happens only once. Nothing but
/// the I/O happens between the marks. Writes have random content, the same each time.
///
/// Prints: load, path, operation, bytes (of an I/O), threads, count (of each thread).
#[derive(clap::Args)]
pub struct Args {
    /// The block device or file
    #[arg(long)]
    path: PathBuf,
    #[arg(long, value_enum)]
    operation: Operation,
    /// Bytes of an I/O
    #[arg(long, default_value = "4K", value_parser = parse_bytes)]
    bytes: u64,
    /// Threads, one on each processor from 0 on
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(1..=64))]
    threads: u64,
    /// I/Os of each thread
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..))]
    count: u64,
}

/// What was done.
#[derive(Serialize)]
pub struct Outcome {
    load: &'static str,
    path: PathBuf,
    operation: Operation,
    bytes: u64,
    threads: u64,
    count: u64,
}

/// Runs the load.
pub fn run(args: &Args) -> Result<Outcome> {
    let access = match args.operation {
        Operation::Read => Access::DirectRead,
        Operation::Write => Access::Direct,
    };
    let target = Target::open(&args.path, access)?;
    target.check_aligned("bytes", args.bytes)?;
    // In I/Os.
    let piece = target.size / args.bytes.max(1) / args.threads;
    if args.bytes == 0 || piece == 0 {
        return Err(Usage("--path has no room for an I/O of each thread".into()).into());
    }
    let start = Start {
        barrier: Barrier::new(args.threads as usize),
        failed: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..args.threads)
            .map(|number| {
                let (target, start) = (&target, &start);
                scope.spawn(move || work(args, target, number, piece, start))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a thread does not panic"))
    })?;
    Ok(Outcome {
        load: "steady",
        path: args.path.clone(),
        operation: args.operation,
        bytes: args.bytes,
        threads: args.threads,
        count: args.count,
    })
}

/// Where threads wait for each other.
struct Start {
    barrier: Barrier,
    /// A thread has failed before the first mark, so there is none.
    failed: AtomicBool,
}

/// All of one thread. The others wait for it, also when it has failed.
fn work(args: &Args, target: &Target, number: u64, piece: u64, start: &Start) -> Result<()> {
    let ready = prepare(args, number);
    let transfer = |count| {
        let buffer = ready.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        (0..count).try_for_each(|at| {
            let offset = (number * piece + at % piece) * args.bytes;
            let range = 0..args.bytes as usize;
            match args.operation {
                Operation::Read => buffer.read_at(&target.file, range, offset),
                Operation::Write => buffer.write_at(&target.file, range, offset),
            }
            .map(drop)
            .with_context(|| format!("offset {offset}"))
        })
    };
    let warm = transfer(args.count / 10 + 1);
    start.failed.fetch_or(warm.is_err(), Relaxed);
    let is_leader = start.barrier.wait().is_leader();
    if start.failed.load(Relaxed) {
        return warm;
    }
    if is_leader {
        mark();
    }
    start.barrier.wait();
    let done = transfer(args.count);
    if start.barrier.wait().is_leader() {
        mark();
    }
    done
}

/// Goes to the processor, and makes the buffer.
fn prepare(args: &Args, number: u64) -> Result<Buffer> {
    // SAFETY: a set of processors is plain data, and 64 of them are in it; the call reads it.
    let moved = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(number as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if moved != 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| format!("processor {number}"));
    }
    let buffer = Buffer::anonymous(args.bytes as usize, false)?;
    buffer.randomize(&mut Random::new(number, 0));
    Ok(buffer)
}

/// An instruction that does nothing, and that tools/profile knows (its code.rs).
fn mark() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it is a nop, whatever its operand.
    unsafe {
        std::arch::asm!(
            "nop dword ptr [rax + rax + 0x53504d4b]",
            options(nomem, nostack)
        );
    }
}
