// SPDX-License-Identifier: GPL-2.0

//! `inode_operations`: permissions and attributes, which are those below.

use super::{
    inode::Operations,
    names,
    not_supported,
    object::idmap,
    stack::Stacked,
    Dentry,
    FileSystem,
    Inode, //
};
use crate::bindings;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_uint},
    prelude::*, //
};

/// Times that the caller gives.
const SET_TIMES: u32 = bindings::ATTR_ATIME_SET | bindings::ATTR_MTIME_SET;

/// What a write changes (`STATX_*`).
const TIMES: u32 = bindings::SP_STATX_MTIME | bindings::SP_STATX_CTIME;

/// With the locks that Documentation/filesystems/locking.rst names.
impl<T: FileSystem> Operations<T> {
    /// What is below decides. It may look at lists of access rights that are only there.
    ///
    /// # Safety
    ///
    /// `inode` must be of this library, and alive until this returns: the caller of `->permission`
    /// holds a reference to it, or, with `MAY_NOT_BLOCK`, is in a read-side section of RCU.
    pub(super) unsafe extern "C" fn permission(
        _: *mut bindings::mnt_idmap,
        inode: *mut bindings::inode,
        mask: c_int,
    ) -> c_int {
        if mask as u32 & bindings::SP_MAY_NOT_BLOCK != 0 {
            return ECHILD.to_errno();
        }
        // SAFETY: Without `MAY_NOT_BLOCK` the caller holds a reference to the inode, which so is
        // not evicted.
        let inode = unsafe { Stacked::<Inode>::from_raw(inode) };
        from_result(|| inode.lower().permission(mask).map(|()| 0))
    }

