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

#endif
