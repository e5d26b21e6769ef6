// SPDX-License-Identifier: GPL-2.0

//! One submitter with its buffers, its mutator and its part of the target.

use std::fs::File;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{Context, Result};
use serde::Serialize;

use super::chosen::Chosen;
use super::Args;
use crate::buffer::Buffer;
use crate::ledger::Ledger;
use crate::pattern::Pattern;
use crate::queue::{Completion, Direction, Queue};
use crate::random::Random;
use crate::tally::Tally;
use crate::units::Clock;

/// Stores of the mutator between two looks at whether to stop.
const STORES: u64 = 256;

/// What one or more jobs did.
#[derive(Default)]
pub struct Counts {
    pub writes: Tally,
    pub reads: Tally,
    pub short: u64,
    pub mutations: u64,
    pub chosen: u64,
    pub verified: Option<Verified>,
}

/// What was found when blocks were read back.
#[derive(Default, Serialize)]
pub struct Verified {
    verified: u64,
    mismatched: u64,
    unreadable: u64,
}

impl Counts {
    /// Adds what another job did.
    pub fn add(&mut self, other: Self) {
        self.writes.add(other.writes);
        self.reads.add(other.reads);
        self.short += other.short;
        self.mutations += other.mutations;
        self.chosen += other.chosen;
        if let Some(other) = other.verified {
            let sum = self.verified.get_or_insert_default();
            sum.verified += other.verified;
            sum.mismatched += other.mismatched;
            sum.unreadable += other.unreadable;
        }
    }
}

impl Verified {
    fn count(&mut self, read: &Completion, block_size: u64, matches: impl FnOnce() -> bool) {
        self.verified += 1;
        if read.result != Ok(block_size) {
            self.unreadable += 1;
        } else if !matches() {
            self.mismatched += 1;
        }
    }
}

/// One job, ready to run.
pub struct Job<'a> {
    args: &'a Args,
    buffer: Arc<Buffer>,
    queue: Queue,
    random: Random,
    mutator: Random,
    first: u64,
    blocks: u64,
    ledger: Option<Ledger>,
    /// By slot: the operation that has its buffer there.
    in_flight: Vec<Option<Operation>>,
    /// Where not all buffers are changed.
    chosen: Option<Arc<Chosen>>,
    operations_left: u64,
    counts: Counts,
}

struct Operation {
    direction: Direction,
    block: u64,
    generation: u32,
}

impl<'a> Job<'a> {
    /// The `index`th job, on the `index`th run of so many blocks.
    pub fn new(args: &'a Args, index: u64, blocks: u64, file: &Arc<File>) -> Result<Self> {
        let len = args.block_size as usize * args.depth as usize;
        let buffer = Buffer::anonymous(len, args.huge).context("no memory for the buffers")?;
        let mut random = Random::new(args.seed, 2 * index);
        buffer.randomize(&mut random);
        let buffer = Arc::new(buffer);
        let mut queue = Queue::new(args.depth, file.clone(), buffer.clone())?;
        if args.wait {
            queue = queue.asynchronous();
        }
        if args.fixed {
            queue = queue.fixed()?;
        }
        Ok(Self {
            args,
            queue,
            buffer,
            random,
            mutator: Random::new(args.seed, 2 * index + 1),
            first: index * blocks,
            blocks,
            ledger: args.verify.then(|| Ledger::new(blocks)),
            in_flight: (0..args.depth).map(|_| None).collect(),
            chosen: (args.change).map(|_| Arc::new(Chosen::new(args.depth as usize))),
            operations_left: share(args.op_limit, args.jobs, index),
            counts: Counts::default(),
        })
    }

    /// Submits until the time or the limit is over, completes what is in
    /// flight, and reads back what is to be verified.
    pub fn run(mut self, clock: Clock) -> Result<Counts> {
        if self.args.no_mutate {
            self.submit(clock)?;
        } else {
            self.submit_while_mutating(clock)?;
        }
        if let Some(ledger) = self.ledger.take() {
            self.counts.verified = Some(self.verify(&ledger)?);
        }
        Ok(self.counts)
    }

