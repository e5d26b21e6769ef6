// SPDX-License-Identifier: GPL-2.0

//! Asynchronous reads and writes of one file through io_uring.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use anyhow::{Context, Result};
use io_uring::{opcode, squeue, types::Fd, IoUring};

use crate::buffer::Buffer;

/// What one operation does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the medium into the buffer.
    Read,
    /// From the buffer to the medium.
    Write,
}

/// The end of one operation.
pub struct Completion {
    /// The number under which it was queued.
    pub tag: u64,
    /// Bytes moved, or an error number.
    pub result: Result<u64, i32>,
}

/// A ring, with the file and the buffer of all its operations.
///
/// # Invariants
///
/// The file is open and the buffer mapped until `in_flight` is zero.
pub struct Queue {
    ring: IoUring,
    file: Arc<File>,
    buffer: Arc<Buffer>,
    in_flight: usize,
    asynchronous: bool,
    fixed: bool,
}

impl Queue {
    /// A queue for up to `depth` operations at a time.
    pub fn new(depth: u32, file: Arc<File>, buffer: Arc<Buffer>) -> Result<Self> {
        let ring = IoUring::new(depth).context("io_uring_setup")?;
        Ok(Self {
            ring,
            file,
            buffer,
            in_flight: 0,
            asynchronous: false,
            fixed: false,
        })
    }

    /// Leaves every submission to a kernel worker, so that a device that
    /// blocks in submission does not block the caller.
    pub fn asynchronous(mut self) -> Self {
        self.asynchronous = true;
        self
    }

    /// Has the kernel pin the buffer once and for all; operations use it as it is then, as
    /// io_uring_register(2) describes it.
    pub fn fixed(mut self) -> Result<Self> {
        let whole = self.buffer.whole();
        let vector = libc::iovec {
            iov_base: self.buffer.address(&whole).cast(),
            iov_len: whole.len(),
        };
        // SAFETY: The buffer is mapped until no operation is in flight, by type invariant. The
        // kernel holds its pages itself.
        unsafe { self.ring.submitter().register_buffers(&[vector]) }
            .context("io_uring_register")?;
        self.fixed = true;
        Ok(self)
    }

    /// Queues one operation on a range of the buffer, at a byte offset of the
    /// file.
    pub fn push(
        &mut self,
        direction: Direction,
        range: Range<usize>,
        offset: u64,
        tag: u64,
    ) -> Result<()> {
        let fd = Fd(self.file.as_raw_fd());
        let address = self.buffer.address(&range);
        let len = range.len() as u32;
        let entry = match (direction, self.fixed) {
            (Direction::Read, false) => opcode::Read::new(fd, address, len).offset(offset).build(),
            (Direction::Write, false) => {
                opcode::Write::new(fd, address, len).offset(offset).build()
            }
            (Direction::Read, true) => opcode::ReadFixed::new(fd, address, len, 0)
                .offset(offset)
                .build(),
            (Direction::Write, true) => opcode::WriteFixed::new(fd, address, len, 0)
                .offset(offset)
                .build(),
        };
        let flags = if self.asynchronous {
            squeue::Flags::ASYNC
        } else {
            squeue::Flags::empty()
        };
        // SAFETY: `len` bytes at `address` are in the buffer, which with the
        // file stays until the operation has completed, by type invariant.
        unsafe {
            self.ring
                .submission()
                .push(&entry.flags(flags).user_data(tag))
        }
        .context("the submission queue is full")?;
        // INVARIANT: what is queued counts as in flight.
        self.in_flight += 1;
        Ok(())
    }

    /// Submits what is queued and waits for `want` completions, or for all if
    /// there are fewer in flight.
    pub fn submit_and_wait(&mut self, want: usize) -> Result<()> {
        let want = want.min(self.in_flight);
        loop {
            match self.ring.submit_and_wait(want) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("io_uring_enter"),
            }
        }
    }

    /// Operations that have not been taken from `completed` yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether the kernel has completed an operation that was not taken yet.
    pub fn has_completed(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Takes one completed operation, if there is one.
    pub fn completed(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        self.in_flight -= 1;
        let result = entry.result();
        Some(Completion {
            tag: entry.user_data(),
            result: u64::try_from(result).map_err(|_| -result),
        })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            if self.submit_and_wait(1).is_err() {
                // INVARIANT: nobody can say when the kernel is done with
                // these, so they stay for good.
                std::mem::forget((self.file.clone(), self.buffer.clone()));
                return;
            }
            while self.completed().is_some() {}
        }
    }
}
