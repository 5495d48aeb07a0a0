/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "monitor.h"
#include "snapshot.h"
#include "sums.h"

#include <stdlib.h>

#define T VITALS_S(10)
#define MANY (VT_SUMS_MANY + 500)

static vitals_registry *registry;
static vitals_snapshot *snapshot;
static vitals_heartbeat *all[MANY];
static uint64_t now;
static uint64_t random_state;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
	random_state = 88172645463325252u;
}

static void teardown(void)
{
	unsigned i;

	for (i = 0; i < MANY; i++)
		all[i] = vitals_heartbeat_unref(all[i]);
	snapshot = vitals_snapshot_free(snapshot);
	registry = vitals_registry_free(registry);
}

static uint64_t draw(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static void made(unsigned i, const char *group)
{
	struct vitals_heartbeat_options options;

	VITALS_INIT(&options);
	options.group = group;
	options.flags = i % 2 ? VITALS_COARSE_HISTOGRAM : 0;
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "member", T, &options, now, &all[i]), 0);
}

static struct vitals_group_info group_taken(uint32_t index)
{
	struct vitals_group_info info;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_group(snapshot, index, &info), 0);
	return info;
}

static struct vitals_group_info group_row(uint32_t index)
{
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	return group_taken(index);
}

static void steps(unsigned n)
{
	while (n--)
		ck_assert_int_eq(vitals_step(registry, now += VITALS_MS(1)), 0);
}

static uint32_t round_of(uint32_t group)
{
	const struct vt_group_slot *slot = vt_slot(registry, VT_KIND_GROUP, group);

	return atomic_load(&slot->round);
}

/* Until whatever was counted before this is published. */
static void rounds(uint32_t group, uint32_t n)
{
	uint32_t from = round_of(group);

	while (round_of(group) < from + n)
		steps(1);
}

START_TEST(a_small_group_is_exact_at_any_moment)
{
	unsigned i;

	for (i = 0; i < VT_SUMS_MANY; i++)
		made(i, "small");
	steps(3);
	for (i = 0; i < VT_SUMS_MANY; i++) {
		(void)vt_heartbeat_pulse_at(all[i], now);
		(void)vt_heartbeat_pulse_at(all[i], now + 1);
	}
	ck_assert_uint_eq(round_of(0), 0);
	ck_assert_uint_eq(group_row(0).pulses, VT_SUMS_MANY);
	ck_assert_uint_eq(group_row(0).states[VITALS_HEALTHY], VT_SUMS_MANY);
	for (i = 0; i < 10; i++)
		all[i] = vitals_heartbeat_unref(all[i]);
	ck_assert_uint_eq(group_row(0).pulses, VT_SUMS_MANY);
	ck_assert_uint_eq(group_row(0).states[VITALS_HEALTHY], VT_SUMS_MANY - 10);
}
END_TEST

/* All that happens to a group of many, against a plain count: it never steps back nor exceeds. */
/* One in four is in a group of its own, which comes first. */
#define MANY_GROUP 1

START_TEST(a_group_of_many_never_steps_back_and_is_exact_in_the_end)
{
	uint64_t pulses = 0, seen = 0, row;
	unsigned i, k;

	for (i = 0; i < MANY; i++)
		made(i, i % 4 ? "many" : "few");
	for (k = 0; k < (THREAD_SANITIZED ? 15000 : 60000); k++) {
		i = (unsigned)draw(MANY);
		switch (draw(8)) {
		case 0:
			all[i] = vitals_heartbeat_unref(all[i]);
			made(i, i % 4 ? "many" : "few");
			break;
		case 1:
			steps(1);
			break;
		default:
			/* Two, so that there is an interval, whatever was before. */
			if (vt_heartbeat_hot(all[i])->pulse)
				pulses += 1;
			(void)vt_heartbeat_pulse_at(all[i], now);
			(void)vt_heartbeat_pulse_at(all[i], now);
			pulses += 1;
		}
		if (k % 64)
			continue;
		row = group_row(0).pulses + group_row(1).pulses;
		ck_assert_uint_ge(row, seen);
		ck_assert_uint_le(row, pulses);
		seen = row;
	}
	ck_assert_uint_gt(round_of(MANY_GROUP), 3);
	ck_assert_uint_eq(round_of(0), 0);
	rounds(MANY_GROUP, 2);
	ck_assert_uint_eq(group_row(0).pulses + group_row(1).pulses, pulses);
	/* When all have gone, it is there still. */
	for (i = 0; i < MANY; i++)
		all[i] = vitals_heartbeat_unref(all[i]);
	rounds(MANY_GROUP, 3);
	ck_assert_uint_eq(group_row(0).pulses + group_row(1).pulses, pulses);
	ck_assert_uint_eq(group_row(MANY_GROUP).states[VITALS_STARTING] +
				  group_row(MANY_GROUP).states[VITALS_HEALTHY],
			  0);
}
END_TEST

