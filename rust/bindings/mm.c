// SPDX-License-Identifier: GPL-2.0

#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/highmem.h>
#include <linux/magic.h>
#include <linux/rcupdate_wait.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/timekeeping.h>

#include "mm.h"
#include "mm_events.h"

void sp_folio_get(struct folio *folio)
{
	folio_get(folio);
}

void sp_folio_put(struct folio *folio)
{
	folio_put(folio);
}

struct folio *sp_page_folio(struct page *page)
{
	return page_folio(page);
}

unsigned int sp_folio_order(struct folio *folio)
{
	return folio_order(folio);
}

pgoff_t sp_folio_index(struct folio *folio)
{
	return READ_ONCE(folio->index);
}

bool sp_folio_contains(struct folio *folio, pgoff_t index)
{
	return index - folio->index < folio_nr_pages(folio);
}

struct address_space *sp_folio_mapping(struct folio *folio)
{
	return READ_ONCE(folio->mapping);
}

struct page *sp_folio_page(struct folio *folio, size_t i)
{
	return folio_page(folio, i);
}

bool sp_folio_test_uptodate(struct folio *folio)
{
	return folio_test_uptodate(folio);
}

bool sp_folio_test_dirty(struct folio *folio)
{
	return folio_test_dirty(folio);
}

bool sp_folio_test_writeback(struct folio *folio)
{
	return folio_test_writeback(folio);
}

bool sp_folio_test_locked(struct folio *folio)
{
	return folio_test_locked(folio);
}

bool sp_folio_maybe_dma_pinned(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio);
}

void sp_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

void sp_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

int sp_folio_lock_killable(struct folio *folio)
{
	return folio_lock_killable(folio);
}

bool sp_folio_trylock(struct folio *folio)
{
	return folio_trylock(folio);
}

int sp_folio_mkclean(struct folio *folio)
{
	return folio_mkclean(folio);
}

int sp_folio_remove(struct folio *folio)
{
	return generic_error_remove_folio(folio->mapping, folio);
}

void sp_folio_start_writeback(struct folio *folio)
{
	folio_start_writeback(folio);
}

void sp_folio_read(struct folio *folio, size_t offset, void *to, size_t len)
{
	memcpy_from_folio(to, folio, offset, len);
}

void sp_folio_write(struct folio *folio, size_t offset, const void *from, size_t len)
{
	memcpy_to_folio(folio, offset, from, len);
}

void sp_folio_zero(struct folio *folio, size_t start, size_t end)
{
	folio_zero_segment(folio, start, end);
}

/*
 * The file of a hugetlb mapping is indexed in huge pages and written without
 * folio locks; DAX has no folios; guest_memfd is not for the host to look at.
 */
enum sp_mapping_kind sp_mapping_kind(struct address_space *mapping)
{
	if (shmem_mapping(mapping))
		return SP_MAPPING_SHMEM;
	if (!mapping->host || dax_mapping(mapping) || mapping_inaccessible(mapping) ||
	    mapping->host->i_sb->s_magic == HUGETLBFS_MAGIC ||
	    !mapping->a_ops->read_folio)
		return SP_MAPPING_OTHER;
	return SP_MAPPING_CACHE;
}

u32 sp_mapping_device(struct address_space *mapping)
{
	struct inode *inode = mapping->host;

	return S_ISBLK(inode->i_mode) ? inode->i_rdev : inode->i_sb->s_dev;
}

u64 sp_mapping_inode(struct address_space *mapping)
{
	struct inode *inode = mapping->host;

	return S_ISBLK(inode->i_mode) ? 0 : inode->i_ino;
}

s64 sp_mapping_size(struct address_space *mapping)
{
	return i_size_read(mapping->host);
}

bool sp_mapping_test(struct address_space *mapping, enum mapping_flags flag)
{
	return test_bit(flag, &mapping->flags);
}

/* Nothing is dirty or under writeback. */
bool sp_mapping_is_written(struct address_space *mapping)
{
	return !mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) &&
		!mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

