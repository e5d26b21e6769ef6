// SPDX-License-Identifier: GPL-2.0
/* Page caches of inodes, and writing them back, for rust/fs. */

#include <linux/fs.h>
#include <linux/fs_stack.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/writeback.h>

#include "fs.h"

loff_t sp_i_size_read(struct inode *inode)
{
	return i_size_read(inode);
}

void sp_i_size_write(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
}

/*
 * The page with the end of the file may hold, behind it, what was stored there
 * through a mapping: that is not to become part of the file, which is about to
 * grow. pagecache_isize_extended() does this only for blocks smaller than a page.
 */
void sp_zero_behind_end(struct inode *inode, loff_t to)
{
	loff_t end = i_size_read(inode), pos;
	struct folio *folio;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (to <= end || !(end & (PAGE_SIZE - 1)))
		return;
	folio = filemap_lock_folio(inode->i_mapping, end >> PAGE_SHIFT);
	if (IS_ERR(folio))
		return;
	pos = folio_pos(folio);
	if (folio_test_uptodate(folio))
		folio_zero_segment(folio, end - pos, min_t(loff_t, to - pos, folio_size(folio)));
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * All but the size. Times are those of the lower inode: what sets them when something is
 * written does so there. The lock is for set_nlink(), which counts inodes without a name.
 */
void sp_inode_copy_attributes(struct inode *inode, struct inode *lower)
{
	spin_lock(&inode->i_lock);
	fsstack_copy_attr_all(inode, lower);
	inode->i_blkbits = PAGE_SHIFT;
	inode->i_flags &= S_IMMUTABLE | S_APPEND | S_SYNC | S_DIRSYNC | S_NOATIME;
	/* What is written to these does not get below; see sp_touch_special(). */
	if (!special_file(inode->i_mode))
		inode->i_flags |= S_NOCMTIME;
	spin_unlock(&inode->i_lock);
}

void sp_inode_prepare_mapping(struct inode *inode)
{
	mapping_set_large_folios(inode->i_mapping);
	mapping_set_stable_writes(inode->i_mapping);
	mapping_set_gfp_mask(inode->i_mapping, GFP_USER | __GFP_MOVABLE);
}

void sp_filemap_invalidate_lock(struct inode *inode)
{
	filemap_invalidate_lock(inode->i_mapping);
}

void sp_filemap_invalidate_unlock(struct inode *inode)
{
	filemap_invalidate_unlock(inode->i_mapping);
}

/* All from the page with @from on, written back or not. */
void sp_forget_behind(struct inode *inode, loff_t from, loff_t size)
{
	struct address_space *mapping = inode->i_mapping;

	from = round_down(from, PAGE_SIZE);
	if (size < i_size_read(inode))
		i_size_write(inode, size);
	/* Twice, as truncate_pagecache() does it: private copies go where the file ends. */
	unmap_mapping_range(mapping, from, 0, 0);
	truncate_inode_pages(mapping, from);
	unmap_mapping_range(mapping, round_up(size, PAGE_SIZE), 0, 1);
	i_size_write(inode, size);
}

void sp_mapping_set_error(struct inode *inode, int error)
{
	mapping_set_error(inode->i_mapping, error);
}

/* For syncfs(2) only. */
void sp_super_set_error(struct inode *inode, int error)
{
	errseq_set(&inode->i_sb->s_wb_err, error);
}

struct folio *sp_readahead_folio(struct readahead_control *ractl)
{
	return readahead_folio(ractl);
}

/* Before the page cache goes. What is dirty of a file that has a name cannot be written. */
void sp_inode_report_lost(struct inode *inode, struct inode *lower)
{
	if (mapping_tagged(&inode->i_data, PAGECACHE_TAG_DIRTY) && lower->i_nlink)
		pr_err_ratelimited("%s: inode %llu: data is lost that cannot be written below\n",
				   inode->i_sb->s_type->name, (u64)inode->i_ino);
}

bool sp_writeback_waits(const struct writeback_control *wbc)
{
	return wbc->sync_mode != WB_SYNC_NONE;
}

/* For all of the filesystem: no caller gets what it returns. */
bool sp_writeback_syncs(const struct writeback_control *wbc)
{
	return wbc->for_sync;
}

/* The inode is not tried again at once. */
void sp_writeback_skipped(struct writeback_control *wbc, const struct folio *folio)
{
	wbc->pages_skipped += folio_nr_pages(folio);
}

/*
 * Says what fails now, and takes from no open file what has failed before. What is dirty
 * afterwards another thread has failed to write, or a process has stored meanwhile.
 */
int sp_write_and_wait_range(struct inode *inode, loff_t start, loff_t end)
{
	struct address_space *mapping = inode->i_mapping;
	int error, i;

	for (i = 0; i < 2; i++) {
		error = filemap_fdatawrite_range(mapping, start, end);
		filemap_fdatawait_range_keep_errors(mapping, start, end);
		if (error || !mapping_tagged(mapping, PAGECACHE_TAG_DIRTY))
			break;
	}
	return error;
}
