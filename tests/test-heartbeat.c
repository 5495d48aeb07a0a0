/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T VITALS_MS(200)

static vitals_registry *registry;
static uint64_t now;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
}

static void teardown(void)
{
	registry = vitals_registry_free(registry);
}

static vitals_heartbeat *heartbeat_made(const char *name)
{
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(vt_heartbeat_new_at(registry, name, T, NULL, now, &heartbeat),
			 0);
	return heartbeat;
}

/* Lets the monitor look, tick by tick, until @ns have passed. */
static void pass(uint64_t ns)
{
	uint64_t until = now + ns;

	while (now < until) {
		now = until - now > VITALS_MS(10) ? now + VITALS_MS(10) : until;
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
}

static struct vitals_heartbeat_info row(uint32_t index)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	int r;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	r = vitals_snapshot_heartbeat(snapshot, index, &info);
	info.state = r == 0 ? info.state : 99;
	snapshot = vitals_snapshot_free(snapshot);
	return info;
}

START_TEST(is_starting_then_healthy_then_silent_then_stuck_then_healthy)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");

	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_uint_eq(row(0).state, VITALS_STARTING);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(T);
	ck_assert_uint_eq(row(0).state, VITALS_HEALTHY);
	pass(VITALS_MS(10));
	ck_assert_uint_eq(row(0).state, VITALS_SILENT);
	ck_assert_uint_eq(row(0).stalls, 1);
	pass(3 * T);
	ck_assert_uint_eq(row(0).state, VITALS_STUCK);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(VITALS_MS(10));
	ck_assert_uint_eq(row(0).state, VITALS_HEALTHY);
	ck_assert_uint_eq(row(0).stalls, 1);
	vitals_heartbeat_unref(heartbeat);
	ck_assert_uint_eq(row(0).state, 99);
}
END_TEST

START_TEST(numbers_the_living_of_a_name_lowest_free_first)
{
	vitals_heartbeat *a = heartbeat_made("worker"), *b = heartbeat_made("worker"),
			 *c = heartbeat_made("worker"), *d;

	ck_assert_str_eq(row(0).name, "worker");
	ck_assert_str_eq(row(1).name, "worker#2");
	ck_assert_str_eq(row(2).name, "worker#3");
	vitals_heartbeat_close(b);
	d = heartbeat_made("worker");
	ck_assert_str_eq(row(2).name, "worker#2");
	vitals_heartbeat_unref(a);
	a = heartbeat_made("worker");
	ck_assert_uint_eq(vt_heartbeat_number(a), 1);
	b = vitals_heartbeat_unref(b);
	b = heartbeat_made("worker");
	ck_assert_uint_eq(vt_heartbeat_number(b), 4);
	vitals_heartbeat_unref(a);
	vitals_heartbeat_unref(b);
	vitals_heartbeat_unref(c);
	vitals_heartbeat_unref(d);
}
END_TEST

START_TEST(is_idle_until_the_next_beat)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");

	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now), 0);
	pass(50 * T);
	ck_assert_uint_eq(row(0).state, VITALS_IDLE);
	vitals_heartbeat_touch(heartbeat);
	pass(T);
	ck_assert_uint_eq(row(0).state, VITALS_HEALTHY);
	pass(VITALS_MS(40));
	ck_assert_uint_eq(row(0).state, VITALS_SILENT);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(counts_intervals_and_their_exact_sum_without_the_idle_time)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");
	struct vitals_heartbeat_info info;
	unsigned i;

	for (i = 0; i <= 10; i++)
		ck_assert_int_eq(
			vt_heartbeat_pulse_at(heartbeat, now + i * VITALS_MS(10)), 0);
	/* The work after the last pulse ends with idle. */
	now += VITALS_MS(130);
	ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now), 0);
	info = row(0);
	ck_assert_uint_eq(info.pulses, 11);
	ck_assert_uint_eq(info.sum_ns, VITALS_MS(130));
	now += VITALS_S(5);
	for (i = 0; i <= 2; i++)
		ck_assert_int_eq(
			vt_heartbeat_pulse_at(heartbeat, now + i * VITALS_MS(250)), 0);
	info = row(0);
	ck_assert_uint_eq(info.pulses, 13);
	ck_assert_uint_eq(info.sum_ns, VITALS_MS(630));
	ck_assert_uint_eq(info.max_ns, VITALS_MS(250));
	/* 250 ms at an interval of 100 ms: one pulse never came, each of the two times. */
	ck_assert_uint_eq(info.missed, 2);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* The loop of a thread that works, then waits: each round has one interval, its work. */
