// SPDX-License-Identifier: GPL-2.0
/* Data: page caches, files and their memory, writing back, for rust/fs. */

#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_stack.h>
#include <linux/fsnotify.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>

#include "fs.h"
#include "mm.h"

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

/* The fields of a gate's state. */
#define GATE_INSIDE	1LL
#define GATE_WAITING	(1LL << 24)
#define GATE_CLOSED	(1LL << 48)
#define GATE_OPENED	(1LL << 56)

static s64 gate_inside(s64 state)
{
	return state & (GATE_WAITING - 1);
}

static s64 gate_waiting(s64 state)
{
	return (state & (GATE_CLOSED - 1)) / GATE_WAITING;
}

static bool gate_closed(s64 state)
{
	return state & (GATE_OPENED - GATE_CLOSED);
}

/* How often it was opened, modulo 256. */
static u8 gate_opened(const struct sp_gate *gate)
{
	return atomic64_read_acquire(&gate->state) >> 56;
}

bool sp_gate_try_enter(struct sp_gate *gate)
{
	s64 old = atomic64_read(&gate->state);

	do {
		if (gate_closed(old))
			return false;
	} while (!atomic64_try_cmpxchg(&gate->state, &old, old + GATE_INSIDE));
	return true;
}

/* False if the caller is inside; else it waits until the gate was opened once more. */
static bool gate_queue(struct sp_gate *gate, u8 *opened)
{
	s64 old = atomic64_read(&gate->state), new;

	do {
		new = old + (gate_closed(old) ? GATE_WAITING : GATE_INSIDE);
	} while (!atomic64_try_cmpxchg(&gate->state, &old, new));
	*opened = old >> 56;
	return gate_closed(old);
}

void sp_gate_enter(struct sp_gate *gate)
{
	u8 opened;

	if (gate_queue(gate, &opened))
		wait_var_event(gate, gate_opened(gate) != opened);
}

int sp_gate_enter_killable(struct sp_gate *gate)
{
	u8 opened;
	s64 old;

	if (!gate_queue(gate, &opened) ||
	    !wait_var_event_killable(gate, gate_opened(gate) != opened))
		return 0;
	old = atomic64_read(&gate->state);
	do {
		if ((u8)(old >> 56) != opened) {
			sp_gate_leave(gate);
			break;
		}
	} while (!atomic64_try_cmpxchg(&gate->state, &old, old - GATE_WAITING));
	return -EINTR;
}

/* What changes the state is fully ordered, which wake_up_var() needs. */
void sp_gate_leave(struct sp_gate *gate)
{
	if (!gate_inside(atomic64_sub_return(GATE_INSIDE, &gate->state)))
		wake_up_var(gate);
}

int sp_gate_close(struct sp_gate *gate)
{
	atomic64_add_return(GATE_CLOSED, &gate->state);
	if (!wait_var_event_killable(gate, !gate_inside(atomic64_read_acquire(&gate->state))))
		return 0;
	sp_gate_open(gate);
	return -EINTR;
}

