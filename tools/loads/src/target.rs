// SPDX-License-Identifier: GPL-2.0

//! The files and block devices that loads write to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::Usage;

/// What direct I/O to a regular file is aligned to; enough for every file
/// system on a disk with sectors of up to this size.
const FILE_BLOCK: u64 = 4096;

/// How a target is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Through the page cache, for reading and writing.
    Buffered,
    /// O_DIRECT, for reading and writing.
    Direct,
    /// O_DIRECT, for reading.
    DirectRead,
}

/// An open regular file or block device.
pub struct Target {
    /// The file.
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// What direct I/O must be aligned to, bytes: a device's logical block.
    pub block_size: u64,
    /// Whether it is a block device.
    pub is_device: bool,
}

impl Target {
    /// Opens an existing target.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        Self::open_plain(path, access).with_context(|| path.display().to_string())
    }

    fn open_plain(path: &Path, access: Access) -> Result<Self> {
        // Before the open, which for other kinds fails for reasons of theirs.
        let kind = fs::metadata(path)?.file_type();
        if !kind.is_block_device() && !kind.is_file() {
            bail!("neither a regular file nor a block device");
        }
        let flags = match access {
            Access::Buffered => 0,
            Access::Direct | Access::DirectRead => libc::O_DIRECT,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(access != Access::DirectRead)
            .custom_flags(flags)
            .open(path)?;
        let block_size = if kind.is_block_device() {
            logical_block_size(&file).context("BLKSSZGET")?
        } else {
            FILE_BLOCK
        };
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            size,
            block_size,
            is_device: kind.is_block_device(),
        })
    }

    /// Opens a target for writes to `start` and the `size` bytes that follow,
    /// or to the rest of it if no size is given. See [`prepare`].
    pub fn create(
        path: &Path,
        access: Access,
        start: u64,
        size: Option<u64>,
    ) -> Result<(Self, u64)> {
        if let Some(size) = size {
            let end = start.checked_add(size);
            let end = end.ok_or_else(|| Usage("--start and --size exceed any target".into()))?;
            prepare(path, end).with_context(|| path.display().to_string())?;
        }
        let target = Self::open(path, access)?;
        let left = target.size.checked_sub(start);
        let size = match (left, size) {
            (Some(left), None) => left,
            (Some(left), Some(size)) if size <= left => size,
            _ => {
                let (path, has) = (path.display(), target.size);
                return Err(Usage(format!("{path} has only {has} bytes")).into());
            }
        };
        Ok((target, size))
    }

    /// Refuses a number of bytes that direct I/O cannot use.
    pub fn check_aligned(&self, option: &str, bytes: u64) -> Result<(), Usage> {
        if bytes % self.block_size == 0 {
            return Ok(());
        }
        Err(Usage(format!(
            "{option} {bytes} is not a multiple of the logical block, {} bytes",
            self.block_size
        )))
    }
}

/// Makes sure that a regular file has `size` bytes, all of them written, so
/// that the load itself allocates nothing. A device is left as it is, and so is
/// a file that is large enough and has no holes.
pub fn prepare(path: &Path, size: u64) -> Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        // Below /dev a new file would only hide that the device is missing.
        Err(e) if e.kind() == io::ErrorKind::NotFound && !path.starts_with("/dev") => {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)?
        }
        other => other?,
    };
    let metadata = file.metadata()?;
    let whole = metadata.len() >= size && metadata.blocks() * 512 >= size;
    if !metadata.is_file() || whole {
        return Ok(());
    }
    write_out(&file, size)
}

fn write_out(mut file: &File, size: u64) -> Result<()> {
    // SAFETY: no memory is involved.
    let result = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result)).context("fallocate");
    }
    let zeros = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let len = left.min(zeros.len() as u64);
        file.write_all(&zeros[..len as usize]).context("write")?;
        left -= len;
    }
    file.sync_all().context("fsync")
}

fn logical_block_size(file: &File) -> io::Result<u64> {
    let mut size: libc::c_int = 0;
    // SAFETY: BLKSSZGET stores one int at the address, which is that of one.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::BLKSSZGET, &mut size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(size as u64)
}
