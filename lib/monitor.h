/* SPDX-License-Identifier: MIT */

/*
 * Monitor
 *
 * The thread that judges. It never calls out to the service and never waits for a lock that a stuck
 * thread may hold. turn_at(now) does one turn and is what tests call; the thread is a loop round it.
 */

#ifndef VT_MONITOR_H
#define VT_MONITOR_H

#include "asleep.h"
#include "look.h"
#include "registry.h"
#include "suspects.h"
#include "sweep.h"
#include "verdict.h"

#include <poll.h>

/* What main has the monitor do beside judging; all of it in the monitor's thread or a step. */
struct vt_monitor_work {
	/* In every turn, after the judging. Return: when it wants the next, UINT64_MAX: no wish. */
	uint64_t (*turn)(vitals_registry *registry, uint64_t now_ns);
	/* In every turn, by whoever judges: what those who do not leave are doing. Return: as above. */
	uint64_t (*late)(vitals_registry *registry, uint64_t now_ns);
	/* Descriptors to poll while waiting. Return: how many of @room were filled. */
	unsigned (*fds)(vitals_registry *registry, struct pollfd *fds, unsigned room);
	/* They were polled, and some have something. */
	void (*ready)(vitals_registry *registry, const struct pollfd *fds, unsigned n,
		      uint64_t now_ns);
};

struct vt_monitor {
	const struct vt_monitor_work *_Atomic work; /* NULL: nothing yet */
	struct vt_tick tick; /* guarded by judge: the line as it was written last */
	unsigned late_turns; /* guarded by judge: pauses in a row */
	uint64_t
		busy_ns; /* guarded by judge: what the turn before took of the time since */
	uint64_t wish_ns;      /* guarded by judge: when main wanted the next turn */
	struct vt_looks looks; /* guarded by judge */
	struct vt_sweep sweep; /* guarded by judge */
	struct vt_suspects suspects; /* guarded by judge */
	struct vt_asleep asleep;     /* guarded by judge */
	pthread_t thread;            /* guarded by monitor_control */
	_Atomic uint32_t tid;        /* the thread's own, 0: it is not there */
	bool joinable;               /* guarded by monitor_control */
};

/* The room. Return: 0; -ENOMEM. */
int vt_monitor_make(vitals_registry *registry) VT_REQUIRES(registry->lock);

/* There is the room; @work is static, and all that it goes by is in place. */
void vt_monitor_work(vitals_registry *registry, const struct vt_monitor_work *work);

/*
 * One turn. Return: 0 and when the next is due; -EBUSY if one is under way, or the thread runs; -EINVAL
 * if @now_ns is before the last.
 */
int vt_monitor_turn_at(vitals_registry *registry, uint64_t now_ns, uint64_t *ret_next_ns);

/* The same for the thread: a turn that has very much to do leaves some of it for the next, at once. */
int vt_monitor_turn_now(vitals_registry *registry, uint64_t *ret_next_ns);

/* The thread (watch.c). Return: 0; -EALREADY; -EAGAIN, -EPERM, -ENOMEM. */
int vt_monitor_start(vitals_registry *registry);
/* Return: 0, also if it did not run; -EDEADLK from itself. */
int vt_monitor_stop(vitals_registry *registry);

#endif