/* They have become many in the middle of a round: who comes later in it is counted already. */
START_TEST(the_first_sum_counts_nobody_twice)
{
	unsigned i;

	for (i = 0; i < MANY; i++) {
		made(i, "many");
		(void)vt_heartbeat_pulse_at(all[i], now);
		(void)vt_heartbeat_pulse_at(all[i], now + 1);
	}
	steps(1);
	ck_assert_uint_eq(round_of(0), 2);
	for (i = 0; i < 300; i++) {
		ck_assert_uint_eq(group_row(0).pulses, MANY);
		/* Those that close meanwhile were counted, too. */
		if (i < 100)
			all[7 * i] = vitals_heartbeat_unref(all[7 * i]);
		steps(1);
	}
	ck_assert_uint_gt(round_of(0), 3);
	ck_assert_uint_eq(group_row(0).pulses, MANY);
}
END_TEST

/* A round that was under way at the stop goes on: who was counted in it may have closed since. */
START_TEST(a_restart_loses_nobody)
{
	unsigned i;

	now = vt_clock_now();
	for (i = 0; i < MANY; i++) {
		made(i, "many");
		(void)vt_heartbeat_pulse_at(all[i], now);
		(void)vt_heartbeat_pulse_at(all[i], now + 1);
	}
	steps(1);
	rounds(0, 2);
	steps(30);
	for (i = 0; i < 300; i++)
		all[i] = vitals_heartbeat_unref(all[i]);
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	now = vt_clock_now() + VITALS_S(1);
	for (i = 0; i < 300; i++) {
		steps(1);
		ck_assert_uint_eq(group_row(0).pulses, MANY);
	}
}
END_TEST

/* However it is counted: who is idle, or in a scope that may take any time, is not waited for. */
START_TEST(the_oldest_is_of_those_that_are_to_beat)
{
	unsigned i, n = _i ? MANY : VT_SUMS_MANY;
	uint64_t oldest;

	for (i = 0; i < n; i++)
		made(i, "group");
	steps(1);
	ck_assert_int_eq(vitals_heartbeat_own(all[0]), 0);
	ck_assert_int_eq(vt_heartbeat_enter_at(all[0], "for ever", 0, 0, now), 1);
	ck_assert_int_eq(vitals_heartbeat_own(all[1]), 0);
	ck_assert_int_eq(vt_heartbeat_idle_at(all[2], now), 0);
	steps(1);
	/* In one with a budget it is, whatever it said before; and from there on. */
	oldest = VT_BEAT_NS(now);
	ck_assert_int_eq(vt_heartbeat_enter_at(all[1], "work", T, 0, now), 1);
	ck_assert_int_eq(vt_heartbeat_idle_at(all[1], now), 0);
	steps(100);
	for (i = 3; i < n; i++)
		(void)vt_heartbeat_pulse_at(all[i], now);
	if (_i)
		rounds(0, 3);
	else
		steps(3);
	ck_assert_uint_eq(round_of(0) != 0, n > VT_SUMS_MANY);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	ck_assert_uint_eq(group_taken(0).oldest_beat_ns, oldest);
	ck_assert_uint_eq(group_taken(0).states[VITALS_IDLE], 1);
	ck_assert_uint_eq(group_taken(0).states[VITALS_UNBOUNDED], 1);
}
END_TEST