/* What a row says of its intervals, against all of them in order. */
#define PULSES 5000

static const struct {
	uint32_t flags;
	int32_t schema;
	uint64_t permille_off;
} resolutions[] = {
	{ 0, 2, 91 },
	{ VITALS_COARSE_HISTOGRAM, 0, 415 },
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void is_near(uint64_t found, uint64_t exact, uint64_t permille_off)
{
	uint64_t off = found > exact ? found - exact : exact - found;

	ck_assert_uint_le(off, exact / 1000 * permille_off + permille_off);
}

START_TEST(quantiles_of_a_row_are_as_near_as_its_schema_says)
{
	static uint64_t all[PULSES];
	struct vitals_heartbeat_options options;
	struct vitals_heartbeat_info info;
	vitals_heartbeat *heartbeat;
	uint64_t off = resolutions[_i].permille_off, state = 88172645463325252u;
	unsigned i;

	VITALS_INIT(&options);
	options.flags = resolutions[_i].flags;
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "worker", T, &options, now, &heartbeat), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	for (i = 0; i < PULSES; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		/* From a microsecond to two minutes. */
		all[i] = UINT64_C(1000) << (state >> 33) % 27;
		all[i] += (state >> 20) % all[i];
		ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now += all[i]), 0);
	}
	qsort(all, PULSES, sizeof(all[0]), by_size);
	info = row(0);
	ck_assert_int_eq(info.schema, resolutions[_i].schema);
	ck_assert_uint_eq(info.pulses, PULSES);
	ck_assert_uint_eq(info.max_ns, all[PULSES - 1]);
	is_near(info.p50_ns, all[PULSES / 2 - 1], off);
	is_near(info.p90_ns, all[PULSES / 10 * 9 - 1], off);
	is_near(info.p99_ns, all[PULSES / 100 * 99 - 1], off);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(work_that_ends_in_idle_is_an_interval)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");
	struct vitals_heartbeat_info info;
	unsigned i;

	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
		now += VITALS_MS(150);
		ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now), 0);
		ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now + 8), 0);
		now += VITALS_S(7);
	}
	info = row(0);
	ck_assert_uint_eq(info.pulses, 10);
	ck_assert_uint_eq(info.sum_ns, VITALS_MS(1500));
	ck_assert_uint_eq(info.max_ns, VITALS_MS(150));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(a_pulse_on_a_closed_one_answers_and_harms_nothing)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker"), *other;

	vitals_heartbeat_close(heartbeat);
	vitals_heartbeat_close(heartbeat);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), -ECANCELED);
	ck_assert_int_eq(vitals_heartbeat_idle(heartbeat), -ECANCELED);
	ck_assert_int_eq(vitals_heartbeat_due(heartbeat), 1);
	ck_assert_int_eq(vitals_heartbeat_due_fd(heartbeat), -ECANCELED);
	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), -ECANCELED);
	vitals_heartbeat_touch(heartbeat);
	other = heartbeat_made("worker");
	/* An hour late. */
	now += VITALS_S(3600);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), -ECANCELED);
	ck_assert_uint_eq(row(0).pulses, 0);
	vitals_heartbeat_unref(heartbeat);
	vitals_heartbeat_unref(other);
}
END_TEST

START_TEST(is_due_once_its_interval_has_passed)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");

	ck_assert_int_eq(vt_heartbeat_due_at(heartbeat, now), 1);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	ck_assert_int_eq(vt_heartbeat_due_at(heartbeat, now), 0);
	ck_assert_int_eq(vt_heartbeat_due_at(heartbeat, now + T / 2 - 1), 0);
	ck_assert_int_eq(vt_heartbeat_due_at(heartbeat, now + T / 2), 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

static bool readable(int fd, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, ms) == 1;
}

