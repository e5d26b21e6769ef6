/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is below a block device that a target has opened.
 */
#ifndef STABLE_PAGES_BELOW_H
#define STABLE_PAGES_BELOW_H

#include <linux/types.h>

struct block_device;
struct sp_below;

u64 sp_bdev_profile(struct block_device *bdev);
bool sp_bdev_profile_checks(struct block_device *bdev);

struct sp_below *sp_below_new(struct block_device *bdev);
void sp_below_free(struct sp_below *below);
bool sp_below_defers(const struct sp_below *below);

/* All disks below show the profile. */
#define SP_BELOW_SHOWS	1U
/* An error of a disk below arrives as it was. */
#define SP_BELOW_PASSES	2U

unsigned int sp_below_now(struct sp_below *below, u64 profile);
bool sp_below_shows_thawed(struct sp_below *below, u64 profile);

#endif /* STABLE_PAGES_BELOW_H */
