// SPDX-License-Identifier: GPL-2.0

//! `file_operations` of regular files, and what is kept with an open file.

use super::{
    not_supported,
    object::Object,
    open::{self, Opening},
    stack::Stacked,
    Buffer,
    File,
    FileSystem,
    Inode,
    Lower,
    Request, //
};
use crate::{
    bindings,
    mm::{page_mkwrite_guarded, Sleep, VmFault, VmFaultResult, Wait}, //
};
use core::marker::PhantomData;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_long, c_uint, c_ulong},
    fs::LocalFile,
    prelude::*,
    sync::aref::ARef, //
};

impl Stacked<File> {
    /// The inode.
    #[inline]
    pub fn inode(&self) -> &Stacked<Inode> {
        // SAFETY: By type invariant; a file keeps its inode.
        unsafe { Stacked::<Inode>::from_raw(File::inode(self).as_raw()) }
    }

    /// The open file with that descriptor; EXDEV if it is no regular file of the same filesystem as
    /// this one.
    pub fn sibling(&self, descriptor: u32) -> Result<ARef<Self>> {
        let file = LocalFile::fget(descriptor)?;
        // SAFETY: The reference from fget() is kept until this returns.
        let file = unsafe { File::from_raw(file.as_ptr()) };
        if !file.super_block().is(self.super_block()) || !file.inode().is_regular() {
            return Err(EXDEV);
        }
        // SAFETY: It is an open file of this filesystem; the type is transparent.
        Ok(unsafe { Self::from_raw(file.as_raw()) }.into())
    }

    /// Whether it can be written to, and its inode is written back.
    pub(super) fn is_written_back(&self) -> bool {
        self.is_writable() && self.inode().is_regular()
    }

    /// The file below.
    #[inline]
    pub fn lower(&self) -> Lower<'_> {
        // SAFETY: By type invariant open() has put a reference there, which close() gives back.
        Lower::new(unsafe { File::from_raw((*self.as_raw()).private_data.cast()) })
    }

    /// Writes back what is dirty in the range (the last byte is part of it), waits for that, and
    /// says what has failed since this file was last asked. Sleeps.
    pub fn write_and_wait(&self, range: core::ops::RangeInclusive<i64>) -> Result {
        // SAFETY: The file is valid.
        to_result(unsafe {
            bindings::file_write_and_wait_range(self.as_raw(), *range.start(), *range.end())
        })
    }
}

pub(super) struct Operations<T>(PhantomData<T>);

/// With the locks that Documentation/filesystems/locking.rst names.
impl<T: FileSystem> Operations<T> {
    pub(super) const REGULAR: bindings::file_operations = bindings::file_operations {
        open: Some(Self::open),
        release: Some(open::close),
        llseek: Some(Self::llseek),
        read_iter: Some(Self::read_iter),
        write_iter: Some(Self::write_iter),
        splice_read: Some(bindings::filemap_splice_read),
        splice_write: Some(bindings::iter_file_splice_write),
        mmap_prepare: Some(Self::mmap_prepare),
        fsync: Some(Self::fsync),
        fallocate: Some(Self::fallocate),
        unlocked_ioctl: Some(Self::ioctl),
        compat_ioctl: bindings::compat_ptr_ioctl,
        fop_flags: bindings::SP_FOP_DONTCACHE,
        ..pin_init::zeroed()
    };