static unsigned long tagged(struct address_space *mapping, xa_mark_t mark)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned long pages = 0, seen = 0;
	void *entry;

	rcu_read_lock();
	xas_for_each_marked(&xas, entry, ULONG_MAX, mark) {
		if (xas_retry(&xas, entry))
			continue;
		if (mark == PAGECACHE_TAG_WRITEBACK || !xas_get_mark(&xas, PAGECACHE_TAG_WRITEBACK))
			pages += 1UL << xas_get_order(&xas);
		if (++seen % XA_CHECK_SCHED)
			continue;
		xas_pause(&xas);
		cond_resched_rcu();
	}
	rcu_read_unlock();
	return pages;
}

/*
 * Pages that are dirty or under writeback. First the former: they become the latter,
 * and a page that is counted twice does no harm.
 */
unsigned long sp_mapping_unwritten(struct address_space *mapping)
{
	unsigned long pages = 0;

	if (mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
		pages = tagged(mapping, PAGECACHE_TAG_DIRTY);
	if (mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK))
		pages += tagged(mapping, PAGECACHE_TAG_WRITEBACK);
	return pages;
}

bool sp_mapping_can_writeback(struct address_space *mapping)
{
	return mapping_can_writeback(mapping);
}

unsigned int sp_mapping_max_order(struct address_space *mapping)
{
	return mapping_max_folio_order(mapping);
}

static int claim_holder;

/*
 * While the file is open no other holder has the block device for itself: one that does, as a
 * filesystem has its metadata in buffers, changes that with no lock but its own. NULL
 * where @mapping is that of no block device.
 */
struct file *sp_mapping_claim(struct address_space *mapping)
{
	struct inode *inode = mapping->host;

	if (!S_ISBLK(inode->i_mode))
		return NULL;
	return bdev_file_open_by_dev(inode->i_rdev, BLK_OPEN_READ, &claim_holder, NULL);
}

void sp_mapping_unclaim(struct file *file)
{
	bdev_fput(file);
}

struct folio *sp_mapping_get(struct address_space *mapping, pgoff_t index)
{
	return filemap_get_folio(mapping, index);
}

/* The first folio that there is; NULL if there is none. */
struct folio *sp_mapping_next(struct address_space *mapping, pgoff_t index, pgoff_t last)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
repeat:
	xas_set(&xas, index);
	folio = xas_find(&xas, last);
	while (folio && (xas_retry(&xas, folio) || xa_is_value(folio)))
		folio = xas_find(&xas, last);
	if (folio && !folio_try_get(folio))
		goto repeat;
	/* It may be another one by now. */
	if (folio && folio != xas_reload(&xas)) {
		folio_put(folio);
		goto repeat;
	}
	rcu_read_unlock();
	return folio;
}

struct folio *sp_mapping_grab(struct address_space *mapping, pgoff_t index, size_t len,
			      bool passing)
{
	return __filemap_get_folio(mapping, index, FGP_WRITEBEGIN | fgf_set_order(len) |
				   (passing ? FGP_DONTCACHE : 0),
				   mapping_gfp_mask(mapping));
}

struct folio *sp_mapping_read(struct address_space *mapping, pgoff_t index,
			      struct file *file)
{
	struct folio *folio;

	if (shmem_mapping(mapping))
		return shmem_read_folio(mapping, index);
	/* Or the blocks of a hole that is being punched would be read once more. */
	filemap_invalidate_lock_shared(mapping);
	folio = read_mapping_folio(mapping, index, file);
	filemap_invalidate_unlock_shared(mapping);
	return folio;
}

/* Zero where there is no block device. */
u64 sp_super_device_size(struct super_block *sb)
{
	return sb->s_bdev ? bdev_nr_bytes(sb->s_bdev) : 0;
}

/* For a page @fault, or for all else that writes. */
void sp_freeze_protect(struct super_block *sb, bool fault)
{
	if (fault)
		sb_start_pagefault(sb);
	else
		sb_start_write(sb);
}

void sp_freeze_unprotect(struct super_block *sb, bool fault)
{
	if (fault)
		sb_end_pagefault(sb);
	else
		sb_end_write(sb);
}

u64 sp_ktime_get_ns(void)
{
	return ktime_get_ns();
}

void sp_trace_mkwrite_wait(const struct sp_place *place, u64 ns, int error)
{
	trace_mkwrite_wait(place, ns, error);
}

void sp_trace_range_retry(const struct sp_place *place, unsigned int reason,
			  unsigned int retries)
{
	trace_range_retry(place, reason, retries);
}
