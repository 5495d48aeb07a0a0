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

/*
 * Bounds that are whole powers of two of a second may be whole nanoseconds, and belong to the
 * bucket below. A 4 096th of a nanosecond is taken off: no other bound is that close under an
 * integer, for 10^9 * 2^-20 has 11 binary places.
 */
#define VT_FRACTION 12
/* ceil(2^93 / 10^9): from 4 096ths of a nanosecond to units of 2^-20 s with 32 places. */
#define VT_SCALE 9903520314283042200u
#define VT_SCALE_SHIFT 53

#define VT_LOWEST_NS 953u            /* floor(10^9 * 2^-20) */
#define VT_HIGHEST_NS 4096000000000u /* 2^12 s */

/* 2^(quarter/4), in 63-bit fixed point. */
#define VT_QUARTER_1 0x9837f0518db8a96fu
#define VT_QUARTER_2 0xb504f333f9de6484u
#define VT_QUARTER_3 0xd744fccad69d6af4u

/* Here, for a pulse should make no calls. */
static inline unsigned vt_histogram_fine(uint64_t ns)
{
	uint64_t x, v, m;
	unsigned zeros;

	/* One comparison, for both ends are rare. */
	if (__builtin_expect(ns - VT_LOWEST_NS - 1 >= VT_HIGHEST_NS - VT_LOWEST_NS, 0))
		return ns <= VT_LOWEST_NS ? 0 : VT_FINE - 1;

	/* v: units of 2^-20 s with 32 binary places, in 64 bits: 2^(octave + 32) * mantissa. */
	x = (ns << VT_FRACTION) - 1;
	v = (uint64_t)(((unsigned __int128)x * VT_SCALE) >> VT_SCALE_SHIFT);
	zeros = (unsigned)__builtin_clzll(v);
	m = v << zeros;
	return 4 * (31 - zeros) + 1u + (m > VT_QUARTER_1) + (m > VT_QUARTER_2) +
	       (m > VT_QUARTER_3);
}

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

/* The longest so far, when it was not. */
void vt_intervals_longest(struct vt_intervals *intervals, uint64_t ns);

/*
 * One interval that ended, in bucket @fine. Relaxed: counts are facts of their own, and a copy
 * derives its total from them.
 */
static inline void vt_intervals_add(struct vt_intervals *intervals, unsigned n,
				    unsigned fine, uint64_t ns)
{
	uint64_t max = atomic_load_explicit(&intervals->max_ns, memory_order_relaxed);

	atomic_fetch_add_explicit(
		&vt_counts(
			intervals)[n == VT_COARSE ? vt_histogram_coarse_of(fine) : fine],
		1, memory_order_relaxed);
	if (__builtin_expect(ns > max, 0))
		vt_intervals_longest(intervals, ns);
}

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
