/* SPDX-License-Identifier: MIT */

/*
 * Sweep
 *
 * The monitor's round over all heartbeats, some in each turn, whatever their deadlines are. So
 * nobody's last look is longer ago than two rounds, which is what the tick line says of older
 * beats, and what only a walk over all can tell is known.
 */

#ifndef VT_SWEEP_H
#define VT_SWEEP_H

#include "look.h"
#include "sums.h"

struct vt_sweep {
	uint32_t at; /* the next to be looked at */
	/* This round, and the one before: */
	uint64_t gap_ns; /* the longest from tick to tick */
	uint64_t gap_before_ns;
	uint64_t paused_ns; /* the paused total at its beginning */
	uint64_t paused_before_ns;
	struct vt_sums sums;
};

/* Nothing that was before counts. */
void vt_sweep_begin(struct vt_sweep *sweep, const struct vt_tick *tick);

/* In a turn, before the tick line is published: the ticks are @gap_ns apart, without the pause. */
void vt_sweep_tick(struct vt_sweep *sweep, struct vt_tick *tick, uint64_t gap_ns);

/* In a turn: goes on with the round. @ran_ns: what the process ran since the turn before. */
void vt_sweep_go_on(vitals_registry *registry, struct vt_sweep *sweep,
		    const struct vt_tick *tick, uint64_t ran_ns, struct vt_looks *looks);

#endif
