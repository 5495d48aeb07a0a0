/* SPDX-License-Identifier: MIT */

#include "past.h"

void vt_past_begin(struct vt_past *past, const struct vt_tick *tick)
{
	past->n_ticks = 0;
	past->n_pauses = 0;
	past->paused_ns = tick->paused_ns;
	vt_past_add(past, tick, false);
}

void vt_past_add(struct vt_past *past, const struct vt_tick *tick, bool paused)
{
	struct vt_past_pause *pause = &past->pauses[past->n_pauses % VT_PAST_PAUSES];

	past->ticks[past->n_ticks++ % VT_PAST_TICKS] = VT_BEAT_NS(tick->at_ns);
	if (!paused)
		return;
	if (past->n_pauses >= VT_PAST_PAUSES)
		past->paused_ns = pause->paused_ns;
	*pause = (struct vt_past_pause){ tick->pause_from_ns,
					 tick->pause_from_ns + tick->pause_ns,
					 tick->paused_ns };
	past->n_pauses++;
}

uint64_t vt_past_after(const struct vt_past *past, const struct vt_tick *tick,
		       uint64_t beat_ns)
{
	uint64_t high = past->n_ticks, low, late_ns;

	low = high > VT_PAST_TICKS ? high - VT_PAST_TICKS : 0;
	if (low == high || past->ticks[low % VT_PAST_TICKS] > beat_ns) {
		late_ns = VT_BEAT_NS(beat_ns + tick->gap_ns);
		return late_ns < tick->at_ns ? late_ns : VT_BEAT_NS(tick->at_ns);
	}
	/* At low it is not after; at high it is, or there is none yet. */
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (past->ticks[middle % VT_PAST_TICKS] > beat_ns)
			high = middle;
		else
			low = middle;
	}
	return high < past->n_ticks ? past->ticks[high % VT_PAST_TICKS]
				    : VT_BEAT_NS(tick->at_ns);
}

uint64_t vt_past_paused(const struct vt_past *past, uint64_t ns)
{
	uint64_t i = past->n_pauses, oldest;

	oldest = i > VT_PAST_PAUSES ? i - VT_PAST_PAUSES : 0;
	while (i-- > oldest) {
		const struct vt_past_pause *pause = &past->pauses[i % VT_PAST_PAUSES];

		if (ns >= pause->end_ns)
			return pause->paused_ns;
		if (ns > pause->from_ns)
			return pause->paused_ns - (pause->end_ns - ns);
	}
	return past->paused_ns;
}
