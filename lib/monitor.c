/* SPDX-License-Identifier: MIT */

#include "monitor.h"

#include "changes.h"
#include "clock.h"
#include "frames.h"

#include <errno.h>
#include <string.h>

#define TICK_MIN_NS VT_TICK_MIN_NS
#define TICK_MAX_NS VT_TICK_MAX_NS
#define TICKS VT_TICKS

/* What a turn gathers. */
struct gathered {
	uint32_t critical[VT_STATES];
	uint32_t informative[VT_STATES];
	uint64_t shortest_ns;
	unsigned n_worst;
	struct worst {
		uint64_t rank;
		uint32_t index;
		uint32_t gen;
	} worst[VT_WORST];
};

int vt_monitor_make(vitals_registry *registry)
{
	int r = vt_changes_make(registry);

	if (r == 0 && !registry->monitor)
		registry->monitor = vt_registry_room(registry, sizeof(struct vt_monitor));
	return registry->monitor ? r : -ENOMEM;
}

int vt_monitor_work(vitals_registry *registry, const struct vt_monitor_work *work)
{
	int r;

	vt_lock(&registry->judge);
	vt_lock(&registry->lock);
	r = vt_monitor_make(registry);
	vt_unlock(&registry->lock);
	if (r == 0)
		registry->monitor->work = work;
	vt_unlock(&registry->judge);
	/* The monitor may have descriptors to poll now. */
	vt_registry_wake(registry);
	return r;
}

/*
 * A turn this late: nobody else ran either, as far as anybody can tell, so none of the time since
 * the last counts, and everybody has a tick to beat before a new verdict falls. But one that is
 * late again and again has a machine that cannot keep up with its tick: then a tick a turn counts,
 * or silence would be spared for ever.
 */
static uint64_t tick_pause(struct vt_monitor *monitor, uint64_t now_ns, uint64_t since)
{
	struct vt_tick *tick = &monitor->tick;
	bool starved = monitor->late_turns >= TICKS;
	uint64_t counts = starved ? tick->tick_ns : 0;

	monitor->late_turns += !starved;
	tick->pause_from_ns = tick->at_ns + counts;
	tick->pause_ns = since - counts;
	tick->paused_ns += since - counts;
	tick->pauses++;
	if (!starved)
		tick->grace_ns = now_ns + tick->tick_ns;
	return since - counts;
}

/* The tick line of this turn. Return: how long the process did not run, 0: it did. */
static uint64_t tick_advance(struct vt_monitor *monitor, uint64_t now_ns,
			     uint64_t real_ns)
{
	struct vt_tick *tick = &monitor->tick;
	uint64_t since, paused = 0;

	if (!tick->started_ns) {
		tick->started_ns = now_ns;
		tick->tick_ns = TICK_MAX_NS;
		tick->at_ns = now_ns;
	}
	since = now_ns - tick->at_ns;
	tick->lag_ns = since > tick->tick_ns ? since - tick->tick_ns : 0;
	if (tick->lag_ns > tick->lag_max_ns)
		tick->lag_max_ns = tick->lag_ns;
	if (since > 2 * tick->tick_ns)
		paused = tick_pause(monitor, now_ns, since);
	else
		monitor->late_turns = 0;
	tick->before_ns = VT_BEAT_NS(tick->at_ns);
	tick->at_ns = now_ns;
	tick->real_ns = real_ns;
	tick->turns++;
	return paused;
}

/* How bad, then how long: what the list of the worst is ordered by. 0: not bad. */
static uint64_t rank_of(const struct vt_verdict *verdict)
{
	static const uint64_t ranks[VT_STATES] = { [VITALS_STARTING] = 1,
						   [VITALS_SILENT] = 2,
						   [VITALS_STUCK] = 3,
						   [VITALS_DEAD] = 4 };

	return ranks[verdict->state]
		       ? ranks[verdict->state] << 60 | (verdict->silence_ns >> 4)
		       : 0;
}

