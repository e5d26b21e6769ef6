// SPDX-License-Identifier: GPL-2.0

#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <asm/simd.h>
#include <net/checksum.h>

#include "events.h"
#include "helpers.h"

/*
 * As bio_integrity_init() and bio_integrity_add_page() do, neither of which can
 * be had without an allocation.
 */
void sp_payload_attach(struct bio *bio, struct sp_payload *payload, void *buf,
		       unsigned int len, sector_t seed, u16 flags, u16 app_tag)
{
	struct bio_integrity_payload *bip = &payload->bip;

	memset(payload, 0, sizeof(*payload));
	bvec_set_virt(&payload->bvec, buf, len);
	bip->bip_vec = &payload->bvec;
	bip->bip_max_vcnt = 1;
	bip->bip_vcnt = 1;
	bip->bip_iter.bi_size = len;
	bip->bip_flags = flags;
	bip->app_tag = app_tag;
	bip_set_seed(bip, seed);

	bio->bi_integrity = bip;
	bio->bi_opf |= REQ_INTEGRITY;
}

void sp_payload_detach(struct bio *bio)
{
	bio->bi_integrity = NULL;
	bio->bi_opf &= ~REQ_INTEGRITY;
}

/*
 * The payload of a bio that has ended is used up; what is taken down here before
 * that stays right.
 */
bool sp_payload_info(struct bio *bio, struct sp_payload_info *info)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);

	if (!bip)
		return false;
	info->iter = bip->bip_iter;
	info->flags = bip->bip_flags;
	info->app_tag = bip->app_tag;
	return true;
}

/* @skip + @len must be within the payload. */
void sp_payload_read(struct bio *bio, const struct sp_payload_info *info,
		     unsigned int skip, void *buf, unsigned int len)
{
	const struct bio_vec *vecs = bio_integrity(bio)->bip_vec;
	struct bvec_iter start = info->iter, iter;
	struct bio_vec bv;

	bvec_iter_advance(vecs, &start, skip);
	start.bi_size = len;
	for_each_bvec(bv, vecs, iter, start) {
		memcpy_from_bvec(buf, &bv);
		buf += bv.bv_len;
	}
}

/* @skip + @len must be within the payload. */
void sp_payload_write(struct bio *bio, const struct sp_payload_info *info,
		      unsigned int skip, const void *buf, unsigned int len)
{
	const struct bio_vec *vecs = bio_integrity(bio)->bip_vec;
	struct bvec_iter start = info->iter, iter;
	struct bio_vec bv;

	bvec_iter_advance(vecs, &start, skip);
	start.bi_size = len;
	for_each_bvec(bv, vecs, iter, start) {
		memcpy_to_bvec(&bv, buf);
		buf += bv.bv_len;
	}
}

void sp_bvec_iter_advance(const struct bio_vec *vecs, struct bvec_iter *iter,
			  unsigned int bytes)
{
	bvec_iter_advance(vecs, iter, bytes);
}

/* The segment at @iter, which lies in one page; @iter goes on behind it. */
struct bio_vec sp_bvec_iter_next(const struct bio_vec *vecs, struct bvec_iter *iter)
{
	struct bio_vec segment = bvec_iter_bvec(vecs, *iter);

	bvec_iter_advance_single(vecs, iter, segment.bv_len);
	return segment;
}

void sp_bio_keep_start(struct bio *bio, struct sp_bio_start *start)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);

	start->data = bio->bi_iter;
	if (bip) {
		start->tuples = bip->bip_iter;
		start->flags = bip->bip_flags;
	}
}

/*
 * A bio that has ended, as it was before: bio_reuse() is not for one with a payload
 * or for a clone.
 */
void sp_bio_start_again(struct bio *bio, const struct sp_bio_start *start)
{
	struct bio_integrity_payload *bip = bio_integrity(bio);

	bio->bi_iter = start->data;
	bio->bi_status = BLK_STS_OK;
	/* Device mapper has split it. */
	bio_clear_flag(bio, BIO_CHAIN);
	atomic_set(&bio->__bi_remaining, 1);
	bio_set_dev(bio, bio->bi_bdev);
	if (bip) {
		bip->bip_iter = start->tuples;
		bip->bip_flags = start->flags;
	}
}

/*
 * Sleeps until @bdev lets I/O pass: a read that has no payload may wait in it. What
 * it reads into @page is of no use.
 */
