/* SPDX-License-Identifier: GPL-2.0 */
/*
 * page_mkwrite for filesystems whose pages stay as they are while they are being
 * written. Exported by stable_pages.ko; see Documentation/filesystems/page-mkwrite.rst.
 */
#ifndef _LINUX_STABLE_PAGES_H
#define _LINUX_STABLE_PAGES_H

#include <linux/mm_types.h>

struct folio;
struct vm_fault;
struct vm_operations_struct;

/**
 * enum stable_wait - where a store waits for writeback of its folio to end
 * @STABLE_WAIT_ALWAYS:		always
 * @STABLE_WAIT_IF_ASKED:	where the mapping asks for it (AS_STABLE_WRITES), as
 *				folio_wait_stable() does
 */
enum stable_wait {
	STABLE_WAIT_ALWAYS,
	STABLE_WAIT_IF_ASKED,
};

/**
 * typedef stable_prepare_t - get ready for a folio that is about to be dirty
 * @vmf:	the fault
 * @folio:	its folio: locked, part of the mapping, not under writeback if that
 *		is waited for; to be left locked
 * @len:	how many of its bytes are within the file: 1 at least
 *
 * Reserves or allocates blocks, for example. What it changes of the data is not
 * changed under a write.
 *
 * Context: may sleep; inside of protection against freezing.
 * Return: 0; or an error, and the store fails: -EAGAIN, -EFAULT and -ENOMEM make
 * it again, and all others, such as -ENOSPC, -EDQUOT and -EIO, are SIGBUS.
 */
typedef int (*stable_prepare_t)(struct vm_fault *vmf, struct folio *folio, size_t len);

/**
 * stable_page_mkwrite - the page_mkwrite of a filesystem with nothing to prepare
 * @vmf:	the fault
 *
 * A member of vm_operations_struct as it is. It protects against freezing,
 * updates the file's times, locks the folio, makes sure that it has not been
 * truncated, waits until it is not under writeback, and marks it dirty.
 *
 * Context: sleeps; as ->page_mkwrite is called, with mmap_lock or the lock of the
 * area held for reading. The caller must not hold the folio's lock, nor
 * protection against freezing.
 * Return: VM_FAULT_LOCKED; or with the folio unlocked VM_FAULT_NOPAGE where it was
 * truncated, VM_FAULT_OOM, or VM_FAULT_SIGBUS, also where a fatal signal arrived.
 */
vm_fault_t stable_page_mkwrite(struct vm_fault *vmf);

/**
 * stable_page_mkwrite_prepare - the same, with something to prepare
 * @vmf:	the fault
 * @wait:	whether to wait where the mapping does not ask for it
 * @prepare:	called before the folio is marked dirty; may be NULL
 *
 * Context and return value as stable_page_mkwrite().
 */
vm_fault_t stable_page_mkwrite_prepare(struct vm_fault *vmf, enum stable_wait wait,
				       stable_prepare_t prepare);

/**
 * stable_page_mkwrite_stacked - the same, over another filesystem's page_mkwrite
 * @vmf:	the fault
 * @wait:	whether to wait where the mapping does not ask for it
 * @lower:	the operations of the filesystem below
 *
 * Calls @lower first, without a lock; only if that let the store go on, the folio
 * is locked, looked at, and waited for. For a filesystem whose page_mkwrite
 * returns the folio unlocked, or does not wait.
 *
 * Context and return value as stable_page_mkwrite(), and what @lower returned.
 */
vm_fault_t stable_page_mkwrite_stacked(struct vm_fault *vmf, enum stable_wait wait,
				       const struct vm_operations_struct *lower);

#endif /* _LINUX_STABLE_PAGES_H */
