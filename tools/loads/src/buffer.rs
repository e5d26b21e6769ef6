// SPDX-License-Identifier: GPL-2.0

//! Memory that threads change while the kernel reads it.
//!
//! All accesses by the program are relaxed atomic ones of the same size, 64
//! bits, through raw mappings: no Rust reference to plain data ever exists, so
//! changing a buffer in flight is a race on the medium but not in the program.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};

use crate::random::Random;

/// The size of a huge page where the loads run (x86-64).
const HUGE: usize = 2 << 20;

/// A page-aligned mapping, anonymous or of a file.
pub struct Buffer {
    map: MmapRaw,
}

impl Buffer {
    /// Anonymous private memory; with `huge`, in huge pages where the kernel
    /// has some.
    pub fn anonymous(len: usize, huge: bool) -> io::Result<Self> {
        if !huge {
            let map = MmapMut::map_anon(len)?.into();
            return Ok(Self { map });
        }
        // Mappings of this size are aligned for huge pages by the kernel.
        let map: MmapRaw = MmapMut::map_anon(len.next_multiple_of(HUGE))?.into();
        map.advise(Advice::HugePage)?;
        Ok(Self { map })
    }

    /// A shared mapping of the first `len` bytes of a file.
    ///
    /// A fault that the file system cannot serve (the medium fails to read, no
    /// space, shut down) ends the program with SIGBUS.
    pub fn shared(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file)?;
        Ok(Self { map })
    }

    /// Anonymous memory that children share with their parent.
    pub fn inherited(len: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"loads".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else's.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(len as u64)?;
        Self::shared(&file, len)
    }

    /// Anonymous private memory from the reserve of huge pages (hugetlb). Fails if
    /// that does not have enough.
    pub fn reserved(len: usize) -> io::Result<Self> {
        let map = MmapOptions::new()
            .len(len.next_multiple_of(HUGE))
            .huge(Some(HUGE.ilog2() as u8))
            .map_anon()?
            .into();
        Ok(Self { map })
    }

    /// All of it, in words of the host's byte order.
    pub fn words(&self) -> &[AtomicU64] {
        let words = self.map.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: the mapping is page-aligned, this long, and lives as long as
        // `self`; every access by the program is an atomic one of this size.
        unsafe { std::slice::from_raw_parts(words, self.map.len() / 8) }
    }

    /// Fills it with random words.
    pub fn randomize(&self, random: &mut Random) {
        for word in self.words() {
            word.store(random.next(), Relaxed);
        }
    }

    /// All of it.
    pub fn whole(&self) -> Range<usize> {
        0..self.map.len()
    }

    /// The address of a range, for the kernel.
    ///
    /// Panics if the range is not in the buffer.
    pub fn address(&self, range: &Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= self.map.len());
        self.map.as_mut_ptr().wrapping_add(range.start)
    }

    /// Reads from a file at a byte offset; the result can be short.
    pub fn read_at(&self, file: &File, range: Range<usize>, offset: u64) -> io::Result<usize> {
        let (fd, address, len) = (file.as_raw_fd(), self.address(&range), range.len());
        // SAFETY: `address` is that of `len` bytes of the mapping.
        uninterrupted(|| unsafe { libc::pread(fd, address.cast(), len, offset as libc::off_t) })
    }

    /// Writes to a file at a byte offset; the result can be short.
    pub fn write_at(&self, file: &File, range: Range<usize>, offset: u64) -> io::Result<usize> {
        let (fd, address, len) = (file.as_raw_fd(), self.address(&range), range.len());
        // SAFETY: `address` is that of `len` bytes of the mapping.
        uninterrupted(|| unsafe { libc::pwrite(fd, address.cast(), len, offset as libc::off_t) })
    }

    /// msync(2) with MS_SYNC of a range, which must be of whole pages.
    pub fn msync(&self, range: Range<usize>) -> io::Result<()> {
        self.map.flush_range(range.start, range.len())
    }
}

/// A system call that returns a number of bytes, again where a signal ended it.
fn uninterrupted(call: impl Fn() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        if let Ok(bytes) = usize::try_from(call()) {
            return Ok(bytes);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_buffers_are_whole_huge_pages() {
        let buffer = Buffer::anonymous(4096, true).unwrap();
        assert_eq!(buffer.words().len() * 8, HUGE);
    }

    #[test]
    #[should_panic]
    fn the_kernel_gets_no_address_outside() {
        let buffer = Buffer::anonymous(4096, false).unwrap();
        buffer.address(&(4096..4097));
    }
}
