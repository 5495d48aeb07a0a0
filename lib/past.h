/* SPDX-License-Identifier: MIT */

/*
 * Past
 *
 * When the last ticks were, and the last pauses: so a touch, which carries the time of a tick, is
 * dated to the end of that tick however late the next one was, and a beat that nobody has looked at
 * yet is credited exactly the pauses that came after it. What is older than the rings is dated too
 * late rather than too early, and credited too much rather than too little.
 */

#ifndef VT_PAST_H
#define VT_PAST_H

#include "verdict.h"

#define VT_PAST_TICKS 8192u /* eight seconds of the shortest ticks */
#define VT_PAST_PAUSES 64u

struct vt_past {
	uint64_t n_ticks;
	uint64_t n_pauses;
	uint64_t paused_ns; /* the paused total before the oldest pause in the ring */
	struct vt_past_pause {
		uint64_t from_ns;
		uint64_t end_ns;
		uint64_t paused_ns; /* the total when it was over */
	} pauses[VT_PAST_PAUSES];
	uint64_t ticks[VT_PAST_TICKS];
};

/* Nothing that was before counts. */
void vt_past_begin(struct vt_past *past, const struct vt_tick *tick);

/* A tick line that is going to be published; @paused: after a pause. */
void vt_past_add(struct vt_past *past, const struct vt_tick *tick, bool paused);

/* The tick after the one at @beat_ns; of one that is too old, the latest that it can have been. */
uint64_t vt_past_after(const struct vt_past *past, const struct vt_tick *tick,
		       uint64_t beat_ns);

/* The paused total as it was at @ns. */
uint64_t vt_past_paused(const struct vt_past *past, uint64_t ns);

#endif