START_TEST(a_due_fd_turns_readable_once_an_interval)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;
	int fd, before = fd_count();

	VITALS_INIT(&options);
	options.interval_ns = VITALS_MS(100);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "worker", VITALS_S(9), &options,
					      &heartbeat),
			 0);
	fd = vitals_heartbeat_due_fd(heartbeat);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(vitals_heartbeat_due_fd(heartbeat), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert(readable(fd, 9000));
	/* The answer "due" sets it for the next interval. */
	ck_assert_int_eq(vitals_heartbeat_due(heartbeat), 1);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	ck_assert(!readable(fd, 0));
	ck_assert(readable(fd, 9000));
	vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(fd_count(), before);
}
END_TEST

static const struct {
	const char *name;
	uint64_t timeout_ns;
	struct vitals_heartbeat_options options;
	int result;
} refusals[] = {
	{ "", T, { 0 }, -EINVAL },
	{ "a/b", T, { 0 }, -EINVAL },
	{ "a#2", T, { 0 }, -EINVAL },
	{ "a\nb", T, { 0 }, -EINVAL },
	{ "a\xff", T, { 0 }, -EINVAL },
	{ "a", 0, { 0 }, -EINVAL },
	{ "a", VITALS_MS(1) - 1, { 0 }, -EINVAL },
	{ "a", T, { .flags = 0x80 }, -EINVAL },
	{ "a", T, { .interval_ns = T + 1 }, -EINVAL },
	{ "a", T, { .stuck_ns = T }, -EINVAL },
	{ "a", T, { .group = "" }, -EINVAL },
	{ "\xc3\xa4", VITALS_MS(1), { .interval_ns = VITALS_MS(1) }, 0 },
	{ "123456789012345678901234567890123456789012345678901234567890123",
	  T,
	  { 0 },
	  0 },
	{ "1234567890123456789012345678901234567890123456789012345678901234",
	  T,
	  { 0 },
	  -EINVAL },
};

START_TEST(refuses_bad_input_and_leaves_all_as_it_was)
{
	struct vitals_heartbeat_options options = refusals[_i].options;
	vitals_heartbeat *heartbeat = (void *)&options;

	options.size = sizeof(options);
	ck_assert_int_eq(vitals_heartbeat_new(registry, refusals[_i].name,
					      refusals[_i].timeout_ns, &options,
					      &heartbeat),
			 refusals[_i].result);
	ck_assert_int_eq(heartbeat != NULL, refusals[_i].result == 0);
	ck_assert_uint_eq(row(0).state, heartbeat ? VITALS_STARTING : 99);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(a_257th_group_has_no_room)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;
	char name[32];
	int i;

	VITALS_INIT(&options);
	options.group = name;
	for (i = 0; i <= VITALS_GROUPS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "g%d", i);
		ck_assert_int_eq(vitals_heartbeat_new(registry, "a", T, &options,
						      &heartbeat),
				 i < VITALS_GROUPS_MAX ? 0 : -ENOSPC);
		vitals_heartbeat_unref(heartbeat);
	}
}
END_TEST

START_TEST(thousands_come_and_go_in_segments_that_stay)
{
	static vitals_heartbeat *all[5000];
	struct vitals_heartbeat_options options;
	uint32_t segments;
	unsigned i, round;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 5000; i++)
			ck_assert_int_eq(vt_heartbeat_new_at(registry, "crowd", T,
							     &options, now, &all[i]),
					 0);
		if (round == 0)
			segments = registry->n_segments;
		ck_assert_uint_eq(registry->n_segments, segments);
		ck_assert_uint_eq(vt_heartbeat_number(all[4999]), 5000);
		pass(VITALS_MS(10));
		for (i = 0; i < 5000; i++)
			vitals_heartbeat_unref(all[i]);
	}
	ck_assert_uint_eq(row(0).state, 99);
}
END_TEST

static void *own_and_end(void *heartbeat)
{
	(void)worker_check(vitals_heartbeat_own(heartbeat) == 0);
	(void)worker_check(vitals_heartbeat_own(heartbeat) == -EBUSY);
	return NULL;
}

