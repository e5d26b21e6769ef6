// SPDX-License-Identifier: GPL-2.0

//! One of two folders, in which system calls are made, and what is open there.

mod calls;

use std::collections::hash_map::DefaultHasher;
use std::ffi::{CStr, CString};
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use io_uring::{opcode, squeue, types::Fd, IoUring};

use super::call::{completed, said, Answer, FDS, PATHS};

/// The largest transfer, and where vectors begin: with room in between.
const BUFFER: usize = 1 << 20;

const PAGE: i64 = 4096;

/// A flag of preadv2(2) and pwritev2(2) that libc does not have yet; linux/fs.h.
pub const RWF_DONTCACHE: i32 = 0x80;

/// One of the two folders, and what is open in it.
pub struct Side {
    root: CString,
    files: [Option<OwnedFd>; FDS],
    direct: [bool; FDS],
    unknown: Vec<i32>,
    buffer: memmap2::MmapMut,
    ring: IoUring,
}

/// A read or a write.
struct Transfer {
    /// Of the buffer of a [`Side`].
    vectors: Vec<libc::iovec>,
    offset: i64,
    flags: i32,
    ring: bool,
}

/// A time that was set, which is one long ago; none if it is that of a change.
pub fn time(seconds: i64, nanoseconds: i64) -> Option<(i64, i64)> {
    (seconds < 1_000_000_000).then_some((seconds, nanoseconds))
}

impl Side {
    /// A folder with that path, in which nothing is open.
    pub fn new(root: &CStr) -> Result<Self> {
        Ok(Self {
            root: root.into(),
            files: Default::default(),
            direct: Default::default(),
            unknown: Vec::new(),
            buffer: memmap2::MmapMut::map_anon(BUFFER).context("mmap")?,
            ring: IoUring::new(1).context("io_uring_setup")?,
        })
    }

    /// Whether there is such a descriptor.
    pub fn is_open(&self, fd: usize) -> bool {
        self.files[fd].is_some()
    }

    /// Whether it was opened with O_DIRECT.
    pub fn is_direct(&self, fd: usize) -> bool {
        self.direct[fd]
    }

    /// Whether fallocate(2) does not know that mode here, as far as it has been tried.
    pub fn is_unknown(&self, mode: i32) -> bool {
        self.unknown.contains(&mode)
    }

    /// Whether the bytes from `offset` to `end` are zero.
    pub fn is_zero(&mut self, fd: usize, offset: i64, end: i64) -> bool {
        let fd = self.raw(fd);
        let mut pos = offset;
        while pos < end {
            let len = (end - pos).min(BUFFER as i64) as usize;
            let buffer = self.buffer.as_mut_ptr();
            // SAFETY: The buffer is longer.
            let read = unsafe { libc::pread(fd, buffer.cast(), len, pos) };
            // One that can only be written to tells nothing.
            if read <= 0 {
                return true;
            }
            if self.buffer[..read as usize].iter().any(|byte| *byte != 0) {
                return false;
            }
            pos += read as i64;
        }
        true
    }

    fn raw(&self, fd: usize) -> RawFd {
        self.files[fd].as_ref().map_or(-1, |file| file.as_raw_fd())
    }

    fn path(&self, path: usize) -> CString {
        let mut full = self.root.as_bytes().to_vec();
        full.push(b'/');
        full.extend(PATHS[path].bytes());
        CString::new(full).expect("no zero")
    }

    /// What a transfer of `len` bytes in `count` parts needs of the buffer.
    fn fill(&mut self, fill: u64, len: i64, count: usize) {
        let mut word = fill | 1;
        let needed = (len as usize + (count + 1) * 2 * PAGE as usize).min(BUFFER);
        for bytes in self.buffer[..needed].chunks_exact_mut(8) {
            bytes.copy_from_slice(&word.to_ne_bytes());
            word = word
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(fill);
        }
    }

    /// Parts of the buffer, each at the beginning of a page.
    fn vectors(&mut self, len: i64, count: usize, whole: bool) -> Vec<libc::iovec> {
        let part = len / count as i64;
        let part = if whole { part - part % 512 } else { part };
        let mut left = len;
        let mut offset = 0;
        let base = self.buffer.as_mut_ptr();
        (0..count)
            .map(|i| {
                let len = if i + 1 == count { left } else { part };
                left -= len;
                let vector = libc::iovec {
                    iov_base: base.wrapping_add(offset).cast(),
                    iov_len: len as usize,
                };
                offset += (len as usize).next_multiple_of(PAGE as usize) + PAGE as usize;
                vector
            })
            .collect()
    }

    fn data(&self, vectors: &[libc::iovec], mut len: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        let base = self.buffer.as_ptr() as usize;
        for vector in vectors {
            let part = vector.iov_len.min(len);
            let start = vector.iov_base as usize - base;
            self.buffer[start..start + part].hash(&mut hasher);
            len -= part;
        }
        hasher.finish()
    }

    fn stat(&self, result: i32, stat: &MaybeUninit<libc::stat>) -> Answer {
        Answer::new(said(result)).with_text(|| {
            // SAFETY: The call has succeeded, and filled it.
            let stat = unsafe { stat.assume_init_ref() };
            let folder = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
            format!(
                "mode {:o} links {} owner {}:{} size {} device {} modified {:?}",
                stat.st_mode,
                stat.st_nlink,
                stat.st_uid,
                stat.st_gid,
                if folder { 0 } else { stat.st_size },
                stat.st_rdev,
                if folder {
                    None
                } else {
                    time(stat.st_mtime, stat.st_mtime_nsec)
                },
            )
        })
    }

