// SPDX-License-Identifier: GPL-2.0

//! The kernel log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// Reads records, one at a time.
pub struct Log {
    file: File,
}

impl Log {
    /// From the oldest record that is still there.
    pub fn from_start() -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")?;
        Ok(Self { file })
    }

    /// What comes from now on.
    pub fn from_now() -> io::Result<Self> {
        let mut log = Self::from_start()?;
        log.file.seek(SeekFrom::End(0))?;
        Ok(log)
    }

    /// The next record; none when all have been read.
    pub fn next(&mut self) -> Option<String> {
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(0) => return None,
                Ok(n) => return Some(String::from_utf8_lossy(&record[..n]).into_owned()),
                // Records were overwritten before they were read; the next read goes on behind.
                Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}
