// SPDX-License-Identifier: GPL-2.0
/* A gate, for rust/fs. */

#include <linux/atomic.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "fs.h"

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
