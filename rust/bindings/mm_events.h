/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM stable_pages

#if !defined(STABLE_PAGES_MM_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define STABLE_PAGES_MM_EVENTS_H

#include <linux/types.h>
#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

#include "mm.h"

/* A store into a mapping waited for writeback of its folio. */
TRACE_EVENT(mkwrite_wait,

	TP_PROTO(const struct sp_place *place, u64 ns, int error),

	TP_ARGS(place, ns, error),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, index)
		__field(unsigned int, order)
		__field(u64, ns)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->dev = place->dev;
		__entry->ino = place->ino;
		__entry->index = place->index;
		__entry->order = place->order;
		__entry->ns = ns;
		__entry->error = error;
	),

	TP_printk("inode %d,%d:%llu index %llu order %u wait %llu ns error %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->order, __entry->ns, __entry->error)
);

#ifndef SP_SHOW_RETRY
#define SP_SHOW_RETRY(reason)						\
	__print_symbolic(reason, { 0, "moved" }, { 1, "hole" }, { 2, "stale" })
#endif

/* A stable range was not there as it had been found, and is looked up again. */
TRACE_EVENT(range_retry,

	TP_PROTO(const struct sp_place *place, unsigned int reason, unsigned int retries),

	TP_ARGS(place, reason, retries),

	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, index)
		__field(int, reason)
		__field(unsigned int, retries)
	),

	TP_fast_assign(
		__entry->dev = place->dev;
		__entry->ino = place->ino;
		__entry->index = place->index;
		__entry->reason = reason;
		__entry->retries = retries;
	),

	TP_printk("inode %d,%d:%llu index %llu %s retries %u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, SP_SHOW_RETRY(__entry->reason),
		  __entry->retries)
);

#endif /* STABLE_PAGES_MM_EVENTS_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE mm_events
#include <trace/define_trace.h>
