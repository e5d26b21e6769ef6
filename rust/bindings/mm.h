/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Folios, mappings and faults: what the kernel has only as inline functions.
 */
#ifndef STABLE_PAGES_MM_H
#define STABLE_PAGES_MM_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/types.h>

void sp_folio_get(struct folio *folio);
void sp_folio_put(struct folio *folio);
struct folio *sp_page_folio(struct page *page);
unsigned int sp_folio_order(struct folio *folio);
pgoff_t sp_folio_index(struct folio *folio);
bool sp_folio_contains(struct folio *folio, pgoff_t index);
struct address_space *sp_folio_mapping(struct folio *folio);
struct page *sp_folio_page(struct folio *folio, size_t i);
bool sp_folio_test_uptodate(struct folio *folio);
bool sp_folio_test_dirty(struct folio *folio);
bool sp_folio_test_writeback(struct folio *folio);
bool sp_folio_test_locked(struct folio *folio);
bool sp_folio_maybe_dma_pinned(struct folio *folio);
void sp_folio_mark_uptodate(struct folio *folio);
void sp_folio_lock(struct folio *folio);
int sp_folio_lock_killable(struct folio *folio);
bool sp_folio_trylock(struct folio *folio);
int sp_folio_mkclean(struct folio *folio);
int sp_folio_remove(struct folio *folio);
void sp_folio_start_writeback(struct folio *folio);
void sp_folio_read(struct folio *folio, size_t offset, void *to, size_t len);
void sp_folio_write(struct folio *folio, size_t offset, const void *from, size_t len);
void sp_folio_zero(struct folio *folio, size_t start, size_t end);

/**
 * enum sp_mapping_kind - what keeps the data of a mapping
 * @SP_MAPPING_CACHE:	the page cache; a store into a shared mapping of a page
 *			that is write-protected asks ->page_mkwrite
 * @SP_MAPPING_SHMEM:	the page cache of tmpfs: such a store asks no filesystem
 * @SP_MAPPING_OTHER:	something that folio locks do not protect
 */
enum sp_mapping_kind {
	SP_MAPPING_CACHE,
	SP_MAPPING_SHMEM,
	SP_MAPPING_OTHER,
};

enum sp_mapping_kind sp_mapping_kind(struct address_space *mapping);
u32 sp_mapping_device(struct address_space *mapping);
u64 sp_mapping_inode(struct address_space *mapping);
s64 sp_mapping_size(struct address_space *mapping);
bool sp_mapping_test(struct address_space *mapping, enum mapping_flags flag);
bool sp_mapping_is_written(struct address_space *mapping);
unsigned long sp_mapping_unwritten(struct address_space *mapping);
bool sp_mapping_can_writeback(struct address_space *mapping);
unsigned int sp_mapping_max_order(struct address_space *mapping);
struct file *sp_mapping_claim(struct address_space *mapping);
void sp_mapping_unclaim(struct file *file);
struct folio *sp_mapping_get(struct address_space *mapping, pgoff_t index);
struct folio *sp_mapping_next(struct address_space *mapping, pgoff_t index, pgoff_t last);
struct folio *sp_mapping_grab(struct address_space *mapping, pgoff_t index, size_t len,
			      bool passing);
struct folio *sp_mapping_read(struct address_space *mapping, pgoff_t index,
			      struct file *file);

u64 sp_super_device_size(struct super_block *sb);
void sp_freeze_protect(struct super_block *sb, bool fault);
void sp_freeze_unprotect(struct super_block *sb, bool fault);

u64 sp_ktime_get_ns(void);

/**
 * struct sp_place - a folio's place in a file
 * @ino:	number of the inode
 * @index:	index of the page
 * @dev:	device of the inode's filesystem, or the block device itself
 * @order:	of the folio
 */
struct sp_place {
	u64 ino;
	u64 index;
	u32 dev;
	u32 order;
};

void sp_trace_mkwrite_wait(const struct sp_place *place, u64 ns, int error);
void sp_trace_range_retry(const struct sp_place *place, unsigned int reason,
			  unsigned int retries);

#endif /* STABLE_PAGES_MM_H */
