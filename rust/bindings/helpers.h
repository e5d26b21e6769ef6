/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The C half of the bindings: what the kernel has only as inline functions or
 * macros, or with types that kernel::bindings does not know in full.
 */
#ifndef STABLE_PAGES_HELPERS_H
#define STABLE_PAGES_HELPERS_H

#include <linux/bio-integrity.h>
#include <linux/bio.h>
#include <linux/types.h>

/**
 * struct sp_payload - an integrity payload that needs no allocation
 * @bip:	the payload
 * @bvec:	its only segment
 *
 * It is part of memory that lives at least as long as the bio it is attached
 * to, and is detached before the block layer would free it.
 */
struct sp_payload {
	struct bio_integrity_payload bip;
	struct bio_vec bvec;
};

void sp_payload_attach(struct bio *bio, struct sp_payload *payload, void *buf,
		       unsigned int len, sector_t seed, u16 flags, u16 app_tag);
void sp_payload_detach(struct bio *bio);

void sp_bvec_iter_advance(const struct bio_vec *vecs, struct bvec_iter *iter,
			  unsigned int bytes);
struct bio_vec sp_bvec_iter_next(const struct bio_vec *vecs, struct bvec_iter *iter);

void sp_bio_set_dev(struct bio *bio, struct block_device *bdev);
void sp_bio_copy_attributes(struct bio *dst, const struct bio *src);
bool sp_bio_has_crypt_ctx(struct bio *bio);
unsigned int sp_bdev_logical_block_size(struct block_device *bdev);
struct blk_integrity *sp_bdev_get_integrity(struct block_device *bdev);

struct page *sp_virt_to_page(const void *addr);

u32 sp_csum_partial(const void *data, unsigned int len, u32 sum);
u16 sp_csum_fold(u32 sum);

u64 __percpu *sp_counters_alloc(unsigned int n);
void sp_counters_free(u64 __percpu *counters);
void sp_counters_add(u64 __percpu *counters, unsigned int i, u64 n);
u64 sp_counters_sum(u64 __percpu *counters, unsigned int i);

void sp_trace_unstable_write(struct block_device *bdev, sector_t sector,
			     unsigned int sectors, unsigned int interval,
			     unsigned int changed);
void sp_trace_copy(struct block_device *bdev, sector_t sector,
		   unsigned int sectors, bool repair);

#endif /* STABLE_PAGES_HELPERS_H */
