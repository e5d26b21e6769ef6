// SPDX-License-Identifier: GPL-2.0

//! `dentry_operations`: whether a name is what it is below.

use super::{
    stack::Stacked,
    stale,
    Dentry,
    Inode,
    Path, //
};
use crate::bindings;
use core::ptr;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_uint},
    prelude::*,
    sync::aref::ARef, //
};

pub(super) const OPERATIONS: bindings::dentry_operations = bindings::dentry_operations {
    d_revalidate: Some(revalidate),
    d_release: Some(release),
    ..pin_init::zeroed()
};

/// Where names can be equal without being the same.
pub(super) const FOLDING: bindings::dentry_operations = bindings::dentry_operations {
    d_hash: Some(hash),
    d_compare: Some(compare),
    ..OPERATIONS
};

impl Stacked<Dentry> {
    /// The directory that it is in now.
    pub fn parent(&self) -> ARef<Self> {
        // SAFETY: The parent is of the same filesystem, and the type is transparent.
        unsafe { ARef::from_raw(ARef::into_raw(Dentry::parent(self)).cast()) }
    }

    /// The inode; none if there is nothing of that name.
    pub fn inode(&self) -> Option<ARef<Stacked<Inode>>> {
        let inode = Dentry::inode(self)?;
        // SAFETY: The inode is of the same filesystem; the type is transparent.
        Some(unsafe { ARef::from_raw(ARef::into_raw(inode).cast()) })
    }

    /// The dentry below; ESTALE while it has none.
    pub fn lower(&self) -> Result<&Dentry> {
        // SAFETY: By type invariant the field is NULL, or a dentry with a reference that release()
        // gives back; it is set once, before others see this one.
        unsafe { (*self.as_raw()).d_fsdata.cast::<Dentry>().as_ref() }.ok_or_else(stale)
    }

    /// The place below.
    pub fn path(&self) -> Result<Path> {
        self.layer().lower().at(self.lower()?)
    }

    /// Whether it stands for the same below as it does here; `flags` are those of path walking.
    ///
    /// While a name is changing here, it has changed below, or has not, and here it is yet to: then
    /// it is current, as it was for who came a moment before. Only what disagrees while nothing
    /// changes here has been changed below. Sleeps.
    fn is_current(&self, flags: u32) -> Result<bool> {
        let parent = self.parent().inode().ok_or_else(stale)?;
        let Some(quiet) = parent.names_are_quiet() else {
            return Ok(true);
        };
        let lower = self.lower()?;
        // SAFETY: This dentry keeps that below.
        let asked = unsafe { bindings::sp_d_revalidate(lower.as_raw(), flags) };
        to_result(asked.min(0))?;
        let inode = self.inode();
        let expected = inode
            .as_ref()
            .map_or(ptr::null_mut(), |inode| inode.lower().as_raw());
        // SAFETY: The dentry keeps that below, and `inode` the other inode. The dentry has one
        // below, and so has its parent.
        let agree = unsafe { bindings::sp_d_agree(self.as_raw(), lower.as_raw(), expected) };
        if agree && asked > 0 || parent.names_have_changed_since(quiet) {
            return Ok(true);
        }
        // SAFETY: The dentry keeps that below.
        unsafe { bindings::sp_d_drop_moved(self.as_raw(), lower.as_raw()) };
        Ok(false)
    }
}

/// A dentry that is being looked up or made.
///
/// # Invariants
///
/// The dentry is of this library and has none below yet; no other task uses it.
pub(super) struct NewDentry<'a>(&'a Stacked<Dentry>);

impl<'a> NewDentry<'a> {
    /// # Safety
    ///
    /// `raw` must be of a filesystem of this library, and stay valid for `'a`. It must have none
    /// below yet, and no other task may use it before it has.
    pub(super) unsafe fn from_raw(raw: *mut bindings::dentry) -> Self {
        // INVARIANT: By the requirements.
        // SAFETY: By the requirements it is of this library, and stays.
        Self(unsafe { Stacked::from_raw(raw) })
    }

