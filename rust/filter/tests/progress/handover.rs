// SPDX-License-Identifier: GPL-2.0

//! Who has an I/O, and until when: from the interrupt that ends it below, over the worker, to
//! device mapper, which frees it, and to the end of the target.
//!
//! The functions have the names and the order of steps of those in `rust/block/dm` and
//! `rust/block/integrity/private.rs`. loom runs them in every order, under the memory model of C11, and fails
//! where something is used by two at once, or after it is gone. What the kernel's primitives order
//! (`queue_work()`, `complete()`, `wake_up()`) is ordered here by a lock or by an atomic.

use loom::{
    cell::UnsafeCell,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc,
        Condvar,
        Mutex,
        Notify, //
    },
    thread,
};
use std::{cell::Cell, collections::VecDeque, panic};

/// Memory of which only matters who uses it when.
#[derive(Default)]
struct Memory {
    uses: UnsafeCell<()>,
    freed: Cell<bool>,
}

impl Memory {
    fn read(&self) {
        self.uses
            .with(|_| assert!(!self.freed.get(), "use after free"));
    }

    fn write(&self) {
        self.uses
            .with_mut(|_| assert!(!self.freed.get(), "use after free"));
    }

    fn free(&self) {
        self.write();
        self.freed.set(true);
    }
}

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// The interrupt notes something in the I/O after it has queued it.
    TouchesWhatItQueued,
    /// The worker notes something in the I/O after it has told device mapper of its end.
    TouchesWhatItEnded,
    /// The worker does not leave word that the I/O is finished before it tells device mapper.
    ForgetsToSay,
    /// The worker does not wait for the copy before it drops the metadata.
    LeavesTheCopy,
    /// The pages of a private bio go back after the end of the I/O.
    GivesBackTooLate,
    /// The target is dropped before its worker is gone.
    LeavesTheWorker,
}

/// How an I/O goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Down in place, ends well, nothing to look at.
    Passed,
    /// Down in place, then to a worker, which sends a copy.
    Repaired,
    /// Down as a private copy.
    Copied,
}

/// `PerIo`, a clone of device mapper's.
struct PerIo {
    course: Course,
    /// Device mapper's, which frees it.
    memory: Memory,
    /// Ours, which we do.
    metadata: Memory,
    suspect: Cell<bool>,
    finished: Cell<bool>,
}

/// A workqueue, with what it looks at after a work function has returned.
#[derive(Default)]
struct Workqueue {
    items: Mutex<(VecDeque<Arc<PerIo>>, bool)>,
    wake: Condvar,
    memory: Memory,
}

/// `Instance`, and what device mapper knows of its I/O.
struct Instance {
    flaw: Flaw,
    queue: Workqueue,
    /// The target and its pools.
    memory: Memory,
    pending: AtomicUsize,
    idle: Notify,
    freed: Cell<usize>,
}

/// `struct completion`.
struct Completion {
    done: AtomicBool,
    wake: Notify,
}

/// Whether device mapper may go on with an I/O.
#[derive(PartialEq, Eq)]
enum Ended {
    Done,
    Incomplete,
}

