// SPDX-License-Identifier: GPL-2.0
/* Open files, requests and their memory, for rust/fs. */

#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/pagemap.h>
#include <linux/uio.h>

#include "fs.h"
#include "mm.h"

/* Writes through @file leave the times of its inode alone. */
void sp_file_no_times(struct file *file)
{
	file->f_mode |= FMODE_NOCMTIME;
}

bool sp_file_can_direct(struct file *file)
{
	return file->f_mode & FMODE_CAN_ODIRECT;
}

/* A file that is being opened: what can be asked of it. */
void sp_file_set_modes(struct file *file, bool direct)
{
	file->f_mode |= FMODE_NOWAIT;
	if (direct)
		file->f_mode |= FMODE_CAN_ODIRECT;
}

/* How to read or write below what is in @folio: what does not stay here does not there. */
rwf_t sp_file_cache_flags(struct file *file, struct folio *folio)
{
	bool can = file->f_op->fop_flags & FOP_DONTCACHE && !IS_DAX(file_inode(file));

	return can && folio_test_dropbehind(folio) ? RWF_DONTCACHE : 0;
}

void sp_file_accessed(struct file *file)
{
	file_accessed(file);
}

/*
 * As vfs_iter_read(), with no more locks than a page fault takes there: this may be
 * one here, and xfs would read with i_rwsem held, as a task may hold it there that
 * wants to copy to or from this page.
 */
ssize_t sp_file_read(struct file *file, struct folio *folio, struct iov_iter *iter,
		     loff_t *pos)
{
	struct address_space *mapping = file->f_mapping;
	struct kiocb kiocb;
	ssize_t done;

	/* Elsewhere a read may have to ask a server whether what is cached is right. */
	if (!mapping->host->i_sb->s_bdev || sp_mapping_kind(mapping) != SP_MAPPING_CACHE)
		return vfs_iter_read(file, iter, pos, sp_file_cache_flags(file, folio));
	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	done = rw_verify_area(READ, file, pos, iov_iter_count(iter));
	if (done < 0)
		return done;
	init_sync_kiocb(&kiocb, file);
	if (sp_file_cache_flags(file, folio))
		kiocb.ki_flags |= IOCB_DONTCACHE;
	kiocb.ki_pos = *pos;
	done = filemap_read(&kiocb, iter, 0);
	if (done > 0)
		fsnotify_access(file);
	*pos = kiocb.ki_pos;
	return done;
}

ssize_t sp_file_read_direct(struct file *file, struct iov_iter *iter, loff_t *pos)
{
	struct kiocb kiocb;
	ssize_t done;

	init_sync_kiocb(&kiocb, file);
	kiocb.ki_flags |= IOCB_DIRECT;
	kiocb.ki_pos = *pos;
	done = vfs_iocb_iter_read(file, &kiocb, iter);
	*pos = kiocb.ki_pos;
	return done;
}

/*
 * As vfs_iocb_iter_write(), for who has called sb_start_write() already: before
 * the locks of folios that the task that keeps it from being frozen may be waiting for.
 */
ssize_t sp_file_write_direct(struct file *file, struct iov_iter *iter, loff_t *pos)
{
	struct kiocb kiocb;
	ssize_t done;

	if (!file->f_op->write_iter || !(file->f_mode & FMODE_CAN_WRITE))
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	init_sync_kiocb(&kiocb, file);
	kiocb.ki_flags |= IOCB_DIRECT | IOCB_WRITE;
	kiocb.ki_pos = *pos;
	done = rw_verify_area(WRITE, file, &kiocb.ki_pos, iov_iter_count(iter));
	if (done < 0)
		return done;
	done = file->f_op->write_iter(&kiocb, iter);
	if (done > 0)
		fsnotify_modify(file);
	*pos = kiocb.ki_pos;
	return done;
}

bool sp_iter_will_pin(const struct iov_iter *iter)
{
	return iov_iter_extract_will_pin(iter);
}

size_t sp_iter_count(const struct iov_iter *iter)
{
	return iov_iter_count(iter);
}

/* Hides all but the first @count bytes; to be given back with sp_iter_unhide(). */
size_t sp_iter_hide(struct iov_iter *iter, size_t count)
{
	size_t rest = iov_iter_count(iter) - min(count, iov_iter_count(iter));

	iov_iter_truncate(iter, count);
	return rest;
}

void sp_iter_unhide(struct iov_iter *iter, size_t rest)
{
	iov_iter_reexpand(iter, iov_iter_count(iter) + rest);
}

ssize_t sp_write_sync(struct kiocb *kiocb, ssize_t written)
{
	/*
	 * What went below directly has made no folio dirty here. With RWF_DONTCACHE
	 * generic_write_sync() kicks writeback, of the struct bdi_writeback that an
	 * inode does not have before a folio of it was dirty: it takes that for
	 * granted (7.3).
	 */
	if (!written || (kiocb->ki_flags & IOCB_DIRECT && !iocb_is_dsync(kiocb)))
		return written;
	return generic_write_sync(kiocb, written);
}