void sp_bdev_wait(struct block_device *bdev, sector_t sector, struct page *page)
{
	unsigned int bytes = bdev_logical_block_size(bdev);
	struct bio_vec bvec;
	struct bio bio;

	if (bytes > PAGE_SIZE)
		return;
	bio_init(&bio, bdev, &bvec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, page, bytes, 0);
	submit_bio_wait(&bio);
	bio_uninit(&bio);
}

void sp_bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
}

/* What a copy of a bio takes over besides device, operation and data. */
void sp_bio_copy_attributes(struct bio *dst, const struct bio *src)
{
	dst->bi_ioprio = src->bi_ioprio;
	dst->bi_write_hint = src->bi_write_hint;
	dst->bi_write_stream = src->bi_write_stream;
}

bool sp_bio_has_crypt_ctx(struct bio *bio)
{
	return bio_has_crypt_ctx(bio);
}

unsigned int sp_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

struct blk_integrity *sp_bdev_get_integrity(struct block_device *bdev)
{
	return bdev_get_integrity(bdev);
}

bool sp_bdev_is_zoned(struct block_device *bdev)
{
	return bdev_is_zoned(bdev);
}

bool sp_bdev_can_atomic_write(struct block_device *bdev)
{
	return bdev_can_atomic_write(bdev);
}

/* The device that the target is part of. */
u32 sp_dm_target_dev(struct dm_target *ti)
{
	return disk_devt(dm_disk(dm_table_get_md(ti->table)));
}

bool sp_dm_target_shows_profile(struct dm_target *ti)
{
	return blk_get_integrity(dm_disk(dm_table_get_md(ti->table)));
}

/* A whole page, aligned as one, as the kernel copies pages. */
void sp_copy(void *to, const void *from, size_t len)
{
	if (len == PAGE_SIZE && IS_ALIGNED((unsigned long)to | (unsigned long)from, PAGE_SIZE))
		copy_page(to, (void *)from);
	else
		memcpy(to, from, len);
}

void sp_copy_to_page(struct page *page, unsigned int offset, const void *from,
		     unsigned int len)
{
	memcpy_to_page(page, offset, from, len);
}

/*
 * The page is part of an I/O, so it stays; but unless it is under writeback, its
 * file may be truncated meanwhile. An inode is freed after a grace period.
 */
void sp_page_facts(struct page *page, struct sp_page_facts *facts)
{
	struct address_space *mapping;
	struct folio *folio;
	struct inode *inode;

	memset(facts, 0, sizeof(*facts));
	if (is_zone_device_page(page)) {
		facts->foreign = true;
		return;
	}

	folio = page_folio(page);
	/* A typed page keeps other things where a folio keeps its mapping. */
	if (page_has_type(&folio->page) && !folio_test_hugetlb(folio))
		return;

	facts->pinned = folio_maybe_dma_pinned(folio);
	rcu_read_lock();
	mapping = READ_ONCE(folio->mapping);
	if ((unsigned long)mapping & FOLIO_MAPPING_ANON) {
		facts->anon = true;
	} else if (mapping && !((unsigned long)mapping & FOLIO_MAPPING_FLAGS)) {
		facts->cache = true;
		/*
		 * What is waited for is writeback: not direct I/O from the page
		 * cache, as sendfile() makes it, and not submit_bh(), which has
		 * the buffer locked, but a store to a mapped page does not look at that.
		 */
		facts->waits = mapping_stable_writes(mapping) && folio_test_writeback(folio);
		facts->index = folio->index + folio_page_idx(folio, page);
		inode = READ_ONCE(mapping->host);
		if (inode && S_ISBLK(inode->i_mode)) {
			facts->s_dev = inode->i_rdev;
		} else if (inode) {
			facts->ino = inode->i_ino;
			facts->s_dev = inode->i_sb->s_dev;
		}
	}
	rcu_read_unlock();
}

void sp_current_task(struct sp_task *task)
{
	task->pid = task_pid_nr(current);
	task->tgid = task_tgid_nr(current);
	BUILD_BUG_ON(sizeof(task->comm) != sizeof(current->comm));
	/* For each write, so without a search for the end, which is there but while it changes. */
	memcpy(task->comm, current->comm, sizeof(task->comm));
	task->comm[sizeof(task->comm) - 1] = 0;
}

struct page *sp_virt_to_page(const void *addr)
{
	return virt_to_page(addr);
}

u32 sp_csum_partial(const void *data, unsigned int len, u32 sum)
{
	return (__force u32)csum_partial(data, len, (__force __wsum)sum);
}