    /// Whether it is a descriptor of a file with a set-user-ID or set-group-ID bit.
    pub fn is_set_id(&self, fd: usize) -> bool {
        let stat = self.stat_of(fd);
        stat.is_some_and(|stat| stat.st_mode & (libc::S_ISUID | libc::S_ISGID) != 0)
    }

    /// Whether it is a descriptor of a regular file.
    pub fn is_regular(&self, fd: usize) -> bool {
        self.file_size(fd).is_some()
    }

    /// The size of a file that is open, and 0 of what is no file.
    pub fn size(&self, fd: usize) -> i64 {
        self.file_size(fd).unwrap_or(0)
    }

    /// The size of a regular file that is open.
    fn file_size(&self, fd: usize) -> Option<i64> {
        let stat = self.stat_of(fd)?;
        (stat.st_mode & libc::S_IFMT == libc::S_IFREG).then_some(stat.st_size)
    }

    /// What fstat(2) says of a descriptor that is open.
    fn stat_of(&self, fd: usize) -> Option<libc::stat> {
        let mut stat = MaybeUninit::uninit();
        // SAFETY: There is room for what it says.
        if unsafe { libc::fstat(self.raw(fd), stat.as_mut_ptr()) } < 0 {
            return None;
        }
        // SAFETY: It has succeeded.
        Some(unsafe { stat.assume_init() })
    }

    /// Whether both are descriptors of one file.
    pub fn is_same(&self, fd: usize, other: usize) -> bool {
        match (self.stat_of(fd), self.stat_of(other)) {
            (Some(one), Some(two)) => (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino),
            _ => false,
        }
    }

    /// Whether the ring is to be taken: of a FIFO it would wait until there is something to read.
    fn by_ring(&self, fd: usize, ring: bool) -> bool {
        ring && self.is_regular(fd)
    }

    /// Reads or writes; without RWF_DONTCACHE where the filesystem does not know it, which a stack
    /// on it does.
    fn transfer(&mut self, fd: usize, write: bool, what: &Transfer) -> Answer {
        let answer = self.transfer_once(fd, write, what, what.flags);
        match &answer.result {
            Err(error) if error == "EOPNOTSUPP" && what.flags & RWF_DONTCACHE != 0 => {
                self.transfer_once(fd, write, what, what.flags & !RWF_DONTCACHE)
            }
            _ => answer,
        }
    }

    /// Makes it by preadv2(2) or pwritev2(2), or by io_uring.
    fn transfer_once(&mut self, fd: usize, write: bool, what: &Transfer, flags: i32) -> Answer {
        let (raw, at, count) = (self.raw(fd), what.vectors.as_ptr(), what.vectors.len());
        if self.by_ring(fd, what.ring) {
            let (raw, count, offset) = (Fd(raw), count as u32, what.offset as u64);
            let entry = if write {
                let entry = opcode::Writev::new(raw, at, count).offset(offset);
                entry.rw_flags(flags).build()
            } else {
                let entry = opcode::Readv::new(raw, at, count).offset(offset);
                entry.rw_flags(flags).build()
            };
            return self.wait_for(&entry);
        }
        let call = if write { libc::pwritev2 } else { libc::preadv2 };
        // SAFETY: The vectors are of the buffer, and live until the call returns.
        Answer::new(said(unsafe {
            call(raw, at, count as i32, what.offset, flags)
        }))
    }

    /// Has io_uring do one operation on vectors of the buffer, and waits for it.
    fn wait_for(&mut self, entry: &squeue::Entry) -> Answer {
        // SAFETY: The buffer is there for longer, and the vectors until this returns.
        unsafe { self.ring.submission().push(entry) }.expect("room for one");
        loop {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("io_uring_enter: {error}"),
                Ok(_) => {}
            }
            if let Some(entry) = self.ring.completion().next() {
                return Answer::new(completed(entry.result()));
            }
        }
    }

    /// Calls `f` with a mapping of the part of the file that is there, and where `offset` is in it.
    fn mapped(
        &self,
        fd: usize,
        offset: i64,
        len: i64,
        protection: i32,
        f: impl FnOnce(*mut u8, usize, usize),
    ) -> Answer {
        let size = self.size(fd);
        if offset >= size {
            return Answer::new(Ok(0));
        }
        let len = len.min(size - offset).max(1);
        let start = offset - offset % PAGE;
        let length = (offset + len - start) as usize;
        let fd = self.raw(fd);
        // SAFETY: A new mapping, at no address that was asked for.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                fd,
                start,
            )
        };
        if address == libc::MAP_FAILED {
            return Answer::new(said(-1));
        }
        f(address.cast(), (offset - start) as usize, len as usize);
        // SAFETY: It was mapped right above.
        Answer::new(said(unsafe { libc::munmap(address, length) }))
    }

    /// Calls `call` until all has been done, or it does no more.
    fn repeated(len: i64, mut call: impl FnMut(usize) -> isize) -> Answer {
        let mut done = 0;
        while done < len {
            match said(call((len - done) as usize)) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(_) if done > 0 => break,
                Err(error) => return Answer::new(Err(error)),
            }
        }
        Answer::new(Ok(done))
    }
}
