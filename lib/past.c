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

static uint64_t tick_at(const struct vt_past *past, uint64_t i)
{
	return past->ticks[i % VT_PAST_TICKS];
}

/*
 * Narrows down where the ring passes @ns: at *low it is not after, at *high it is. Ticks are about as
 * far from each other everywhere: from a guess, in steps that double.
 */
static void ticks_narrow(const struct vt_past *past, const struct vt_tick *tick,
			 uint64_t ns, uint64_t *low, uint64_t *high)
{
	uint64_t first = tick_at(past, *low), step = 1, i;

	i = *low + (uint64_t)((double)(*high - *low) * (double)(ns - first) /
			      (double)(tick->at_ns - first + 1));
	while (i > *low && tick_at(past, i) > ns) {
		*high = i;
		i = i - *low > step ? i - step : *low;
		step *= 2;
	}
	for (step = 1; i < *high && tick_at(past, i) <= ns; step *= 2) {
		*low = i;
		i = *high - i > step ? i + step : *high;
	}
	if (i < *high)
		*high = i;
}

uint64_t vt_past_after(const struct vt_past *past, const struct vt_tick *tick,
		       uint64_t beat_ns)
{
	uint64_t high = past->n_ticks, low, late_ns;

	low = high > VT_PAST_TICKS ? high - VT_PAST_TICKS : 0;
	if (low == high || tick_at(past, low) > beat_ns) {
		late_ns = VT_BEAT_NS(beat_ns + tick->gap_ns);
		return late_ns < tick->at_ns ? late_ns : VT_BEAT_NS(tick->at_ns);
	}
	ticks_narrow(past, tick, beat_ns, &low, &high);
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (tick_at(past, middle) > beat_ns)
			high = middle;
		else
			low = middle;
	}
	return high < past->n_ticks ? tick_at(past, high) : VT_BEAT_NS(tick->at_ns);
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
