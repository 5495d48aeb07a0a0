/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The bucket by the definition, with long doubles; bounds that are near are left to others. */
static unsigned bucket_by_definition(uint64_t ns, bool *ret_near)
{
	long double at = 4 * (log2l((long double)ns / 1e9L) + 20);
	long double up = ceill(at);

	*ret_near = fabsl(at - roundl(at)) < 1e-9L;
	if (up < 0)
		return 0;
	return up > 128 ? 129 : (unsigned)up;
}

START_TEST(puts_random_times_where_the_definition_says)
{
	uint64_t state = 88172645463325252u;
	unsigned i;

	for (i = 0; i < 1000000; i++) {
		uint64_t ns;
		bool near;
		unsigned bucket;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		ns = state >> (state % 64);
		if (!ns)
			continue;
		bucket = bucket_by_definition(ns, &near);
		if (!near)
			ck_assert_msg(vt_histogram_fine(ns) == bucket,
				      "%llu ns: %u, not %u", (unsigned long long)ns,
				      vt_histogram_fine(ns), bucket);
	}
}
END_TEST

START_TEST(includes_each_bound_in_the_bucket_below)
{
	unsigned i;

	for (i = 0; i < VT_FINE - 1; i++) {
		uint64_t bound = vt_histogram_bound(i, VT_FINE);

		ck_assert_uint_eq(vt_histogram_fine(bound), i);
		ck_assert_uint_eq(vt_histogram_fine(bound + 1), i + 1);
	}
	ck_assert_uint_eq(vt_histogram_bound(VT_FINE - 1, VT_FINE), UINT64_MAX);
	ck_assert_uint_eq(vt_histogram_fine(0), 0);
	ck_assert_uint_eq(vt_histogram_fine(UINT64_MAX), VT_FINE - 1);
	/* Powers of two that are whole nanoseconds: a second, a half, 2^-9, 2^12. */
	ck_assert_uint_eq(vt_histogram_fine(1000000000), 80);
	ck_assert_uint_eq(vt_histogram_fine(500000000), 76);
	ck_assert_uint_eq(vt_histogram_fine(1953125), 44);
	ck_assert_uint_eq(vt_histogram_fine(4096000000000), 128);
}
END_TEST

START_TEST(coarse_bounds_are_every_fourth)
{
	unsigned i;

	for (i = 0; i < VT_COARSE - 1; i++)
		ck_assert_uint_eq(vt_histogram_bound(i, VT_COARSE),
				  vt_histogram_bound(4 * i, VT_FINE));
	for (i = 0; i < VT_FINE - 1; i++) {
		unsigned coarse = vt_histogram_coarse_of(i);

		ck_assert_uint_le(vt_histogram_bound(i, VT_FINE),
				  vt_histogram_bound(coarse, VT_COARSE));
		if (coarse)
			ck_assert_uint_gt(vt_histogram_bound(i, VT_FINE),
					  vt_histogram_bound(coarse - 1, VT_COARSE));
	}
	ck_assert_uint_eq(vt_histogram_coarse_of(VT_FINE - 1), VT_COARSE - 1);
}
END_TEST

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(quantiles_are_at_most_nine_per_cent_off)
{
	static const unsigned permilles[] = { 500, 900, 990 };
	uint64_t counts[VT_FINE], all[10000], state = 2463534242u + (uint64_t)_i;
	unsigned i;

	memset(counts, 0, sizeof(counts));
	for (i = 0; i < 10000; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		/* From 2 us to 200 s, as many in each octave. */
		all[i] = (uint64_t)(2000.0 *
				    pow(1e8, (double)(state >> 11) / 9007199254740992.0));
		counts[vt_histogram_fine(all[i])]++;
	}
	qsort(all, 10000, sizeof(all[0]), by_size);
	for (i = 0; i < 3; i++) {
		double exact = (double)all[permilles[i] * 10 - 1];
		double found = (double)vt_histogram_quantile(counts, VT_FINE,
							     permilles[i], all[9999]);

		ck_assert_double_le(fabs(found - exact) / exact, 0.091);
	}
	ck_assert_uint_eq(vt_histogram_quantile(counts, VT_FINE, 1000, all[0]), all[0]);
}
END_TEST

START_TEST(no_counts_have_no_quantile)
{
	uint64_t counts[VT_FINE] = { 0 };

	ck_assert_uint_eq(vt_histogram_quantile(counts, VT_FINE, 500, 7), 0);
	counts[VT_FINE - 1] = 1;
	ck_assert_uint_eq(vt_histogram_quantile(counts, VT_FINE, 500, 5000000000000),
			  5000000000000);
}
END_TEST

START_TEST(the_sum_leaves_rests_out)
{
	static struct vt_fine fine;
	struct vt_intervals *intervals = &fine.intervals;
	_Atomic uint64_t pulse = 0;

	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 0);
	ck_assert(vt_intervals_pulse_first(intervals, &pulse, 1000));
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 0);
	atomic_store(&pulse, 1700);
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 700);
	/* What was begun by the last pulse ends with the rest. */
	ck_assert_uint_eq(vt_intervals_rest(intervals, &pulse, 1750), 1700);
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 750);
	ck_assert_uint_eq(vt_intervals_rest(intervals, &pulse, 5000), 0);
	ck_assert(vt_intervals_pulse_first(intervals, &pulse, 9000));
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 750);
	atomic_store(&pulse, 9100);
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 850);
	/* The loser of two first pulses begins nothing. */
	ck_assert(!vt_intervals_pulse_first(intervals, &pulse, 9200));
	ck_assert_uint_eq(vt_intervals_sum(intervals, &pulse), 950);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, puts_random_times_where_the_definition_says);
	tcase_add_test(tc, includes_each_bound_in_the_bucket_below);
	tcase_add_test(tc, coarse_bounds_are_every_fourth);
	tcase_add_loop_test(tc, quantiles_are_at_most_nine_per_cent_off, 0, 5);
	tcase_add_test(tc, no_counts_have_no_quantile);
	tcase_add_test(tc, the_sum_leaves_rests_out);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