/* Keeps the list sorted, worst first, and at most VT_WORST long. */
static void worst_insert(struct gathered *g, uint64_t rank, uint32_t index, uint32_t gen)
{
	unsigned at = g->n_worst;

	if (!rank || (at == VT_WORST && g->worst[at - 1].rank >= rank))
		return;
	if (at == VT_WORST)
		at--;
	else
		g->n_worst++;
	for (; at > 0 && g->worst[at - 1].rank < rank; at--)
		g->worst[at] = g->worst[at - 1];
	g->worst[at] = (struct worst){ rank, index, gen };
}

static bool quiet(uint32_t state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

/* What the monitor remembers of a heartbeat, for itself and for readers. */
static void cold_remember(vitals_registry *registry, struct vt_cold *cold,
			  const struct vt_sign *sign, const struct vt_verdict *verdict,
			  const struct vt_tick *tick)
{
	uint32_t sequence = atomic_load_explicit(&cold->sequence, memory_order_relaxed);
	struct vt_group_slot *group;

	if (verdict->state == sign->state && verdict->beat_ns == sign->seen)
		return;
	/* Release, all: see layout.h; partner of vt_sign_load(). */
	atomic_store_explicit(&cold->sequence, sequence + 1, memory_order_release);
	atomic_store_explicit(&cold->seen, verdict->beat_ns, memory_order_release);
	atomic_store_explicit(&cold->seen_paused_ns, verdict->paused_ns,
			      memory_order_release);
	atomic_store_explicit(&cold->state, verdict->state, memory_order_release);
	if (quiet(verdict->state) && !quiet(sign->state)) {
		group = vt_slot(registry, VT_KIND_GROUP,
				atomic_load_explicit(&cold->group, memory_order_relaxed));
		atomic_fetch_add_explicit(&group->stalls, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&cold->stalls, 1, memory_order_release);
	}
	if (quiet(sign->state) && !quiet(verdict->state))
		atomic_fetch_add_explicit(&cold->stalled_ns,
					  tick->at_ns - cold->changed_ns,
					  memory_order_release);
	atomic_store_explicit(&cold->sequence, sequence + 2, memory_order_release);
}

static void look_at(vitals_registry *registry, uint32_t index, const struct vt_tick *tick,
		    struct gathered *g)
{
	struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, index);
	struct vt_cold *cold = vt_slot(registry, VT_KIND_COLD, index);
	/* Sequentially consistent with vt_slot_close(): see vt_slot_free(). */
	uint32_t gen = atomic_load_explicit(&hot->gen, memory_order_seq_cst);
	struct vt_verdict verdict;
	uint64_t shortest_ns;
	struct vt_sign sign;

	if (!(gen & 1u))
		return;
	vt_frames_load(&registry->view, cold, tick, &sign.framed);
	vt_sign_load(hot, cold, &sign);
	if (sign.flags & VT_HB_CLOSED)
		return;
	verdict = vt_judge(&sign, tick, tick->at_ns);
	cold_remember(registry, cold, &sign, &verdict, tick);
	vt_changes_note(registry, index, gen, &verdict, tick);
	if (sign.flags & VITALS_INFORMATIVE)
		g->informative[verdict.state]++;
	else
		g->critical[verdict.state]++;
	if (sign.timeout_ns < g->shortest_ns)
		g->shortest_ns = sign.timeout_ns;
	shortest_ns = vt_frames_shortest(&registry->view, cold);
	if (shortest_ns < g->shortest_ns)
		g->shortest_ns = shortest_ns;
	worst_insert(g, rank_of(&verdict), index, gen);
}

static uint64_t tick_length(uint64_t shortest_ns)
{
	uint64_t tick_ns = shortest_ns / TICKS;

	tick_ns = tick_ns < TICK_MIN_NS ? TICK_MIN_NS : tick_ns;
	return tick_ns > TICK_MAX_NS ? TICK_MAX_NS : tick_ns;
}

