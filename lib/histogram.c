/* SPDX-License-Identifier: MIT */

#include "histogram.h"

#define OCTAVES_BELOW 20 /* a second is 2^20 times the lowest bound */

/* 2^(i/8), i = 0 … 7, in 63-bit fixed point. */
static const uint64_t eighths[8] = {
	0x8000000000000000u, 0x8b95c1e3ea8bd6e6u, 0x9837f0518db8a96fu,
	0xa5fed6a9b15138eau, 0xb504f333f9de6484u, 0xc5672a115506daddu,
	0xd744fccad69d6af4u, 0xeac0c6e7dd24392eu,
};

/* 10^9 * 2^(eighth/8 - 20), rounded down. */
static uint64_t bound_of_eighth(unsigned eighth)
{
	unsigned octave = eighth / 8;

	/* 10^9 * mantissa has 63 places; the octave takes back all but OCTAVES_BELOW. */
	return (uint64_t)(((unsigned __int128)1000000000u * eighths[eighth % 8]) >>
			  (63 + OCTAVES_BELOW - octave));
}

uint64_t vt_histogram_bound(unsigned i, unsigned n)
{
	if (i + 1 >= n)
		return UINT64_MAX;
	return bound_of_eighth(n == VT_FINE ? 2 * i : 8 * i);
}

uint64_t vt_histogram_quantile(const uint64_t *counts, unsigned n, unsigned permille,
			       uint64_t max_ns)
{
	unsigned per_octave = n == VT_FINE ? 4 : 1;
	uint64_t total = 0, rank, sum = 0, middle;
	unsigned i;

	for (i = 0; i < n; i++)
		total += counts[i];
	if (!total)
		return 0;

	/* The smallest rank r, from 1, with r >= total * permille / 1000. */
	rank = (uint64_t)(((unsigned __int128)total * permille + 999) / 1000);
	if (!rank)
		rank = 1;
	for (i = 0; i + 1 < n; i++) {
		sum += counts[i];
		if (sum >= rank)
			break;
	}
	if (i + 1 >= n)
		return max_ns;
	/* Half a bucket below the upper bound, in eighths of an octave. */
	middle = i ? bound_of_eighth(8 / per_octave * i - 4 / per_octave)
		   : bound_of_eighth(0);
	return middle < max_ns ? middle : max_ns;
}

/* Relaxed: a fact of its own. */
void vt_intervals_longest(struct vt_intervals *intervals, uint64_t ns)
{
	uint64_t max = atomic_load_explicit(&intervals->max_ns, memory_order_relaxed);

	while (ns > max && !atomic_compare_exchange_weak_explicit(
				   &intervals->max_ns, &max, ns, memory_order_relaxed,
				   memory_order_relaxed))
		continue;
}

/*
 * begun is raised before the pulse word changes and done after all is in place, both with release:
 * a reader that acquired any of the new words sees that an edge is under way.
 */
bool vt_intervals_pulse_first(struct vt_intervals *intervals, _Atomic uint64_t *pulse,
			      uint64_t now_ns)
{
	uint64_t rest, none = 0;
	bool first;

	atomic_fetch_add_explicit(&intervals->begun, 1, memory_order_acq_rel);
	first = atomic_exchange_explicit(pulse, now_ns, memory_order_acq_rel) == 0;
	if (first) {
		rest = atomic_exchange_explicit(&intervals->rest_ns, 0,
						memory_order_acq_rel);
		if (rest && now_ns > rest)
			atomic_fetch_add_explicit(&intervals->gaps_ns, now_ns - rest,
						  memory_order_release);
		(void)atomic_compare_exchange_strong_explicit(&intervals->first_ns, &none,
							      now_ns,
							      memory_order_release,
							      memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&intervals->done, 1, memory_order_release);
	return first;
}

uint64_t vt_intervals_rest(struct vt_intervals *intervals, _Atomic uint64_t *pulse,
			   uint64_t now_ns)
{
	uint64_t last = atomic_load_explicit(pulse, memory_order_relaxed);

	/* Before pulse turns 0, so that no reader finds neither. */
	if (last)
		atomic_store_explicit(&intervals->rest_ns, now_ns > last ? now_ns : last,
				      memory_order_release);
	last = atomic_exchange_explicit(pulse, 0, memory_order_acq_rel);
	if (last)
		atomic_store_explicit(&intervals->rest_ns, now_ns > last ? now_ns : last,
				      memory_order_release);
	return last;
}

uint64_t vt_intervals_sum(const struct vt_intervals *intervals,
			  const _Atomic uint64_t *pulse)
{
	uint64_t sum = 0;
	unsigned tries;

	for (tries = 0; tries < 100; tries++) {
		uint32_t done =
			atomic_load_explicit(&intervals->done, memory_order_acquire);
		uint64_t first =
			atomic_load_explicit(&intervals->first_ns, memory_order_acquire);
		uint64_t gaps =
			atomic_load_explicit(&intervals->gaps_ns, memory_order_acquire);
		uint64_t last = atomic_load_explicit(pulse, memory_order_acquire);
		uint64_t rest =
			atomic_load_explicit(&intervals->rest_ns, memory_order_acquire);

		last = last ? last : rest;
		sum = last > first + gaps ? last - first - gaps : 0;
		if ((last || !first) &&
		    atomic_load_explicit(&intervals->begun, memory_order_acquire) == done)
			break;
	}
	return sum;
}

/* Release: a copy that has any of a fold sees that it was under way; pairs with groups.c. */
void vt_tally_add(struct vt_tally *tally, unsigned bucket, uint64_t count,
		  uint64_t sum_ns)
{
	if (count)
		atomic_fetch_add_explicit(&tally->counts[bucket], count,
					  memory_order_release);
	if (sum_ns)
		atomic_fetch_add_explicit(&tally->sum_ns, sum_ns, memory_order_release);
}