impl Completion {
    fn new() -> Self {
        Self {
            done: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    fn complete(&self) {
        self.done.store(true, Ordering::Release);
        self.wake.notify();
    }

    fn wait(&self) {
        // It may wake without a reason.
        while !self.done.load(Ordering::Acquire) {
            self.wake.wait();
        }
    }
}

impl Workqueue {
    fn queue(&self, io: Arc<PerIo>) {
        self.items.lock().unwrap().0.push_back(io);
        self.wake.notify_one();
    }

    /// A worker, until the queue is destroyed.
    fn run(&self, mut work: impl FnMut(Arc<PerIo>)) {
        loop {
            let mut items = self.items.lock().unwrap();
            let io = loop {
                if let Some(io) = items.0.pop_front() {
                    break io;
                }
                if items.1 {
                    return;
                }
                items = self.wake.wait(items).unwrap();
            };
            drop(items);
            work(io);
            self.memory.read();
        }
    }

    fn close(&self) {
        self.items.lock().unwrap().1 = true;
        self.wake.notify_one();
    }
}

impl PerIo {
    /// `Io::finish()`.
    fn finish(&self) {
        self.memory.write();
        self.metadata.free();
        self.finished.set(true);
    }
}

impl Instance {
    /// `end_io_callback()` and `StablePi::end_io()`.
    fn end_io(&self, io: &Arc<PerIo>) -> Ended {
        self.memory.read();
        io.memory.read();
        if io.finished.get() {
            return Ended::Done;
        }
        if io.course != Course::Repaired || io.suspect.get() {
            io.finish();
            return Ended::Done;
        }
        io.memory.write();
        io.suspect.set(true);
        self.queue.queue(io.clone());
        if self.flaw == Flaw::TouchesWhatItQueued {
            io.memory.write();
        }
        Ended::Incomplete
    }

    /// `clone_endio()` of device mapper, which `bio_endio()` calls.
    fn bio_endio(&self, io: &Arc<PerIo>) {
        if self.end_io(io) == Ended::Incomplete {
            return;
        }
        io.memory.free();
        self.freed.set(self.freed.get() + 1);
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify();
        }
    }

    /// `work_callback()`.
    fn work(&self, io: &Arc<PerIo>) {
        self.memory.read();
        io.memory.write();
        self.write_copy(io);
        io.finish();
        if self.flaw == Flaw::ForgetsToSay {
            io.finished.set(false);
        }
        self.bio_endio(io);
        if self.flaw == Flaw::TouchesWhatItEnded {
            io.memory.read();
        }
    }

    /// `submit_and_wait()`: the device reads the metadata until the interrupt says that it is done.
    fn write_copy(&self, io: &Arc<PerIo>) {
        let done = Arc::new(Completion::new());
        let device = thread::spawn({
            let (io, done) = (io.clone(), done.clone());
            move || {
                io.metadata.read();
                done.complete();
            }
        });
        if self.flaw != Flaw::LeavesTheCopy {
            done.wait();
        }
        drop(device);
    }

    /// The interrupt that ends an I/O below.
    fn interrupt(&self, io: &Arc<PerIo>) {
        if io.course == Course::Copied {
            // `PrivateBio::end_io_callback()`: the pages go back to the pool of the instance.
            if self.flaw != Flaw::GivesBackTooLate {
                self.memory.read();
            }
            self.bio_endio(io);
            if self.flaw == Flaw::GivesBackTooLate {
                self.memory.read();
            }
            return;
        }
        self.bio_endio(io);
    }

    /// Device mapper waits for all I/O and destroys the target.
    fn destroy(&self, worker: thread::JoinHandle<()>) {
        while self.pending.load(Ordering::Acquire) != 0 {
            self.idle.wait();
        }
        self.queue.close();
        if self.flaw != Flaw::LeavesTheWorker {
            worker.join().unwrap();
        }
        self.queue.memory.free();
        self.memory.free();
    }
}

/// I/Os of these courses end while the mapped device is suspended and its target destroyed; at most
/// `preemptions` times a thread is interrupted where it need not wait.
fn scenario(courses: &'static [Course], preemptions: usize, flaw: Flaw) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let instance = Arc::new(Instance {
            flaw,
            queue: Workqueue::default(),
            memory: Memory::default(),
            pending: AtomicUsize::new(courses.len()),
            idle: Notify::new(),
            freed: Cell::new(0),
        });
        let worker = thread::spawn({
            let instance = instance.clone();
            move || instance.queue.run(|io| instance.work(&io))
        });
        let ios: Vec<_> = courses
            .iter()
            .map(|course| {
                Arc::new(PerIo {
                    course: *course,
                    memory: Memory::default(),
                    metadata: Memory::default(),
                    suspect: Cell::new(false),
                    finished: Cell::new(false),
                })
            })
            .collect();
        let interrupts: Vec<_> = ios
            .into_iter()
            .map(|io| {
                let instance = instance.clone();
                thread::spawn(move || instance.interrupt(&io))
            })
            .collect();
        instance.destroy(worker);
        for interrupt in interrupts {
            interrupt.join().unwrap();
        }
        assert_eq!(instance.freed.get(), courses.len());
    });
}

#[test]
fn an_io_has_one_owner_at_a_time() {
    scenario(&[Course::Passed], 2, Flaw::None);
    scenario(&[Course::Copied], 2, Flaw::None);
    scenario(&[Course::Repaired], 2, Flaw::None);
}

#[test]
fn so_has_each_of_two() {
    scenario(&[Course::Repaired, Course::Copied], 1, Flaw::None);
}

#[test]
fn every_flaw_is_caught() {
    const REPAIRED: &[Course] = &[Course::Repaired];
    const COPIED: &[Course] = &[Course::Copied];
    for (flaw, courses, expected) in [
        (Flaw::TouchesWhatItQueued, REPAIRED, "Concurrent"),
        (Flaw::TouchesWhatItEnded, REPAIRED, "use after free"),
        (Flaw::ForgetsToSay, REPAIRED, "use after free"),
        (Flaw::LeavesTheCopy, REPAIRED, "Concurrent"),
        (Flaw::GivesBackTooLate, COPIED, "Concurrent"),
        (Flaw::LeavesTheWorker, REPAIRED, "Concurrent"),
    ] {
        let caught = panic::catch_unwind(|| scenario(courses, 2, flaw));
        let why = caught.expect_err("not caught");
        let text = why.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| why.downcast_ref().cloned());
        let text: String = text.unwrap_or_default();
        assert!(text.contains(expected), "{flaw:?}: {text}");
    }
}
