// SPDX-License-Identifier: GPL-2.0

//! Inodes, dentries, open files and paths, of whatever filesystem.

use crate::mm::SuperBlock;

mod dentry;
mod file;
mod inode;
mod path;

pub use self::{
    dentry::Dentry,
    file::File,
    inode::{Inode, InodeGuard},
    path::{Path, WriteAccess}, //
};

/// How owners are mapped below: not at all, since a mount that does is refused.
pub(super) fn idmap() -> *mut crate::bindings::mnt_idmap {
    core::ptr::addr_of_mut!(crate::bindings::nop_mnt_idmap)
}

/// What is part of a filesystem: the types of this module.
pub trait Object {
    /// The type that C has for it.
    type Raw;

    /// The superblock, which does not change.
    fn super_block(&self) -> &SuperBlock;
}

impl Object for SuperBlock {
    type Raw = crate::bindings::super_block;

    fn super_block(&self) -> &SuperBlock {
        self
    }
}

/// Makes a type of this library out of one of C's whose references are counted.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $get:ident, $put:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name(kernel::types::Opaque<$crate::bindings::$raw>);

        // SAFETY: The C side counts references atomically, and locks what changes.
        unsafe impl Send for $name {}

        // SAFETY: What the methods do, C allows from several threads at once.
        unsafe impl Sync for $name {}

        // SAFETY: As long as there is a reference, C does not free it.
        unsafe impl kernel::sync::aref::AlwaysRefCounted for $name {
            fn inc_ref(&self) {
                // SAFETY: There is a reference, since there is `self`.
                unsafe { $crate::bindings::$get(self.as_raw()) };
            }

            unsafe fn dec_ref(object: core::ptr::NonNull<Self>) {
                // SAFETY: The caller gives away a reference.
                unsafe { $crate::bindings::$put(object.cast().as_ptr()) };
            }
        }

        impl $name {
            /// # Safety
            ///
            /// `raw` must be valid, and have a reference that is kept for `'a`.
            #[inline]
            pub(crate) unsafe fn from_raw<'a>(raw: *mut $crate::bindings::$raw) -> &'a Self {
                // SAFETY: By the requirements `raw` is valid for `'a`, and the type is transparent.
                unsafe { &*raw.cast() }
            }

            /// # Safety
            ///
            /// `raw` must be valid or an `ERR_PTR()`, and the reference that came with it belong to
            /// the caller, who gives it away.
            #[allow(dead_code)]
            pub(crate) unsafe fn take(
                raw: *mut $crate::bindings::$raw,
            ) -> Result<kernel::sync::aref::ARef<Self>> {
                let raw = kernel::error::from_err_ptr(raw)?;
                let raw = core::ptr::NonNull::new(raw).ok_or(ENOENT)?;
                // SAFETY: The caller gives the reference away.
                Ok(unsafe { kernel::sync::aref::ARef::from_raw(raw.cast()) })
            }

            #[inline]
            pub(crate) fn as_raw(&self) -> *mut $crate::bindings::$raw {
                self.0.get()
            }
        }
    };
}

use object;
