// SPDX-License-Identifier: GPL-2.0

//! `inode_operations` of directories: names, which are those below.

use super::{
    dentry::NewDentry,
    inode::{prepare, Operations},
    names,
    stack::Stacked,
    stale,
    Dentry,
    File,
    FileSystem,
    Inode,
    WriteAccess, //
};
use crate::bindings;
use core::ptr;
use kernel::{
    error::{from_result, to_result},
    ffi::{c_char, c_int, c_uint},
    prelude::*,
    sync::aref::ARef, //
};

/// A name that is about to change: its directory and itself, here; and what is below.
struct Name<'a> {
    parent: ARef<Stacked<Dentry>>,
    entry: &'a Stacked<Dentry>,
}

impl<'a> Name<'a> {
    /// # Safety
    ///
    /// `raw` must be of this library, and stay alive for `'a`: the caller of the operation on the
    /// directory holds a reference to it, and has locked the directory, until that returns.
    unsafe fn from_raw(raw: *mut bindings::dentry) -> Self {
        // SAFETY: By the requirements it is alive for `'a`, and of this library.
        Self::of(unsafe { Stacked::from_raw(raw) })
    }

    fn of(entry: &'a Stacked<Dentry>) -> Self {
        Self {
            parent: entry.parent(),
            entry,
        }
    }

    /// The directory below, and the name in it.
    fn lower(&self) -> Result<(&Dentry, &Dentry)> {
        Ok((self.parent.lower()?, self.entry.lower()?))
    }

    /// Calls `below` with both, while what is below can be written to, and then `above`, which does
    /// here what has been done there: to others that is one change. Then the directory has the
    /// attributes that it got below.
    ///
    /// Where the name is not what it was when it was looked up, it is looked up again: ESTALE, with
    /// which the kernel repeats the walk.
    fn change<R>(
        &self,
        below: impl FnOnce(&WriteAccess<'_>, &Dentry, &Dentry) -> Result<R>,
        above: impl FnOnce(R) -> Result,
    ) -> Result {
        let write = self.entry.layer().lower().want_write()?;
        let (dir, entry) = self.lower()?;
        let parent = self.parent.inode().ok_or_else(stale)?;
        let _changing = parent.change_names();
        let result = below(&write, dir, entry).and_then(above);
        parent.copy_attributes();
        result.inspect_err(|error| {
            if *error == stale() {
                self.forget();
            }
        })
    }

    /// The next one who needs the name looks it up.
    fn forget(&self) {
        // SAFETY: The dentry is valid.
        unsafe { bindings::d_drop(self.entry.as_raw()) };
    }

    /// What the name is to stand for.
    fn found<T: FileSystem>(&self) -> Result<ARef<Stacked<Inode>>> {
        let lower = self.entry.lower()?.inode().ok_or_else(stale)?;
        let inode = Stacked::get(self.entry.super_block(), &lower, prepare::<T>)?;
        inode.copy_attributes();
        Ok(inode)
    }

    /// Makes the name stand for what it stands for below.
    fn connect<T: FileSystem>(&self) -> Result {
        let inode = ARef::into_raw(self.found::<T>()?).cast().as_ptr();
        // SAFETY: The dentry has no inode yet, since its directory is locked; the reference is given
        // away.
        unsafe { bindings::d_instantiate(self.entry.as_raw(), inode) };
        Ok(())
    }

    /// What the name stood for has one less now.
    fn removed(&self) -> Result {
        if let Some(inode) = self.entry.inode() {
            inode.copy_attributes();
        }
        self.forget();
        Ok(())
    }

    /// Makes this name stand for what `new` stands for, or the two change places.
    fn moved(&self, new: &Self, flags: u32) -> Result {
        // SAFETY: The caller of `->rename` has locked both directories, and holds references to
        // both dentries; across directories it has `s_vfs_rename_mutex`, too.
        unsafe { bindings::sp_d_move(self.entry.as_raw(), new.entry.as_raw(), flags) };
        let changed = [&self.parent, self.entry, new.entry].map(|dentry| dentry.inode());
        for inode in changed.into_iter().flatten() {
            inode.copy_attributes();
        }
        Ok(())
    }
}

/// With the locks that Documentation/filesystems/locking.rst names.
impl<T: FileSystem> Operations<T> {
    /// # Safety
    ///
    /// `dentry` must be of this library, and made for this call of `->lookup`, whose caller holds a
    /// reference to it, and the lock of the directory, at least shared, until this returns.
    pub(super) unsafe extern "C" fn lookup(
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        _: c_uint,
    ) -> *mut bindings::dentry {
        // SAFETY: The caller of `->lookup` keeps the dentry until this returns. Others that look up
        // the same name wait until then (`DCACHE_PAR_LOOKUP`), or for the lock of the directory; so
        // it has none below yet.
        let new = unsafe { NewDentry::from_raw(dentry) };
        match Self::find(&new) {
            Ok(inode) => new.splice(inode),
            Err(error) => error.to_ptr(),
        }
    }

