/* SPDX-License-Identifier: MIT */

#include "monitor.h"

#include "abort.h"
#include "beacon.h"
#include "changes.h"
#include "clock.h"
#include "inbox.h"
#include "log.h"
#include "systemd.h"

#include <errno.h>
#include <string.h>

#define TICK_MIN_NS VT_TICK_MIN_NS
#define TICK_MAX_NS VT_TICK_MAX_NS
#define TICKS VT_TICKS

/*
 * Late again and again, the monitor counts of each gap so small a part at least: so silence is told
 * after so many times its timeout, whatever happens. Larger than one in ten, for a process that runs
 * a hundredth of the time (stopped for 1 s, running for 10 ms) is not silent for that.
 */
#define STARVED_PART 128u

/*
 * A turn of the thread's reads the clock every so many looks. They are the monitor's own work, which
 * keeps it but no one else; where they took longer than this each, the process did not run.
 */
#define LOOKS 64u
#define LOOK_NS 10000u
#define BATCH 16u

static void monitor_ended(vitals_registry *registry)
{
	vt_suspects_end(registry, &registry->monitor->suspects, true);
}

static const struct vt_hooks monitor_hooks = { .ended = monitor_ended };

int vt_monitor_make(vitals_registry *registry)
{
	int r = vt_changes_make(registry);

	if (r < 0 || registry->monitor)
		return r;
	registry->monitor = vt_registry_room(registry, sizeof(struct vt_monitor));
	if (!registry->monitor)
		return -ENOMEM;
	registry->monitor->looks.shortest_ns = UINT64_MAX;
	registry->monitor->looks.round_shortest_ns = UINT64_MAX;
	registry->monitor->looks.suspects = &registry->monitor->suspects;
	vt_registry_hook(registry, &monitor_hooks);
	return 0;
}

void vt_monitor_work(vitals_registry *registry, const struct vt_monitor_work *work)
{
	/* Release: whoever does it finds what it goes by; pairs with the turn and its wait. */
	atomic_store_explicit(&registry->monitor->work, work, memory_order_release);
	/* The monitor may have descriptors to poll now. */
	vt_registry_wake(registry);
}

/*
 * A turn this late: nobody else ran either, as far as anybody can tell, so none of the time since
 * the last counts, and everybody has a tick to beat before a new verdict falls. But one that is
 * late again and again has a machine that cannot keep up with its tick: then a tick a turn counts,
 * or silence would be spared for ever.
 */
static uint64_t tick_pause(struct vt_monitor *monitor, uint64_t now_ns, uint64_t late_ns)
{
	struct vt_tick *tick = &monitor->tick;
	bool starved = monitor->late_turns >= TICKS;
	uint64_t counts = 0;

	if (starved)
		counts = late_ns / STARVED_PART > tick->tick_ns ? late_ns / STARVED_PART
								: tick->tick_ns;
	monitor->late_turns += !starved;
	tick->pause_ns = late_ns - counts;
	tick->pause_from_ns = now_ns - tick->pause_ns;
	tick->paused_ns += tick->pause_ns;
	tick->pauses++;
	if (!starved)
		tick->grace_ns = now_ns + tick->tick_ns;
	return tick->pause_ns;
}

/* The tick line of this turn. Return: how long the process did not run, 0: it did. */
static uint64_t tick_advance(struct vt_monitor *monitor, uint64_t now_ns,
			     uint64_t real_ns)
{
	struct vt_tick *tick = &monitor->tick;
	uint64_t since, late, paused = 0;

	if (!tick->started_ns) {
		tick->started_ns = now_ns;
		tick->tick_ns = TICK_MAX_NS;
		tick->at_ns = now_ns;
	}
	since = now_ns - tick->at_ns;
	/* Its own work keeps the monitor, not the service. */
	late = since > monitor->busy_ns ? since - monitor->busy_ns : 0;
	tick->lag_ns = late > tick->tick_ns ? late - tick->tick_ns : 0;
	if (tick->lag_ns > tick->lag_max_ns)
		tick->lag_max_ns = tick->lag_ns;
	if (late > 2 * tick->tick_ns)
		paused = tick_pause(monitor, now_ns, late);
	else if (since >= tick->tick_ns / 2)
		/* One that was woken early, or had looks left, says nothing of the machine. */
		monitor->late_turns = 0;
	monitor->looks.ran_ns += since - paused;
	vt_sweep_tick(&monitor->sweep, tick, since - paused);
	tick->before_ns = VT_BEAT_NS(tick->at_ns);
	tick->at_ns = now_ns;
	vt_past_add(&monitor->looks.past, tick, paused);
	tick->real_ns = real_ns;
	tick->turns++;
	return paused;
}

