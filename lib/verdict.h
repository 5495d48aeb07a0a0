/* SPDX-License-Identifier: MIT */

/*
 * Verdict
 *
 * How a heartbeat fares, as one function of its slot, the tick line and the time: the monitor, the
 * snapshot and readers outside use this one and no other.
 */

#ifndef VT_VERDICT_H
#define VT_VERDICT_H

#include "layout.h"

#include <stdbool.h>
#include <stdint.h>

/* A copy of the tick line, consistent in itself. */
struct vt_tick {
	uint64_t at_ns;
	uint64_t real_ns;
	uint64_t tick_ns;
	uint64_t before_ns;
	uint64_t started_ns;
	uint64_t started_paused_ns;
	uint64_t paused_ns;
	uint64_t pause_from_ns;
	uint64_t pause_ns;
	uint64_t grace_ns;
	uint64_t pauses;
	uint64_t turns;
	uint64_t lag_ns;
	uint64_t lag_max_ns;
	uint64_t flags;
	uint64_t gap_ns;
	uint64_t swept_paused_ns;
};

/* A copy of the scope that a thread is judged by. */
struct vt_framed {
	uint32_t depth; /* of all it is in; 0: none, and the rest is not filled in */
	uint32_t reserved;
	uint64_t entered_ns;
	uint64_t paused_ns; /* as in its frame */
	uint64_t budget_ns;
	char name[VT_NAME_WORDS * sizeof(uint64_t)];
};

/* A copy of what the verdict needs of a heartbeat. */
struct vt_sign {
	uint64_t beat; /* the word */
	uint64_t timeout_ns;
	uint64_t stuck_ns;
	uint64_t start_ns;
	uint32_t flags;
	uint32_t state; /* the verdict before */
	uint64_t seen;
	uint64_t seen_paused_ns;
	struct vt_framed framed; /* from vt_frames_load(), before the rest */
};

struct vt_verdict {
	uint32_t state;      /* enum vitals_state */
	uint64_t beat_ns;    /* the newest sign of life, from any thread */
	uint64_t silence_ns; /* since then, or since the start, that the process ran */
	uint64_t paused_ns;  /* the paused total that goes with beat_ns */
	const char *scope;   /* the sign's own: the scope to blame; NULL: none */
	/*
	 * For so long, if the process runs and there is no new sign of life, the state stays;
	 * UINT64_MAX: for ever. A state that new signs change is to be looked at sooner.
	 */
	uint64_t stays_ns;
};

void vt_tick_load(const struct vt_tick_line *line, struct vt_tick *tick);
void vt_tick_store(struct vt_tick_line *line, const struct vt_tick *tick);

/* All but framed. */
void vt_sign_load(const struct vt_hot *hot, const struct vt_cold *cold,
		  struct vt_sign *sign);

/*
 * When the time of a bounded scope is up, less the pauses until then: of two the lower one's is up
 * first, whatever pauses are still to come.
 */
uint64_t vt_framed_deadline(const struct vt_framed *framed, const struct vt_tick *tick);

/* How long the process ran while its thread was in it, up to @until_ns. */
uint64_t vt_framed_age(const struct vt_framed *framed, const struct vt_tick *tick,
		       uint64_t until_ns);

/* Nobody has looked since this long ago, while somebody was meant to; 0: watched, or by intent. */
uint64_t vt_not_watched(const struct vt_tick *tick, uint64_t now_ns);

struct vt_verdict vt_judge(const struct vt_sign *sign, const struct vt_tick *tick,
			   uint64_t now_ns);

/* What the process as a whole is judged by. */
struct vt_standing {
	uint32_t critical[VT_STATES];
	uint32_t informative[VT_STATES];
	uint32_t parts;
	uint32_t parts_ready;
	uint64_t not_watched_ns;
	bool quitting;
	bool off;
};

/* All of it but the counts by state, from the root and the parts of a view. */
struct vt_view;
void vt_standing_of(const struct vt_view *view, struct vt_standing *standing);

uint32_t vt_standing_health(const struct vt_standing *standing); /* enum vitals_health */
bool vt_standing_live(const struct vt_standing *standing);
bool vt_standing_ready(const struct vt_standing *standing);

#endif