    pub(super) fn entry(&self) -> &'a Stacked<Dentry> {
        self.0
    }

    /// What it is below, for as long as it is there.
    pub(super) fn set_lower(&self, lower: ARef<Dentry>) {
        let lower = ARef::into_raw(lower).as_ptr();
        // SAFETY: By the type invariant nothing else looks at the field. release() gives the
        // reference back.
        unsafe { (*self.0.as_raw()).d_fsdata = lower.cast() };
    }

    /// The name stands for `inode`; what `->lookup` has to return of that.
    pub(super) fn splice(self, inode: Option<ARef<Stacked<Inode>>>) -> *mut bindings::dentry {
        let inode = inode.map_or(ptr::null_mut(), |inode| {
            ARef::into_raw(inode).cast().as_ptr()
        });
        // SAFETY: By the type invariant the dentry is new; the reference to the inode is given
        // away.
        unsafe { bindings::d_splice_alias(inode, self.0.as_raw()) }
    }
}

/// `dentry_operations.d_release`
///
/// # Safety
///
/// `dentry` must be of this library, and without references: __dentry_kill() calls this once,
/// without a lock, before the memory is freed.
pub(super) unsafe extern "C" fn release(dentry: *mut bindings::dentry) {
    // SAFETY: set_lower() has put a reference there, or nothing has, and it is NULL, which dput()
    // ignores. No other task looks at the dentry any more.
    unsafe { bindings::dput((*dentry).d_fsdata.cast()) };
}

/// `dentry_operations.d_revalidate`
///
/// # Safety
///
/// `dentry` must be of this library, and alive until this returns: the caller of `->d_revalidate`
/// holds a reference to it, or, with `LOOKUP_RCU`, is in a read-side section of RCU.
pub(super) unsafe extern "C" fn revalidate(
    _: *mut bindings::inode,
    _: *const bindings::qstr,
    dentry: *mut bindings::dentry,
    flags: c_uint,
) -> c_int {
    if flags & bindings::SP_LOOKUP_RCU != 0 {
        return ECHILD.to_errno();
    }
    // SAFETY: Without `LOOKUP_RCU` the caller holds a reference to the dentry until this returns.
    let dentry = unsafe { Stacked::<Dentry>::from_raw(dentry) };
    from_result(|| {
        let current = dentry.is_current(flags)?;
        if let Some(inode) = dentry.inode().filter(|_| current) {
            inode.copy_attributes();
        }
        Ok(current.into())
    })
}

/// `dentry_operations.d_hash`, where the filesystem below has its own.
///
/// # Safety
///
/// `dentry` must be of this library: the directory with the name, kept by a reference of the
/// caller's or by RCU. `name` is the caller's, to be written to. Does not sleep.
pub(super) unsafe extern "C" fn hash(
    dentry: *const bindings::dentry,
    name: *mut bindings::qstr,
) -> c_int {
    // SAFETY: Of the directory only the superblock is looked at, which kill_super() keeps until
    // such walks are over; of the root below its operations. `name` is the caller's until this
    // returns.
    unsafe {
        let dentry = Stacked::<Dentry>::from_raw(dentry.cast_mut());
        bindings::sp_d_hash(dentry.layer().lower.dentry().as_raw(), name)
    }
}

/// `dentry_operations.d_compare`, where the filesystem below has its own. The dentry may have none
/// below yet.
///
/// # Safety
///
/// `dentry` must be of this library, kept by a reference of the caller's or by RCU: it may be being
/// renamed or freed. `characters` has `len` bytes, and `name` is the caller's. Does not sleep.
pub(super) unsafe extern "C" fn compare(
    dentry: *const bindings::dentry,
    len: c_uint,
    characters: *const c_char,
    name: *const bindings::qstr,
) -> c_int {
    // SAFETY: As in hash(); who calls this without a reference looks at a sequence number
    // afterwards.
    unsafe {
        let dentry = Stacked::<Dentry>::from_raw(dentry.cast_mut());
        let root = dentry.layer().lower.dentry().as_raw();
        bindings::sp_d_compare(root, len, characters, name)
    }
}
