/* SPDX-License-Identifier: MIT */

/*
 * Doubt
 *
 * What a verdict asks of the thread behind the heartbeat: nothing while it beats in time, a look now and
 * then when half of its time is gone, and what it is doing when all of it is.
 */

#ifndef VT_DOUBT_H
#define VT_DOUBT_H

#include "suspects.h"

/* A heartbeat with an owner, as it was just judged. */
struct vt_doubt {
	uint32_t index;
	uint32_t gen;
	struct vt_cold *cold;
	const struct vt_verdict *verdict;
	uint32_t was;   /* the state before */
	uint64_t since; /* the sign of life, or the scope, that its silence began with */
};

/*
 * Before the change is noted, so that who reads of it finds the evidence. Return: when to ask again,
 * from now; UINT64_MAX: any time.
 */
uint64_t vt_doubt_settle(vitals_registry *registry, struct vt_suspects *suspects,
			 const struct vt_doubt *doubt, const struct vt_tick *tick);

#endif