static uint64_t tick_length(uint64_t shortest_ns)
{
	uint64_t tick_ns = shortest_ns / TICKS;

	tick_ns = tick_ns < TICK_MIN_NS ? TICK_MIN_NS : tick_ns;
	return tick_ns > TICK_MAX_NS ? TICK_MAX_NS : tick_ns;
}

/* A turn, as it goes on. */
struct turn {
	vitals_registry *registry;
	struct vt_monitor *monitor;
	uint64_t
		until_ns; /* no more looks then; 0: as many as it takes, in a time that stands still */
	uint64_t clock_ns; /* read last */
	uint64_t busy_ns;
	uint64_t spent_ns; /* on what threads do, of what busy_ns has */
	uint32_t looks;
};

/* What was spent on what threads do since this was asked last. */
static uint64_t turn_spent(struct turn *turn)
{
	uint64_t spent_ns = turn->monitor->suspects.spent_ns - turn->spent_ns;

	turn->spent_ns += spent_ns;
	return spent_ns;
}

/* Return: whether there is time for more. */
static bool turn_looked(struct turn *turn)
{
	uint64_t now_ns, spent_ns;

	if (++turn->looks % LOOKS || !turn->until_ns)
		return true;
	now_ns = vt_clock_now();
	spent_ns = turn_spent(turn);
	if (now_ns - turn->clock_ns < (uint64_t)LOOKS * LOOK_NS + spent_ns)
		turn->busy_ns += now_ns - turn->clock_ns;
	else
		turn->busy_ns += spent_ns;
	turn->clock_ns = now_ns;
	return now_ns < turn->until_ns;
}

static bool look_posted(void *user, uint32_t index)
{
	struct turn *turn = user;
	struct vt_looks *looks = &turn->monitor->looks;

	vt_look_put(turn->registry, index,
		    vt_look_at(turn->registry, index, &turn->monitor->tick, looks, false),
		    looks);
	return turn_looked(turn);
}

/*
 * Those that have come up, so many at a time that what one waits for from memory is on its way while
 * others are looked at. Return: whether there may be more; @ret_on: and time for them.
 */
static bool look_at_batch(struct turn *turn, bool *ret_on)
{
	vitals_registry *registry = turn->registry;
	struct vt_looks *looks = &turn->monitor->looks;
	uint32_t index[BATCH], i, n = 0;
	uint64_t again_ns[BATCH];

	while (n < BATCH &&
	       vt_wheel_next(registry, &looks->wheel, looks->ran_ns, &index[n]))
		vt_look_prefetch(registry, index[n++]);
	for (i = 0; i < n; i++) {
		again_ns[i] = vt_look_at(registry, index[i], &turn->monitor->tick, looks,
					 false);
		vt_wheel_prefetch_put(registry, &looks->wheel, again_ns[i]);
		*ret_on &= turn_looked(turn);
	}
	for (i = 0; i < n; i++)
		vt_look_put(registry, index[i], again_ns[i], looks);
	return n == BATCH;
}

/* A first sum is a walk over all: the monitor's own work, too. */
static void turn_summed(struct turn *turn)
{
	uint64_t used = vt_view_used(&turn->registry->view, VT_KIND_HOT), now_ns;

	if (!turn->until_ns)
		return;
	now_ns = vt_clock_now();
	if (now_ns - turn->clock_ns < (used + LOOKS) * LOOK_NS)
		turn->busy_ns += now_ns - turn->clock_ns;
	turn->clock_ns = now_ns;
}

