/* SPDX-License-Identifier: MIT */

/*
 * A heartbeat's scopes, as its owner enters and leaves them.
 */

#include "heartbeat.h"

#include "clock.h"
#include "frames.h"
#include "overruns.h"
#include "text.h"

#include <errno.h>

/* Relaxed: it changes once, and whoever is late to see it harms nothing. */
static uint32_t flags_of(const struct vt_hot *hot)
{
	return atomic_load_explicit(&hot->flags, memory_order_relaxed);
}

/* Any beat's store; relaxed, for the stores of a scope that follow it are not. */
static void beat(struct vt_hot *hot, uint64_t now_ns)
{
	atomic_store_explicit(&hot->beat, VT_BEAT_NS(now_ns), memory_order_relaxed);
}

static int scopes_take(vitals_heartbeat *heartbeat, vitals_registry *registry)
	VT_REQUIRES(registry->lock)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_scopes *scopes;
	uint32_t index;
	int r;

	if (flags_of(hot) & VT_HB_CLOSED)
		return -ECANCELED;
	if (!atomic_load_explicit(&vt_heartbeat_cold(heartbeat)->owner,
				  memory_order_relaxed))
		return -EPERM;
	r = vt_slot_new(registry, VT_POOL_SCOPES, &index);
	if (r < 0)
		return r;
	scopes = vt_slot(registry, VT_KIND_SCOPES, index);
	vt_frames_begin(scopes);
	vt_heartbeat_seldom(heartbeat)->scopes = scopes;
	/* Release, both: whoever finds the scopes finds none of their last user's. */
	atomic_store_explicit(&vt_heartbeat_rare(heartbeat)->scopes, index + 1,
			      memory_order_release);
	atomic_fetch_or_explicit(&hot->flags, VT_HB_SCOPES, memory_order_release);
	return 0;
}

/* The slow part: the first scope of a heartbeat. */
static int scopes_begin(vitals_heartbeat *heartbeat)
{
	vitals_registry *registry = vt_heartbeat_registry(heartbeat);
	int r;

	vt_lock(&registry->lock);
	r = scopes_take(heartbeat, registry);
	vt_unlock(&registry->lock);
	return r;
}

/* The monitor has to look more often from now on: before there is anything to see. */
static void scopes_shorten(vitals_heartbeat *heartbeat, struct vt_scopes *scopes,
			   uint64_t budget_ns)
{
	vitals_registry *registry = vt_heartbeat_registry(heartbeat);

	/* Release: a turn that begins after vt_heartbeat_needs_look() sees it. */
	atomic_store_explicit(&scopes->shortest_ns, budget_ns, memory_order_release);
	vt_heartbeat_look(heartbeat);
	if (vt_heartbeat_needs_look(registry, budget_ns))
		vt_registry_wake(registry);
}

int vt_heartbeat_enter_at(vitals_heartbeat *heartbeat, const char *name,
			  uint64_t budget_ns, uint64_t paused_ns, uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_heartbeat_seldom *seldom = vt_heartbeat_seldom(heartbeat);
	uint64_t words[VT_NAME_WORDS];
	unsigned n = vt_name_pack(name, words);
	int r;

	if (!n || (budget_ns && !vt_heartbeat_time_good(budget_ns)))
		return -EINVAL;
	if (!vt_heartbeat_current(heartbeat))
		return -ECANCELED;
	if (flags_of(hot) & (VT_HB_CLOSED | VT_HB_DEAD))
		return flags_of(hot) & VT_HB_CLOSED ? -ECANCELED : -EPERM;
	if (!seldom->scopes) {
		r = scopes_begin(heartbeat);
		if (r < 0)
			return r;
	}
	if (budget_ns) {
		budget_ns =
			vt_heartbeat_scaled(vt_heartbeat_registry(heartbeat), budget_ns);
		/* Relaxed: the owner's own. */
		if (budget_ns < atomic_load_explicit(&seldom->scopes->shortest_ns,
						     memory_order_relaxed))
			scopes_shorten(heartbeat, seldom->scopes, budget_ns);
	}
	beat(hot, now_ns);
	return (int)vt_frames_enter(seldom->scopes, words, n, budget_ns, paused_ns,
				    now_ns);
}

int vitals_heartbeat_enter(vitals_heartbeat *heartbeat, const char *name,
			   uint64_t budget_ns)
{
	uint64_t paused_ns;

	if (!heartbeat)
		return 0;
	/* Acquire, before the clock: a pause after that look is no time before the scope. */
	paused_ns = atomic_load_explicit(
		&vt_heartbeat_registry(heartbeat)->root->tick.paused_ns,
		memory_order_acquire);
	return vt_heartbeat_enter_at(heartbeat, name, budget_ns, paused_ns,
				     vt_clock_now());
}

/* The slow part: the time of a scope is up, or it was but for pauses. */
static void frame_late(const vitals_heartbeat *heartbeat, const struct vt_frame *frame,
		       uint64_t now_ns)
{
	vitals_registry *registry = vt_heartbeat_registry(heartbeat);
	char name[VITALS_NAME_MAX];
	struct vt_tick tick;
	uint64_t overrun_ns;

	if (atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	    VT_ROOT_OFF)
		return;
	vt_tick_load(&registry->root->tick, &tick);
	overrun_ns = vt_frame_overrun(frame, &tick, now_ns);
	if (!overrun_ns)
		return;
	vt_name_unpack(frame->name, name);
	vt_overrun_count(registry, name, overrun_ns);
}

void vt_heartbeat_leave_at(vitals_heartbeat *heartbeat, int depth, uint64_t now_ns)
{
	struct vt_hot *hot = vt_heartbeat_hot(heartbeat);
	struct vt_scopes *scopes;
	uint32_t left, i;

	if (depth <= 0 || !vt_heartbeat_current(heartbeat) ||
	    flags_of(hot) & (VT_HB_CLOSED | VT_HB_DEAD))
		return;
	scopes = vt_heartbeat_seldom(heartbeat)->scopes;
	left = (uint32_t)depth - 1;
	if (!scopes || left >= vt_frames_depth(scopes))
		return;
	for (i = vt_frames_known(vt_frames_depth(scopes)); i-- > left;)
		if (vt_frame_may_be_late(&scopes->frames[i], now_ns))
			frame_late(heartbeat, &scopes->frames[i], now_ns);
	/* First: who no longer sees the scope sees that its end was a beat. */
	beat(hot, now_ns);
	vt_frames_leave(scopes, left);
}

void vitals_heartbeat_leave(vitals_heartbeat *heartbeat, int depth)
{
	if (heartbeat && depth > 0)
		vt_heartbeat_leave_at(heartbeat, depth, vt_clock_now());
}
