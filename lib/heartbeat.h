/* SPDX-License-Identifier: MIT */

/*
 * Heartbeat
 *
 * Registered and closed under the registry's lock (heartbeat.c), beaten by anybody without one
 * (beat.c), owned by a thread if one says so (owner.c).
 */

#ifndef VT_HEARTBEAT_H
#define VT_HEARTBEAT_H

#include "inbox.h"
#include "registry.h"

/* In refs: holders, the last of whom closes it, and threads whose list of what they own it is in. */
#define VT_HEARTBEAT_OWNER 0x1000000u
#define VT_HEARTBEAT_HOLDERS (VT_HEARTBEAT_OWNER - 1)

struct vitals_heartbeat {
	struct vitals_heartbeat_head head;
	struct vt_intervals *intervals; /* followed by the counts; NULL: no histogram */
	_Atomic uint32_t refs;
	uint32_t place; /* in its span */
	/* The list of changes': codes, see changes.h. */
	uint32_t change_prev;
	uint32_t change_next;
};

/* What few heartbeats need; zero at first. */
struct vt_heartbeat_seldom {
	vitals_heartbeat *owned_next; /* the owning thread's list, which keeps the slot */
	struct vt_scopes *scopes;     /* NULL: never in any; its owner's */
	_Atomic int due_fd;           /* + 1; 0: none */
	_Atomic uint32_t listed;      /* the tid of the thread with that list; 0: none */
};

/* The hot part, which the head points to. */
static inline struct vt_hot *vt_heartbeat_hot(const vitals_heartbeat *heartbeat)
{
	return (struct vt_hot *)(void *)heartbeat->head.beat;
}

static inline struct vt_span_head *vt_heartbeat_span(const vitals_heartbeat *heartbeat)
{
	return vt_span_of(heartbeat, heartbeat->place, VT_RECORD_HEARTBEAT);
}

static inline vitals_registry *vt_heartbeat_registry(const vitals_heartbeat *heartbeat)
{
	return vt_heartbeat_span(heartbeat)->registry;
}

static inline uint32_t vt_heartbeat_index(const vitals_heartbeat *heartbeat)
{
	return vt_heartbeat_span(heartbeat)->first + heartbeat->place;
}

static inline struct vt_heartbeat_seldom *vt_heartbeat_seldom(
	const vitals_heartbeat *heartbeat)
{
	return vt_span_seldom(vt_heartbeat_span(heartbeat), heartbeat->place,
			      VT_RECORD_HEARTBEAT, VT_SELDOM_HEARTBEAT);
}

static inline vitals_heartbeat *vt_heartbeat_at(const vitals_registry *registry,
						uint32_t index)
{
	return vt_record(registry, VT_POOL_HEARTBEAT, index);
}

static inline struct vt_cold *vt_heartbeat_cold(const vitals_heartbeat *heartbeat)
{
	return vt_slot(vt_heartbeat_registry(heartbeat), VT_KIND_COLD,
		       vt_heartbeat_index(heartbeat));
}

static inline struct vt_rare *vt_heartbeat_rare(const vitals_heartbeat *heartbeat)
{
	return vt_slot(vt_heartbeat_registry(heartbeat), VT_KIND_RARE,
		       vt_heartbeat_index(heartbeat));
}

/* The group it is in, as its flags say. */
static inline struct vt_group_slot *vt_heartbeat_group(const vitals_heartbeat *heartbeat)
{
	/* Relaxed: the group stands still while the slot is in use. */
	return vt_slot(
		vt_heartbeat_registry(heartbeat), VT_KIND_GROUP,
		VT_HB_GROUP(atomic_load_explicit(&vt_heartbeat_hot(heartbeat)->flags,
						 memory_order_relaxed)));
}

/* Does it speak for this process, rather than for the parent it was forked from? */
static inline bool vt_heartbeat_current(const vitals_heartbeat *heartbeat)
{
	const struct vt_span_head *span = vt_heartbeat_span(heartbeat);

	return vt_registry_current(span->registry, span->epoch);
}

/* The monitor looks at it in its next turn. Async-signal-safe. */
static inline void vt_heartbeat_look(const vitals_heartbeat *heartbeat)
{
	vt_inbox_post(vt_heartbeat_span(heartbeat), heartbeat->place);
}

/* How many buckets its histogram has, if it has one. */
static inline unsigned vt_heartbeat_buckets(const struct vt_hot *hot)
{
	/* Relaxed: the kind stands still while the slot is in use. */
	return atomic_load_explicit(&hot->flags, memory_order_relaxed) &
			       VITALS_COARSE_HISTOGRAM
		       ? VT_COARSE
		       : VT_FINE;
}

int vt_heartbeat_new_at(vitals_registry *registry, const char *name, uint64_t timeout_ns,
			const struct vitals_heartbeat_options *options, uint64_t now_ns,
			vitals_heartbeat **ret);

/* A timeout, or a budget, that a caller may ask for; and what VITALS_TIMEOUT_SCALE makes of it. */
bool vt_heartbeat_time_good(uint64_t ns);
uint64_t vt_heartbeat_scaled(const vitals_registry *registry, uint64_t ns);

/* Does the monitor look too seldom for a new timeout, or may the turn under way have missed it? */
bool vt_heartbeat_needs_look(vitals_registry *registry, uint64_t timeout_ns);

/* @paused_ns: the paused total as read before the clock. */
int vt_heartbeat_enter_at(vitals_heartbeat *heartbeat, const char *name,
			  uint64_t budget_ns, uint64_t paused_ns, uint64_t now_ns);
void vt_heartbeat_leave_at(vitals_heartbeat *heartbeat, int depth, uint64_t now_ns);

int vt_heartbeat_pulse_at(vitals_heartbeat *heartbeat, uint64_t now_ns);
int vt_heartbeat_idle_at(vitals_heartbeat *heartbeat, uint64_t now_ns);
int vt_heartbeat_due_at(vitals_heartbeat *heartbeat, uint64_t now_ns);
void vt_heartbeat_due_fd_close(vitals_heartbeat *heartbeat);

/* A thread's list of what it owns lets go of it. */
void vt_heartbeat_disown(vitals_heartbeat *heartbeat);

/* Is it in the list of a thread that exited raw, which lets go of nothing? */
bool vt_heartbeat_forsaken(const vitals_heartbeat *heartbeat);

/* Its number among the living of its name, for the thread that shares it. */
uint32_t vt_heartbeat_number(const vitals_heartbeat *heartbeat);

/* From now on it is the life of a thread: its tid, and its member's index + 1, 0: in no quitter. */
void vt_heartbeat_belong(vitals_heartbeat *heartbeat, uint32_t tid, uint32_t member);

/* The thread it belongs to has ended without closing it. Async-signal-safe. */
void vt_heartbeat_die(vitals_heartbeat *heartbeat);

/*
 * Of one that is quiet: is the thread it belongs to gone, by a way on which nothing of ours runs?
 * Then it is dead from now on. Return: whether it is. For the monitor; a thread of this process that
 * was given the same tid since passes for the owner.
 */
bool vt_heartbeat_bury(const struct vt_view *view, struct vt_hot *hot,
		       const struct vt_cold *cold);

/*
 * The who of an event: id, thread, tid, flags, name, group and scope of the heartbeat at @index.
 * Return: false if it is not the one with @gen any more.
 */
bool vt_heartbeat_describe(const vitals_registry *registry, uint32_t index, uint32_t gen,
			   struct vitals_event *event);

#endif
