// SPDX-License-Identifier: GPL-2.0

//! The page cache of a file.

use super::{not_supported, Folio, Locked, Sleep, SuperBlock};
use crate::bindings;
use kernel::{
    fs::LocalFile,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// The page cache of an inode, `struct address_space`.
///
/// # Invariants
///
/// The inode has a reference for as long as the Rust reference lives.
///
/// C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
#[repr(transparent)]
pub struct Mapping(Opaque<bindings::address_space>);

// SAFETY: A mapping has locks of its own.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Borrows a mapping that C owns.
    ///
    /// # Safety
    ///
    /// `mapping` must be valid and belong to an inode, which stays for the lifetime `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(mapping: *mut bindings::address_space) -> &'a Self {
        // SAFETY: `Mapping` is transparent over `bindings::address_space`; the caller vouches for
        // the rest.
        // INVARIANT: The caller does so for the type invariant, too.
        unsafe { &*mapping.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// The mapping with the data of an open file. Any context.
    #[inline]
    pub fn of(file: &LocalFile) -> &Self {
        // SAFETY: An open file keeps its inode, and its mapping does not change.
        unsafe { Self::from_raw((*file.as_ptr()).f_mapping) }
    }

    /// The superblock of the inode. Any context.
    #[inline]
    pub fn super_block(&self) -> &SuperBlock {
        // SAFETY: By the type invariant the mapping has an inode, which keeps its superblock.
        unsafe { SuperBlock::from_raw((*(*self.as_raw()).host).i_sb) }
    }

    /// The size of the file, in bytes. Any context.
    ///
    /// Truncation sets the size before it removes folios, which takes their locks: so a folio that
    /// was found within the size after it had been locked stays until it is unlocked.
    #[inline]
    pub fn size(&self) -> u64 {
        // SAFETY: By the type invariant the mapping has an inode.
        unsafe { bindings::sp_mapping_size(self.as_raw()) as u64 }
    }

    /// The device of the filesystem (`dev_t`), or the block device itself. Any context.
    pub fn device(&self) -> u32 {
        // SAFETY: By the type invariant the mapping has an inode.
        unsafe { bindings::sp_mapping_device(self.as_raw()) }
    }

    /// The number of the inode; 0 for a block device. Any context.
    pub fn inode(&self) -> u64 {
        // SAFETY: By the type invariant the mapping has an inode.
        unsafe { bindings::sp_mapping_inode(self.as_raw()) }
    }

    /// Whether writers are to wait while a folio is under writeback (`AS_STABLE_WRITES`): the
    /// device below wants data that stays. Any context.
    pub fn has_stable_writes(&self) -> bool {
        self.test(bindings::mapping_flags_AS_STABLE_WRITES)
    }

    /// Whether an error of writeback has not been reported yet to any caller (`AS_EIO`,
    /// `AS_ENOSPC`). Any context.
    pub fn has_error(&self) -> bool {
        self.test(bindings::mapping_flags_AS_EIO) || self.test(bindings::mapping_flags_AS_ENOSPC)
    }

    fn test(&self, flag: bindings::mapping_flags) -> bool {
        // SAFETY: By the type invariant the mapping is valid.
        unsafe { bindings::sp_mapping_test(self.as_raw(), flag) }
    }

    /// Whether dirty folios are written at some time; not those of tmpfs. Any context.
    pub fn can_writeback(&self) -> bool {
        // SAFETY: By the type invariant the mapping has an inode.
        unsafe { bindings::sp_mapping_can_writeback(self.as_raw()) }
    }

    /// Whether nothing is dirty, and nothing under writeback. Any context.
    pub fn is_written(&self) -> bool {
        // SAFETY: By the type invariant the mapping is valid.
        unsafe { bindings::sp_mapping_is_written(self.as_raw()) }
    }

    /// How many pages are dirty or under writeback; it takes as long as there are folios of that
    /// kind. May sleep. One for which writeback begins meanwhile may count twice.
    pub fn unwritten(&self) -> usize {
        // SAFETY: By the type invariant the mapping is valid.
        unsafe { bindings::sp_mapping_unwritten(self.as_raw()) }
    }

    /// The highest order of a folio here; 0 where there are only single pages. Any context.
    pub fn max_order(&self) -> u32 {
        // SAFETY: By the type invariant the mapping is valid.
        unsafe { bindings::sp_mapping_max_order(self.as_raw()) }
    }

    /// The folio with the page at `index`, unlocked. Any context; does not sleep.
    ///
    /// It may have been truncated when this returns. `None` if there is none; tmpfs may have it on
    /// swap.
    pub fn get(&self, index: usize) -> Option<ARef<Folio>> {
        // SAFETY: By the type invariant the mapping is valid; the function returns a reference, or
        // an error.
        unsafe { Folio::take(bindings::sp_mapping_get(self.as_raw(), index)) }.ok()?
    }

    /// The folio with the page at `index`, locked. Sleeps, as [`Folio::lock`] does.
    ///
    /// `None` if there is none. Whether it is within the size of the file is for the caller to see.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal, where the sleep can be cut short.
    pub fn lock(&self, index: usize, sleep: Sleep) -> Result<Option<Locked<ARef<Folio>>>> {
        while let Some(folio) = self.get(index) {
            if let Some(locked) = self.lock_folio(folio, index, sleep)? {
                return Ok(Some(locked));
            }
        }
        Ok(None)
    }

    /// The first folio that there is with a page from `index` on, before the byte `end`, locked.
    /// Sleeps, as [`Folio::lock`] does; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `EINTR` on a fatal signal.
    pub(crate) fn next(&self, index: usize, end: u64) -> Result<Option<Locked<ARef<Folio>>>> {
        let pages = end.div_ceil(PAGE_SIZE as u64) as usize;
        if index >= pages {
            return Ok(None);
        }
        loop {
            // SAFETY: By the type invariant the mapping is valid; the function returns a reference,
            // or NULL.
            let next =
                unsafe { Folio::take(bindings::sp_mapping_next(self.as_raw(), index, pages - 1))? };
            let Some(folio) = next else {
                return Ok(None);
            };
            let folio = Locked::lock(folio, Sleep::Killable)?;
            if folio.is_in(self) && folio.index() + folio.pages() > index {
                return Ok(Some(folio));
            }
        }
    }

    /// Locks a folio that [`get`](Self::get) found at `index`; `None` if it is no longer there.
    pub(super) fn lock_folio(
        &self,
        folio: ARef<Folio>,
        index: usize,
        sleep: Sleep,
    ) -> Result<Option<Locked<ARef<Folio>>>> {
        let locked = Locked::lock(folio, sleep)?;
        let there = locked.is_in(self) && locked.contains(index);
        Ok(there.then_some(locked))
    }

    /// The folio with the page at `index` for being written to by write(2), locked and not under
    /// writeback where the mapping waits for that (`FGP_WRITEBEGIN`). Sleeps, and allocates as the
    /// mapping allows.
    ///
    /// A new one is as large as is good for `len` bytes, and not up to date. Where it is `passing` it
    /// does not stay once it has been written (`FGP_DONTCACHE`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn grab(&self, index: usize, len: usize, passing: bool) -> Result<Locked<ARef<Folio>>> {
        // SAFETY: By the type invariant the mapping is valid; the function returns a reference to a
        // folio that it has locked, or an error.
        unsafe {
            let folio = bindings::sp_mapping_grab(self.as_raw(), index, len, passing);
            Ok(Locked::from_locked(Folio::take(folio)?.ok_or(ENOMEM)?))
        }
    }

    /// The folio with the page at `index`, unlocked and up to date; it is read if it is not there.
    /// Sleeps, and takes `invalidate_lock` for reading unless this is tmpfs; the caller must not have
    /// it, nor have locked a folio. `file`, where given, is an open file of this mapping.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what the filesystem says, such as `EIO`; `EOPNOTSUPP` where folios do not hold
    /// the data.
    pub fn read(&self, index: usize, file: Option<&LocalFile>) -> Result<ARef<Folio>> {
        self.must_be_unmapped()?;
        let file = file.map_or(core::ptr::null_mut(), |file| file.as_ptr());
        // SAFETY: By the type invariant the mapping has an inode, and it has `->read_folio` or is
        // that of tmpfs, since otherwise it would have been refused. The function returns a
        // reference, or an error.
        unsafe { Folio::take(bindings::sp_mapping_read(self.as_raw(), index, file)) }?.ok_or(EIO)
    }

    /// Takes `pages` pages from `index` on out of all page tables but for copies that a process has
    /// made for itself. Sleeps; `i_mmap_rwsem` is taken.
    ///
    /// Without the locks of the folios they can be mapped again at once.
    pub fn unmap(&self, index: usize, pages: usize) {
        if pages != 0 {
            // SAFETY: By the type invariant the mapping is valid.
            unsafe { bindings::unmap_mapping_pages(self.as_raw(), index, pages, false) }
        }
    }

    /// Whether a folio here has to be unmapped where it would otherwise be write-protected: a store
    /// through a mapping of tmpfs makes a write-protected page writable without asking a
    /// filesystem, and takes the folio's lock only afterwards (`wp_page_shared()`). Any context.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` where locks of folios do not protect the data: DAX, hugetlbfs, guest memory,
    /// and where there is no `->read_folio`.
    pub fn must_be_unmapped(&self) -> Result<bool> {
        // SAFETY: By the type invariant the mapping has an inode.
        match unsafe { bindings::sp_mapping_kind(self.as_raw()) } {
            bindings::sp_mapping_kind_SP_MAPPING_CACHE => Ok(false),
            bindings::sp_mapping_kind_SP_MAPPING_SHMEM => Ok(true),
            _ => Err(not_supported()),
        }
    }

    /// The index of the page with the byte at `pos`. Any context.
    #[inline]
    pub fn index_of(pos: u64) -> usize {
        (pos / PAGE_SIZE as u64) as usize
    }
}
