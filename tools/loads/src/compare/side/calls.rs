// SPDX-License-Identifier: GPL-2.0

//! The system calls, as they are made in one of the two folders.

use std::collections::hash_map::DefaultHasher;
use std::ffi::{CStr, CString};
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::errno;

use super::super::call::{said, Answer, Call, PATHS};
use super::{Side, Transfer, PAGE};

const ATTRIBUTES: [&CStr; 3] = [c"user.one", c"user.two", c"trusted.three"];

impl Side {
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
                let what = Transfer {
                    vectors: self.vectors(len, count, self.direct[fd]),
                    offset,
                    flags,
                    ring,
                };
                let answer = self.transfer(fd, false, &what);
                answer.with_data(|len| self.data(&what.vectors, len))
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
                let what = Transfer {
                    vectors: self.vectors(len, count, self.direct[fd]),
                    offset,
                    flags,
                    ring,
                };
                self.transfer(fd, true, &what)
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
                let unknown = result.as_ref().is_err_and(|error| error == "EOPNOTSUPP");
                if unknown && !self.is_unknown(mode) {
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
