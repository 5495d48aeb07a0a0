/* SPDX-License-Identifier: MIT */

/*
 * Wheel
 *
 * When to look at which heartbeat: as often as its own deadline needs, and no more. Levels of 64
 * buckets, a level's bucket eight times as long as those of the level below: a heartbeat lies where
 * its time is at least some seven buckets away, and comes up when its bucket begins, too early by no
 * more than an eighth. It is looked at then and put in again, so no time need be kept for it. Time is
 * time that the process ran, so a pause brings nothing up. Only whoever judges touches it.
 */

#ifndef VT_WHEEL_H
#define VT_WHEEL_H

#include "heartbeat.h"

#define VT_WHEEL_LEVELS 13
#define VT_WHEEL_BUCKETS 64

struct vt_wheel {
	uint64_t at; /* in units of 2^16 ns */
	uint64_t filled[VT_WHEEL_LEVELS];
	/* Index + 1 of the first in each; the last one holds what has come up. */
	uint32_t buckets[VT_WHEEL_LEVELS * VT_WHEEL_BUCKETS + 1];
	bool last; /* what has come up is of the present, not the past */
};

/* Empties it; its time is @ns. For when nobody's links mean anything any more. */
void vt_wheel_begin(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns);

/* It is looked at in the first turn from @ns on; wherever it was before, it is not there now. */
void vt_wheel_put(vitals_registry *registry, struct vt_wheel *wheel, uint32_t index,
		  uint64_t ns);
void vt_wheel_remove(vitals_registry *registry, struct vt_wheel *wheel, uint32_t index);

/*
 * The next that has come up by @ns, taken out: to be looked at, and put in again. In one turn a
 * heartbeat put in again for @ns or before does not come up again: it does in the next, which begins
 * with the first call after one that answered false. Return: false if there are no more.
 */
bool vt_wheel_next(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns,
		   uint32_t *ret_index);

/* What taking out what comes up by @ns will need, and what putting something in for then. */
void vt_wheel_prefetch(const vitals_registry *registry, const struct vt_wheel *wheel,
		       uint64_t ns);
void vt_wheel_prefetch_put(const vitals_registry *registry, const struct vt_wheel *wheel,
			   uint64_t ns);

#endif