static void groups_consider(struct turn *turn)
{
	vitals_registry *registry = turn->registry;
	struct vt_monitor *monitor = turn->monitor;
	uint32_t i;

	if (!monitor->looks.changed || monitor->looks.living <= VT_SUMS_MANY)
		return;
	for (i = 0; i < vt_view_used(&registry->view, VT_KIND_GROUP); i++)
		if (vt_sums_consider(registry, &monitor->sweep.sums, i))
			turn_summed(turn);
}

/* Return: whether there is more to look at. */
static bool look_at_due(struct turn *turn, uint64_t ran_ns)
{
	vitals_registry *registry = turn->registry;
	struct vt_monitor *monitor = turn->monitor;
	struct vt_looks *looks = &monitor->looks;
	bool on = true, more = true;

	/*
	 * Sequentially consistent, before the first slot is looked at: a slot that is given back
	 * from now on is not taken again before the turn is over, see vt_slot_free().
	 */
	atomic_fetch_add_explicit(&registry->turns, 1, memory_order_seq_cst);
	vt_wheel_prefetch(registry, &looks->wheel, looks->ran_ns);
	vt_sweep_go_on(registry, &monitor->sweep, &monitor->tick, ran_ns, looks);
	while (on && more)
		more = look_at_batch(turn, &on);
	if (!vt_inbox_drain(registry, look_posted, turn))
		more = true;
	groups_consider(turn);
	/*
	 * From the next turn on, and readers know how far apart turns are. Before the turn is over,
	 * for whoever registers until then wakes the monitor: it may have missed him.
	 */
	if (monitor->tick.tick_ns != tick_length(looks->shortest_ns)) {
		monitor->tick.tick_ns = tick_length(looks->shortest_ns);
		vt_tick_store(&registry->root->tick, &monitor->tick);
	}
	/* Release: whoever takes a slot again does so after all that. */
	atomic_fetch_add_explicit(&registry->turns, 1, memory_order_release);
	return more;
}

static void summary_store(struct vt_summary *summary, const struct vt_looks *looks)
{
	uint64_t sequence =
		atomic_load_explicit(&summary->sequence, memory_order_relaxed);
	unsigned i;

	/* Release, all: see layout.h; partner of the snapshot's copy. */
	atomic_store_explicit(&summary->sequence, sequence + 1, memory_order_release);
	for (i = 0; i < VT_STATES; i++) {
		atomic_store_explicit(&summary->critical[i], looks->critical[i],
				      memory_order_release);
		atomic_store_explicit(&summary->informative[i], looks->informative[i],
				      memory_order_release);
	}
	atomic_store_explicit(&summary->n_worst, looks->worst.n, memory_order_release);
	for (i = 0; i < looks->worst.n; i++) {
		atomic_store_explicit(&summary->worst[i].index,
				      looks->worst.entries[i].index,
				      memory_order_release);
		atomic_store_explicit(&summary->worst[i].gen, looks->worst.entries[i].gen,
				      memory_order_release);
	}
	atomic_store_explicit(&summary->sequence, sequence + 2, memory_order_release);
}

/* /startupz turns 200 the first time all are ready, and stays so. */
static void started_up_latch(vitals_registry *registry, const struct vt_looks *looks)
{
	struct vt_standing standing = { 0 };

	if (atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	    VT_ROOT_STARTED_UP)
		return;
	vt_standing_of(&registry->view, &standing);
	memcpy(standing.critical, looks->critical, sizeof(standing.critical));
	if (vt_standing_ready(&standing))
		/* Relaxed: a flag of its own. */
		atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_STARTED_UP,
					 memory_order_relaxed);
}

