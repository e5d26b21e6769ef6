// SPDX-License-Identifier: GPL-2.0

//! A filesystem with one file, which is its device, block by block.
//!
//! The least that reads, writes and writes back through the page cache, for what is not about
//! blocks: what happens when a process stores into a mapping is left to the implementation. The
//! file, `data`, may be made longer than the device; there are no blocks for what is behind that.

use super::{Inode, Type};
use crate::{
    bindings,
    mm::{VmFault, VmFaultResult}, //
};
use core::{marker::PhantomData, ptr};
use kernel::{
    error::{from_result, to_result},
    ffi::{c_int, c_uint, c_void},
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef, //
};

/// A filesystem with one file.
pub trait OneFile: Send + Sync + 'static {
    /// The name for mount(8).
    const NAME: &'static CStr;
    /// The number that statfs(2) tells.
    const MAGIC: usize;

    /// `->page_mkwrite` of the file: a process is about to store into a clean page of a shared
    /// mapping. There are blocks for the first `device_size` bytes of it.
    ///
    /// May sleep. `mmap_lock` or the lock of the area is held for reading, and nothing else; any
    /// number may run at once, for the same page too. With [`VmFaultResult::LOCKED`] the folio is
    /// locked, and the kernel maps it for writing and unlocks it; the store is made then.
    ///
    /// # Errors
    ///
    /// The folio is unlocked, and the store is not made: see [`VmFaultResult::from_error`].
    fn page_mkwrite(fault: &VmFault, device_size: u64) -> VmFaultResult;
}

impl<T: OneFile> Type<T> {
    /// A type that is not registered yet, to be mounted from a block device.
    pub const fn one_file() -> Self {
        Self::with(
            T::NAME,
            init_fs_context::<T>,
            bindings::kill_block_super,
            bindings::FS_REQUIRES_DEV,
        )
    }
}

/// # Safety
///
/// `fc` must be a new context that alloc_fs_context() calls this for: no other task can find it
/// yet.
unsafe extern "C" fn init_fs_context<T: OneFile>(fc: *mut bindings::fs_context) -> c_int {
    // SAFETY: No other task can find the context before this has returned.
    unsafe { bindings::sp_fs_context_init(fc, &Operations::<T>::CONTEXT, ptr::null_mut()) };
    0
}

struct Operations<T>(PhantomData<T>);

impl<T: OneFile> Operations<T> {
    const CONTEXT: bindings::fs_context_operations = bindings::fs_context_operations {
        free: None,
        dup: None,
        parse_param: None,
        parse_monolithic: None,
        get_tree: Some(Self::get_tree),
        reconfigure: None,
    };

    const FILE: bindings::file_operations = bindings::file_operations {
        llseek: Some(bindings::generic_file_llseek),
        read_iter: Some(bindings::generic_file_read_iter),
        write_iter: Some(bindings::generic_file_write_iter),
        mmap_prepare: Some(Self::mmap_prepare),
        fsync: Some(fsync),
        ..pin_init::zeroed()
    };

