// SPDX-License-Identifier: GPL-2.0

//! `->page_mkwrite`: the first store into a clean page of a shared mapping.
//!
//! The same for filesystems in C:
//! [`include/linux/stable_pages.h`](srctree/include/linux/stable_pages.h).

use super::{trace, Folio, Locked, Mapping, Sleep, VmFault, VmFaultResult};
use crate::bindings;
use kernel::{
    error::to_result,
    fs::LocalFile,
    prelude::*, //
};

/// Where a store waits for writeback of its folio to end, `enum stable_wait`.
///
/// C header: [`include/linux/stable_pages.h`](srctree/include/linux/stable_pages.h)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Always.
    Always,
    /// Where the mapping asks for it ([`Mapping::has_stable_writes`]).
    IfAsked,
}

/// Lets a store into `fault`'s folio go on once its data may change, and returns
/// [`VmFaultResult::LOCKED`] with the folio locked. To be called from `->page_mkwrite`; sleeps.
///
/// In this order, each inside of what was before:
///
/// 1. protection against freezing, and the times of the file;
/// 2. the folio's lock;
/// 3. whether the folio is still part of the mapping, and within the file;
/// 4. the wait for writeback, which does not begin again while the folio is locked;
/// 5. `prepare`, with the folio and the number of its bytes within the file: what the filesystem
///    needs so that the folio can be written later, such as blocks. It may change the data;
/// 6. the folio is dirty.
///
/// # Errors
///
/// The folio is unlocked. [`VmFaultResult::NOPAGE`] where it was truncated; otherwise what
/// [`VmFaultResult::from_error`] makes of the error of `prepare` or of the times.
///
/// A fatal signal ends the waits with [`VmFaultResult::SIGBUS`]. With [`VmFaultResult::NOPAGE`] a
/// system call that stores into the mapping would fault again at once, and again, until writeback
/// ends: the kernel does not look for signals there. The process never gets to see the `SIGBUS`.
pub fn page_mkwrite(
    fault: &VmFault,
    wait: Wait,
    prepare: impl FnOnce(&Locked<&Folio>, usize) -> Result,
) -> VmFaultResult {
    page_mkwrite_guarded(fault, wait, || Ok(()), prepare)
}

/// [`page_mkwrite`] with what `guard` returns held from before the folio is locked until all is
/// done: `invalidate_lock`, or whatever keeps stores away while a filesystem works on the file.
/// Sleeps.
///
/// # Errors
///
/// As [`page_mkwrite`], and what [`VmFaultResult::from_error`] makes of the error of `guard`.
pub fn page_mkwrite_guarded<G>(
    fault: &VmFault,
    wait: Wait,
    guard: impl FnOnce() -> Result<G>,
    prepare: impl FnOnce(&Locked<&Folio>, usize) -> Result,
) -> VmFaultResult {
    let Some(folio) = fault.folio() else {
        return VmFaultResult::SIGBUS;
    };
    let mapping = fault.mapping();
    let _protection = mapping.super_block().start_fault();
    let locked = || {
        update_time(fault.file())?;
        let _guard = guard()?;
        let folio = folio.lock(Sleep::Killable)?;
        let len = bytes_left(&folio, mapping).ok_or(EFAULT)?;
        wait_writeback(&folio, mapping, wait)?;
        prepare(&folio, len)?;
        folio.mark_dirty();
        Ok(folio)
    };
    hand_over(locked())
}

/// The same for a file whose `->page_mkwrite` is `lower`, for a filesystem that returns its folio
/// unlocked, or does not wait: `lower` is called first, and only where it lets the store go on the
/// folio is locked, looked at, and waited for. Sleeps.
///
/// # Errors
///
/// Those of `lower`, as they are; otherwise as [`page_mkwrite`].
pub fn page_mkwrite_stacked(
    fault: &VmFault,
    wait: Wait,
    lower: impl FnOnce(&VmFault) -> VmFaultResult,
) -> VmFaultResult {
    let result = lower(fault);
    if result.is_error() || result.contains(VmFaultResult::NOPAGE) {
        return result;
    }
    let Some(folio) = fault.folio() else {
        return VmFaultResult::SIGBUS;
    };
    let mapping = fault.mapping();
    if result.contains(VmFaultResult::LOCKED) {
        // SAFETY: `lower` has locked the folio and says so, with which it hands over the lock.
        let folio = unsafe { Locked::from_locked(folio) };
        return hand_over_stacked(folio, mapping, wait);
    }
    // `lower` has ended its own protection against freezing: since then all may have been written.
    let _protection = mapping.super_block().start_fault();
    match folio.lock(Sleep::Killable) {
        Ok(folio) => {
            if folio.is_in(mapping) {
                folio.mark_dirty();
            }
            hand_over_stacked(folio, mapping, wait)
        }
        Err(error) => VmFaultResult::from_error(error),
    }
}

fn hand_over_stacked(folio: Locked<&Folio>, mapping: &Mapping, wait: Wait) -> VmFaultResult {
    let checked = || {
        bytes_left(&folio, mapping).ok_or(EFAULT)?;
        wait_writeback(&folio, mapping, wait)
    };
    hand_over(checked().map(|()| folio))
}