    const MAPPED: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// As for [`open::open`]: `file` is what do_dentry_open() calls `->open` with, for a regular
    /// file of this library.
    unsafe extern "C" fn open(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        let below = |opening: &Opening<'_>| {
            if opening.is_refused()? {
                return Err(EPERM);
            }
            let dentry = opening.dentry();
            let lower = T::open(dentry, opening.file())?;
            if opening.file().is_writable() {
                let inode = dentry.inode().ok_or(ENOENT)?;
                inode.begin_writing(dentry.lower()?)?;
            }
            opening.set_modes(lower.can_direct());
            Ok(lower)
        };
        // SAFETY: do_dentry_open() calls `->open` with it.
        unsafe { open::open(file, below) }
    }

    /// # Safety
    ///
    /// `kiocb` must be of a regular file of this library, which it keeps open, and `iter` valid.
    /// Both are the caller's, and used by `->read_iter` only until this returns.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller of `->read_iter` uses neither until this returns: it is never
        // `-EIOCBQUEUED`.
        let (mut request, mut buffer) =
            unsafe { (Request::from_raw(kiocb), Buffer::from_raw(iter)) };
        let read = may_wait(&request, request.is_direct(), EAGAIN)
            .and_then(|()| T::read(&mut request, &mut buffer));
        request.file().accessed();
        read.map_or_else(|error| error.to_errno() as isize, |bytes| bytes as isize)
    }

    /// # Safety
    ///
    /// `kiocb` must be of a regular file of this library, which it keeps open, and `iter` valid.
    /// Both are the caller's, and used by `->write_iter` only until this returns.
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller of `->write_iter` uses neither until this returns: it is never
        // `-EIOCBQUEUED`.
        let (mut request, mut buffer) =
            unsafe { (Request::from_raw(kiocb), Buffer::from_raw(iter)) };
        let refused = if request.is_direct() {
            EAGAIN
        } else {
            not_supported()
        };
        let written =
            may_wait(&request, true, refused).and_then(|()| T::write(&mut request, &mut buffer));
        written.map_or_else(|error| error.to_errno() as isize, |bytes| bytes as isize)
    }

    /// # Safety
    ///
    /// `file` must be a regular file of this library that is open, and stay so until this returns:
    /// the caller of `->llseek` holds a reference to it.
    unsafe extern "C" fn llseek(file: *mut bindings::file, offset: i64, whence: c_int) -> i64 {
        // SAFETY: The caller of `->llseek` keeps the file open until this returns.
        let stacked = unsafe { Stacked::<File>::from_raw(file) };
        let found = match whence as u32 {
            bindings::SP_SEEK_DATA | bindings::SP_SEEK_HOLE => T::seek(stacked, offset, whence),
            // SAFETY: The same file.
            _ => return unsafe { bindings::generic_file_llseek(file, offset, whence) },
        };
        let limit = stacked.super_block().max_bytes();
        found.map_or_else(
            |error| error.to_errno().into(),
            // SAFETY: The same file.
            |offset| unsafe { bindings::vfs_setpos(file, offset, limit) },
        )
    }

    /// # Safety
    ///
    /// `file` must be a regular file of this library that is open, and stay so until this returns:
    /// the caller of `->fsync` holds a reference to it.
    unsafe extern "C" fn fsync(
        file: *mut bindings::file,
        start: i64,
        end: i64,
        datasync: c_int,
    ) -> c_int {
        // SAFETY: The caller of `->fsync` keeps the file open until this returns.
        let file = unsafe { Stacked::<File>::from_raw(file) };
        from_result(|| T::fsync(file, start..=end, datasync != 0).map(|()| 0))
    }

    /// # Safety
    ///
    /// `file` must be a regular file of this library that is open, and stay so until this returns:
    /// the caller of `->fallocate` holds a reference to it.
    unsafe extern "C" fn fallocate(
        file: *mut bindings::file,
        mode: c_int,
        offset: i64,
        length: i64,
    ) -> c_long {
        // SAFETY: The caller of `->fallocate` keeps the file open until this returns.
        let file = unsafe { Stacked::<File>::from_raw(file) };
        from_result(|| T::fallocate(file, mode as u32, offset, length).map(|()| 0))
    }

    /// # Safety
    ///
    /// `desc` must be that of a mapping that is being made of a regular file of this library, which
    /// is open: mmap(2) has it on its stack, and a reference to the file, until this returns.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: `desc` is used by this task only, which holds a reference to the file.
        unsafe {
            bindings::sp_file_accessed((*desc).vm_file);
            (*desc).vm_ops = &Self::MAPPED;
        }
        0
    }

    /// # Safety
    ///
    /// `file` must be a regular file of this library that is open, and stay so until this returns:
    /// the caller of `->unlocked_ioctl` holds a reference to it.
    unsafe extern "C" fn ioctl(
        file: *mut bindings::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: The caller of `->unlocked_ioctl` keeps the file open until this returns.
        let file = unsafe { Stacked::<File>::from_raw(file) };
        T::ioctl(file, command, argument).unwrap_or_else(|error| error.to_errno() as c_long)
    }

    /// No page becomes writable while parts are taken out of the file, or put into it, nor while it
    /// is made ready to be written to directly.
    ///
    /// # Safety
    ///
    /// `fault` must be what `->page_mkwrite` is called with, for a mapping of a regular file of
    /// this library. It is on the caller's stack, who has locked `mmap_lock` or the area for
    /// reading, and holds a reference to the page, until this returns.
    unsafe extern "C" fn page_mkwrite(fault: *mut bindings::vm_fault) -> c_uint {
        // SAFETY: The area, which is locked, keeps its file open, and the fault lives, until this
        // returns.
        unsafe {
            let file = Stacked::<File>::from_raw((*(*fault).__bindgen_anon_1.vma).vm_file);
            let inode: &Stacked<Inode> = file.inode();
            if inode.is_immutable() {
                return VmFaultResult::SIGBUS.into_raw();
            }
            // Without times the store is as good.
            let _ = file.touch_fault();
            let fault = VmFault::from_raw(fault);
            let enter = || inode.stores().enter(Sleep::Killable);
            page_mkwrite_guarded(fault, Wait::Always, enter, |_, _| Ok(())).into_raw()
        }
    }
}

/// Whether a request is one that may wait, if it `would`. From the page cache is read without
/// that; what is written may have to wait for what is being written back.
fn may_wait(request: &Request<'_>, would: bool, refused: Error) -> Result {
    if would && request.is_nowait() {
        return Err(refused);
    }
    Ok(())
}
