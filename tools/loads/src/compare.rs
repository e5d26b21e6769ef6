// SPDX-License-Identifier: GPL-2.0

//! The same random system calls in two folders, and the same answers.
//!
//! One of the two is on a filesystem, the other on one that is stacked on it. What is compared:
//! what each call returns, its error, the data that it gives, and what stat(2) says; now and then,
//! and in the end, both trees. Times are compared where they were set: who sets the current time
//! does so when he comes to it.

mod call;
mod random;
mod side;
mod tree;

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use clap::value_parser;
use serde::Serialize;

use crate::random::Random;
use crate::units::{Clock, MAX_SECONDS};

use self::call::{said, Answer, Call};
use self::side::Side;

/// The same random system calls in two folders, and the same answers
///
/// Prints: load, seed, calls (in each folder), failed (that said an error, in both),
/// trees (how often all of them were compared), seconds. What differs is said on stderr, with
/// the seed and the calls before: the status is 1 then.
#[derive(clap::Args)]
pub struct Args {
    /// The folder on the filesystem that is looked at; it is empty
    #[arg(long)]
    path: PathBuf,
    /// The folder on the one that is right; it is empty
    #[arg(long)]
    control: PathBuf,
    /// Where what is in the first is when it has been written back: compared in the end, too
    #[arg(long)]
    lower: Option<PathBuf>,
    /// Of the random numbers; another one each time by default
    #[arg(long)]
    seed: Option<u64>,
    /// System calls
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// Go on for so long, however many calls that is
    #[arg(long, value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// After how many calls the trees are compared
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u64).range(1..))]
    every: u64,
    /// Give up all rights before
    #[arg(long)]
    user: Option<u32>,
    /// Store nothing behind the end of a file, in its last page: tmpfs shows that when the file gets
    /// longer, ext4 when a direct write makes it so, and a stack on them shows zeroes
    #[arg(long)]
    not_behind: bool,
    /// Print each call, to reproduce one that does not come back
    #[arg(long)]
    verbose: bool,
}

/// What is printed at the end.
#[derive(Serialize)]
pub struct Outcome {
    load: &'static str,
    seed: u64,
    calls: u64,
    failed: u64,
    trees: u64,
    seconds: f64,
}

/// How many of the last calls are said with what differs.
const LAST: usize = 30;

/// Runs it.
pub fn run(args: &Args) -> Result<Outcome> {
    let clock = Clock::start(args.seconds.unwrap_or(0));
    let seed = args.seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64)
    });
    let mut both = [
        Side::new(&folder(&args.path)?)?,
        Side::new(&folder(&args.control)?)?,
    ];
    if let Some(user) = args.user {
        become_user(user)?;
    }
    let mut random = Random::new(seed, 0);
    let mut last = VecDeque::new();
    let (mut calls, mut failed, mut trees) = (0, 0, 0);
    let more = |calls| match args.seconds {
        Some(_) => !clock.over(),
        None => calls < args.calls,
    };
    while more(calls) {
        let mut next = Call::random(&mut random, &both[1]);
        if let Call::Store { behind, .. } = &mut next {
            *behind &= !args.not_behind;
        }
        if args.verbose {
            eprintln!("{calls}: {next:?}");
        }
        let [found, wanted] = both.each_mut().map(|side| side.call(&next));
        failed += u64::from(wanted.result.is_err());
        calls += 1;
        last.push_back(format!("{next:?} = {:?}", wanted.result));
        if last.len() > LAST {
            last.pop_front();
        }
        let differs = found.differs(&wanted, &next, &mut both[1]);
        if let Some(what) = differs {
            let before: Vec<_> = last.into();
            bail!(
                "seed {seed}, call {calls}: {next:?}: {what}\nbefore:\n{}",
                before.join("\n")
            );
        }
        if calls % args.every == 0 {
            compare(args, &args.path).with_context(|| format!("seed {seed}, call {calls}"))?;
            trees += 1;
        }
    }
    drop(both);
    compare(args, &args.path).with_context(|| format!("seed {seed}, in the end"))?;
    if let Some(lower) = &args.lower {
        sync();
        compare(args, lower).with_context(|| format!("seed {seed}, below in the end"))?;
    }
    Ok(Outcome {
        load: "compare",
        seed,
        calls,
        failed,
        trees: trees + 1,
        seconds: clock.seconds(),
    })
}

fn compare(args: &Args, path: &std::path::Path) -> Result<()> {
    let (found, wanted) = (tree::of(path)?, tree::of(&args.control)?);
    for (name, wanted) in &wanted {
        match found.get(name) {
            Some(found) if found == wanted => {}
            Some(found) => bail!("{name}: {found:?}, not {wanted:?}"),
            None => bail!("{name} is missing"),
        }
    }
    match found.keys().find(|name| !wanted.contains_key(*name)) {
        Some(name) => bail!("{name} is not to be there"),
        None => Ok(()),
    }
}

fn folder(path: &std::path::Path) -> Result<CString> {
    let path = path
        .canonicalize()
        .with_context(|| format!("{}", path.display()))?;
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Answer {
    /// What is not as it is to be.
    fn differs(&self, wanted: &Self, call: &Call, control: &mut Side) -> Option<String> {
        if let Call::Seek { fd, offset, whence } = *call {
            // What is a hole there may be data here, and the other way round, if it is zero.
            let skipped = match &self.result {
                Ok(found) => *found,
                Err(_) => i64::MAX,
            };
            match whence {
                libc::SEEK_DATA if Self::both_know(self, wanted) => {
                    return (!control.is_zero(fd, offset, skipped))
                        .then(|| format!("SEEK_DATA skips data: {self:?}, not {wanted:?}"));
                }
                libc::SEEK_HOLE if self.result.is_ok() && wanted.result.is_ok() => return None,
                _ => {}
            }
        }
        (self != wanted).then(|| format!("{self:?}, not {wanted:?}"))
    }

    /// Whether each has found something, or that there is nothing.
    fn both_know(&self, other: &Self) -> bool {
        let known = |answer: &Self| !matches!(&answer.result, Err(error) if error != "ENXIO");
        known(self) && known(other)
    }
}

/// Gives up all rights but those of a user.
fn become_user(user: u32) -> Result<()> {
    // SAFETY: It is about this process only, which has one thread.
    let results = unsafe {
        [
            libc::setgroups(0, std::ptr::null()),
            libc::setresgid(user, user, user),
            libc::setresuid(user, user, user),
        ]
    };
    for result in results {
        said(result).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// sync(2)
fn sync() {
    // SAFETY: It needs nothing.
    unsafe { libc::sync() };
}