static void turn_locked(vitals_registry *registry, struct turn *turn, uint64_t now_ns,
			uint64_t *ret_next_ns) VT_REQUIRES(registry->judge)
{
	struct vt_monitor *monitor = turn->monitor;
	struct vt_looks *looks = &monitor->looks;
	const struct vt_monitor_work *work;
	uint64_t paused_ns, ran_ns = looks->ran_ns, wish_ns = UINT64_MAX, late_ns;
	bool more;

	turn->spent_ns = monitor->suspects.spent_ns;
	vt_suspects_turn(&monitor->suspects, turn->until_ns);
	paused_ns = tick_advance(monitor, now_ns, vt_clock_real());
	vt_tick_store(&registry->root->tick, &monitor->tick);
	if (paused_ns)
		vt_changes_note_pause(registry, &monitor->tick, paused_ns);
	more = look_at_due(turn, looks->ran_ns - ran_ns);
	vt_suspects_settle(registry, &monitor->suspects);
	if (looks->changed)
		summary_store(&registry->root->summary, looks);
	looks->changed = false;
	started_up_latch(registry, looks);
	/* Acquire, as in watch.c: pairs with vt_monitor_work(). */
	work = atomic_load_explicit(&monitor->work, memory_order_acquire);
	if (work) {
		late_ns = work->late(registry, now_ns);
		wish_ns = work->turn(registry, now_ns);
		wish_ns = late_ns < wish_ns ? late_ns : wish_ns;
	}
	*ret_next_ns = more ? now_ns : now_ns + monitor->tick.tick_ns;
	if (wish_ns < *ret_next_ns)
		*ret_next_ns = wish_ns;
	monitor->wish_ns = wish_ns;
	monitor->busy_ns = turn->busy_ns + (turn->until_ns ? turn_spent(turn) : 0);
}

/* Behind the turn and its lock: what the stages have come to is told at once. */
static void messages_see_to(vitals_registry *registry, uint64_t now_ns,
			    uint64_t *ret_next_ns)
{
	const uint64_t wishes_ns[] = {
		vt_systemd_look_at(registry, now_ns),
		vt_log_look_at(registry, now_ns),
		vt_beacon_look_at(registry, now_ns),
	};
	/* Last: it may be the end. */
	uint64_t abort_ns = vt_abort_turn_at(registry, now_ns);
	unsigned i;

	if (abort_ns < *ret_next_ns)
		*ret_next_ns = abort_ns;
	for (i = 0; i < sizeof(wishes_ns) / sizeof(wishes_ns[0]); i++)
		if (wishes_ns[i] < *ret_next_ns)
			*ret_next_ns = wishes_ns[i];
}

int vt_monitor_turn_at(vitals_registry *registry, uint64_t now_ns, uint64_t *ret_next_ns)
{
	struct turn turn = { .registry = registry, .monitor = registry->monitor };
	int r = 0;

	if (!vt_trylock(&registry->judge))
		return -EBUSY;
	/* Started meanwhile, it goes by the clock; before that, the start sets this one right. */
	if (atomic_load_explicit(&registry->run, memory_order_acquire) == VT_RUN_RUNNING)
		r = -EBUSY;
	else if (now_ns < registry->monitor->tick.at_ns)
		r = -EINVAL;
	else
		turn_locked(registry, &turn, now_ns, ret_next_ns);
	vt_unlock(&registry->judge);
	if (r == 0)
		messages_see_to(registry, now_ns, ret_next_ns);
	return r;
}

int vt_monitor_turn_now(vitals_registry *registry, uint64_t *ret_next_ns)
{
	struct turn turn = { .registry = registry, .monitor = registry->monitor };

	if (!vt_trylock(&registry->judge))
		return -EBUSY;
	turn.clock_ns = vt_clock_now();
	/* Half a tick, so that the next comes in time. */
	turn.until_ns = turn.clock_ns + turn.monitor->tick.tick_ns / 2;
	/* And so that what main has asked for does, too. */
	if (turn.monitor->wish_ns > turn.clock_ns &&
	    turn.monitor->wish_ns < turn.until_ns)
		turn.until_ns = turn.monitor->wish_ns;
	turn_locked(registry, &turn, turn.clock_ns, ret_next_ns);
	vt_unlock(&registry->judge);
	messages_see_to(registry, vt_clock_now(), ret_next_ns);
	return 0;
}