/* Who has waited is inside then, before it can be closed again. */
void sp_gate_open(struct sp_gate *gate)
{
	s64 old = atomic64_read(&gate->state), new;

	do {
		new = old - GATE_CLOSED;
		if (!gate_closed(new))
			new += gate_waiting(new) * (GATE_INSIDE - GATE_WAITING) + GATE_OPENED;
	} while (!atomic64_try_cmpxchg(&gate->state, &old, new));
	if (!gate_closed(new))
		wake_up_var(gate);
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

unsigned int sp_nofs_save(void)
{
	return memalloc_nofs_save();
}

void sp_nofs_restore(unsigned int flags)
{
	memalloc_nofs_restore(flags);
}

/*
 * What this task allocates for others is charged to the group that @folio is charged to, which
 * @memcg has a reference to then, until sp_charge_end() gets both. Both may be NULL.
 */
struct mem_cgroup *sp_charge_folio(struct folio *folio, struct mem_cgroup **memcg)
{
	rcu_read_lock();
	do {
		*memcg = !folio || mem_cgroup_disabled() ? NULL : folio_memcg(folio);
	} while (*memcg && !css_tryget(&(*memcg)->css));
	rcu_read_unlock();
	return set_active_memcg(*memcg);
}

void sp_charge_end(struct mem_cgroup *old, struct mem_cgroup *memcg)
{
	set_active_memcg(old);
	mem_cgroup_put(memcg);
}

bool sp_charge_is_limited(struct mem_cgroup *memcg)
{
	return memcg && !mem_cgroup_is_root(memcg);
}

/*
 * Whoever cleans pages above by dirtying pages below is to wait for the device
 * below only, not for what it is there to clean.
 */
unsigned int sp_local_throttle_save(void)
{
	unsigned int old = current->flags & PF_LOCAL_THROTTLE;

	current->flags |= PF_LOCAL_THROTTLE;
	return old;
}

void sp_local_throttle_restore(unsigned int old)
{
	current_restore_flags(old, PF_LOCAL_THROTTLE);
}

struct workqueue_struct *sp_workqueue_alloc(const char *name)
{
	return alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, name);
}

struct sp_call {
	struct work_struct work;
	int (*call)(void *argument);
	void *argument;
	int result;
	struct completion done;
};

static void sp_call_work(struct work_struct *work)
{
	struct sp_call *call = container_of(work, struct sp_call, work);

	call->result = call->call(call->argument);
	complete(&call->done);
}

/* Calls it in a kernel thread: this one if it is one, else one of @wq. */
int sp_workqueue_call(struct workqueue_struct *wq, int (*function)(void *), void *argument)
{
	struct sp_call call = { .call = function, .argument = argument };

	if (current->flags & PF_KTHREAD)
		return function(argument);
	INIT_WORK_ONSTACK(&call.work, sp_call_work);
	init_completion(&call.done);
	queue_work(wq, &call.work);
	/* A filesystem below that is frozen does not keep the system from being suspended. */
	wait_for_completion_state(&call.done, TASK_UNINTERRUPTIBLE | TASK_FREEZABLE);
	destroy_work_on_stack(&call.work);
	return call.result;
}

/* Before the page cache goes. What is dirty of a file that has a name cannot be written. */
void sp_inode_report_lost(struct inode *inode, struct inode *lower)
{
	if (mapping_tagged(&inode->i_data, PAGECACHE_TAG_DIRTY) && lower->i_nlink)
		pr_err_ratelimited("%s: inode %llu: data is lost that cannot be written below\n",
				   inode->i_sb->s_type->name, (u64)inode->i_ino);
}

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
 * one here, and xfs would read with i_rwsem held, as somebody may hold it there who
 * wants to copy to or from this page.
 */
ssize_t sp_file_read(struct file *file, struct folio *folio, struct iov_iter *iter,
		     loff_t *pos)
{
	struct address_space *mapping = file->f_mapping;
	struct kiocb kiocb;
	ssize_t done;

	/* Elsewhere a read may have to ask somebody whether what is cached is right. */
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
 * As vfs_iocb_iter_write(), for who has called file_start_write() already: before
 * the locks of folios that whoever keeps others from freezing may be waiting for.
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

void sp_file_start_write(struct file *file)
{
	file_start_write(file);
}

void sp_file_end_write(struct file *file)
{
	file_end_write(file);
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

bool sp_writeback_waits(const struct writeback_control *wbc)
{
	return wbc->sync_mode != WB_SYNC_NONE;
}

/* For all of the filesystem: nobody gets what it returns. */
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
 * Says what fails now, and takes from nobody what has failed before. What is dirty
 * afterwards another thread has failed to write, or somebody has stored meanwhile.
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

ssize_t sp_write_sync(struct kiocb *kiocb, ssize_t written)
{
	return generic_write_sync(kiocb, written);
}
