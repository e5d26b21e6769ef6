// SPDX-License-Identifier: GPL-2.0

//! Inodes, dentries, open files and paths, of whatever filesystem.

use super::Rights;
use crate::bindings;
use core::{ptr, ptr::NonNull};
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque, //
};

/// Makes a type of this library out of one of C's whose references are counted.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $get:ident, $put:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name(Opaque<bindings::$raw>);

        // SAFETY: The C side counts references atomically, and locks what changes.
        unsafe impl Send for $name {}

        // SAFETY: As above; what the methods do, C allows from several threads at once.
        unsafe impl Sync for $name {}

        // SAFETY: As long as there is a reference, C does not free it.
        unsafe impl AlwaysRefCounted for $name {
            fn inc_ref(&self) {
                // SAFETY: There is a reference, since there is `self`.
                unsafe { bindings::$get(self.as_raw()) };
            }

            unsafe fn dec_ref(object: NonNull<Self>) {
                // SAFETY: The caller gives away a reference.
                unsafe { bindings::$put(object.cast().as_ptr()) };
            }
        }

        impl $name {
            /// # Safety
            ///
            /// `raw` must be valid, and stay so for `'a`.
            pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::$raw) -> &'a Self {
                // SAFETY: The type is transparent, and the caller vouches for the rest.
                unsafe { &*raw.cast() }
            }

            /// # Safety
            ///
            /// `raw` must be valid or an `ERR_PTR()`, and the reference that came with it belong to
            /// the caller, who gives it away.
            #[allow(dead_code)]
            pub(crate) unsafe fn take(raw: *mut bindings::$raw) -> Result<ARef<Self>> {
                let raw = NonNull::new(from_err_ptr(raw)?).ok_or(ENOENT)?;
                // SAFETY: The caller gives the reference away.
                Ok(unsafe { ARef::from_raw(raw.cast()) })
            }

            pub(crate) fn as_raw(&self) -> *mut bindings::$raw {
                self.0.get()
            }
        }
    };
}

object! {
    /// An inode.
    ///
    /// To drop the last reference may sleep.
    ///
    /// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
    Inode, inode, ihold, iput
}

object! {
    /// A name in a directory, or the absence of one.
    ///
    /// To drop the last reference may sleep.
    ///
    /// C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)
    Dentry, dentry, sp_dget, dput
}

object! {
    /// An open file.
    ///
    /// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
    File, file, get_file, fput
}

impl Inode {
    /// The size, in bytes.
    pub fn size(&self) -> i64 {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_i_size_read(self.as_raw()) }
    }

    /// Whether it is a file of tmpfs: its page cache is all that there is of it.
    pub fn is_in_memory(&self) -> bool {
        // SAFETY: An inode keeps its mapping.
        let kind = unsafe { bindings::sp_mapping_kind(self.mapping()) };
        kind == bindings::sp_mapping_kind_SP_MAPPING_SHMEM
    }

    /// Type and permissions, as in `st_mode`.
    pub fn mode(&self) -> u32 {
        // SAFETY: The inode is valid; a mode that changes meanwhile is as good as any.
        unsafe { ptr::addr_of!((*self.as_raw()).i_mode).read_volatile() }.into()
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.mode() & bindings::SP_S_IFMT == bindings::SP_S_IFREG
    }

    /// Whether no process may change it (`FS_IMMUTABLE_FL`).
    pub fn is_immutable(&self) -> bool {
        // SAFETY: The inode is valid; flags that change meanwhile are as good as any.
        let flags = unsafe { ptr::addr_of!((*self.as_raw()).i_flags).read_volatile() };
        flags & bindings::SP_S_IMMUTABLE != 0
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode() & bindings::SP_S_IFMT == bindings::SP_S_IFDIR
    }

    /// Locks it (`i_rwsem`) until the guard is dropped. Sleeps.
    pub fn lock(&self) -> InodeGuard<'_> {
        // SAFETY: The inode is valid.
        unsafe { bindings::sp_inode_lock(self.as_raw()) };
        InodeGuard(self)
    }

    /// Whether the caller, with its credentials, may do what `mask` (`MAY_*`) says. May sleep
    /// unless that says that it must not.
    pub fn permission(&self, mask: i32) -> Result {
        // SAFETY: The inode is valid.
        to_result(unsafe {
            bindings::inode_permission(
                ptr::addr_of_mut!(bindings::nop_mnt_idmap),
                self.as_raw(),
                mask,
            )
        })
    }

    pub(crate) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The field is set when the inode is made.
        unsafe { (*self.as_raw()).i_mapping }
    }

    pub(crate) fn raw_super(&self) -> *mut bindings::super_block {
        // SAFETY: The field is set when the inode is made.
        unsafe { (*self.as_raw()).i_sb }
    }

    /// The number of the filesystem's device.
    pub(super) fn device(&self) -> bindings::dev_t {
        // SAFETY: An inode keeps its superblock, whose number does not change.
        unsafe { (*self.raw_super()).s_dev }
    }
}