    const MAPPED: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `fc` must be a context that init_fs_context() has set up. No other operation of it runs
    /// meanwhile: fsconfig(2) holds its `uapi_mutex`, and mount(2) has the context to itself.
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: No other operation of the context runs meanwhile. fill_super() is called before
        // this returns, with a new superblock.
        unsafe { bindings::get_tree_bdev(fc, Some(Self::fill_super)) }
    }

    /// # Safety
    ///
    /// `sb` must be new, with its block device, and with `s_umount` held for writing:
    /// get_tree_bdev() calls this before another task can use the superblock.
    unsafe extern "C" fn fill_super(
        sb: *mut bindings::super_block,
        _: *mut bindings::fs_context,
    ) -> c_int {
        // SAFETY: Until this has returned the superblock has no root that another task could find,
        // and so neither can it find the inodes, which are made here.
        from_result(|| unsafe {
            if bindings::sb_set_blocksize(sb, PAGE_SIZE as c_int) == 0 {
                return Err(EINVAL);
            }
            (*sb).s_magic = T::MAGIC;
            (*sb).s_op = &SUPER;
            (*sb).s_maxbytes = bindings::SP_LLONG_MAX;

            let root = new_inode(sb, 1, bindings::SP_S_IFDIR | 0o755)?;
            (*root.as_raw()).i_op = ptr::addr_of!(bindings::simple_dir_inode_operations);
            (*root.as_raw()).__bindgen_anon_3.i_fop =
                ptr::addr_of!(bindings::simple_dir_operations);
            bindings::set_nlink(root.as_raw(), 2);
            // The reference is taken in any case.
            (*sb).s_root = bindings::d_make_root(ARef::into_raw(root).cast().as_ptr());
            if (*sb).s_root.is_null() {
                return Err(ENOMEM);
            }

            let file = new_inode(sb, 2, bindings::SP_S_IFREG | 0o644)?;
            let raw = file.as_raw();
            (*raw).i_op = &INODE;
            (*raw).__bindgen_anon_3.i_fop = &Self::FILE;
            (*file.cache().as_raw()).a_ops = &MAPPING;
            bindings::sp_i_size_write(raw, bindings::sp_super_device_size(sb) as i64);
            let dentry = bindings::d_alloc_name((*sb).s_root, c"data".as_char_ptr());
            if dentry.is_null() {
                return Err(ENOMEM);
            }
            bindings::d_make_persistent(dentry, ARef::into_raw(file).cast().as_ptr());
            bindings::dput(dentry);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `desc` must be that of a mapping that is being made of the file of such a filesystem:
    /// mmap(2) has it on its stack, and a reference to the file, until this returns.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: `desc` is used by this task only, which holds a reference to the file.
        unsafe {
            bindings::sp_file_accessed((*desc).vm_file);
            (*desc).vm_ops = &Self::MAPPED;
        }
        0
    }

    /// # Safety
    ///
    /// `fault` must be what `->page_mkwrite` is called with, for a mapping of the file of such a
    /// filesystem. It is on the caller's stack, who has locked `mmap_lock` or the area for reading,
    /// and holds a reference to the page, until this returns.
    unsafe extern "C" fn page_mkwrite(fault: *mut bindings::vm_fault) -> c_uint {
        // SAFETY: The area, which is locked, keeps its file open, and the fault lives, until this
        // returns.
        unsafe {
            let fault = VmFault::from_raw(fault);
            let device_size = fault.mapping().super_block().device_size();
            T::page_mkwrite(fault, device_size).into_raw()
        }
    }
}

const SUPER: bindings::super_operations = bindings::super_operations {
    statfs: Some(bindings::simple_statfs),
    ..pin_init::zeroed()
};

const INODE: bindings::inode_operations = bindings::inode_operations {
    setattr: Some(setattr),
    ..pin_init::zeroed()
};

const MAPPING: bindings::address_space_operations = bindings::address_space_operations {
    dirty_folio: Some(bindings::block_dirty_folio),
    invalidate_folio: Some(bindings::block_invalidate_folio),
    is_partially_uptodate: Some(bindings::block_is_partially_uptodate),
    migrate_folio: Some(bindings::buffer_migrate_folio),
    read_folio: Some(read_folio),
    readahead: Some(readahead),
    write_begin: Some(write_begin),
    write_end: Some(bindings::generic_write_end),
    writepages: Some(writepages),
    ..pin_init::zeroed()
};

/// An inode that has nothing but a number and a mode. It is hashed: others are not written back.
///
/// # Safety
///
/// `sb` must be a superblock that its caller keeps until the inode is gone.
unsafe fn new_inode(sb: *mut bindings::super_block, number: u64, mode: u32) -> Result<ARef<Inode>> {
    // SAFETY: By the requirements the superblock stays. No other task can find the inode before it
    // is hashed, and by its number none does then.
    unsafe {
        let raw = bindings::new_inode(sb);
        if raw.is_null() {
            return Err(ENOMEM);
        }
        (*raw).i_ino = number;
        (*raw).i_mode = mode as bindings::umode_t;
        bindings::simple_inode_init_ts(raw);
        bindings::__insert_inode_hash(raw, number);
        Inode::take(raw)
    }
}

/// Each block is where it is on the device; behind that there is none.
///
/// # Safety
///
/// As `get_block_t` is called, by the operations of the mapping of such a file: they keep `inode`,
/// and have the folio of `buffer` locked.
unsafe extern "C" fn get_block(
    inode: *mut bindings::inode,
    block: u64,
    buffer: *mut bindings::buffer_head,
    create: c_int,
) -> c_int {
    // SAFETY: The caller keeps the inode, which keeps its superblock, and has `buffer` to itself
    // until this returns.
    unsafe {
        let sb = (*inode).i_sb;
        if block < bindings::sp_super_device_size(sb) >> (*inode).i_blkbits {
            bindings::sp_buffer_map(buffer, sb, block);
        } else if create != 0 {
            return ENOSPC.to_errno();
        }
    }
    0
}

/// # Safety
///
/// `folio` must be locked, and in the mapping of the file of such a filesystem: the caller of
/// `->read_folio` holds a reference to it, and gives up the lock.
unsafe extern "C" fn read_folio(_: *mut bindings::file, folio: *mut bindings::folio) -> c_int {
    // SAFETY: The folio is locked; it is unlocked when it has been read.
    unsafe { bindings::mpage_read_folio(folio, Some(get_block)) }
}

/// # Safety
///
/// `control` must be what `->readahead` is called with, for the mapping of the file of such a
/// filesystem: it is on the stack of the caller, who keeps the inode.
unsafe extern "C" fn readahead(control: *mut bindings::readahead_control) {
    // SAFETY: The caller of `->readahead` keeps `control` and the inode until this returns.
    unsafe { bindings::mpage_readahead(control, Some(get_block)) };
}

/// # Safety
///
/// As `->write_begin` is called, by generic_perform_write(): the file that is written to keeps the
/// inode of `mapping`, which is locked, and `folio` is on the caller's stack.
unsafe extern "C" fn write_begin(
    _: *const bindings::kiocb,
    mapping: *mut bindings::address_space,
    pos: i64,
    len: c_uint,
    folio: *mut *mut bindings::folio,
    _: *mut *mut c_void,
) -> c_int {
    // SAFETY: The caller keeps the inode, and has `folio` on its stack, until this returns.
    unsafe { bindings::block_write_begin(mapping, pos, len, folio, Some(get_block)) }
}

/// # Safety
///
/// As `->writepages` is called, by do_writepages(): the inode of `mapping` is kept until this
/// returns, by a reference, an open file or the flusher (`I_SYNC`). `control` is on the caller's
/// stack.
unsafe extern "C" fn writepages(
    mapping: *mut bindings::address_space,
    control: *mut bindings::writeback_control,
) -> c_int {
    // SAFETY: The caller of do_writepages() keeps the inode and `control` until this returns.
    unsafe { bindings::__mpage_writepages(mapping, control, Some(get_block), None) }
}

/// # Safety
///
/// `file` must be the file of such a filesystem, and open: the caller of `->fsync` holds a
/// reference to it until this returns.
unsafe extern "C" fn fsync(file: *mut bindings::file, start: i64, end: i64, _: c_int) -> c_int {
    // SAFETY: The caller of `->fsync` keeps the file open until this returns.
    unsafe { bindings::file_write_and_wait_range(file, start, end) }
}

/// # Safety
///
/// `dentry` must be a name in such a filesystem, with an inode, and alive until this returns: the
/// caller of notify_change() holds a reference to it, and has locked the inode. `attr` is the
/// caller's.
unsafe extern "C" fn setattr(
    idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    attr: *mut bindings::iattr,
) -> c_int {
    from_result(|| {
        // SAFETY: The caller of `->setattr` keeps all of them until this returns, and has locked
        // the inode.
        unsafe {
            let inode = bindings::sp_d_inode(dentry);
            to_result(bindings::setattr_prepare(idmap, dentry, attr))?;
            if (*attr).ia_valid & bindings::ATTR_SIZE != 0 {
                set_size(inode, (*attr).ia_size)?;
            }
            bindings::setattr_copy(idmap, inode, attr);
        }
        Ok(0)
    })
}

/// # Safety
///
/// `inode` must be in such a filesystem, kept by the caller, and locked.
unsafe fn set_size(inode: *mut bindings::inode, size: i64) -> Result {
    // SAFETY: By the requirements the inode stays, and its size does not change: it is locked.
    unsafe {
        bindings::sp_filemap_invalidate_lock(inode);
        let mut error = 0;
        if size < bindings::sp_i_size_read(inode) {
            // What is behind the end is zero when the file gets longer again.
            error = bindings::block_truncate_page((*inode).i_mapping, size, Some(get_block));
        }
        if error == 0 {
            bindings::truncate_setsize(inode, size);
        }
        bindings::sp_filemap_invalidate_unlock(inode);
        to_result(error)
    }
}
