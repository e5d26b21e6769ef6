// SPDX-License-Identifier: GPL-2.0
/* Threads that write back, for rust/fs. */

#include <linux/completion.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "fs.h"

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
 * PF_MEMALLOC_NOFS; or PF_LOCAL_THROTTLE: a task that cleans pages above by dirtying pages
 * below is to wait for the device below only, not for what it is there to clean.
 */
unsigned int sp_task_flag_save(unsigned int flag)
{
	unsigned int old = current->flags & flag;

	current->flags |= flag;
	return old;
}

void sp_task_flag_restore(unsigned int flag, unsigned int old)
{
	current_restore_flags(old, flag);
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
