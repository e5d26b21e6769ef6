// SPDX-License-Identifier: GPL-2.0

//! A filesystem with one file, which is its device, block by block.
//!
//! The least that reads, writes and writes back through the page cache, for what is not about
//! blocks: what happens when somebody stores into a mapping is left to the implementation. The file,
//! `data`, may be made longer than the device; there are no blocks for what is behind that.

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

    /// `->page_mkwrite` of the file: somebody is about to store into a clean page of a shared
    /// mapping. `device_size` is how many bytes there are blocks for. Sleeps; called with
    /// `mmap_lock` or the lock of the area held for reading.
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
/// To be called by the kernel, for a new context.
unsafe extern "C" fn init_fs_context<T: OneFile>(fc: *mut bindings::fs_context) -> c_int {
    // SAFETY: The caller passes a context that nobody else has yet.
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
    /// To be called by the kernel, for a context of this type.
    unsafe extern "C" fn get_tree(fc: *mut bindings::fs_context) -> c_int {
        // SAFETY: The context is valid, and fill_super() gets what it expects.
        unsafe { bindings::get_tree_bdev(fc, Some(Self::fill_super)) }
    }

    /// # Safety
    ///
    /// To be called by the kernel, with a new superblock that has its device.
    unsafe extern "C" fn fill_super(
        sb: *mut bindings::super_block,
        _: *mut bindings::fs_context,
    ) -> c_int {
        // SAFETY: The superblock is the caller's alone, and so are the inodes, which are new.
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
    /// To be called by the kernel, for the file of such a filesystem.
    unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: The caller passes a mapping that is being made.
        unsafe {
            bindings::sp_file_accessed((*desc).vm_file);
            (*desc).vm_ops = &Self::MAPPED;
        }
        0
    }

    /// # Safety
    ///
    /// To be called by the kernel, for the file of such a filesystem.
    unsafe extern "C" fn page_mkwrite(fault: *mut bindings::vm_fault) -> c_uint {
        // SAFETY: The caller passes a fault in a mapping of the file, whose superblock has a device
        // as long as it is mounted.
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
/// The superblock must be valid.
unsafe fn new_inode(sb: *mut bindings::super_block, number: u64, mode: u32) -> Result<ARef<Inode>> {
    // SAFETY: The caller vouches for the superblock; the inode is new.
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
/// To be called by the kernel, for the file of such a filesystem.
unsafe extern "C" fn get_block(
    inode: *mut bindings::inode,
    block: u64,
    buffer: *mut bindings::buffer_head,
    create: c_int,
) -> c_int {
    // SAFETY: The caller passes both, and the superblock has its device.
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
/// To be called by the kernel, with a locked folio of the file of such a filesystem.
unsafe extern "C" fn read_folio(_: *mut bindings::file, folio: *mut bindings::folio) -> c_int {
    // SAFETY: The caller passes it; it is unlocked when it has been read.
    unsafe { bindings::mpage_read_folio(folio, Some(get_block)) }
}

/// # Safety
///
/// To be called by the kernel, for the mapping of the file of such a filesystem.
unsafe extern "C" fn readahead(control: *mut bindings::readahead_control) {
    // SAFETY: The caller passes it.
    unsafe { bindings::mpage_readahead(control, Some(get_block)) };
}

/// # Safety
///
/// To be called by the kernel, for the mapping of the file of such a filesystem.
unsafe extern "C" fn write_begin(
    _: *const bindings::kiocb,
    mapping: *mut bindings::address_space,
    pos: i64,
    len: c_uint,
    folio: *mut *mut bindings::folio,
    _: *mut *mut c_void,
) -> c_int {
    // SAFETY: The caller passes all of them.
    unsafe { bindings::block_write_begin(mapping, pos, len, folio, Some(get_block)) }
}

/// # Safety
///
/// To be called by the kernel, for the mapping of the file of such a filesystem.
unsafe extern "C" fn writepages(
    mapping: *mut bindings::address_space,
    control: *mut bindings::writeback_control,
) -> c_int {
    // SAFETY: The caller passes both.
    unsafe { bindings::__mpage_writepages(mapping, control, Some(get_block), None) }
}

/// # Safety
///
/// To be called by the kernel, for the file of such a filesystem.
unsafe extern "C" fn fsync(file: *mut bindings::file, start: i64, end: i64, _: c_int) -> c_int {
    // SAFETY: The caller passes it.
    unsafe { bindings::file_write_and_wait_range(file, start, end) }
}

/// # Safety
///
/// To be called by the kernel, for the file of such a filesystem, whose inode is locked.
unsafe extern "C" fn setattr(
    idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    attr: *mut bindings::iattr,
) -> c_int {
    from_result(|| {
        // SAFETY: The caller passes all of them.
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
/// `inode` must be that of the file of such a filesystem, and locked.
unsafe fn set_size(inode: *mut bindings::inode, size: i64) -> Result {
    // SAFETY: The caller vouches for the inode.
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
