/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM stable_pi

#if !defined(STABLE_PAGES_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define STABLE_PAGES_EVENTS_H

#include <linux/blk_types.h>
#include <linux/blkdev.h>
#include <linux/tracepoint.h>

/*
 * A page changed between its checksum and the medium. The device is the one
 * below, which the sector belongs to.
 */
TRACE_EVENT(unstable_write,

	TP_PROTO(struct block_device *bdev, sector_t sector, unsigned int sectors,
		 unsigned int interval, unsigned int changed),

	TP_ARGS(bdev, sector, sectors, interval, changed),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(unsigned int, interval)
		__field(unsigned int, changed)
	),

	TP_fast_assign(
		__entry->dev = bdev->bd_dev;
		__entry->sector = sector;
		__entry->sectors = sectors;
		__entry->interval = interval;
		__entry->changed = changed;
	),

	TP_printk("%d,%d sector %llu + %u first interval %u changed %u",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  __entry->interval, __entry->changed)
);

/* The data of a write was copied, always or to repair it. */
TRACE_EVENT(copy,

	TP_PROTO(struct block_device *bdev, sector_t sector, unsigned int sectors,
		 bool repair),

	TP_ARGS(bdev, sector, sectors, repair),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(bool, repair)
	),

	TP_fast_assign(
		__entry->dev = bdev->bd_dev;
		__entry->sector = sector;
		__entry->sectors = sectors;
		__entry->repair = repair;
	),

	TP_printk("%d,%d sector %llu + %u%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  __entry->repair ? " repair" : "")
);

#endif /* STABLE_PAGES_EVENTS_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE events
#include <trace/define_trace.h>
