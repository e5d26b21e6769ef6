// SPDX-License-Identifier: GPL-2.0

//! A block device, read and written directly.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::failure::{failure, Code};
use crate::model::sweep::{Medium, STEP};

/// What a buffer of direct I/O has to be aligned to, whatever the device is.
const ALIGNMENT: usize = 4096;

/// Memory for direct I/O. Several threads may use it at once, and the kernel as well: it is only
/// looked at word by word.
pub struct Buffer {
    start: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: the memory is the buffer's own, and is used by way of atomics only.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// So many bytes of zeroes, a multiple of 4096.
    pub fn new(bytes: usize) -> Self {
        let layout = Self::layout(bytes);
        // SAFETY: the size is not 0.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start.cast::<AtomicU64>()) else {
            std::alloc::handle_alloc_error(layout)
        };
        Self { start, bytes }
    }

    fn layout(bytes: usize) -> std::alloc::Layout {
        assert!(bytes > 0 && bytes % ALIGNMENT == 0);
        std::alloc::Layout::from_size_align(bytes, ALIGNMENT)
            .expect("a power of two, and not too much")
    }

    /// The memory.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: it is that long, initialized, and atomics may change behind a reference.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes / 8) }
    }

    /// Whether all of the first bytes are 0.
    pub fn is_zero(&self, bytes: u64) -> bool {
        let words = &self.words()[..(bytes / 8) as usize];
        words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.start.as_ptr().cast(), Self::layout(self.bytes)) }
    }
}

/// An open device.
pub struct Device {
    file: File,
    buffer: Buffer,
    /// Its length in bytes.
    pub length: u64,
}

impl Device {
    /// To be read.
    pub fn open(path: &str) -> Result<Self> {
        Self::open_as(path, false, 0)
    }

    /// To be read and written by this process alone.
    pub fn open_alone(path: &str) -> Result<Self> {
        Self::open_as(path, true, libc::O_EXCL)
    }

    /// To be written, with others.
    pub fn open_shared(path: &str) -> Result<Self> {
        Self::open_as(path, true, 0)
    }

    fn open_as(path: &str, write: bool, flags: i32) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(libc::O_DIRECT | libc::O_CLOEXEC | flags)
            .open(path)
            .map_err(|e| match e.raw_os_error() {
                Some(libc::EBUSY) => failure(
                    Code::Refused,
                    format!("{path} is in use; stablepi probe {path} says by what"),
                ),
                Some(libc::ENOENT | libc::ENXIO) => {
                    failure(Code::Missing, format!("there is no {path}"))
                }
                Some(libc::EACCES) => failure(
                    Code::Failed,
                    format!("{path} cannot be opened; are you root?"),
                ),
                _ => failure(Code::Failed, format!("{path} cannot be opened: {e}")),
            })?;
        let mut length = 0u64;
        // SAFETY: BLKGETSIZE64 writes 64 bits there.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64, &mut length) };
        if done != 0 {
            let error = io::Error::last_os_error();
            return Err(error).with_context(|| format!("{path} is no block device"));
        }
        Ok(Self {
            file,
            buffer: Buffer::new(STEP as usize),
            length,
        })
    }

    /// What was read last.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Writes the first bytes of a buffer.
    pub fn write_from(&self, buffer: &Buffer, offset: u64, bytes: u64) -> io::Result<()> {
        assert!(bytes as usize <= buffer.bytes);
        // SAFETY: the buffer is that long, and lives longer than the call; that another
        // thread changes it meanwhile is no matter to the kernel.
        let n = unsafe {
            libc::pwrite(
                self.file.as_raw_fd(),
                buffer.start.as_ptr().cast(),
                bytes as usize,
                offset as libc::off_t,
            )
        };
        whole(n, bytes)
    }

    /// Writes back what was read last.
    pub fn write_back(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.write_from(&self.buffer, offset, bytes)
    }

    /// All that was written is on the medium.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;

fn whole(n: isize, bytes: u64) -> io::Result<()> {
    match n {
        -1 => Err(io::Error::last_os_error()),
        n if n as u64 == bytes => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EIO)),
    }
}

impl Medium for Device {
    fn read(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        assert!(bytes as usize <= self.buffer.bytes);
        // SAFETY: the buffer is that long, and lives longer than the call.
        let n = unsafe {
            libc::pread(
                self.file.as_raw_fd(),
                self.buffer.start.as_ptr().cast(),
                bytes as usize,
                offset as libc::off_t,
            )
        };
        whole(n, bytes)
    }
}

/// What tells a disk from another: its WWN or serial number by udev's links, or else its number
/// and length.
pub fn identity(path: &str, name: &str) -> String {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).into());
    let links = std::fs::read_dir("/dev/disk/by-id")
        .into_iter()
        .flatten()
        .flatten();
    let mut ids: Vec<String> = links
        .filter(|l| std::fs::canonicalize(l.path()).is_ok_and(|t| t == target))
        .map(|l| l.file_name().to_string_lossy().into_owned())
        .collect();
    ids.sort();
    let from_sysfs = || {
        let base = format!("/sys/class/block/{name}");
        ["wwid", "device/wwid", "dm/uuid", "md/uuid", "device/serial"]
            .iter()
            .filter_map(|f| std::fs::read_to_string(format!("{base}/{f}")).ok())
            .map(|t| t.trim().to_string())
            .find(|t| !t.is_empty())
    };
    ids.pop()
        .or_else(from_sysfs)
        .unwrap_or_else(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_zero() {
        let buffer = Buffer::new(8192);
        assert_eq!(buffer.words().len(), 1024);
        assert_eq!(buffer.words().as_ptr() as usize % ALIGNMENT, 0);
        assert!(buffer.is_zero(8192));
        buffer.words()[600].store(1, Ordering::Relaxed);
        assert!(buffer.is_zero(4096) && !buffer.is_zero(8192));
    }
}
