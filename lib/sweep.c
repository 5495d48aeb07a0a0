/* SPDX-License-Identifier: MIT */

#include "sweep.h"

/*
 * So many a second, and at least so many a turn: a few are looked at in every turn, four thousand
 * within a fifth of a second, and a hundred thousand, of whom each costs more, in sixteen.
 */
#define PER_S 25000u
#define LEAST 16u
#define MANY 4096u
#define PER_S_OF_MANY 6250u
#define LEAST_OF_MANY 8u
#define MOST 4096u
/* So far ahead it says what it will need. */
#define AHEAD 8u

void vt_sweep_begin(struct vt_sweep *sweep, const struct vt_tick *tick)
{
	/* But for the round's place: whom it has come by is in the sums already. */
	sweep->gap_ns = 0;
	sweep->gap_before_ns = 0;
	sweep->paused_ns = tick->paused_ns;
	sweep->paused_before_ns = tick->paused_ns;
}

void vt_sweep_tick(struct vt_sweep *sweep, struct vt_tick *tick, uint64_t gap_ns)
{
	if (gap_ns > sweep->gap_ns)
		sweep->gap_ns = gap_ns;
	tick->gap_ns = sweep->gap_ns > sweep->gap_before_ns ? sweep->gap_ns
							    : sweep->gap_before_ns;
	tick->swept_paused_ns = sweep->paused_before_ns;
}

static void round_begin(struct vt_sweep *sweep, const struct vt_tick *tick)
{
	sweep->paused_ns = tick->paused_ns;
	vt_sums_begin(&sweep->sums);
}

static void round_end(vitals_registry *registry, struct vt_sweep *sweep,
		      struct vt_looks *looks)
{
	sweep->at = 0;
	sweep->gap_before_ns = sweep->gap_ns;
	sweep->gap_ns = 0;
	sweep->paused_before_ns = sweep->paused_ns;
	vt_looks_round(looks);
	vt_sums_end(registry, &sweep->sums);
}

void vt_sweep_go_on(vitals_registry *registry, struct vt_sweep *sweep,
		    const struct vt_tick *tick, uint64_t ran_ns, struct vt_looks *looks)
{
	uint32_t used = vt_view_used(&registry->view, VT_KIND_HOT);
	uint64_t n = ran_ns / (VITALS_S(1) / (used > MANY ? PER_S_OF_MANY : PER_S));
	uint32_t least = used > MANY ? LEAST_OF_MANY : LEAST;

	n = n < least ? least : n;
	if (n > MOST)
		n = MOST;
	if (!sweep->at)
		round_begin(sweep, tick);
	for (; n && sweep->at < used; n--, sweep->at++) {
		if (sweep->at + AHEAD < used)
			vt_look_prefetch(registry, sweep->at + AHEAD);
		vt_look_put(registry, sweep->at,
			    vt_look_at(registry, sweep->at, tick, looks, true), looks);
		if (sweep->sums.n_many)
			vt_sums_visit(registry, &sweep->sums, sweep->at);
	}
	if (sweep->at >= used)
		round_end(registry, sweep, looks);
}
