// SPDX-License-Identifier: GPL-2.0

//! What is counted, and how it is written.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Bytes of a line, as a shift.
const LINE: u32 = 6;

/// A piece of code that QEMU translates as one.
#[derive(Debug)]
pub struct Block {
    /// Where it begins.
    pub address: u64,
    /// How many instructions it has.
    pub instructions: u32,
    /// How many of those lock the bus.
    pub locked: u32,
    runs: AtomicU64,
}

/// Accesses of one processor, from one block, to one line.
#[derive(Debug, Default)]
struct Accesses {
    reads: u64,
    writes: u64,
}

/// Of one processor: by line and block.
type Lines = HashMap<(u64, u64), Accesses, BuildHasherDefault<Mixer>>;

/// More processors than a guest has here.
const CPUS: usize = 64;

/// A hash of a few numbers, which nobody chooses to collide: the default one takes most of the time.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// All that is counted, between marks only.
///
/// It is shared by the threads of all processors. A count that another thread sees late is no
/// harm, so the order of atomic accesses is relaxed.
#[derive(Debug)]
pub struct Counts {
    counting: AtomicBool,
    section: AtomicU32,
    user: AtomicU64,
    blocks: Mutex<Vec<&'static Block>>,
    lines: [Mutex<Lines>; CPUS],
    written: Mutex<String>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            counting: AtomicBool::new(false),
            section: AtomicU32::new(0),
            user: AtomicU64::new(0),
            blocks: Mutex::default(),
            lines: std::array::from_fn(|_| Mutex::default()),
            written: Mutex::default(),
        }
    }
}

impl Counts {
    /// Takes up a block, for as long as QEMU runs: there is no telling when it drops what it has
    /// translated.
    pub fn new_block(&self, address: u64, instructions: u32, locked: u32) -> &'static Block {
        let block: &'static Block = Box::leak(Box::new(Block {
            address,
            instructions,
            locked,
            runs: AtomicU64::new(0),
        }));
        lock(&self.blocks).push(block);
        block
    }

    /// A block of the kernel's code begins.
    pub fn run(&self, block: &Block) {
        if self.counting.load(Relaxed) {
            block.runs.fetch_add(1, Relaxed);
        }
    }

    /// So many instructions of a program begin.
    pub fn run_user(&self, instructions: u32) {
        if self.counting.load(Relaxed) {
            self.user.fetch_add(instructions.into(), Relaxed);
        }
    }

    /// An instruction of the block accesses the kernel's memory.
    pub fn access(&self, block: &Block, cpu: u32, address: u64, store: bool) {
        if !self.counting.load(Relaxed) {
            return;
        }
        let Some(lines) = self.lines.get(cpu as usize) else {
            return;
        };
        let mut lines = lock(lines);
        let by = lines.entry((address >> LINE, block.address)).or_default();
        if store {
            by.writes += 1;
        } else {
            by.reads += 1;
        }
    }

    /// Begins a section, or ends it.
    pub fn mark(&self) {
        if self.counting.swap(false, Relaxed) {
            self.write_section();
        } else {
            self.section.fetch_add(1, Relaxed);
            self.counting.store(true, Relaxed);
        }
    }

    /// What was written of all sections that have ended.
    pub fn take(&self) -> String {
        std::mem::take(&mut lock(&self.written))
    }

    fn write_section(&self) {
        let mut out = lock(&self.written);
        // A String takes all that is written to it.
        let _ = writeln!(out, "section {}", self.section.load(Relaxed));
        let _ = writeln!(out, "user {}", self.user.swap(0, Relaxed));
        for block in lock(&self.blocks).iter() {
            let runs = block.runs.swap(0, Relaxed);
            if runs != 0 {
                let _ = writeln!(
                    out,
                    "block {:x} {} {} {runs}",
                    block.address, block.instructions, block.locked
                );
            }
        }
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|lines| std::mem::take(&mut *lock(lines)))
            .collect();
        let shared = shared(&lines);
        for (cpu, lines) in lines.iter().enumerate() {
            for ((line, block), accesses) in lines {
                if shared.contains(line) {
                    let _ = writeln!(
                        out,
                        "line {:x} {block:x} {cpu} {} {}",
                        line << LINE,
                        accesses.reads,
                        accesses.writes
                    );
                }
            }
        }
    }
}

/// The lines that several processors have touched and one has written.
fn shared(lines: &[Lines]) -> HashSet<u64> {
    // By line: a bit for each processor, and whether one has written.
    let mut touched: HashMap<u64, (u64, bool)> = HashMap::new();
    for (cpu, lines) in lines.iter().enumerate() {
        for ((line, _), accesses) in lines {
            let (cpus, written) = touched.entry(*line).or_default();
            *cpus |= 1 << cpu;
            *written |= accesses.writes != 0;
        }
    }
    touched.retain(|_, (cpus, written)| cpus.count_ones() > 1 && *written);
    touched.into_keys().collect()
}

/// A thread that has panicked has counted wrong at worst.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_between_marks() {
        let counts = Counts::default();
        let block = counts.new_block(0x1000, 5, 1);
        counts.run(block);
        counts.mark();
        counts.run(block);
        counts.run(block);
        counts.run_user(7);
        counts.mark();
        counts.run(block);
        assert_eq!(counts.take(), "section 1\nuser 7\nblock 1000 5 1 2\n");
        counts.mark();
        counts.mark();
        assert_eq!(counts.take(), "section 2\nuser 0\n");
    }

    #[test]
    fn lines_that_are_shared() {
        let counts = Counts::default();
        let block = counts.new_block(0x1000, 1, 0);
        counts.mark();
        // Written and read on two processors; read only; on one processor only.
        counts.access(block, 0, 0x80, true);
        counts.access(block, 1, 0xbf, false);
        counts.access(block, 1, 0xc0, false);
        counts.access(block, 0, 0xc0, false);
        counts.access(block, 1, 0x100, true);
        counts.mark();
        let out = counts.take();
        let mut lines: Vec<_> = out.lines().filter(|l| l.starts_with("line")).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["line 80 1000 0 0 1", "line 80 1000 1 1 0"]);
    }
}
