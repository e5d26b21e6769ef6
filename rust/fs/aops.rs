// SPDX-License-Identifier: GPL-2.0

//! `address_space_operations`: the page cache between a file and the one below it.
//!
//! A folio is up to date as a whole or not at all. Writing begins with a folio that is as large as
//! what is written, so that only its edges have to be read before.

use super::{
    pass::Pass,
    queue::{ChargeAs, LocalThrottle, NoFs},
    stack::Stacked,
    File,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    mm::{Folio, Locked, Mapping, Sleep}, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    ffi::{c_int, c_uint, c_void},
    prelude::*,
    sync::aref::ARef, //
};

pub(super) struct Operations<T>(PhantomData<T>);

/// With the locks that Documentation/filesystems/locking.rst names.
impl<T: FileSystem> Operations<T> {
    pub(super) const TABLE: bindings::address_space_operations =
        bindings::address_space_operations {
            read_folio: Some(Self::read_folio),
            readahead: Some(Self::readahead),
            write_begin: Some(Self::write_begin),
            write_end: Some(Self::write_end),
            writepages: Some(Self::writepages),
            dirty_folio: Some(bindings::filemap_dirty_folio),
            migrate_folio: Some(bindings::filemap_migrate_folio),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// `mapping` must be that of an inode of this library, which stays for `'a`.
    unsafe fn inode<'a>(mapping: *mut bindings::address_space) -> &'a Stacked<Inode> {
        // SAFETY: By the requirements the inode, which the mapping is a part of, stays.
        unsafe { Stacked::<Inode>::from_raw((*mapping).host) }
    }

    /// # Safety
    ///
    /// `file` must be NULL, or a file of this library that stays open for `'a`.
    unsafe fn file<'a>(file: *mut bindings::file) -> Option<&'a Stacked<File>> {
        // SAFETY: By the requirements the file stays open.
        (!file.is_null()).then(|| unsafe { Stacked::<File>::from_raw(file) })
    }

    /// Reads a locked folio, and leaves it locked.
    fn fill(
        inode: &Stacked<Inode>,
        file: Option<&Stacked<File>>,
        folio: &Locked<&Folio>,
    ) -> Result {
        T::fill(inode, file, folio)?;
        folio.mark_uptodate();
        Ok(())
    }

    /// # Safety
    ///
    /// `folio` must be locked, and in the mapping of an inode of this library: the caller of
    /// `->read_folio` holds a reference to it, and gives up the lock. `file` is NULL, or an open
    /// file of the inode that the caller holds a reference to until this returns.
    unsafe extern "C" fn read_folio(
        file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: The lock keeps the folio in its mapping, and the inode with it; the caller of
        // `->read_folio` holds references to the folio and the file until this returns.
        let (inode, file, folio) = unsafe {
            (
                Self::inode((*folio).__bindgen_anon_1.__bindgen_anon_1.mapping),
                Self::file(file),
                Locked::from_locked(Folio::from_raw(folio)),
            )
        };
        from_result(|| Self::fill(inode, file, &folio).map(|()| 0))
    }

    /// What cannot be read is read once more when a task needs it, which is told then.
    ///
    /// # Safety
    ///
    /// `control` must be what `->readahead` is called with, for the mapping of an inode of this
    /// library: it is on the stack of the caller, who keeps the inode, and the file in it if there
    /// is one, until this returns.
    unsafe extern "C" fn readahead(control: *mut bindings::readahead_control) {
        // SAFETY: The caller of `->readahead` keeps the inode and the file. Each folio that the
        // function returns is locked, with the lock handed over; that keeps it in the page cache.
        unsafe {
            let inode = Self::inode((*control).mapping);
            let file = Self::file((*control).file);
            loop {
                let folio = bindings::sp_readahead_folio(control);
                if folio.is_null() {
                    return;
                }
                let folio = Locked::from_locked(Folio::from_raw(folio));
                let _ = Self::fill(inode, file, &folio);
            }
        }
    }

    /// Whatever of the folio is not written to has to be right.
    ///
    /// # Safety
    ///
    /// As `->write_begin` is called, by generic_perform_write(): `kiocb` is the request of
    /// write(2), which keeps its file, and with it the inode of `mapping`, until this returns;
    /// `out` is on the stack of the caller, who has locked the inode.
    unsafe extern "C" fn write_begin(
        kiocb: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        out: *mut *mut bindings::folio,
        _: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The caller keeps the request and its file, and has `out` on its stack, until this
        // returns.
        let (inode, file, flags, out) = unsafe {
            (
                Self::inode(mapping),
                Self::file((*kiocb).ki_filp),
                (*kiocb).ki_flags as u32,
                &mut *out,
            )
        };
        from_result(|| {
            let index = Mapping::index_of(pos as u64);
            let passing = flags & bindings::SP_IOCB_DONTCACHE != 0;
            let folio = inode.cache().grab(index, len as usize, passing)?;
            let whole = pos == folio.pos() as i64 && len as usize >= folio.size();
            if !whole && !folio.is_uptodate() {
                Self::fill(inode, file, &folio.by_ref())?;
            }
            // It stays locked and referenced, until write_end().
            *out = ARef::into_raw(folio.into_locked()).cast().as_ptr();
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As `->write_end` is called, by generic_perform_write(), after write_begin(): `folio` is what
    /// that has returned, locked and with a reference, both of which the caller gives up. The file
    /// of the request keeps the inode of `mapping`, which is locked.
    unsafe extern "C" fn write_end(
        _: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        copied: c_uint,
        folio: *mut bindings::folio,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: The request keeps the inode. The reference to the folio is that which
        // write_begin() has kept.
        let (inode, folio) = unsafe { (Self::inode(mapping), Folio::take(folio)) };
        let Ok(Some(folio)) = folio else {
            return EINVAL.to_errno();
        };
        // SAFETY: write_begin() has left it locked, for this.
        let folio = unsafe { Locked::from_locked(folio) };
        let mut done = copied;
        if !folio.is_uptodate() {
            // It was to be written as a whole; what is missing was not read.
            if copied < len {
                done = 0;
            } else {
                folio.mark_uptodate();
            }
        }
        if done > 0 {
            let end = pos + i64::from(done);
            if end > inode.size() {
                inode.set_size(end);
            }
            folio.mark_dirty();
        }
        done as c_int
    }

    /// Writing goes on in a thread of the kernel: what a task may write, how much, and whether it
    /// has been killed is nothing that dirty pages of others should suffer from.
    ///
    /// # Safety
    ///
    /// As `->writepages` is called, by do_writepages(): the inode of `mapping` is of this library,
    /// and kept until this returns, by a reference, an open file or the flusher (`I_SYNC`).
    /// `control` is on the caller's stack.
    unsafe extern "C" fn writepages(
        mapping: *mut bindings::address_space,
        control: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: The caller of do_writepages() keeps the inode and `control` until this returns.
        let (inode, pass) = unsafe {
            let inode = Self::inode(mapping);
            (inode, Pass::from_raw(inode, control))
        };
        // Before a folio is locked: the task that keeps others from writing back may need it.
        let inside = match inode.writeback().try_enter() {
            Some(inside) => Ok(inside),
            // The inode stays dirty, and its turn comes again.
            None if !pass.waits() => return 0,
            None => inode.writeback().enter(Sleep::Uninterruptible),
        };
        from_result(|| {
            let _inside = inside?;
            inode
                .layer()
                .queue
                .call(move || Self::write_back(inode, &pass))?;
            Ok(0)
        })
    }

    /// Nothing is allocated here, or below, that would need this filesystem, or one below, to clean
    /// pages first.
    fn write_back(inode: &Stacked<Inode>, pass: &Pass<'_>) -> Result {
        let _nofs = NoFs::new();
        let _throttle = LocalThrottle::new();
        let result = pass.for_each(|folio| Self::write_folio(inode, folio, pass));
        inode.all_written();
        result
    }

    /// From the moment that the folio is clean, no task can store into it without locking it, and
    /// waiting until it is written; so it can be unlocked while it is.
    fn write_folio(inode: &Stacked<Inode>, folio: Locked<&Folio>, pass: &Pass<'_>) -> Result {
        let length = folio.bytes_within(inode.size() as u64);
        if length == 0 {
            // The file has been truncated.
            return Ok(());
        }
        // What was stored behind the end of the file through a mapping goes nowhere.
        folio.zero(length, folio.size() - length)?;
        let written = folio.start_writeback()?;
        drop(folio);
        let charge = ChargeAs::of(&written, inode.lower());
        T::write_back(inode, &written, length)
            .map_err(|error| charge.error(error))
            .inspect_err(|error| pass.failed(&written, *error))
    }
}
