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

struct dm_target;
struct srcu_ctr;
struct srcu_struct;

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

/**
 * struct sp_payload_info - an integrity payload that came with a bio
 * @iter:	where its tuples are; the seed is its sector
 * @flags:	its BIP_ flags
 * @app_tag:	the application tag to check
 */
struct sp_payload_info {
	struct bvec_iter iter;
	u16 flags;
	u16 app_tag;
};

bool sp_payload_info(struct bio *bio, struct sp_payload_info *info);
void sp_payload_read(struct bio *bio, const struct sp_payload_info *info,
		     unsigned int skip, void *buf, unsigned int len);
void sp_payload_write(struct bio *bio, const struct sp_payload_info *info,
		      unsigned int skip, const void *buf, unsigned int len);

void sp_bvec_iter_advance(const struct bio_vec *vecs, struct bvec_iter *iter,
			  unsigned int bytes);
struct bio_vec sp_bvec_iter_next(const struct bio_vec *vecs, struct bvec_iter *iter);

/**
 * struct sp_bio_start - how a bio was before it was submitted
 * @data:	where its data is
 * @tuples:	where those of its payload are
 * @flags:	the payload's BIP_ flags
 */
struct sp_bio_start {
	struct bvec_iter data;
	struct bvec_iter tuples;
	u16 flags;
};

void sp_bio_keep_start(struct bio *bio, struct sp_bio_start *start);
void sp_bio_start_again(struct bio *bio, const struct sp_bio_start *start);
void sp_bdev_wait(struct block_device *bdev, sector_t sector, struct page *page);

void sp_bio_set_dev(struct bio *bio, struct block_device *bdev);
void sp_bio_copy_attributes(struct bio *dst, const struct bio *src);
bool sp_bio_has_crypt_ctx(struct bio *bio);
unsigned int sp_bdev_logical_block_size(struct block_device *bdev);
struct blk_integrity *sp_bdev_get_integrity(struct block_device *bdev);

bool sp_bdev_is_zoned(struct block_device *bdev);
bool sp_bdev_can_atomic_write(struct block_device *bdev);
u32 sp_dm_target_dev(struct dm_target *ti);
bool sp_dm_target_shows_profile(struct dm_target *ti);

void sp_copy(void *to, const void *from, size_t len);
void sp_copy_to_page(struct page *page, unsigned int offset, const void *from,
		     unsigned int len);

/**
 * struct sp_page_facts - what is known of a page that is part of an I/O
 * @ino:	number of the inode whose page cache it is in
 * @index:	index of the page there
 * @s_dev:	device of the inode's filesystem, or the block device itself
 * @foreign:	memory of a device
 * @anon:	anonymous memory
 * @pinned:	it is pinned (FOLL_PIN), or looks like it
 * @cache:	in the page cache
 * @waits:	under writeback, and its mapping waits for that before it lets writers in
 */
struct sp_page_facts {
	u64 ino;
	u64 index;
	u32 s_dev;
	bool foreign;
	bool anon;
	bool pinned;
	bool cache;
	bool waits;
};

void sp_page_facts(struct page *page, struct sp_page_facts *facts);

/**
 * struct sp_task - who is running
 * @pid:	number of the thread
 * @tgid:	number of its process
 * @comm:	name, with a zero at the end
 */
struct sp_task {
	s32 pid;
	s32 tgid;
	u8 comm[16];
};

void sp_current_task(struct sp_task *task);

struct page *sp_virt_to_page(const void *addr);

u32 sp_csum_partial(const void *data, unsigned int len, u32 sum);
u16 sp_csum_fold(u32 sum);

/*
 * The guards of count intervals of data, one behind the other: crc_t10dif() and crc64_nvme(). Any
 * context. At most a page of data, since preemption is off meanwhile.
 */
void sp_crc_t10dif_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards);
void sp_crc64_nvme_each(const void *data, unsigned int interval,
			unsigned int count, u64 *guards);

/* When the module is loaded, before the functions above are called. Sleeps. */
void sp_guards_init(void);

struct srcu_struct *sp_srcu_alloc(void);
void sp_srcu_free(struct srcu_struct *srcu);
struct srcu_ctr __percpu *sp_srcu_down_read(struct srcu_struct *srcu);
void sp_srcu_up_read(struct srcu_struct *srcu, struct srcu_ctr __percpu *ctr);

u64 __percpu *sp_counters_alloc(unsigned int n);
void sp_counters_free(u64 __percpu *counters);
void sp_counters_add(u64 __percpu *counters, unsigned int i, u64 n);
void sp_counters_reset(u64 __percpu *counters, unsigned int n);
u64 sp_counters_sum(u64 __percpu *counters, unsigned int i);

/* Pages that a CPU has at hand: as many as a copy of 64 KiB needs, four times. */
#define SP_STASH_PAGES (SZ_256K / PAGE_SIZE)
struct sp_stash {
	unsigned int count;
	struct page *pages[SP_STASH_PAGES];
};
struct sp_stash __percpu *sp_stash_alloc(void);
void sp_stash_free(struct sp_stash __percpu *stash);
struct page *sp_stash_take(struct sp_stash __percpu *stash);
bool sp_stash_put(struct sp_stash __percpu *stash, const mempool_t *reserve, struct page *page);

/**
 * struct sp_extent - sectors of a mapped device
 * @dev:	the mapped device
 * @sectors:	how many
 * @sector:	the first
 */
struct sp_extent {
	u32 dev;
	u32 sectors;
	u64 sector;
};

/**
 * struct sp_change - what changed under a write
 * @lower_sector:	first sector of the write on the device below
 * @lower:		the device below
 * @first:		first interval of the write that changed
 * @last:		the last one
 * @changed:		how many changed
 * @class:		class of the page that changed
 */
struct sp_change {
	u64 lower_sector;
	u32 lower;
	u32 first;
	u32 last;
	u32 changed;
	u32 class;
};

/**
 * struct sp_tuple - a tuple of any format
 * @guard:	guard tag
 * @ref:	reference tag
 * @app:	application tag
 */
struct sp_tuple {
	u64 guard;
	u64 ref;
	u16 app;
};

bool sp_may_use_simd(void);

void sp_trace_unstable_write(const struct sp_extent *extent,
			     const struct sp_change *change,
			     const struct sp_page_facts *facts,
			     const struct sp_task *submitter);
bool sp_trace_in_place_enabled(void);
void sp_trace_in_place(const struct sp_extent *extent, unsigned int class);
void sp_trace_copy(const struct sp_extent *extent, unsigned int class, bool repair);
bool sp_trace_verify_enabled(void);
void sp_trace_verify(const struct sp_extent *extent, u64 wait_ns, u64 verify_ns);
void sp_trace_read_mismatch(const struct sp_extent *extent,
			    const struct sp_tuple *expected,
			    const struct sp_tuple *actual);
void sp_trace_learn(u32 dev, u32 s_dev, u64 ino, s32 tgid, bool copied);
void sp_trace_false_alarm(const struct sp_extent *extent);

#endif /* STABLE_PAGES_HELPERS_H */