START_TEST(is_dead_when_its_owner_ends_without_closing_it)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");
	pthread_t thread;

	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, own_and_end, heartbeat), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	pass(VITALS_MS(10));
	ck_assert_uint_eq(row(0).state, VITALS_DEAD);
	/* Another thread may take it over. */
	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	pass(VITALS_MS(10));
	ck_assert_uint_ne(row(0).state, VITALS_DEAD);
	vitals_heartbeat_close(heartbeat);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(buckets_are_of_the_row_they_were_asked_for)
{
	vitals_heartbeat *heartbeat = heartbeat_made("first");
	struct vitals_heartbeat_info info;
	uint64_t counts[VITALS_BUCKETS_FINE];
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_int_eq(
		vitals_snapshot_buckets(snapshot, 0, counts, VITALS_BUCKETS_FINE), 2);
	vitals_heartbeat_close(heartbeat);
	ck_assert_int_eq(vitals_snapshot_buckets(snapshot, 0, counts,
						 VITALS_BUCKETS_FINE),
			 -ENOENT);
	vitals_heartbeat_unref(heartbeat);
	heartbeat = heartbeat_made("second");
	ck_assert_int_eq(vitals_snapshot_buckets(snapshot, 0, counts,
						 VITALS_BUCKETS_FINE),
			 -ENOENT);
	snapshot = vitals_snapshot_free(snapshot);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* Ten years times 58.495 is 2^64 ns and a little. */
START_TEST(scaled_timeouts_do_not_wrap)
{
	vitals_registry *scaled;
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(setenv("VITALS_TIMEOUT_SCALE", "58.495", 1), 0);
	ck_assert_int_eq(vitals_registry_new(0, &scaled), 0);
	ck_assert_int_eq(unsetenv("VITALS_TIMEOUT_SCALE"), 0);
	ck_assert_int_eq(vitals_heartbeat_new(scaled, "a", VITALS_S(315360000), NULL,
					      &heartbeat),
			 0);
	ck_assert_uint_ge(atomic_load(&vt_heartbeat_hot(heartbeat)->timeout_ns),
			  VITALS_S(315360000));
	ck_assert_uint_ge(atomic_load(&vt_heartbeat_hot(heartbeat)->stuck_ns),
			  atomic_load(&vt_heartbeat_hot(heartbeat)->timeout_ns));
	vitals_heartbeat_unref(heartbeat);
	scaled = vitals_registry_free(scaled);
}
END_TEST

START_TEST(the_last_unref_closes_it_though_a_thread_owns_it)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker");
	unsigned i;

	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	vitals_heartbeat_unref(heartbeat);
	ck_assert_uint_eq(row(0).state, 99);
	/* And its slot is not kept for as long as the thread lives. */
	for (i = 0; i < 1000; i++) {
		heartbeat = heartbeat_made("worker");
		ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
		vitals_heartbeat_unref(heartbeat);
	}
	ck_assert_uint_le(vt_view_used(&registry->view, VT_KIND_HOT), 4);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("heartbeat");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, is_starting_then_healthy_then_silent_then_stuck_then_healthy);
	tcase_add_test(tc, numbers_the_living_of_a_name_lowest_free_first);
	tcase_add_test(tc, is_idle_until_the_next_beat);
	tcase_add_test(tc, counts_intervals_and_their_exact_sum_without_the_idle_time);
	tcase_add_loop_test(tc, quantiles_of_a_row_are_as_near_as_its_schema_says, 0, 2);
	tcase_add_test(tc, work_that_ends_in_idle_is_an_interval);
	tcase_add_test(tc, a_pulse_on_a_closed_one_answers_and_harms_nothing);
	tcase_add_test(tc, is_due_once_its_interval_has_passed);
	tcase_add_test(tc, a_due_fd_turns_readable_once_an_interval);
	tcase_add_loop_test(tc, refuses_bad_input_and_leaves_all_as_it_was, 0,
			    COUNT(refusals));
	tcase_add_test(tc, a_257th_group_has_no_room);
	tcase_add_test(tc, thousands_come_and_go_in_segments_that_stay);
	tcase_add_test(tc, is_dead_when_its_owner_ends_without_closing_it);
	tcase_add_test(tc, buckets_are_of_the_row_they_were_asked_for);
	tcase_add_test(tc, scaled_timeouts_do_not_wrap);
	tcase_add_test(tc, the_last_unref_closes_it_though_a_thread_owns_it);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
