// SPDX-License-Identifier: GPL-2.0

//! A page fault that a filesystem handles, and what it says of it.

use super::{Folio, Mapping};
use crate::bindings;
use core::ops::BitOr;
use kernel::{
    fs::File,
    mm::virt::VmaRef,
    prelude::*,
    types::Opaque, //
};

/// What a filesystem says of a fault, `vm_fault_t`.
///
/// C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct VmFaultResult(bindings::vm_fault_t);

impl VmFaultResult {
    /// Nothing in particular: the caller locks the folio itself.
    pub const NONE: Self = Self(0);
    /// Out of memory.
    pub const OOM: Self = Self(bindings::vm_fault_reason_VM_FAULT_OOM);
    /// The access is bad: `SIGBUS`, or `EFAULT` where the kernel made it for a system call.
    pub const SIGBUS: Self = Self(bindings::vm_fault_reason_VM_FAULT_SIGBUS);
    /// There is nothing to map, or it has been done: make the access again.
    pub const NOPAGE: Self = Self(bindings::vm_fault_reason_VM_FAULT_NOPAGE);
    /// The folio is the one to map, and it is locked.
    pub const LOCKED: Self = Self(bindings::vm_fault_reason_VM_FAULT_LOCKED);
    /// `mmap_lock` was dropped: make the access again.
    ///
    /// Only `->fault` may say so; who calls `->page_mkwrite` does not look for it, and would map
    /// the page for writing.
    pub const RETRY: Self = Self(bindings::vm_fault_reason_VM_FAULT_RETRY);
    /// The memory is broken.
    pub const HWPOISON: Self = Self(bindings::vm_fault_reason_VM_FAULT_HWPOISON);

    const ERRORS: u32 = bindings::vm_fault_reason_VM_FAULT_OOM
        | bindings::vm_fault_reason_VM_FAULT_SIGBUS
        | bindings::vm_fault_reason_VM_FAULT_SIGSEGV
        | bindings::vm_fault_reason_VM_FAULT_HWPOISON
        | bindings::vm_fault_reason_VM_FAULT_HWPOISON_LARGE
        | bindings::vm_fault_reason_VM_FAULT_FALLBACK;

    /// What C said. Any context.
    #[inline]
    pub const fn from_raw(raw: bindings::vm_fault_t) -> Self {
        Self(raw)
    }

    /// What C is told. Any context.
    #[inline]
    pub const fn into_raw(self) -> bindings::vm_fault_t {
        self.0
    }

    /// Whether all that `other` says is said. Any context.
    #[inline]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the fault failed (`VM_FAULT_ERROR`). Any context.
    #[inline]
    pub fn is_error(self) -> bool {
        self.0 & Self::ERRORS != 0
    }

    /// What `->page_mkwrite` says where its filesystem could not prepare. Any context.
    ///
    /// | error | result | then |
    /// | --- | --- | --- |
    /// | `EAGAIN`, `EFAULT` | [`NOPAGE`](Self::NOPAGE) | the access is made again |
    /// | `ENOMEM` | [`OOM`](Self::OOM) | again; `EFAULT` where the kernel made the access |
    /// | `EHWPOISON` | [`HWPOISON`](Self::HWPOISON) | `SIGBUS` |
    /// | `EINTR` and all others, such as `ENOSPC`, `EDQUOT`, `EIO` | [`SIGBUS`](Self::SIGBUS) | |
    ///
    /// For `EINTR`, which is for a fatal signal, see [`page_mkwrite`](super::page_mkwrite()).
    pub fn from_error(error: Error) -> Self {
        match error {
            EAGAIN | EFAULT => Self::NOPAGE,
            ENOMEM => Self::OOM,
            error if error.to_errno() == -(bindings::EHWPOISON as i32) => Self::HWPOISON,
            _ => Self::SIGBUS,
        }
    }
}

impl BitOr for VmFaultResult {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A fault in a mapping of a file, `struct vm_fault`.
///
/// The process that it is for holds its `mmap_lock` or the lock of the area for reading. None of the
/// methods sleeps.
///
/// # Invariants
///
/// The fault is one that `->fault` or `->page_mkwrite` was called for and has not returned from.
///
/// C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
#[repr(transparent)]
pub struct VmFault(Opaque<bindings::vm_fault>);

impl VmFault {
    /// Borrows a fault.
    ///
    /// # Safety
    ///
    /// `vmf` must be what `->fault` or `->page_mkwrite` of a file's mapping was called with, and
    /// that must not return within the lifetime `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(vmf: *mut bindings::vm_fault) -> &'a Self {
        // SAFETY: `VmFault` is transparent over `bindings::vm_fault`; the caller vouches for the
        // rest.
        // INVARIANT: The caller does so for the type invariant, too.
        unsafe { &*vmf.cast() }
    }

    /// The fault for C.
    #[inline]
    pub fn as_raw(&self) -> *mut bindings::vm_fault {
        self.0.get()
    }

    /// The area of virtual memory.
    #[inline]
    pub fn vma(&self) -> &VmaRef {
        // SAFETY: By the type invariant the area is valid and locked for reading.
        unsafe { VmaRef::from_raw((*self.as_raw()).__bindgen_anon_1.vma) }
    }

    /// The file that is mapped.
    #[inline]
    pub fn file(&self) -> &File {
        // SAFETY: By the type invariant this is a mapping of a file, which is kept by it. An open
        // file that is mapped has no part in `fdget_pos()`.
        unsafe { File::from_raw_file((*self.vma().as_ptr()).vm_file) }
    }

    /// The page cache of the file.
    #[inline]
    pub fn mapping(&self) -> &Mapping {
        Mapping::of(self.file())
    }

    /// The index of the page in the file.
    #[inline]
    pub fn index(&self) -> usize {
        // SAFETY: By the type invariant the fault is valid.
        unsafe { (*self.as_raw()).__bindgen_anon_1.pgoff }
    }

    /// The folio that a store goes to; `None` in `->fault`, whose task is to find it.
    #[inline]
    pub fn folio(&self) -> Option<&Folio> {
        // SAFETY: By the type invariant the fault is valid.
        let page = unsafe { (*self.as_raw()).page };
        // SAFETY: The caller of `->page_mkwrite` has a reference to the page.
        (!page.is_null()).then(|| unsafe { Folio::from_raw(bindings::sp_page_folio(page)) })
    }
}