/* A total is that of its buckets, which are of the same moment. */
START_TEST(a_row_of_many_and_its_buckets_agree)
{
	uint64_t counts[VITALS_BUCKETS_COARSE], sum = 0;
	unsigned i, k;

	for (i = 0; i < MANY; i++)
		made(i, "many");
	steps(1);
	for (k = 0; k < 5; k++) {
		steps(7);
		for (i = 0; i < MANY; i++)
			(void)vt_heartbeat_pulse_at(all[i], now);
	}
	rounds(0, 2);
	ck_assert_uint_eq(group_row(0).pulses, 4 * MANY);
	ck_assert_uint_eq(group_row(0).sum_ns, 4 * VITALS_MS(7) * MANY);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_group_buckets(snapshot, 0,
						       VITALS_GROUP_INTERVALS, counts),
			 0);
	for (i = 0; i < VITALS_BUCKETS_COARSE; i++)
		sum += counts[i];
	ck_assert_uint_eq(sum, 4 * MANY);
	/* 7 ms lie between 2^-8 and 2^-7 s. */
	ck_assert_uint_eq(counts[13], 4 * MANY);
}
END_TEST

START_TEST(somebody_stuck_in_a_close_keeps_the_sum_as_it_was)
{
	struct vt_group_slot *slot;
	uint64_t before;
	unsigned i;

	for (i = 0; i < MANY; i++)
		made(i, "many");
	steps(1);
	slot = vt_slot(registry, VT_KIND_GROUP, 0);
	ck_assert_uint_gt(round_of(0), 1);
	rounds(0, 1);
	before = group_row(0).pulses;
	atomic_fetch_add(&slot->folds, 1);
	for (i = 0; i < MANY; i++) {
		(void)vt_heartbeat_pulse_at(all[i], now);
		(void)vt_heartbeat_pulse_at(all[i], now);
	}
	steps(300);
	ck_assert_uint_eq(group_row(0).pulses, before);
	atomic_fetch_add(&slot->folds, 1);
	rounds(0, 2);
	ck_assert_uint_eq(group_row(0).pulses, before + MANY);
}
END_TEST

static _Atomic bool done;

static void *closer(void *arg)
{
	unsigned i = 0, step = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&done)) {
		vitals_heartbeat *heartbeat = NULL;
		struct vitals_heartbeat_options options;

		VITALS_INIT(&options);
		options.group = "many";
		options.flags = VITALS_COARSE_HISTOGRAM;
		worker_check(vitals_heartbeat_new(registry, "visitor", T, &options,
						  &heartbeat) == 0);
		for (i = 0; i < step; i++)
			(void)vitals_heartbeat_pulse(heartbeat);
		(void)vitals_heartbeat_unref(heartbeat);
	}
	return NULL;
}

/* Members come and go while the rounds go on: a reader sees totals that only rise. */
START_TEST(totals_only_rise_while_members_come_and_go)
{
	pthread_t threads[2];
	uint64_t seen = 0, row, until;
	unsigned i;

	for (i = 0; i < MANY; i++)
		made(i, "many");
	now = vt_clock_now();
	steps(1);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, closer,
						(void *)(uintptr_t)(3 + i)),
				 0);
	until = vt_clock_now() + VITALS_MS(1500);
	while (vt_clock_now() < until) {
		steps(1);
		row = group_row(0).pulses;
		ck_assert_uint_ge(row, seen);
		seen = row;
	}
	atomic_store(&done, true);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_gt(seen, 0);
	worker_checks_passed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sums");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_small_group_is_exact_at_any_moment);
	tcase_add_test(tc, a_group_of_many_never_steps_back_and_is_exact_in_the_end);
	tcase_add_test(tc, the_first_sum_counts_nobody_twice);
	tcase_add_test(tc, a_restart_loses_nobody);
	tcase_add_loop_test(tc, the_oldest_is_of_those_that_are_to_beat, 0, 2);
	tcase_add_test(tc, a_row_of_many_and_its_buckets_agree);
	tcase_add_test(tc, somebody_stuck_in_a_close_keeps_the_sum_as_it_was);
	tcase_add_test(tc, totals_only_rise_while_members_come_and_go);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
