// SPDX-License-Identifier: GPL-2.0

//! One of two folders, in which system calls are made.

use std::collections::hash_map::DefaultHasher;
use std::ffi::{CStr, CString};
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use io_uring::{opcode, squeue, types::Fd, IoUring};

use crate::errno;

use super::call::{completed, said, Answer, Call, FDS, PATHS};

const ATTRIBUTES: [&CStr; 3] = [c"user.one", c"user.two", c"trusted.three"];

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

    /// The size of a file that is open, and 0 of what is no file.
    fn size(&self, fd: usize) -> i64 {
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

    /// Makes a call with these flags; without RWF_DONTCACHE where a filesystem does not know it,
    /// which a stack on it does.
    fn flagged(&mut self, flags: i32, mut call: impl FnMut(&mut Self, i32) -> Answer) -> Answer {
        let answer = call(self, flags);
        match &answer.result {
            Err(error) if error == "EOPNOTSUPP" && flags & RWF_DONTCACHE != 0 => {
                call(self, flags & !RWF_DONTCACHE)
            }
            _ => answer,
        }
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
        ring && self.file_size(fd).is_some()
    }

    /// Has io_uring do one operation, and waits for it.
    ///
    /// # Safety
    ///
    /// What the operation points to lives until this returns.
    unsafe fn wait_for(&mut self, entry: &squeue::Entry) -> Answer {
        // SAFETY: The caller has promised it; it is over when this returns.
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

    /// Makes the call.
    ///
    /// All pointers that system calls get here are to what is as long as they are told, and lives
    /// until they have returned.
    pub fn call(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Open {
                fd,
                path,
                flags,
                mode,
            } => {
                let path = self.path(path);
                // SAFETY: See above.
                let raw = unsafe { libc::open(path.as_ptr(), flags | libc::O_NONBLOCK, mode) };
                let result = said(raw).map(|_| 0);
                // SAFETY: A new descriptor, which has no other owner.
                self.files[fd] = (raw >= 0).then(|| unsafe { OwnedFd::from_raw_fd(raw) });
                self.direct[fd] = flags & libc::O_DIRECT != 0;
                Answer::new(result)
            }
            Call::Close { fd } => {
                self.files[fd] = None;
                Answer::new(Ok(0))
            }
            Call::Read {
                fd,
                offset,
                len,
                count,
                flags,
                ring,
            } => {
                self.fill(0, len, count);
                let vectors = self.vectors(len, count, self.direct[fd]);
                let (raw, at) = (self.raw(fd), vectors.as_ptr());
                let answer = self.flagged(flags, |side, flags| {
                    if side.by_ring(fd, ring) {
                        let entry = opcode::Readv::new(Fd(raw), at, count as u32);
                        let entry = entry.offset(offset as u64).rw_flags(flags).build();
                        // SAFETY: See above.
                        return unsafe { side.wait_for(&entry) };
                    }
                    // SAFETY: See above.
                    let result = unsafe { libc::preadv2(raw, at, count as i32, offset, flags) };
                    Answer::new(said(result))
                });
                answer.with_data(|len| self.data(&vectors, len))
            }
            Call::Write {
                fd,
                offset,
                len,
                fill,
                count,
                flags,
                ring,
            } => {
                self.fill(fill, len, count);
                let vectors = self.vectors(len, count, self.direct[fd]);
                let (raw, at) = (self.raw(fd), vectors.as_ptr());
                self.flagged(flags, |side, flags| {
                    if side.by_ring(fd, ring) {
                        let entry = opcode::Writev::new(Fd(raw), at, count as u32);
                        let entry = entry.offset(offset as u64).rw_flags(flags).build();
                        // SAFETY: See above.
                        return unsafe { side.wait_for(&entry) };
                    }
                    // SAFETY: See above.
                    let result = unsafe { libc::pwritev2(raw, at, count as i32, offset, flags) };
                    Answer::new(said(result))
                })
            }
            Call::ReadNext { fd, len } => {
                let (raw, at) = (self.raw(fd), self.buffer.as_mut_ptr());
                // SAFETY: See above.
                let result = unsafe { libc::read(raw, at.cast(), len as usize) };
                Answer::new(said(result)).with_data(|len| {
                    let mut hasher = DefaultHasher::new();
                    self.buffer[..len].hash(&mut hasher);
                    hasher.finish()
                })
            }
            Call::WriteNext { fd, len, fill } => {
                self.fill(fill, len, 1);
                let (raw, at) = (self.raw(fd), self.buffer.as_ptr());
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::write(raw, at.cast(), len as usize) }))
            }
            Call::Seek { fd, offset, whence } => {
                // SAFETY: It has no pointers.
                let result = said(unsafe { libc::lseek(self.raw(fd), offset, whence) });
                if whence == libc::SEEK_DATA || whence == libc::SEEK_HOLE {
                    // Where holes are may differ, and so does not count for what comes next.
                    // SAFETY: It has no pointers.
                    unsafe { libc::lseek(self.raw(fd), 0, libc::SEEK_SET) };
                }
                Answer::new(result)
            }
            Call::Truncate { fd, size } => {
                // SAFETY: It has no pointers.
                Answer::new(said(unsafe { libc::ftruncate(self.raw(fd), size) }))
            }
            Call::Allocate {
                fd,
                mode,
                offset,
                len,
            } => {
                // SAFETY: It has no pointers.
                let result = unsafe { libc::fallocate(self.raw(fd), mode, offset, len) };
                let result = said(result);
                if result.as_ref().is_err_and(|error| error == "EOPNOTSUPP") {
                    self.unknown.push(mode);
                }
                // What is put in again and again would get long.
                if self.size(fd) > 4 << 20 {
                    // SAFETY: It has no pointers.
                    unsafe { libc::ftruncate(self.raw(fd), 0) };
                }
                Answer::new(result)
            }
            Call::Sync { fd, data } => {
                let raw = self.raw(fd);
                // SAFETY: They have no pointers.
                Answer::new(said(unsafe {
                    if data {
                        libc::fdatasync(raw)
                    } else {
                        libc::fsync(raw)
                    }
                }))
            }
            Call::Copy {
                from,
                fd,
                source,
                offset,
                len,
            } => {
                let (from, to) = (self.raw(from), self.raw(fd));
                let (mut source, mut offset) = (source, offset);
                // SAFETY: See above.
                Self::repeated(len, |len| unsafe {
                    libc::copy_file_range(from, &mut source, to, &mut offset, len, 0)
                })
            }
            Call::Send {
                from,
                fd,
                source,
                len,
            } => {
                let (from, to) = (self.raw(from), self.raw(fd));
                let mut source = source;
                // SAFETY: See above.
                Self::repeated(len, |len| unsafe {
                    libc::sendfile(to, from, &mut source, len)
                })
            }
            Call::Store {
                fd,
                offset,
                len,
                fill,
                behind,
                sync,
            } => {
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                self.mapped(fd, offset, len, protection, |base, start, len| {
                    let end = if behind {
                        // To the end of the page, which may be behind that of the file.
                        (start + len).next_multiple_of(PAGE as usize)
                    } else {
                        start + len
                    };
                    for i in start..end {
                        // SAFETY: It is in a page that is mapped, and part of the file.
                        unsafe { base.add(i).write_volatile(fill as u8 | 1) };
                    }
                    if sync {
                        // SAFETY: That is what was mapped.
                        unsafe { libc::msync(base.cast(), start + len, libc::MS_SYNC) };
                    }
                })
            }
            Call::Load { fd, offset, len } => {
                let mut hasher = DefaultHasher::new();
                let answer = self.mapped(fd, offset, len, libc::PROT_READ, |base, start, len| {
                    for i in start..start + len {
                        // SAFETY: It is in a page that is mapped, and part of the file.
                        unsafe { base.add(i).read_volatile() }.hash(&mut hasher);
                    }
                });
                answer.with_data(|_| hasher.finish())
            }
            Call::Forget { fd } => {
                let raw = self.raw(fd);
                // SAFETY: It has no pointers.
                let result = unsafe { libc::posix_fadvise(raw, 0, 0, libc::POSIX_FADV_DONTNEED) };
                Answer::new(Ok(result.into()))
            }
            Call::Stat { fd } => {
                let mut stat = MaybeUninit::uninit();
                // SAFETY: See above.
                let result = unsafe { libc::fstat(self.raw(fd), stat.as_mut_ptr()) };
                self.stat(result, &stat)
            }
            Call::SetTimes { fd, time } => {
                let times = times(time);
                // SAFETY: See above.
                Answer::new(said(unsafe {
                    libc::futimens(self.raw(fd), times.as_ptr())
                }))
            }
            Call::Mode { fd, mode } => {
                // SAFETY: It has no pointers.
                Answer::new(said(unsafe { libc::fchmod(self.raw(fd), mode) }))
            }
            _ => self.name_call(call),
        }
    }

    /// Those that take names.
    fn name_call(&mut self, call: &Call) -> Answer {
        let here = libc::AT_FDCWD;
        match *call {
            Call::MakeFolder { path, mode } => {
                let path = self.path(path);
                // SAFETY: The path ends with a zero, as all of them.
                Answer::new(said(unsafe { libc::mkdir(path.as_ptr(), mode) }))
            }
            Call::RemoveFolder { path } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::rmdir(path.as_ptr()) }))
            }
            Call::Unlink { path } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::unlink(path.as_ptr()) }))
            }
            Call::Rename { path, other, flags } => {
                let (old, new) = (self.path(path), self.path(other));
                // SAFETY: See above.
                let result =
                    unsafe { libc::renameat2(here, old.as_ptr(), here, new.as_ptr(), flags) };
                Answer::new(said(result))
            }
            Call::Link { path, other } => {
                let (old, new) = (self.path(path), self.path(other));
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::link(old.as_ptr(), new.as_ptr()) }))
            }
            Call::Symlink { path, other } => {
                let target = CString::new(PATHS[other]).expect("no zero");
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe {
                    libc::symlink(target.as_ptr(), path.as_ptr())
                }))
            }
            Call::ReadLink { path } => {
                let path = self.path(path);
                let mut target = [0_u8; 256];
                let at = target.as_mut_ptr().cast();
                // SAFETY: See above, and there is as much room.
                let result = unsafe { libc::readlink(path.as_ptr(), at, target.len()) };
                Answer::new(said(result)).with_text(|| format!("{:?}", &target[..result as usize]))
            }
            Call::MakeFifo { path, mode } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::mkfifo(path.as_ptr(), mode) }))
            }
            Call::StatPath { path, follow } => {
                let path = self.path(path);
                let mut stat = MaybeUninit::uninit();
                let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
                // SAFETY: See above.
                let result =
                    unsafe { libc::fstatat(here, path.as_ptr(), stat.as_mut_ptr(), flags) };
                self.stat(result, &stat)
            }
            Call::List { path } => {
                let path = self.path(path);
                let names = std::fs::read_dir(path.to_string_lossy().as_ref()).map(|entries| {
                    let names = entries.flatten().map(|entry| entry.file_name());
                    let mut names: Vec<_> = names.collect();
                    names.sort();
                    format!("{names:?}")
                });
                match names {
                    Ok(names) => Answer::new(Ok(0)).with_text(|| names),
                    Err(error) => Answer::new(Err(errno::name_of(&error))),
                }
            }
            Call::TruncatePath { path, size } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::truncate(path.as_ptr(), size) }))
            }
            Call::ModePath { path, mode } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::chmod(path.as_ptr(), mode) }))
            }
            Call::Owner { path, owner, group } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::lchown(path.as_ptr(), owner, group) }))
            }
            Call::SetTimesPath { path, time } => {
                let (path, times) = (self.path(path), times(time));
                // SAFETY: See above.
                Answer::new(said(unsafe {
                    libc::utimensat(
                        here,
                        path.as_ptr(),
                        times.as_ptr(),
                        libc::AT_SYMLINK_NOFOLLOW,
                    )
                }))
            }
            Call::SetAttribute {
                path,
                name,
                len,
                fill,
                flags,
            } => {
                let path = self.path(path);
                let value = vec![fill as u8; len];
                let name = ATTRIBUTES[name];
                // SAFETY: See above, and the value is as long.
                Answer::new(said(unsafe {
                    let value = value.as_ptr().cast();
                    libc::lsetxattr(path.as_ptr(), name.as_ptr(), value, len, flags)
                }))
            }
            Call::GetAttribute { path, name } => {
                let path = self.path(path);
                let mut value = [0_u8; 256];
                let name = ATTRIBUTES[name];
                // SAFETY: See above, and there is as much room.
                let result = unsafe {
                    let at = value.as_mut_ptr().cast();
                    libc::lgetxattr(path.as_ptr(), name.as_ptr(), at, value.len())
                };
                Answer::new(said(result)).with_text(|| format!("{:?}", &value[..result as usize]))
            }
            Call::ListAttributes { path } => {
                let path = self.path(path);
                let mut names = [0_u8; 1024];
                // SAFETY: See above, and there is as much room.
                let result = unsafe {
                    libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len())
                };
                Answer::new(said(result)).with_text(|| {
                    let mut names: Vec<_> = names[..result as usize].split(|b| *b == 0).collect();
                    names.sort_unstable();
                    format!("{names:?}")
                })
            }
            Call::RemoveAttribute { path, name } => {
                let path = self.path(path);
                let name = ATTRIBUTES[name];
                // SAFETY: See above.
                Answer::new(said(unsafe {
                    libc::lremovexattr(path.as_ptr(), name.as_ptr())
                }))
            }
            Call::Access { path, mode } => {
                let path = self.path(path);
                // SAFETY: See above.
                Answer::new(said(unsafe { libc::access(path.as_ptr(), mode) }))
            }
            _ => unreachable!("it takes no name"),
        }
    }
}

fn times(seconds: i64) -> [libc::timespec; 2] {
    [seconds, seconds + 1].map(|tv_sec| libc::timespec {
        tv_sec,
        tv_nsec: 123_456_789,
    })
}