/// A locked inode. See [`Inode::lock`].
pub struct InodeGuard<'a>(&'a Inode);

impl Drop for InodeGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: It was locked when the guard was made.
        unsafe { bindings::sp_inode_unlock(self.0.as_raw()) };
    }
}

impl Dentry {
    /// The inode; none if there is nothing of that name.
    pub fn inode(&self) -> Option<ARef<Inode>> {
        // SAFETY: The dentry is valid.
        let raw = NonNull::new(unsafe { bindings::sp_d_inode(self.as_raw()) })?;
        // SAFETY: A dentry with a reference keeps its inode: only dput() and d_delete() take it
        // away, and the latter only from a dentry without other references.
        Some(unsafe { Inode::from_raw(raw.as_ptr()) }.into())
    }

    /// The directory that it is in now.
    pub fn parent(&self) -> ARef<Dentry> {
        // SAFETY: The dentry is valid.
        let raw = unsafe { bindings::sp_d_parent(self.as_raw()) };
        // SAFETY: The function returns a reference, and never fails.
        unsafe { ARef::from_raw(NonNull::new_unchecked(raw.cast())) }
    }

    pub(crate) fn raw_super(&self) -> *mut bindings::super_block {
        // SAFETY: The field is set when the dentry is made.
        unsafe { (*self.as_raw()).d_sb }
    }

    /// The number of the filesystem's device.
    pub(super) fn device(&self) -> bindings::dev_t {
        // SAFETY: A dentry keeps its superblock, whose number does not change.
        unsafe { (*self.raw_super()).s_dev }
    }
}

impl File {
    /// The inode.
    pub fn inode(&self) -> &Inode {
        // SAFETY: The field is set when the file is opened, which keeps the inode.
        unsafe { Inode::from_raw((*self.as_raw()).f_inode) }
    }

    /// The name that it was opened by.
    pub fn dentry(&self) -> &Dentry {
        // SAFETY: The field is set when the file is opened, which keeps the dentry.
        unsafe { Dentry::from_raw((*self.as_raw()).__bindgen_anon_1.f_path.dentry) }
    }

    /// The flags of open(2).
    pub fn flags(&self) -> u32 {
        // SAFETY: The file is valid; fcntl(2) may change some flags meanwhile.
        unsafe { ptr::addr_of!((*self.as_raw()).f_flags).read_volatile() }
    }

    /// How it was opened: to be read, to be written, or both (`O_ACCMODE`).
    pub fn access(&self) -> u32 {
        self.flags() & bindings::SP_O_ACCMODE
    }

    /// Whether it can be written to.
    pub fn is_writable(&self) -> bool {
        // SAFETY: The file is valid, and this flag does not change.
        unsafe { (*self.as_raw()).f_mode & bindings::SP_FMODE_WRITE != 0 }
    }

    /// Whether O_DIRECT is possible.
    pub fn can_direct(&self) -> bool {
        // SAFETY: The file is valid.
        unsafe { bindings::sp_file_can_direct(self.as_raw()) }
    }
}

