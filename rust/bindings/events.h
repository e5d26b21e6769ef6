/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM stable_pi

#if !defined(STABLE_PAGES_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define STABLE_PAGES_EVENTS_H

#include <linux/types.h>
#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

#include "helpers.h"

#ifndef SP_SHOW_CLASS
#define SP_SHOW_CLASS(class)						\
	__print_symbolic(class, { 0, "kernel" }, { 1, "waits" },	\
			 { 2, "cache" }, { 3, "anon" }, { 4, "pinned" }, \
			 { 5, "foreign" })
#endif

/*
 * Sectors are those of the mapped device, but for lower_sector. Intervals are
 * counted from the start of the write.
 */

/* A page changed between its checksum and the medium. */
TRACE_EVENT(unstable_write,

	TP_PROTO(const struct sp_extent *extent, const struct sp_change *change,
		 const struct sp_page_facts *facts,
		 const struct sp_task *submitter),

	TP_ARGS(extent, change, facts, submitter),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(dev_t, lower)
		__field(sector_t, lower_sector)
		__field(unsigned int, first)
		__field(unsigned int, last)
		__field(unsigned int, changed)
		__field(int, class)
		__field(dev_t, s_dev)
		__field(u64, ino)
		__field(u64, index)
		__field(pid_t, pid)
		__array(char, comm, 16)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->sectors = extent->sectors;
		__entry->lower = change->lower;
		__entry->lower_sector = change->lower_sector;
		__entry->first = change->first;
		__entry->last = change->last;
		__entry->changed = change->changed;
		__entry->class = change->class;
		__entry->s_dev = facts->s_dev;
		__entry->ino = facts->ino;
		__entry->index = facts->index;
		__entry->pid = submitter->pid;
		memcpy(__entry->comm, submitter->comm, sizeof(__entry->comm));
	),

	TP_printk("%d,%d sector %llu + %u lower %d,%d sector %llu intervals %u-%u changed %u class %s inode %d,%d:%llu index %llu by %s-%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  MAJOR(__entry->lower), MINOR(__entry->lower),
		  (unsigned long long)__entry->lower_sector,
		  __entry->first, __entry->last, __entry->changed,
		  SP_SHOW_CLASS(__entry->class),
		  MAJOR(__entry->s_dev), MINOR(__entry->s_dev),
		  __entry->ino, __entry->index, __entry->comm, __entry->pid)
);

/* A write is sent down where its data is. */
TRACE_EVENT(in_place,

	TP_PROTO(const struct sp_extent *extent, unsigned int class),

	TP_ARGS(extent, class),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(int, class)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->sectors = extent->sectors;
		__entry->class = class;
	),

	TP_printk("%d,%d sector %llu + %u class %s",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  SP_SHOW_CLASS(__entry->class))
);

/* The data of a write was copied, from the start or to repair it. */
TRACE_EVENT(copy,

	TP_PROTO(const struct sp_extent *extent, unsigned int class, bool repair),

	TP_ARGS(extent, class, repair),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(int, class)
		__field(bool, repair)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->sectors = extent->sectors;
		__entry->class = class;
		__entry->repair = repair;
	),

	TP_printk("%d,%d sector %llu + %u class %s%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  SP_SHOW_CLASS(__entry->class),
		  __entry->repair ? " repair" : "")
);

/* A read was verified: how long it waited for a worker, and how long that took. */
TRACE_EVENT(verify,

	TP_PROTO(const struct sp_extent *extent, u64 wait_ns, u64 verify_ns),

	TP_ARGS(extent, wait_ns, verify_ns),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
		__field(u64, wait_ns)
		__field(u64, verify_ns)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->sectors = extent->sectors;
		__entry->wait_ns = wait_ns;
		__entry->verify_ns = verify_ns;
	),

	TP_printk("%d,%d sector %llu + %u wait %llu ns verify %llu ns",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors,
		  __entry->wait_ns, __entry->verify_ns)
);

/* An interval on the medium does not match its tuple. */
TRACE_EVENT(read_mismatch,

	TP_PROTO(const struct sp_extent *extent, const struct sp_tuple *expected,
		 const struct sp_tuple *actual),

	TP_ARGS(extent, expected, actual),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(u64, expected_guard)
		__field(u64, actual_guard)
		__field(u16, expected_app)
		__field(u16, actual_app)
		__field(u64, expected_ref)
		__field(u64, actual_ref)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->expected_guard = expected->guard;
		__entry->actual_guard = actual->guard;
		__entry->expected_app = expected->app;
		__entry->actual_app = actual->app;
		__entry->expected_ref = expected->ref;
		__entry->actual_ref = actual->ref;
	),

	TP_printk("%d,%d sector %llu guard 0x%llx should be 0x%llx app 0x%x should be 0x%x ref 0x%llx should be 0x%llx",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector,
		  __entry->actual_guard, __entry->expected_guard,
		  __entry->actual_app, __entry->expected_app,
		  __entry->actual_ref, __entry->expected_ref)
);

/* A read did not match because an application changed the memory that it went to. */
TRACE_EVENT(false_alarm,

	TP_PROTO(const struct sp_extent *extent),

	TP_ARGS(extent),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(unsigned int, sectors)
	),

	TP_fast_assign(
		__entry->dev = extent->dev;
		__entry->sector = extent->sector;
		__entry->sectors = extent->sectors;
	),

	TP_printk("%d,%d sector %llu + %u",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector, __entry->sectors)
);

/*
 * The writes of a file, or with tgid of a process, are copied from now on, since they were found
 * changed time and again; or they go in place again.
 */
TRACE_EVENT(learn,

	TP_PROTO(dev_t dev, dev_t s_dev, u64 ino, pid_t tgid, bool copied),

	TP_ARGS(dev, s_dev, ino, tgid, copied),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(dev_t, s_dev)
		__field(u64, ino)
		__field(pid_t, tgid)
		__field(bool, copied)
	),

	TP_fast_assign(
		__entry->dev = dev;
		__entry->s_dev = s_dev;
		__entry->ino = ino;
		__entry->tgid = tgid;
		__entry->copied = copied;
	),

	TP_printk("%d,%d inode %d,%d:%llu process %d %s",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  MAJOR(__entry->s_dev), MINOR(__entry->s_dev),
		  __entry->ino, __entry->tgid,
		  __entry->copied ? "copied" : "in place")
);

#endif /* STABLE_PAGES_EVENTS_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE events
#include <trace/define_trace.h>
