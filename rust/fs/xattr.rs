// SPDX-License-Identifier: GPL-2.0

//! Extended attributes and access control lists, which are those below.
//!
//! The kernel has checked who may have an attribute, and has made of a capability what it is in the
//! user namespace of the filesystem, before this is called. Lists are set, and names listed, with
//! the credentials of the caller: what he may do decides what becomes of the mode, and what he sees.

use super::{object::idmap, stack::Stacked, Dentry};
use crate::bindings;
use core::ptr;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_void},
    prelude::*,
    str::CStrExt, //
};

/// The table that a superblock wants, with a null pointer at its end.
#[repr(transparent)]
pub(super) struct Handlers(pub(super) [*const bindings::xattr_handler; 2]);

// SAFETY: The kernel only reads it.
unsafe impl Sync for Handlers {}

/// The same, of a single handler.
struct Handler(bindings::xattr_handler);

// SAFETY: The kernel only reads it.
unsafe impl Sync for Handler {}

/// Every name begins with nothing.
static ALL: Handler = Handler(bindings::xattr_handler {
    name: ptr::null(),
    prefix: c"".to_bytes_with_nul().as_ptr(),
    flags: 0,
    list: None,
    get: Some(get),
    set: Some(set),
});

pub(super) static HANDLERS: Handlers = Handlers([&ALL.0, ptr::null()]);

/// # Safety
///
/// `dentry` must be of this library, and alive until this returns: the caller of __vfs_getxattr()
/// holds a reference to it. `name` is a string of the caller's that ends with a zero, and `buffer`
/// has room for `size` bytes, or is NULL where `size` is 0.
unsafe extern "C" fn get(
    _: *const bindings::xattr_handler,
    dentry: *mut bindings::dentry,
    _: *mut bindings::inode,
    name: *const c_char,
    buffer: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: The caller holds a reference to `dentry` until this returns.
    let dentry = unsafe { Stacked::<Dentry>::from_raw(dentry) };
    from_result(|| {
        let lower = dentry.lower()?.as_raw();
        let found = dentry.layer().rights()?.act(|| {
            // SAFETY: The dentry keeps that below; the name and the buffer are the caller's until
            // this returns.
            unsafe { bindings::vfs_getxattr(idmap(), lower, name, buffer, size) }
        });
        Ok(found as c_int)
    })
}

/// # Safety
///
/// As for [`get`], with `value` and its `size` bytes instead of the buffer; where the name is to be
/// removed, it is NULL. The caller has locked the inode.
unsafe extern "C" fn set(
    _: *const bindings::xattr_handler,
    _: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    _: *mut bindings::inode,
    name: *const c_char,
    value: *const c_void,
    size: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: The caller holds a reference to `dentry`, and keeps the name, until this returns.
    let (dentry, attribute) = unsafe {
        (
            Stacked::<Dentry>::from_raw(dentry),
            CStr::from_char_ptr(name),
        )
    };
    let is_capability = attribute == c"security.capability";
    from_result(|| {
        if let Some(inode) = dentry.inode().filter(|_| is_capability && !value.is_null()) {
            // What is written below takes capabilities from the file: not these.
            let _stores = inode.hold_stores()?;
            inode.write_and_wait()?;
        }
        let _write = dentry.layer().lower().want_write()?;
        let lower = dentry.lower()?.as_raw();
        // SAFETY: The dentry keeps that below, and the caller the name and the value. Without a
        // value the name is removed.
        let set = dentry.layer().rights()?.act(|| unsafe {
            if value.is_null() {
                bindings::vfs_removexattr(idmap(), lower, name)
            } else {
                bindings::vfs_setxattr(idmap(), lower, name, value, size, flags)
            }
        });
        to_result(set)?;
        changed(dentry);
        Ok(0)
    })
}

/// A list of access rights is a mode, too.
fn changed(dentry: &Stacked<Dentry>) {
    if let Some(inode) = dentry.inode() {
        inode.copy_attributes();
    }
}

/// `inode_operations.listxattr`
///
/// # Safety
///
/// `dentry` must be of this library, and alive until this returns: the caller of vfs_listxattr()
/// holds a reference to it. `buffer` has room for `size` bytes, or is NULL where `size` is 0.
pub(super) unsafe extern "C" fn list(
    dentry: *mut bindings::dentry,
    buffer: *mut c_char,
    size: usize,
) -> isize {
    // SAFETY: The caller holds a reference to `dentry`, and keeps the buffer, until this returns;
    // the dentry keeps that below.
    unsafe {
        match Stacked::<Dentry>::from_raw(dentry).lower() {
            Ok(lower) => bindings::vfs_listxattr(lower.as_raw(), buffer, size),
            Err(error) => error.to_errno() as isize,
        }
    }
}

/// `inode_operations.get_acl`
///
/// # Safety
///
/// `dentry` must be of this library, and alive until this returns: the caller of vfs_get_acl()
/// holds a reference to it.
pub(super) unsafe extern "C" fn get_acl(
    _: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    kind: c_int,
) -> *mut bindings::posix_acl {
    // SAFETY: The caller holds a reference to `dentry` until this returns; the dentry keeps that
    // below.
    unsafe {
        match Stacked::<Dentry>::from_raw(dentry).lower() {
            Ok(lower) => bindings::vfs_get_acl(idmap(), lower.as_raw(), acl_name(kind)),
            Err(error) => error.to_ptr(),
        }
    }
}

/// `inode_operations.set_acl`
///
/// # Safety
///
/// `dentry` must be of this library, and alive until this returns: the caller of vfs_set_acl()
/// holds a reference to it, and has locked its inode. `acl` is the caller's, or NULL.
pub(super) unsafe extern "C" fn set_acl(
    _: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    acl: *mut bindings::posix_acl,
    kind: c_int,
) -> c_int {
    // SAFETY: The caller holds a reference to `dentry` until this returns.
    let dentry = unsafe { Stacked::<Dentry>::from_raw(dentry) };
    from_result(|| {
        let _write = dentry.layer().lower().want_write()?;
        let lower = dentry.lower()?.as_raw();
        // SAFETY: The dentry keeps that below, and the caller the list. Without a list, that below
        // is removed.
        to_result(unsafe {
            if acl.is_null() {
                bindings::vfs_remove_acl(idmap(), lower, acl_name(kind))
            } else {
                bindings::vfs_set_acl(idmap(), lower, acl_name(kind), acl)
            }
        })?;
        changed(dentry);
        Ok(0)
    })
}

fn acl_name(kind: c_int) -> *const c_char {
    if kind == bindings::SP_ACL_TYPE_ACCESS as c_int {
        c"system.posix_acl_access".as_char_ptr()
    } else {
        c"system.posix_acl_default".as_char_ptr()
    }
}