/// A place in the tree of mounts.
///
/// # Invariants
///
/// Both of its members are valid and referenced.
///
/// C header: [`include/linux/path.h`](srctree/include/linux/path.h)
pub struct Path(bindings::path);

// SAFETY: Mounts and dentries count their references atomically.
unsafe impl Send for Path {}

// SAFETY: As above.
unsafe impl Sync for Path {}

impl Path {
    /// Looks for a directory, with the caller's root, working directory and credentials. Sleeps.
    pub fn directory(name: &CStr) -> Result<Self> {
        let mut path = bindings::path::default();
        // SAFETY: The name ends with a zero, and `path` can be written.
        to_result(unsafe {
            bindings::kern_path(
                name.as_char_ptr(),
                bindings::SP_LOOKUP_FOLLOW | bindings::SP_LOOKUP_DIRECTORY,
                &mut path,
            )
        })?;
        // INVARIANT: The function has succeeded, and took the references.
        Ok(Self(path))
    }

    /// Whether owners are the same here as on the filesystem: it is no idmapped mount.
    pub fn is_plain(&self) -> bool {
        // SAFETY: By type invariant.
        unsafe { bindings::sp_path_is_plain(&self.0) }
    }

    /// The dentry.
    pub fn dentry(&self) -> &Dentry {
        // SAFETY: By type invariant.
        unsafe { Dentry::from_raw(self.0.dentry) }
    }

    /// Whether it is the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.mnt == other.0.mnt && self.0.dentry == other.0.dentry
    }

    /// Another place below the same mount.
    ///
    /// `dentry` must be of the same filesystem.
    pub fn at(&self, dentry: &Dentry) -> Result<Self> {
        if dentry.raw_super() != self.dentry().raw_super() {
            return Err(EXDEV);
        }
        let path = bindings::path {
            mnt: self.0.mnt,
            dentry: dentry.as_raw(),
        };
        // SAFETY: Both are valid.
        unsafe { bindings::path_get(&path) };
        // INVARIANT: It has references of its own now.
        Ok(Self(path))
    }

    /// Opens what is there, with `flags` of open(2) and these rights. What is read through it is no
    /// access: who accesses what is above says so. It does not count as one of the files that a
    /// system may have open. Sleeps.
    pub fn open(&self, flags: u32, rights: &Rights) -> Result<ARef<File>> {
        let flags = (flags | bindings::SP_O_LARGEFILE | bindings::SP_O_NOATIME) as i32;
        let credential = rights.credential().as_ptr();
        // SAFETY: By type invariant; the function takes references of its own.
        let file = rights.act(|| unsafe { bindings::kernel_file_open(&self.0, flags, credential) });
        // SAFETY: It is a new reference, or an error.
        unsafe { File::take(file) }
    }

    /// Keeps the mount writable, and its filesystem from being frozen, until the guard is dropped.
    /// Sleeps while it is frozen.
    pub fn want_write(&self) -> Result<WriteAccess<'_>> {
        // SAFETY: By type invariant.
        to_result(unsafe { bindings::mnt_want_write(self.0.mnt) })?;
        Ok(WriteAccess(self))
    }

    /// What stat(2) tells; `mask` and `flags` are those of statx(2). Sleeps.
    pub(super) fn attributes(&self, mask: u32, flags: u32) -> Result<bindings::kstat> {
        let mut stat = bindings::kstat::default();
        // SAFETY: By type invariant.
        to_result(unsafe { bindings::vfs_getattr(&self.0, &mut stat, mask, flags) })?;
        Ok(stat)
    }

    pub(crate) fn as_raw(&self) -> *const bindings::path {
        &self.0
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // SAFETY: By type invariant.
        unsafe { bindings::path_put(&self.0) };
    }
}

/// A mount that stays writable. See [`Path::want_write`].
pub struct WriteAccess<'a>(&'a Path);

impl Drop for WriteAccess<'_> {
    fn drop(&mut self) {
        // SAFETY: Access was taken when this was made.
        unsafe { bindings::mnt_drop_write(self.0 .0.mnt) };
    }
}
