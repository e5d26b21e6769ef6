// SPDX-License-Identifier: GPL-2.0

//! Which operations an inode has.

use super::{
    aops,
    attributes,
    directory,
    file,
    stack::Stacked,
    Dentry,
    FileSystem,
    Inode, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    ffi::c_char,
    prelude::*, //
};

/// Gives a new inode its operations.
pub(super) fn prepare<T: FileSystem>(inode: &Stacked<Inode>) {
    let raw = inode.as_raw();
    let kind = inode.mode() & bindings::SP_S_IFMT;
    // SAFETY: The inode is new (`I_NEW`): who finds it waits until unlock_new_inode() is called,
    // and so nothing else looks at these fields.
    unsafe {
        (*raw).i_op = match kind {
            bindings::SP_S_IFDIR => &Operations::<T>::DIRECTORY,
            bindings::SP_S_IFLNK => &Operations::<T>::LINK,
            bindings::SP_S_IFREG => &Operations::<T>::REGULAR,
            _ => &Operations::<T>::OTHER,
        };
        match kind {
            bindings::SP_S_IFREG => {
                (*raw).__bindgen_anon_3.i_fop = &file::Operations::<T>::REGULAR;
                (*(*raw).i_mapping).a_ops = &aops::Operations::<T>::TABLE;
                bindings::sp_inode_prepare_mapping(raw);
            }
            bindings::SP_S_IFDIR => {
                (*raw).__bindgen_anon_3.i_fop = &directory::OPERATIONS;
            }
            bindings::SP_S_IFLNK => {}
            _ => bindings::init_special_inode(raw, (*raw).i_mode, (*raw).i_rdev),
        }
    }
}

/// Names are in [`entries`](super::entries), attributes in [`attributes`](super::attributes).
pub(super) struct Operations<T>(PhantomData<T>);

/// With the locks that Documentation/filesystems/locking.rst names.
impl<T: FileSystem> Operations<T> {
    const OTHER: bindings::inode_operations = bindings::inode_operations {
        permission: Some(Self::permission),
        setattr: Some(Self::setattr),
        update_time: Some(attributes::update_time),
        getattr: Some(Self::getattr),
        listxattr: Some(super::xattr::list),
        get_acl: Some(super::xattr::get_acl),
        set_acl: Some(super::xattr::set_acl),
        fileattr_get: Some(Self::get_flags),
        fileattr_set: Some(Self::set_flags),
        ..pin_init::zeroed()
    };

    const REGULAR: bindings::inode_operations = bindings::inode_operations {
        fiemap: Some(Self::fiemap),
        ..Self::OTHER
    };

    const LINK: bindings::inode_operations = bindings::inode_operations {
        get_link: Some(Self::get_link),
        ..Self::OTHER
    };

    const DIRECTORY: bindings::inode_operations = bindings::inode_operations {
        lookup: Some(Self::lookup),
        create: Some(Self::create),
        tmpfile: Some(Self::tmpfile),
        link: Some(Self::link),
        unlink: Some(Self::unlink),
        symlink: Some(Self::symlink),
        mkdir: Some(Self::mkdir),
        rmdir: Some(Self::rmdir),
        mknod: Some(Self::mknod),
        rename: Some(Self::rename),
        ..Self::OTHER
    };

    /// # Safety
    ///
    /// `dentry` must be NULL, or of this library, and alive until this returns: the caller of
    /// `->get_link` holds a reference to it unless it walks the path without references, when it
    /// passes NULL. `done` is the caller's, and called when it needs the link no more.
    unsafe extern "C" fn get_link(
        dentry: *mut bindings::dentry,
        _: *mut bindings::inode,
        done: *mut bindings::delayed_call,
    ) -> *const c_char {
        if dentry.is_null() {
            return ECHILD.to_ptr::<c_char>().cast_const();
        }
        // SAFETY: The caller of `->get_link` holds a reference to `dentry`, which keeps that below,
        // until this returns. What the filesystem below returns lives until `done` is called.
        unsafe {
            match Stacked::<Dentry>::from_raw(dentry).lower() {
                Ok(lower) => bindings::vfs_get_link(lower.as_raw(), done),
                Err(error) => error.to_ptr::<c_char>().cast_const(),
            }
        }
    }
}