    /// # Safety
    ///
    /// The dentry in `path` must be of this library, and alive until this returns: the caller of
    /// `->getattr` holds a reference to the path. `stat` is the caller's, and only this writes to
    /// it.
    pub(super) unsafe extern "C" fn getattr(
        _: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        stat: *mut bindings::kstat,
        mask: u32,
        flags: c_uint,
    ) -> c_int {
        // SAFETY: The caller of vfs_getattr() holds a reference to the path until this returns, and
        // `stat` is its own, on its stack.
        let (dentry, stat) = unsafe { (Stacked::<Dentry>::from_raw((*path).dentry), &mut *stat) };
        from_result(|| {
            let inode = dentry.inode().ok_or(ENOENT)?;
            if inode.is_regular() && mask & TIMES != 0 && inode.sets_times() {
                // What fails is kept for fsync(2).
                let _ = inode.write_and_wait();
            }
            // Before what is below is asked, which has them when they are written.
            let unwritten = inode.unwritten();
            let path = dentry.path()?;
            let layer = dentry.layer();
            *stat = layer.rights()?.act(|| path.attributes(mask, flags))?;
            inode.copy_attributes();
            stat.dev = layer.device(stat.dev, inode.super_block().device())?;
            if inode.is_regular() {
                stat.size = inode.size();
                stat.blocks = inode.blocks_with(stat.blocks, unwritten);
                promise_nothing_atomic(stat);
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, with an inode, and alive until this returns: the caller of
    /// notify_change() holds a reference to it, and has locked the inode. `attributes` is the
    /// caller's, and changes no more.
    pub(super) unsafe extern "C" fn setattr(
        _: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        attributes: *mut bindings::iattr,
    ) -> c_int {
        // SAFETY: The caller of `->setattr` keeps both until this returns.
        let (dentry, attributes) = unsafe { (Stacked::<Dentry>::from_raw(dentry), &*attributes) };
        from_result(|| Self::set_attributes(dentry, attributes).map(|()| 0))
    }

    /// FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR and file_getattr(2).
    ///
    /// # Safety
    ///
    /// `dentry` must be of this library, and alive until this returns: the caller of
    /// `->fileattr_get` holds a reference to it. `flags` is the caller's, to be written to.
    pub(super) unsafe extern "C" fn get_flags(
        dentry: *mut bindings::dentry,
        flags: *mut bindings::file_kattr,
    ) -> c_int {
        // SAFETY: The caller of `->fileattr_get` holds a reference to `dentry`, and keeps `flags`,
        // until this returns; the dentry keeps that below.
        unsafe {
            match Stacked::<Dentry>::from_raw(dentry).lower() {
                Ok(lower) => bindings::vfs_fileattr_get(lower.as_raw(), flags),
                Err(error) => error.to_errno(),
            }
        }
    }

    /// FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR and file_setattr(2). What is dirty is written before the
    /// file can become one that no process may write to.
    ///
    /// # Safety
    ///
    /// `dentry` must be of this library, with an inode, and alive until this returns: the caller of
    /// `->fileattr_set` holds a reference to it, and has locked the inode. `flags` is the caller's.
    pub(super) unsafe extern "C" fn set_flags(
        _: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        flags: *mut bindings::file_kattr,
    ) -> c_int {
        // SAFETY: The caller of `->fileattr_set` holds a reference to `dentry` until this returns.
        let dentry = unsafe { Stacked::<Dentry>::from_raw(dentry) };
        from_result(|| {
            let inode = dentry.inode().ok_or(ENOENT)?;
            let _stores = inode.hold_stores()?;
            if inode.is_regular() {
                inode.write_and_wait()?;
            }
            let _write = dentry.layer().lower().want_write()?;
            let lower = dentry.lower()?.as_raw();
            // SAFETY: `flags` is the caller's until this returns, and `dentry` keeps that below.
            // The inode there is not locked.
            to_result(unsafe { bindings::vfs_fileattr_set(idmap(), lower, flags) })?;
            inode.copy_attributes();
            Ok(0)
        })
    }

    /// Where on the device below the file is. What is not written yet is nowhere.
    ///
    /// # Safety
    ///
    /// `inode` must be of this library, and alive until this returns: ioctl(2) has the file open.
    /// `info` is the caller's, on its stack.
    pub(super) unsafe extern "C" fn fiemap(
        inode: *mut bindings::inode,
        info: *mut bindings::fiemap_extent_info,
        start: u64,
        len: u64,
    ) -> c_int {
        // SAFETY: The file that ioctl(2) was called for keeps the inode until this returns.
        let inode = unsafe { Stacked::<Inode>::from_raw(inode) };
        from_result(|| {
            inode.write_and_wait()?;
            let lower = inode.lower().as_raw();
            // SAFETY: The inode keeps that below, whose operations are those of a type of
            // filesystem that is mounted; `info` is the caller's until this returns.
            let result = unsafe {
                let fiemap = (*(*lower).i_op).fiemap.ok_or_else(not_supported)?;
                fiemap(lower, info, start, len)
            };
            to_result(result).map(|()| 0)
        })
    }

    fn set_attributes(dentry: &Stacked<Dentry>, attributes: &bindings::iattr) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        let change = Attributes::new(dentry, attributes)?;
        if attributes.ia_valid & SET_TIMES != 0 && inode.is_regular() && inode.sets_times() {
            // What is written later would set others; what fails is kept for fsync(2).
            let _stores = inode.hold_stores()?;
            let _ = inode.write_and_wait();
        }
        let size = (attributes.ia_valid & bindings::ATTR_SIZE != 0).then_some(attributes.ia_size);
        match size {
            Some(size) if inode.is_regular() => T::set_size(&inode, size, change)?,
            _ => change.apply()?,
        }
        inode.copy_attributes();
        Ok(())
    }
}

/// The time of an access; and where a write does not get below, as one to a FIFO, its times, too.
/// All others are set below as they change. The mount here has been asked, and that below is, too.
///
/// # Safety
///
/// `inode` must be of this library, and alive until this returns: touch_atime() and
/// file_update_time() are called for a path, or an open file, which keeps it.
pub(super) unsafe extern "C" fn update_time(
    inode: *mut bindings::inode,
    which: bindings::fs_update_time,
    flags: c_uint,
) -> c_int {
    // SAFETY: The path or the file for which `->update_time` is called keeps the inode until this
    // returns.
    let inode = unsafe { Stacked::<Inode>::from_raw(inode) };
    let (mount, lower) = (inode.layer().lower().as_raw(), inode.lower().as_raw());
    // SAFETY: The layer keeps the mount, and the inode that below.
    unsafe {
        match which {
            bindings::fs_update_time_FS_UPD_CMTIME => {
                bindings::sp_touch_special(mount, lower, flags)
            }
            _ => bindings::sp_touch_atime(mount, lower),
        }
    }
    inode.copy_attributes();
    0
}

/// A write may be done in several pieces below, and of pages that an application changes meanwhile.
fn promise_nothing_atomic(stat: &mut bindings::kstat) {
    stat.result_mask &= !bindings::SP_STATX_WRITE_ATOMIC;
    stat.attributes &= !bindings::SP_STATX_ATTR_WRITE_ATOMIC;
    stat.attributes_mask &= !bindings::SP_STATX_ATTR_WRITE_ATOMIC;
    stat.atomic_write_unit_min = 0;
    stat.atomic_write_unit_max = 0;
    stat.atomic_write_unit_max_opt = 0;
    stat.atomic_write_segments_max = 0;
}

/// A change of attributes that has been checked, and is to be applied below.
pub struct Attributes<'a> {
    dentry: &'a Stacked<Dentry>,
    lower: bindings::iattr,
}

impl<'a> Attributes<'a> {
    fn new(dentry: &'a Stacked<Dentry>, attributes: &bindings::iattr) -> Result<Self> {
        let mut lower = *attributes;
        // SAFETY: The caller of `->setattr` holds a reference to the dentry, and has locked its
        // inode.
        to_result(unsafe { bindings::setattr_prepare(idmap(), dentry.as_raw(), &mut lower) })?;
        // How set-user-ID bits are dropped is up to the filesystem below.
        if lower.ia_valid & (bindings::ATTR_KILL_SUID | bindings::ATTR_KILL_SGID) != 0 {
            lower.ia_valid &= !bindings::ATTR_MODE;
        }
        // The file is one of this filesystem.
        lower.ia_valid &= !bindings::ATTR_FILE;
        Ok(Self { dentry, lower })
    }

    /// Changes them below. Sleeps.
    pub fn apply(self) -> Result {
        let _write = self.dentry.layer().lower().want_write()?;
        let lower = self.dentry.lower()?;
        let inode = lower.inode().ok_or(ENOENT)?;
        names::without_delegations(|delegated| {
            let _lock = inode.lock();
            let mut change = self.lower;
            // SAFETY: `lower` is kept by the dentry above, and its inode is locked right above.
            to_result(unsafe {
                bindings::notify_change(idmap(), lower.as_raw(), &mut change, delegated)
            })
        })
    }
}