    fn submit_while_mutating(&mut self, clock: Clock) -> Result<()> {
        let (stop, begun) = (AtomicBool::new(false), Barrier::new(2));
        let (buffer, chosen) = (self.buffer.clone(), self.chosen.clone());
        let mut random = Random::new(self.mutator.next(), 0);
        let undo = self.args.undo;
        thread::scope(|scope| {
            let builder = thread::Builder::new();
            let mutator = builder
                .spawn_scoped(scope, || {
                    if let Some(chosen) = &chosen {
                        chosen.attach();
                        begun.wait();
                        return chosen.mutate(buffer.words(), &mut random, &stop);
                    }
                    let store = if undo { there_and_back } else { scribble };
                    let first = store(&buffer, &mut random);
                    begun.wait();
                    first + mutate(store, &buffer, &mut random, &stop)
                })
                .context("a thread does not start")?;
            // A few writes can be over before a busy machine has begun to run it.
            begun.wait();
            let result = self.submit(clock);
            stop.store(true, Relaxed);
            if let Some(chosen) = &self.chosen {
                chosen.wake();
            }
            self.counts.mutations = mutator.join().expect("the mutator panicked");
            result
        })
    }

    fn submit(&mut self, clock: Clock) -> Result<()> {
        // Several at a time, so that the block layer plugs them: a write that
        // waits for others after its checksum is the easier one to hit.
        let batch = (self.args.depth as usize / 4).max(1);
        loop {
            if !clock.over() {
                self.fill()?;
            }
            if self.queue.in_flight() == 0 {
                return Ok(());
            }
            self.queue.submit_and_wait(batch)?;
            while let Some(completion) = self.queue.completed() {
                self.complete(&completion);
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        for slot in 0..self.in_flight.len() {
            if self.in_flight[slot].is_none() && self.operations_left > 0 {
                self.operations_left -= 1;
                self.start(slot)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, slot: usize) -> Result<()> {
        let direction = if self.random.below(100) < self.args.read_percent {
            Direction::Read
        } else {
            Direction::Write
        };
        let wanted = self.random.below(self.blocks);
        let block = free_block(wanted, self.blocks, |block| self.is_in_flight(block));
        let range = self.range(slot);
        let mut generation = 0;
        if let (Direction::Write, Some(ledger)) = (direction, &mut self.ledger) {
            generation = ledger.next_generation();
            let pattern = Pattern::new(self.args.seed, self.offset(block), generation);
            pattern.fill(&self.buffer.words()[words(&range)]);
        }
        if let (Some(permille), Some(chosen)) = (self.args.change, &self.chosen) {
            if self.random.below(1000) < permille && direction == Direction::Write {
                chosen.insert(slot);
                self.counts.chosen += 1;
            }
        }
        self.queue
            .push(direction, range, self.offset(block), slot as u64)?;
        self.in_flight[slot] = Some(Operation {
            direction,
            block,
            generation,
        });
        Ok(())
    }

    fn complete(&mut self, completion: &Completion) {
        let operation = self.in_flight[completion.tag as usize].take();
        let operation = operation.expect("a completion of nothing in flight");
        if let Some(chosen) = &self.chosen {
            chosen.remove(completion.tag as usize);
        }
        let whole = completion.result == Ok(self.args.block_size);
        if operation.direction == Direction::Read {
            return self.counts.reads.count(completion.result);
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.completed(operation.block, operation.generation, whole);
        }
        if completion.result.is_ok() && !whole {
            self.counts.short += 1;
            self.counts.writes.count(Ok(0));
        } else {
            self.counts.writes.count(completion.result);
        }
    }

    /// Reads back, with all slots in flight, every block that is known.
    fn verify(&mut self, ledger: &Ledger) -> Result<Verified> {
        let mut found = Verified::default();
        let mut known = ledger.known();
        let mut expected: Vec<Option<Pattern>> = vec![None; self.in_flight.len()];
        loop {
            let free = expected.iter_mut().enumerate();
            let free = free.filter(|(_, pattern)| pattern.is_none());
            // Slots first: when there is none left, zip must not have taken a
            // block, which would then go unread.
            for ((slot, pattern), (block, generation)) in free.zip(&mut known) {
                let (range, offset) = (self.range(slot), self.offset(block));
                self.queue
                    .push(Direction::Read, range, offset, slot as u64)?;
                *pattern = Some(Pattern::new(self.args.seed, offset, generation));
            }
            if self.queue.in_flight() == 0 {
                return Ok(found);
            }
            self.queue.submit_and_wait(1)?;
            while let Some(completion) = self.queue.completed() {
                let slot = completion.tag as usize;
                let pattern = expected[slot].take();
                let pattern = pattern.expect("a completion of nothing in flight");
                found.count(&completion, self.args.block_size, || {
                    pattern.matches(&self.buffer.words()[words(&self.range(slot))])
                });
            }
        }
    }

    fn is_in_flight(&self, block: u64) -> bool {
        self.in_flight.iter().flatten().any(|o| o.block == block)
    }

    fn offset(&self, block: u64) -> u64 {
        self.args.start + (self.first + block) * self.args.block_size
    }

    fn range(&self, slot: usize) -> Range<usize> {
        let len = self.args.block_size as usize;
        slot * len..(slot + 1) * len
    }
}

/// Stores some random words at random places; returns how many.
fn scribble(buffer: &Buffer, random: &mut Random) -> u64 {
    let words = buffer.words();
    for _ in 0..STORES {
        let word = random.below(words.len() as u64) as usize;
        words[word].store(random.next(), Relaxed);
    }
    STORES
}

/// Stores some random words at random places, and each time what was there before; returns how many.
/// A word is changed for as long as it is not.
fn there_and_back(buffer: &Buffer, random: &mut Random) -> u64 {
    let words = buffer.words();
    for _ in 0..STORES {
        let word = &words[random.below(words.len() as u64) as usize];
        let before = word.swap(random.next(), Relaxed);
        for _ in 0..20 {
            std::hint::spin_loop();
        }
        word.store(before, Relaxed);
        for _ in 0..20 {
            std::hint::spin_loop();
        }
    }
    STORES
}

/// Goes on with that until told to stop.
fn mutate(
    store: fn(&Buffer, &mut Random) -> u64,
    buffer: &Buffer,
    random: &mut Random,
    stop: &AtomicBool,
) -> u64 {
    let mut stores = 0;
    while !stop.load(Relaxed) {
        stores += store(buffer, random);
    }
    stores
}

/// The wanted block, or the next that is free; there must be one.
fn free_block(wanted: u64, blocks: u64, is_in_flight: impl Fn(u64) -> bool) -> u64 {
    let mut block = wanted;
    while is_in_flight(block) {
        block = (block + 1) % blocks;
    }
    block
}

/// One job's part of a limit, all of which is used.
fn share(limit: Option<u64>, jobs: u64, index: u64) -> u64 {
    match limit {
        Some(limit) => limit / jobs + u64::from(index < limit % jobs),
        None => u64::MAX,
    }
}

fn words(bytes: &Range<usize>) -> Range<usize> {
    bytes.start / 8..bytes.end / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_in_flight_is_not_taken() {
        let busy = [3, 4, 0];
        let free = |wanted| free_block(wanted, 5, |block| busy.contains(&block));
        assert_eq!([free(1), free(2), free(3), free(0)], [1, 2, 1, 1]);
    }

    #[test]
    fn the_shares_add_up_to_the_limit() {
        let shares: Vec<_> = (0..3).map(|job| share(Some(8), 3, job)).collect();
        assert_eq!(shares, [3, 3, 2]);
        assert_eq!(share(None, 3, 0), u64::MAX);
    }

    #[test]
    fn what_is_read_back_is_told_apart() {
        let mut found = Verified::default();
        let read = |result| Completion { tag: 0, result };
        found.count(&read(Ok(4096)), 4096, || true);
        found.count(&read(Ok(4096)), 4096, || false);
        found.count(&read(Ok(512)), 4096, || true);
        found.count(&read(Err(libc::EILSEQ)), 4096, || true);
        let Verified {
            verified,
            mismatched,
            unreadable,
        } = found;
        assert_eq!([verified, mismatched, unreadable], [4, 1, 2]);
    }

    #[test]
    fn the_mutator_stops_when_told() {
        let buffer = Buffer::anonymous(4096, false).unwrap();
        let stop = AtomicBool::new(true);
        assert_eq!(mutate(scribble, &buffer, &mut Random::new(1, 1), &stop), 0);
    }

    #[test]
    fn what_is_undone_is_as_it_was() {
        let buffer = Buffer::anonymous(4096, false).unwrap();
        buffer.randomize(&mut Random::new(1, 1));
        let all = || -> Vec<u64> { buffer.words().iter().map(|w| w.load(Relaxed)).collect() };
        let before = all();
        assert_eq!(there_and_back(&buffer, &mut Random::new(2, 1)), STORES);
        assert_eq!(all(), before);
        scribble(&buffer, &mut Random::new(2, 1));
        assert_ne!(all(), before);
    }
}