static void look_at_all(vitals_registry *registry, struct vt_tick *tick,
			struct gathered *g)
{
	uint32_t i, n;

	/*
	 * Sequentially consistent, before the first slot is looked at: a slot that is given back
	 * from now on is not taken again before the turn is over, see vt_slot_free().
	 */
	atomic_fetch_add_explicit(&registry->turns, 1, memory_order_seq_cst);
	n = vt_view_used(&registry->view, VT_KIND_HOT);
	for (i = 0; i < n; i++)
		look_at(registry, i, tick, g);
	/*
	 * From the next turn on, and readers know how far apart turns are. Before the turn is over,
	 * for whoever registers until then wakes the monitor: it may have missed him.
	 */
	if (tick->tick_ns != tick_length(g->shortest_ns)) {
		tick->tick_ns = tick_length(g->shortest_ns);
		vt_tick_store(&registry->root->tick, tick);
	}
	/* Release: whoever takes a slot again does so after all that. */
	atomic_fetch_add_explicit(&registry->turns, 1, memory_order_release);
}

static void summary_store(struct vt_summary *summary, const struct gathered *g)
{
	uint64_t sequence =
		atomic_load_explicit(&summary->sequence, memory_order_relaxed);
	unsigned i;

	/* Release, all: see layout.h; partner of the snapshot's copy. */
	atomic_store_explicit(&summary->sequence, sequence + 1, memory_order_release);
	for (i = 0; i < VT_STATES; i++) {
		atomic_store_explicit(&summary->critical[i], g->critical[i],
				      memory_order_release);
		atomic_store_explicit(&summary->informative[i], g->informative[i],
				      memory_order_release);
	}
	atomic_store_explicit(&summary->n_worst, g->n_worst, memory_order_release);
	for (i = 0; i < g->n_worst; i++) {
		atomic_store_explicit(&summary->worst[i].index, g->worst[i].index,
				      memory_order_release);
		atomic_store_explicit(&summary->worst[i].gen, g->worst[i].gen,
				      memory_order_release);
	}
	atomic_store_explicit(&summary->sequence, sequence + 2, memory_order_release);
}

/* /startupz turns 200 the first time all are ready, and stays so. */
static void started_up_latch(vitals_registry *registry, const struct gathered *g)
{
	struct vt_standing standing = { 0 };

	vt_standing_of(&registry->view, &standing);
	memcpy(standing.critical, g->critical, sizeof(standing.critical));
	if (vt_standing_ready(&standing))
		/* Relaxed: a flag of its own. */
		atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_STARTED_UP,
					 memory_order_relaxed);
}

static void turn_locked(vitals_registry *registry, uint64_t now_ns, uint64_t *ret_next_ns)
	VT_REQUIRES(registry->judge)
{
	struct vt_monitor *monitor = registry->monitor;
	struct vt_tick *tick = &monitor->tick;
	struct gathered g = { .shortest_ns = UINT64_MAX };
	uint64_t paused_ns, wish_ns = UINT64_MAX;

	paused_ns = tick_advance(monitor, now_ns, vt_clock_real());
	vt_tick_store(&registry->root->tick, tick);
	if (paused_ns)
		vt_changes_note_pause(registry, tick, paused_ns);
	look_at_all(registry, tick, &g);
	summary_store(&registry->root->summary, &g);
	started_up_latch(registry, &g);
	if (monitor->work)
		wish_ns = monitor->work->turn(registry, now_ns);
	*ret_next_ns = now_ns + tick->tick_ns;
	if (wish_ns < *ret_next_ns)
		*ret_next_ns = wish_ns;
}

int vt_monitor_turn_at(vitals_registry *registry, uint64_t now_ns, uint64_t *ret_next_ns)
{
	int r = 0;

	if (!vt_trylock(&registry->judge))
		return -EBUSY;
	if (now_ns < registry->monitor->tick.at_ns)
		r = -EINVAL;
	else
		turn_locked(registry, now_ns, ret_next_ns);
	vt_unlock(&registry->judge);
	return r;
}