/// The lock goes to who called `->page_mkwrite`.
fn hand_over(folio: Result<Locked<&Folio>>) -> VmFaultResult {
    match folio {
        Ok(folio) => {
            folio.into_locked();
            VmFaultResult::LOCKED
        }
        Err(error) => VmFaultResult::from_error(error),
    }
}

/// How many bytes of a folio are within the file; `None` if it has been truncated.
fn bytes_left(folio: &Locked<&Folio>, mapping: &Mapping) -> Option<usize> {
    let len = folio.bytes_within(mapping.size());
    (folio.is_in(mapping) && len != 0).then_some(len)
}

fn wait_writeback(folio: &Locked<&Folio>, mapping: &Mapping, wait: Wait) -> Result {
    let asked = wait == Wait::Always || mapping.has_stable_writes();
    if !asked || !folio.is_under_writeback() {
        return Ok(());
    }
    let start = now();
    let result = folio.wait_writeback(Sleep::Killable);
    let error = result.err().map_or(0, Error::to_errno);
    trace::mkwrite_wait(mapping, folio.index(), folio.order(), now() - start, error);
    result
}

fn now() -> u64 {
    // SAFETY: Can be called in any context.
    unsafe { bindings::sp_ktime_get_ns() }
}

fn update_time(file: &LocalFile) -> Result {
    // SAFETY: The file is open.
    to_result(unsafe { bindings::file_update_time(file.as_ptr()) })
}

impl From<bindings::stable_wait> for Wait {
    fn from(wait: bindings::stable_wait) -> Self {
        match wait {
            bindings::stable_wait_STABLE_WAIT_IF_ASKED => Self::IfAsked,
            _ => Self::Always,
        }
    }
}

/// [`page_mkwrite`] for C, with nothing to prepare.
///
/// # Safety
///
/// `vmf` must be what the filesystem's `->page_mkwrite` was called with, and has not returned from:
/// the kernel has it on its stack, with `mmap_lock` or the lock of the area held for reading, and
/// holds a reference to the page.
#[no_mangle]
unsafe extern "C" fn stable_page_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY: The kernel keeps the fault until `->page_mkwrite` returns, and so until this does.
    let fault = unsafe { VmFault::from_raw(vmf) };
    page_mkwrite(fault, Wait::Always, |_, _| Ok(())).into_raw()
}

/// [`page_mkwrite`] for C.
///
/// # Safety
///
/// As for [`stable_page_mkwrite`]. `prepare` is NULL, or a function of the filesystem's that can be
/// called with this fault and its locked folio, and leaves that locked.
#[no_mangle]
unsafe extern "C" fn stable_page_mkwrite_prepare(
    vmf: *mut bindings::vm_fault,
    wait: bindings::stable_wait,
    prepare: bindings::stable_prepare_t,
) -> bindings::vm_fault_t {
    // SAFETY: The kernel keeps the fault until `->page_mkwrite` returns, and so until this does.
    let fault = unsafe { VmFault::from_raw(vmf) };
    page_mkwrite(fault, wait.into(), |folio, len| match prepare {
        // SAFETY: By the requirements it can be called with this fault; the folio is locked.
        Some(prepare) => to_result(unsafe { prepare(vmf, folio.as_raw(), len) }),
        None => Ok(()),
    })
    .into_raw()
}

/// [`page_mkwrite_stacked`] for C.
///
/// # Safety
///
/// As for [`stable_page_mkwrite`]. `lower` are the operations of the filesystem below, which its
/// module keeps while it is mounted; its `page_mkwrite`, where it has one, can be called with this
/// fault.
#[no_mangle]
unsafe extern "C" fn stable_page_mkwrite_stacked(
    vmf: *mut bindings::vm_fault,
    wait: bindings::stable_wait,
    lower: *const bindings::vm_operations_struct,
) -> bindings::vm_fault_t {
    // SAFETY: The kernel keeps the fault until `->page_mkwrite` returns, and so until this does.
    let fault = unsafe { VmFault::from_raw(vmf) };
    // SAFETY: By the requirements `lower` stays while this filesystem is stacked on it.
    let lower = unsafe { (*lower).page_mkwrite };
    page_mkwrite_stacked(fault, wait.into(), |_| match lower {
        // SAFETY: By the requirements it can be called with this fault, which is as it was.
        Some(lower) => VmFaultResult::from_raw(unsafe { lower(vmf) }),
        None => VmFaultResult::NONE,
    })
    .into_raw()
}

// The header says the same as the functions.
const _: [unsafe extern "C" fn(*mut bindings::vm_fault) -> bindings::vm_fault_t; 2] =
    [bindings::stable_page_mkwrite, stable_page_mkwrite];
const _: [unsafe extern "C" fn(
    *mut bindings::vm_fault,
    bindings::stable_wait,
    bindings::stable_prepare_t,
) -> bindings::vm_fault_t; 2] = [
    bindings::stable_page_mkwrite_prepare,
    stable_page_mkwrite_prepare,
];
const _: [unsafe extern "C" fn(
    *mut bindings::vm_fault,
    bindings::stable_wait,
    *const bindings::vm_operations_struct,
) -> bindings::vm_fault_t; 2] = [
    bindings::stable_page_mkwrite_stacked,
    stable_page_mkwrite_stacked,
];