    /// What the name stands for; none if there is nothing of that name.
    fn find(new: &NewDentry<'_>) -> Result<Option<ARef<Stacked<Inode>>>> {
        let name = Name::of(new.entry());
        let lower = names::lookup(name.parent.lower()?, name.entry)?;
        let exists = lower.inode().is_some();
        new.set_lower(lower);
        exists.then(|| name.found::<T>()).transpose()
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, without an inode, and alive until this returns: the caller
    /// of `->create` holds a reference to it, and has locked the directory, which keeps the name
    /// where it is.
    pub(super) unsafe extern "C" fn create(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        #[cfg(create_has_excl)] _: bool,
    ) -> c_int {
        // SAFETY: The caller of `->create` holds a reference to `dentry` until this returns.
        let name = unsafe { Name::from_raw(dentry) };
        from_result(|| {
            name.change(
                |write, dir, new| names::create(write, dir, new, mode),
                |()| name.connect::<T>(),
            )
            .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `file` must be what vfs_tmpfile() calls `->tmpfile` with: its caller has it to itself until
    /// it is open, and the dentry in it was made for this call, which keeps it until this returns.
    /// The directory is not locked.
    pub(super) unsafe extern "C" fn tmpfile(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        file: *mut bindings::file,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: The file is being opened, and its dentry is new and without a name: no other task
        // can find either before sp_tmpfile_finish() has been called.
        let new = unsafe { NewDentry::from_raw(File::from_raw(file).dentry().as_raw()) };
        from_result(|| {
            let name = Name::of(new.entry());
            let layer = name.entry.layer();
            let write = layer.lower().want_write()?;
            // Whether it may be given a name is looked at here, before the one below is asked.
            let dir = name.parent.path()?;
            let lower = names::tmpfile(&write, &dir, mode, &layer.rights()?)?;
            new.set_lower(lower.dentry().into());
            let inode = ARef::into_raw(name.found::<T>()?).cast().as_ptr();
            // SAFETY: The dentry has no inode yet; the function takes the reference to the inode.
            to_result(unsafe { bindings::sp_tmpfile_finish(file, inode) }).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `old` and `new` must be of this library, and alive until this returns: the caller of
    /// `->link` holds references to both, and has locked the directory of `new` and the inode of
    /// `old`. `new` has no inode.
    pub(super) unsafe extern "C" fn link(
        old: *mut bindings::dentry,
        _: *mut bindings::inode,
        new: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The caller of `->link` holds references to both until this returns.
        let (old, new) = unsafe { (Stacked::<Dentry>::from_raw(old), Name::from_raw(new)) };
        from_result(|| {
            let lower = old.lower()?;
            new.change(
                |write, dir, new| names::link(write, lower, dir, new),
                |()| new.connect::<T>(),
            )
            .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, with an inode, and alive until this returns: the caller of
    /// `->unlink` holds a reference to it, and has locked its directory and its inode.
    pub(super) unsafe extern "C" fn unlink(
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The caller of `->unlink` holds a reference to `dentry` until this returns.
        let name = unsafe { Name::from_raw(dentry) };
        from_result(|| name.change(names::unlink, |()| name.removed()).map(|()| 0))
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, with an inode, and alive until this returns: the caller of
    /// `->rmdir` holds a reference to it, and has locked its directory and its inode.
    pub(super) unsafe extern "C" fn rmdir(
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: The caller of `->rmdir` holds a reference to `dentry` until this returns.
        let name = unsafe { Name::from_raw(dentry) };
        from_result(|| name.change(names::rmdir, |()| name.removed()).map(|()| 0))
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, without an inode, and alive until this returns: the caller
    /// of `->symlink` holds a reference to it, and has locked the directory, which keeps the name
    /// where it is. `target` is a string of the caller's, which ends with a zero and stays as long.
    pub(super) unsafe extern "C" fn symlink(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        target: *const c_char,
    ) -> c_int {
        // SAFETY: The caller of `->symlink` holds a reference to `dentry`, and keeps the string,
        // until this returns.
        let (name, target) = unsafe { (Name::from_raw(dentry), CStr::from_char_ptr(target)) };
        from_result(|| {
            name.change(
                |write, dir, new| names::symlink(write, dir, new, target),
                |()| name.connect::<T>(),
            )
            .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, without an inode, and alive until this returns: the caller
    /// of `->mkdir` holds a reference to it, and has locked the directory, which keeps the name
    /// where it is.
    pub(super) unsafe extern "C" fn mkdir(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> *mut bindings::dentry {
        // SAFETY: The caller of `->mkdir` holds a reference to `dentry` until this returns.
        let name = unsafe { Name::from_raw(dentry) };
        let made = name.change(
            |write, dir, new| names::mkdir(write, dir, new, mode),
            |same| {
                if same {
                    return name.connect::<T>();
                }
                // The caller looks it up.
                name.forget();
                Ok(())
            },
        );
        made.map_or_else(|error| error.to_ptr(), |()| ptr::null_mut())
    }

    /// # Safety
    ///
    /// `dentry` must be of this library, without an inode, and alive until this returns: the caller
    /// of `->mknod` holds a reference to it, and has locked the directory, which keeps the name
    /// where it is.
    pub(super) unsafe extern "C" fn mknod(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        device: bindings::dev_t,
    ) -> c_int {
        // SAFETY: The caller of `->mknod` holds a reference to `dentry` until this returns.
        let name = unsafe { Name::from_raw(dentry) };
        from_result(|| {
            name.change(
                |write, dir, new| names::mknod(write, dir, new, mode, device),
                |()| name.connect::<T>(),
            )
            .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// `old` and `new` must be of this library, and alive until this returns: the caller of
    /// `->rename` holds references to both, and has locked both directories, what is replaced, and
    /// what changes its directory.
    pub(super) unsafe extern "C" fn rename(
        _: *mut bindings::mnt_idmap,
        _: *mut bindings::inode,
        old: *mut bindings::dentry,
        _: *mut bindings::inode,
        new: *mut bindings::dentry,
        flags: c_uint,
    ) -> c_int {
        // SAFETY: The caller of `->rename` holds references to both until this returns.
        let (old, new) = unsafe { (Name::from_raw(old), Name::from_raw(new)) };
        from_result(|| {
            let (from, to) = (old.lower()?, new.lower()?);
            let parents = [&old, &new].map(|name| name.parent.inode());
            // That of the new name is looked after by change().
            let [Some(from_dir), Some(to_dir)] = &parents else {
                return Err(stale());
            };
            let _changing =
                (!ptr::eq(from_dir.as_raw(), to_dir.as_raw())).then(|| from_dir.change_names());
            let renamed = new.change(
                |write, _, _| names::rename(write, from, to, flags),
                |()| old.moved(&new, flags),
            );
            if renamed == Err(stale()) {
                old.forget();
            }
            renamed.map(|()| 0)
        })
    }
}
