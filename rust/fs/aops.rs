// SPDX-License-Identifier: GPL-2.0

//! `address_space_operations`: the page cache between a file and the one below it.
//!
//! A folio is up to date as a whole or not at all. Writing begins with a folio that is as large as
//! what is written, so that only its edges have to be read before.

use super::{
    queue::{ChargeAs, LocalThrottle, NoFs},
    stack::Upper,
    File,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    mm::{Folio, Locked, Mapping, Sleep}, //
};
use core::{
    marker::PhantomData,
    ptr::{self, NonNull}, //
};
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
    /// `mapping` must be that of an inode of this library.
    unsafe fn inode<'a>(mapping: *mut bindings::address_space) -> &'a Upper<Inode> {
        // SAFETY: The caller vouches for it, and an inode outlives its mapping.
        unsafe { Upper::<Inode>::from_raw((*mapping).host) }
    }

    /// Reads a locked folio, and leaves it locked.
    ///
    /// # Safety
    ///
    /// `file` must be NULL or an open file of this library.
    unsafe fn fill(
        inode: &Upper<Inode>,
        file: *mut bindings::file,
        folio: &Locked<&Folio>,
    ) -> Result {
        // SAFETY: The caller vouches for it.
        let file = (!file.is_null()).then(|| unsafe { Upper::<File>::from_raw(file) });
        T::fill(inode, file, folio)?;
        folio.mark_uptodate();
        Ok(())
    }

    /// # Safety
    ///
    /// To be called by the kernel, for the mapping of an inode of this library.
    unsafe extern "C" fn read_folio(
        file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: The caller passes a locked folio of the mapping.
        unsafe {
            let inode = Self::inode((*folio).__bindgen_anon_1.__bindgen_anon_1.mapping);
            let folio = Locked::from_locked(Folio::from_raw(folio));
            let result = Self::fill(inode, file, &folio);
            drop(folio);
            result.map_or_else(|error| error.to_errno(), |()| 0)
        }
    }

    /// What cannot be read is read once more when somebody needs it, who is told then.
    ///
    /// # Safety
    ///
    /// To be called by the kernel, for the mapping of an inode of this library.
    unsafe extern "C" fn readahead(control: *mut bindings::readahead_control) {
        // SAFETY: The caller passes it; each folio is locked, and stays while it is.
        unsafe {
            let inode = Self::inode((*control).mapping);
            loop {
                let folio = bindings::sp_readahead_folio(control);
                if folio.is_null() {
                    return;
                }
                let folio = Locked::from_locked(Folio::from_raw(folio));
                let _ = Self::fill(inode, (*control).file, &folio);
            }
        }
    }

    /// # Safety
    ///
    /// To be called by the kernel, for the mapping of an inode of this library.
    unsafe extern "C" fn write_begin(
        kiocb: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        out: *mut *mut bindings::folio,
        _: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: The caller passes all of them.
        from_result(|| unsafe {
            let index = Mapping::index_of(pos as u64);
            let passing = (*kiocb).ki_flags as u32 & bindings::SP_IOCB_DONTCACHE != 0;
            let folio = Mapping::from_raw(mapping).grab(index, len as usize, passing)?;
            let file = (*kiocb).ki_filp;
            Self::prepare(Self::inode(mapping), file, &folio.by_ref(), pos, len)?;
            // It stays locked and referenced, until write_end().
            *out = ARef::into_raw(folio.into_locked()).cast().as_ptr();
            Ok(0)
        })
    }

    /// Whatever of the folio is not written to has to be right.
    ///
    /// # Safety
    ///
    /// `file` must be an open file of this library.
    unsafe fn prepare(
        inode: &Upper<Inode>,
        file: *mut bindings::file,
        folio: &Locked<&Folio>,
        pos: i64,
        len: c_uint,
    ) -> Result {
        let whole = pos == folio.pos() as i64 && len as usize >= folio.size();
        if whole || folio.is_uptodate() {
            return Ok(());
        }
        // SAFETY: The caller vouches for the file.
        unsafe { Self::fill(inode, file, folio) }
    }

    /// # Safety
    ///
    /// To be called by the kernel, for the mapping of an inode of this library.
    unsafe extern "C" fn write_end(
        _: *const bindings::kiocb,
        mapping: *mut bindings::address_space,
        pos: i64,
        len: c_uint,
        copied: c_uint,
        raw: *mut bindings::folio,
        _: *mut c_void,
    ) -> c_int {
        let Some(raw) = NonNull::new(raw) else {
            return EINVAL.to_errno();
        };
        // SAFETY: The caller passes the folio of write_begin(), with its lock and its reference.
        let (inode, folio) = unsafe {
            (
                Self::inode(mapping),
                Locked::from_locked(Folio::from_owned(raw)),
            )
        };
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
                // SAFETY: The inode is locked by whoever writes.
                unsafe { bindings::sp_i_size_write(inode.as_raw(), end) };
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
    /// To be called by the kernel, for the mapping of an inode of this library.
    unsafe extern "C" fn writepages(
        mapping: *mut bindings::address_space,
        control: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: The caller passes both.
        let (inode, waits) =
            unsafe { (Self::inode(mapping), bindings::sp_writeback_waits(control)) };
        // Before a folio is locked: whoever keeps others from writing back may need it.
        let _inside = match inode.writeback().try_enter() {
            Some(inside) => inside,
            // The inode stays dirty, and its turn comes again.
            None if !waits => return 0,
            None => match inode.writeback().enter(Sleep::Uninterruptible) {
                Ok(inside) => inside,
                Err(error) => return error.to_errno(),
            },
        };
        let mut pass = Pass { mapping, control };
        // SAFETY: The function gets what it expects, and `pass` lives until it returns.
        unsafe {
            inode
                .layer()
                .queue
                .call(Self::write_back, ptr::from_mut(&mut pass).cast())
        }
    }

    /// Nothing is allocated here, or below, that would need this filesystem, or one below, to clean
    /// pages first.
    ///
    /// # Safety
    ///
    /// To be called by writepages() with a [`Pass`].
    unsafe extern "C" fn write_back(pass: *mut c_void) -> c_int {
        let _nofs = NoFs::new();
        let _throttle = LocalThrottle::new();
        // SAFETY: The caller passes it.
        let Pass { mapping, control } = unsafe { &*pass.cast::<Pass>() };
        let (mapping, control) = (*mapping, *control);
        // SAFETY: As above.
        let inode = unsafe { Self::inode(mapping) };
        let mut error = 0;
        let mut raw = ptr::null_mut();
        loop {
            // SAFETY: These are what was passed to writepages(), and what was returned before.
            raw = unsafe { bindings::writeback_iter(mapping, control, raw, &mut error) };
            if raw.is_null() {
                inode.all_written();
                return error;
            }
            // SAFETY: The folio is locked, and clean by now.
            let folio = unsafe { Locked::from_locked(Folio::from_raw(raw)) };
            error = Self::write_folio(inode, folio, control)
                .map_or_else(|error| error.to_errno(), |()| 0);
        }
    }

    /// From the moment that the folio is clean, nobody can store into it without locking it, and
    /// waiting until it is written; so it can be unlocked while it is.
    fn write_folio(
        inode: &Upper<Inode>,
        folio: Locked<&Folio>,
        control: *mut bindings::writeback_control,
    ) -> Result {
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
        let result = T::write_back(inode, &written, length).map_err(|error| charge.error(error));
        if let Err(error) = result {
            // SAFETY: This is what was passed to writepages().
            let syncs = unsafe { bindings::sp_writeback_syncs(control) };
            if inode.failed_to_write(&written, error, syncs) {
                // SAFETY: As above.
                unsafe { bindings::sp_writeback_skipped(control, written.as_raw()) };
            }
        }
        result
    }
}

/// What is to be written back.
struct Pass {
    mapping: *mut bindings::address_space,
    control: *mut bindings::writeback_control,
}
