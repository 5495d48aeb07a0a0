/* SPDX-License-Identifier: MIT */

/*
 * Histogram
 *
 * Buckets of powers of two of a second, four an octave, as Prometheus' native histograms of
 * schema 2 have them; a bucket includes its upper bound. 0 takes all up to 2^-20 s, i (1 … 128)
 * what is in (2^((i-1)/4 - 20), 2^(i/4 - 20)] s, 129 the rest. Coarse: one an octave.
 */

#ifndef VT_HISTOGRAM_H
#define VT_HISTOGRAM_H

#include "layout.h"

#include <stdbool.h>
#include <stdint.h>

unsigned vt_histogram_fine(uint64_t ns);

static inline unsigned vt_histogram_coarse_of(unsigned fine)
{
	return fine == VT_FINE - 1 ? VT_COARSE - 1 : (fine + 3) / 4;
}

/* The upper bound of bucket @i of @n (VT_COARSE or VT_FINE), rounded down; UINT64_MAX: none. */
uint64_t vt_histogram_bound(unsigned i, unsigned n);

/*
 * The @permille quantile of @counts: the geometric middle of its bucket, which is at most 9.1 %
 * off with VT_FINE, 41.5 % with VT_COARSE; never above @max_ns. 0 if there are no counts.
 */
uint64_t vt_histogram_quantile(const uint64_t *counts, unsigned n, unsigned permille,
			       uint64_t max_ns);

/* The counts that follow. */
static inline _Atomic uint64_t *vt_counts(struct vt_intervals *intervals)
{
	return (_Atomic uint64_t *)(void *)(intervals + 1);
}

/* One interval that ended. */
void vt_intervals_add(struct vt_intervals *intervals, unsigned n, uint64_t ns);

/*
 * A pulse that found none before it: pulsing begins, for the first time or after a rest.
 * Return: false if another thread was first.
 */
bool vt_intervals_pulse_first(struct vt_intervals *intervals, _Atomic uint64_t *pulse,
			      uint64_t now_ns);

/* Pulsing rests from @now_ns on. Return: the last pulse, whose interval ends now; 0: none. */
uint64_t vt_intervals_rest(struct vt_intervals *intervals, _Atomic uint64_t *pulse,
			   uint64_t now_ns);

/* The sum of all intervals; @pulse is the heartbeat's word of that name. */
uint64_t vt_intervals_sum(const struct vt_intervals *intervals,
			  const _Atomic uint64_t *pulse);

void vt_tally_add(struct vt_tally *tally, unsigned bucket, uint64_t count,
		  uint64_t sum_ns);

#endif
