// SPDX-License-Identifier: GPL-2.0

//! How data gets from user space to the page cache, from there to the file below, and back.

#![deny(unsafe_code)]

use super::{commit, size, StackFs};
use core::ops::RangeInclusive;
use kernel::{prelude::*, sync::aref::ARef};
use stable_pages::fs::{
    Attributes,
    Buffer,
    Dentry,
    File,
    FileSystem,
    Inode,
    Request,
    Stacked, //
};
use stable_pages::mm::{Folio, Locked, Writeback};

impl FileSystem for StackFs {
    const NAME: &'static CStr = c"stackfs";
    const MAGIC: usize = 0x7374_6b66;
    const LOWER_OPTION: &'static CStr = c"lowerdir";

    /// Each open file has one below, so that each learns of an error there once. What is written
    /// back goes through a file of the inode ([`Stacked::<Inode>::writer`]): a dirty page does not
    /// know who has dirtied it, or may be older than every open file.
    fn open(dentry: &Stacked<Dentry>, file: &File) -> Result<ARef<File>> {
        dentry
            .path()?
            .open(file.access(), &dentry.layer().rights()?)
    }

    fn read(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize> {
        if !request.is_direct() {
            return request.read_cached(buffer);
        }
        request.read_direct(buffer)
    }

    fn write(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize> {
        let written = write_locked(request, buffer)?;
        request.sync_written(written)
    }

    fn fill(
        inode: &Stacked<Inode>,
        file: Option<&Stacked<File>>,
        folio: &Locked<&Folio>,
    ) -> Result {
        let length = folio.bytes_within(inode.size() as u64);
        // A file that can only be written to may have to be read, where a page is written in part.
        let writer = inode.open_writer();
        let writer = writer.as_ref().map(|writer| writer.lower());
        let lower = writer.or(file.map(|file| file.lower()));
        lower.ok_or(EIO)?.fill(folio, length)
    }

    fn write_back(inode: &Stacked<Inode>, folio: &Writeback, len: usize) -> Result {
        inode.writer()?.lower().write_folio(folio, len)
    }

    fn write_copy(inode: &Stacked<Inode>, pos: u64, data: &[u8]) -> Result {
        inode.writer()?.lower().write_at(pos, data)
    }

    fn ioctl(file: &Stacked<File>, command: u32, argument: usize) -> Result<isize> {
        commit::ioctl(file, command, argument)
    }

    /// An error of writing back, here or below, is said once to each file that was open then.
    fn fsync(file: &Stacked<File>, range: RangeInclusive<i64>, datasync: bool) -> Result {
        let here = file.write_and_wait(range.clone());
        let below = file.lower().sync(range, datasync);
        here.and(below)
    }

    fn fallocate(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result {
        size::allocate(file, mode, offset, length)
    }

    /// Only below is it known where there are holes.
    fn seek(file: &Stacked<File>, offset: i64, whence: i32) -> Result<i64> {
        file.inode().write_and_wait()?;
        file.lower().seek(offset, whence)
    }

    fn set_size(inode: &Stacked<Inode>, size: i64, change: Attributes<'_>) -> Result {
        size::set(inode, size, change)
    }
}

fn write_locked(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize> {
    let file = request.file();
    let inode = file.inode();
    let _lock = inode.lock();
    if request.check_write(buffer)? == 0 {
        return Ok(0);
    }
    inode.find_room()?;
    file.remove_privileges()?;
    if request.is_direct() {
        let written = request.write_direct::<StackFs>(buffer)?;
        // Only below is it known whether it is taken: XFS refuses what is not aligned, and the times
        // stay as they are.
        if written > 0 {
            file.touch()?;
        }
        return Ok(written);
    }
    file.touch()?;
    inode.zero_behind_end(request.position());
    request.write_cached(buffer)
}