u16 sp_csum_fold(u32 sum)
{
	return (__force u16)csum_fold((__force __wsum)sum);
}

struct srcu_struct *sp_srcu_alloc(void)
{
	struct srcu_struct *srcu = kzalloc(sizeof(*srcu), GFP_KERNEL);

	if (srcu && init_srcu_struct_fast_updown(srcu)) {
		kfree(srcu);
		return NULL;
	}
	return srcu;
}

void sp_srcu_free(struct srcu_struct *srcu)
{
	cleanup_srcu_struct(srcu);
	kfree(srcu);
}

struct srcu_ctr __percpu *sp_srcu_down_read(struct srcu_struct *srcu)
{
	return srcu_down_read_fast(srcu);
}

void sp_srcu_up_read(struct srcu_struct *srcu, struct srcu_ctr __percpu *ctr)
{
	srcu_up_read_fast(srcu, ctr);
}

u64 __percpu *sp_counters_alloc(unsigned int n)
{
	return __alloc_percpu(n * sizeof(u64), __alignof__(u64));
}

void sp_counters_free(u64 __percpu *counters)
{
	free_percpu(counters);
}

void sp_counters_add(u64 __percpu *counters, unsigned int i, u64 n)
{
	this_cpu_add(counters[i], n);
}

void sp_counters_reset(u64 __percpu *counters, unsigned int n)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu)
		for (i = 0; i < n; i++)
			WRITE_ONCE(per_cpu_ptr(counters, cpu)[i], 0);
}

u64 sp_counters_sum(u64 __percpu *counters, unsigned int i)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[i]);
	return sum;
}

struct sp_stash __percpu *sp_stash_alloc(void)
{
	return alloc_percpu(struct sp_stash);
}

void sp_stash_free(struct sp_stash __percpu *stash)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct sp_stash *this = per_cpu_ptr(stash, cpu);

		while (this->count)
			__free_page(this->pages[--this->count]);
	}
	free_percpu(stash);
}

struct page *sp_stash_take(struct sp_stash __percpu *stash)
{
	struct page *page = NULL;
	struct sp_stash *this;
	unsigned long flags;

	local_irq_save(flags);
	this = this_cpu_ptr(stash);
	if (this->count)
		page = this->pages[--this->count];
	local_irq_restore(flags);
	return page;
}

/*
 * What is missing in the reserve goes there: an I/O may be waiting for it. That is seen here as
 * in mempool_free(), with the barrier that mempool_alloc() has the other half of.
 */
bool sp_stash_put(struct sp_stash __percpu *stash, const mempool_t *reserve, struct page *page)
{
	struct sp_stash *this;
	unsigned long flags;
	bool room;

	smp_rmb();
	if (unlikely(READ_ONCE(reserve->curr_nr) < reserve->min_nr) || want_init_on_free())
		return false;
	local_irq_save(flags);
	this = this_cpu_ptr(stash);
	room = this->count < ARRAY_SIZE(this->pages);
	if (room)
		this->pages[this->count++] = page;
	local_irq_restore(flags);
	return room;
}

bool sp_may_use_simd(void)
{
	return may_use_simd();
}

void sp_trace_unstable_write(const struct sp_extent *extent,
			     const struct sp_change *change,
			     const struct sp_page_facts *facts,
			     const struct sp_task *submitter)
{
	trace_unstable_write(extent, change, facts, submitter);
}

bool sp_trace_in_place_enabled(void)
{
	return trace_in_place_enabled();
}

void sp_trace_in_place(const struct sp_extent *extent, unsigned int class)
{
	trace_in_place(extent, class);
}

void sp_trace_copy(const struct sp_extent *extent, unsigned int class, bool repair)
{
	trace_copy(extent, class, repair);
}

bool sp_trace_verify_enabled(void)
{
	return trace_verify_enabled();
}

void sp_trace_verify(const struct sp_extent *extent, u64 wait_ns, u64 verify_ns)
{
	trace_verify(extent, wait_ns, verify_ns);
}

void sp_trace_read_mismatch(const struct sp_extent *extent,
			    const struct sp_tuple *expected,
			    const struct sp_tuple *actual)
{
	trace_read_mismatch(extent, expected, actual);
}

void sp_trace_learn(u32 dev, u32 s_dev, u64 ino, s32 tgid, bool copied)
{
	trace_learn(dev, s_dev, ino, tgid, copied);
}

void sp_trace_false_alarm(const struct sp_extent *extent)
{
	trace_false_alarm(extent);
}
