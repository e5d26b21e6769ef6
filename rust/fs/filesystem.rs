// SPDX-License-Identifier: GPL-2.0

//! What a stackable filesystem implements.

use super::{Attributes, Buffer, Dentry, File, Inode, Request, Stacked};
use crate::mm::{Folio, Locked, Writeback};
use core::ops::RangeInclusive;
use kernel::{prelude::*, sync::aref::ARef};

/// A stackable filesystem: how data gets from user space to the page cache, from there to the file
/// below, and back.
///
/// All of its methods are for regular files, may sleep, and may run at once, for the same file too:
/// on any number of tasks, but where a lock is said to be held. `i_rwsem` is that of the inode here
/// ([`Inode::lock`]), and none of the inodes below is locked. Protection against freezing is that
/// of this filesystem (`sb_start_write()`); that of the one below is taken by what writes there.
///
/// | method | called by | held | what it may not wait for |
/// | --- | --- | --- | --- |
/// | [`open`](Self::open) | open(2), execve(2) | with O_TRUNC and O_TMPFILE: protection against freezing | |
/// | [`read`](Self::read) | read(2), splice(2), io_uring | nothing | with RWF_NOWAIT: anything |
/// | [`write`](Self::write) | write(2), splice(2), io_uring | protection against freezing | |
/// | [`fill`](Self::fill) | what needs a page | the folio; more, see there | `i_rwsem`, stores and writeback that are held |
/// | [`write_back`](Self::write_back), [`write_copy`](Self::write_copy) | a kernel thread | the folio is under writeback | the same, and memory of filesystems |
/// | [`fsync`](Self::fsync) | fsync(2), msync(2), a write with O_DSYNC | nothing | |
/// | [`fallocate`](Self::fallocate) | fallocate(2) | protection against freezing | |
/// | [`seek`](Self::seek) | lseek(2) | the position of the file, where tasks share it | |
/// | [`ioctl`](Self::ioctl) | ioctl(2) | nothing | |
/// | [`set_size`](Self::set_size) | truncate(2), ftruncate(2), O_TRUNC | protection against freezing, `i_rwsem` | |
///
/// A file is opened before all else that is done to it, and closed after it: the file below stays
/// as long. An inode is there before its first file is opened, and is written back after the last
/// one is closed; [`Stacked::<Inode>::writer`] is what it is written through then.
///
/// An error that a method returns is what the system call returns. In [`fill`](Self::fill) and
/// [`write_back`](Self::write_back) there may be no such call: what becomes of it is said there.
pub trait FileSystem: Sized + Send + Sync + 'static {
    /// The name for mount(8).
    const NAME: &'static CStr;
    /// The number that statfs(2) tells.
    const MAGIC: usize;
    /// The mount option that names the folder below.
    const LOWER_OPTION: &'static CStr;

    /// Opens the file below for `file`, which is just being opened.
    ///
    /// No lock of the inode or the directory is held; where a file without a name was made
    /// (O_TMPFILE), the right to write to the mount below is, too. No other task has `file` yet.
    /// O_TRUNC comes afterwards, as [`set_size`](Self::set_size).
    ///
    /// Whether O_DIRECT is possible is what the file below says that is returned.
    ///
    /// # Errors
    ///
    /// Any: `file` is not opened then, and nothing else is called for it.
    fn open(dentry: &Stacked<Dentry>, file: &File) -> Result<ARef<File>>;

    /// Reads into `buffer`. The answer is the number of bytes, 0 at the end of the file; the
    /// request moves on by it.
    ///
    /// No lock is held, and other reads, writes and truncation of the file go on. `buffer` may be
    /// memory of a mapping of this very file, so no folio may be locked where it is written to.
    ///
    /// # Errors
    ///
    /// If nothing has been read: `EFAULT` for bad memory, `EIO`, `ENOMEM`, what the file below
    /// says. `EAGAIN` where a request with RWF_NOWAIT would wait; one with O_DIRECT, too, does not
    /// come here.
    fn read(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize>;

    /// Writes from `buffer`. The answer is the number of bytes, perhaps less than there are; the
    /// request moves on by it.
    ///
    /// `i_rwsem` is for the implementation to take, before anything else:
    /// [`Request::check_write`], [`Stacked::<File>::remove_privileges`],
    /// [`Stacked::<File>::touch`], and then the data. [`Request::sync_written`] comes after it has
    /// been unlocked. `buffer` may be memory of a mapping of this very file.
    ///
    /// A request with RWF_NOWAIT does not come here: what is written may have to wait for what is
    /// being written back.
    ///
    /// # Errors
    ///
    /// If nothing has been written: what [`Request::check_write`] says (`EFBIG`, `EPERM`),
    /// `EFAULT`, `ENOSPC` and `EDQUOT` where there has been no room below for what is dirty, `EIO`,
    /// `ENOMEM`.
    fn write(request: &mut Request<'_>, buffer: &mut Buffer<'_>) -> Result<usize>;

    /// Reads all of a locked folio from below: what is behind the end of the file is zero. `file`
    /// is through which it was asked for; there is none where the kernel itself needs it.
    ///
    /// The folio is not up to date, so that nothing has mapped it, and stays locked. It is not the
    /// only thing that may be held: `invalidate_lock`, shared, for reading and for a page fault,
    /// and then perhaps `mmap_lock` or the lock of an area; `i_rwsem` for a write(2) to a part of
    /// it; other folios, and the right to write below, for a write with O_DIRECT. So this takes
    /// neither locks of this inode nor the right to write below, touches no memory of user space,
    /// and takes only those locks below that a page fault takes there: [`Lower::fill`] does so.
    ///
    /// Several folios of a file are filled at once; none of them is two at a time.
    ///
    /// # Errors
    ///
    /// Any: the folio stays not up to date, and is read again when it is needed the next time.
    /// read(2) returns the error, a page fault is `SIGBUS`, and reading ahead says nothing.
    ///
    /// [`Lower::fill`]: super::Lower::fill
    fn fill(inode: &Stacked<Inode>, file: Option<&Stacked<File>>, folio: &Locked<&Folio>)
        -> Result;

    /// Writes the first `len` bytes of a folio, of which there are some, to the file below.
    ///
    /// A thread of the kernel calls this, with no lock held: the folio is clean, under writeback
    /// and unlocked, and who wants to store into it waits for the end of writeback, which is when
    /// this has returned. Nothing allocates memory in a way that waits for filesystems
    /// (`GFP_NOFS`), and the thread is throttled by the device below only.
    /// [`Stacked::<Inode>::hold_writeback`] waits for this, so that it is not to be called here,
    /// nor is what locks the inode or stores to it.
    ///
    /// Folios of one file may be written back at once, by several threads, but none of them twice
    /// at a time. The file may be truncated meanwhile, which then waits for the end of writeback of
    /// what is behind its new end.
    ///
    /// # Errors
    ///
    /// They are kept, for the next fsync(2) of every file that is open, and for syncfs(2).
    /// `ENOSPC`, `EDQUOT` and `ENOMEM` may pass: the folio is dirty again, and is written later.
    /// The data of any other is given up.
    fn write_back(inode: &Stacked<Inode>, folio: &Writeback, len: usize) -> Result;

    /// Writes a copy of what was at `pos` in the file to the file below, for
    /// [`Stacked::<File>::commit`] and [`CommitSet`](super::CommitSet).
    ///
    /// The folio with `pos` is under writeback, and dirty: it is pinned, so that a device may be
    /// changing it. It is written back once more. For the rest, and the errors, see
    /// [`write_back`](Self::write_back).
    fn write_copy(inode: &Stacked<Inode>, pos: u64, data: &[u8]) -> Result;

    /// Brings the bytes in the range (the last is part of it, and `i64::MAX` is all) to the medium;
    /// with `datasync`, no more of the inode than is needed to read them.
    ///
    /// What was written, and stored through a mapping, before this is called has to be there when
    /// it returns. Nothing keeps other tasks from writing meanwhile.
    ///
    /// # Errors
    ///
    /// What failed since this file was last asked, or opened, once for each open file, whichever
    /// task has tried to write it back: [`Stacked::<File>::write_and_wait`] says so for this
    /// filesystem, and [`Lower::sync`](super::Lower::sync) for that below.
    fn fsync(file: &Stacked<File>, range: RangeInclusive<i64>, datasync: bool) -> Result;

    /// fallocate(2): `mode` are flags of [`allocate`](super::allocate), in a combination that the
    /// kernel allows; the range is not empty, and ends where a file may. `file` can be written to.
    ///
    /// `i_rwsem` is for the implementation to take. The page cache and the file below have to agree
    /// when this returns, also where it has failed half-way: see
    /// [`Stacked::<Inode>::hold_stores`] and [`Stacked::<Inode>::hold_writeback`], in this order.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` or `EINVAL` for what it cannot do, `ENOSPC`, `EINTR` on a fatal signal.
    fn fallocate(file: &Stacked<File>, mode: u32, offset: i64, length: i64) -> Result;

    /// lseek(2) with SEEK_DATA or SEEK_HOLE, as `whence` says; the answer becomes the position.
    ///
    /// `i_rwsem` is not held. All other seeking is the library's business.
    ///
    /// # Errors
    ///
    /// `ENXIO` where there is no data, or no hole, from `offset` on.
    fn seek(file: &Stacked<File>, offset: i64, whence: i32) -> Result<i64>;

    /// ioctl(2) of a regular file, unless the kernel itself knows the command, as it does those for
    /// the flags of a file and for its place on the device. `argument` is as user space passes it:
    /// an address is one of a 64-bit process or of a 32-bit one.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for a command that there is not.
    fn ioctl(_file: &Stacked<File>, _command: u32, _argument: usize) -> Result<isize> {
        Err(ENOTTY)
    }

    /// Changes the size of a regular file; `change` does so below, with all else that is asked for.
    ///
    /// `i_rwsem` is held, exclusively; stores through a mapping and writeback go on. The size is
    /// one that the file may have, and whether the caller may set it has been checked. The file
    /// below is changed first, and the page cache only when that has succeeded:
    /// [`NoWriteback::truncate`](super::NoWriteback::truncate), or [`Stacked::<Inode>::extend`].
    ///
    /// # Errors
    ///
    /// What [`Attributes::apply`] says: the size here is as it was. `EINTR` on a fatal signal.
    fn set_size(inode: &Stacked<Inode>, size: i64, change: Attributes<'_>) -> Result;
}
