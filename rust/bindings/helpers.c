// SPDX-License-Identifier: GPL-2.0

#include <linux/blk-crypto.h>
#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/percpu.h>
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

u64 sp_counters_sum(u64 __percpu *counters, unsigned int i)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[i]);
	return sum;
}

void sp_trace_unstable_write(struct block_device *bdev, sector_t sector,
			     unsigned int sectors, unsigned int interval,
			     unsigned int changed)
{
	trace_unstable_write(bdev, sector, sectors, interval, changed);
}

void sp_trace_copy(struct block_device *bdev, sector_t sector,
		   unsigned int sectors, bool repair)
{
	trace_copy(bdev, sector, sectors, repair);
}
