/* SPDX-License-Identifier: MIT */

/*
 * Look
 *
 * The monitor's look at one heartbeat: judges it, remembers what it saw, counts it by state, tells
 * of a change, and says when to look again. All of it in a turn.
 */

#ifndef VT_LOOK_H
#define VT_LOOK_H

#include "past.h"
#include "registry.h"
#include "verdict.h"
#include "wheel.h"
#include "worst.h"

/* What the looks so far have gathered; guarded by judge. */
struct vt_looks {
	struct vt_wheel wheel;
	uint64_t
		ran_ns; /* how long the process has run, as far as it counts: the wheel's time */
	struct vt_past past;
	uint32_t critical[VT_STATES];
	uint32_t informative[VT_STATES];
	uint32_t living;
	uint64_t shortest_ns;       /* timeout: none that is watched has less */
	uint64_t round_shortest_ns; /* of those looked at since the round began */
	bool changed;               /* since somebody cleared it */
	struct vt_suspects *suspects;
	struct vt_worst_list worst;
};

/* The watch begins, for the first time or again: everybody is looked at in the next turn. */
void vt_looks_begin(vitals_registry *registry, struct vt_looks *looks,
		    const struct vt_tick *tick);

/*
 * Return: when to look again, in the wheel's time, for vt_look_put(); 0: not at all. A look in passing
 * answers UINT64_MAX where the next one comes when it would have come anyway.
 */
uint64_t vt_look_at(vitals_registry *registry, uint32_t index, const struct vt_tick *tick,
		    struct vt_looks *looks, bool in_passing);
void vt_look_put(vitals_registry *registry, uint32_t index, uint64_t again_ns,
		 struct vt_looks *looks);

/* What a look will need, while something else goes on. */
void vt_look_prefetch(const vitals_registry *registry, uint32_t index);

/* A round over all has ended: what is gathered of those that are gone since goes too. */
void vt_looks_round(struct vt_looks *looks);

#endif
