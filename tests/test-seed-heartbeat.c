/* SPDX-License-Identifier: MIT */

/*
 * go-heartbeat's tests, by name, and a test for each of its defects.
 */

#include "harness.h"

#include "heartbeat.h"

#include <errno.h>
#include <string.h>

/* As in the original: a pulse every 100 ms is expected, silence of 200 ms is allowed. */
#define INTERVAL VITALS_MS(100)
#define TIMEOUT VITALS_MS(200)
#define RUN VITALS_S(1)
#define TICK VITALS_MS(25)

static vitals_registry *registry;
static vitals_heartbeat *heartbeat;
static vitals_events *events;
static uint64_t now;

static void setup(void)
{
	struct vitals_heartbeat_options options;

	now = VITALS_S(100);
	VITALS_INIT(&options);
	options.interval_ns = INTERVAL;
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "runner", TIMEOUT, &options, now,
					     &heartbeat),
			 0);
	ck_assert_int_eq(vitals_events_open(registry, heartbeat, &events), 0);
}

static void teardown(void)
{
	events = vitals_events_close(events);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
}

/* Runs the monitor for a while with @pulses pulses, one an interval, and gathers the health. */
static unsigned health_of(unsigned pulses, int *ret_healths, unsigned room)
{
	uint64_t until = now + RUN, pulse = now + INTERVAL;
	struct vitals_event event;
	unsigned n = 0;

	VITALS_INIT(&event);
	for (; now <= until; now += TICK) {
		if (pulses && now >= pulse) {
			ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
			pulse += INTERVAL;
			pulses--;
		}
		ck_assert_int_eq(vitals_step(registry, now), 0);
		/* Starting and closed are neither true nor false; stuck is no change from false. */
		while (n < room && vitals_events_next(events, 0, &event) == 0)
			if (!n || ret_healths[n - 1] != VITALS_STATE_IS_GOOD(event.to))
				ret_healths[n++] = VITALS_STATE_IS_GOOD(event.to);
	}
	return n;
}

START_TEST(
	TestHeartbeatMonitor__monitor_should_remain_healthy_with_a_well_behaving_runner)
{
	int healths[8];

	ck_assert_uint_eq(health_of(UINT32_MAX, healths, 8), 1);
	ck_assert_int_eq(healths[0], 1);
}
END_TEST

START_TEST(TestHeartbeatMonitor__monitor_should_send_unhealthy_once_a_heartbeat_fails)
{
	int healths[8];

	ck_assert_uint_eq(health_of(3, healths, 8), 2);
	ck_assert_int_eq(healths[0], 1);
	ck_assert_int_eq(healths[1], 0);
}
END_TEST

/* The original's test stops there; ours recovers. */
START_TEST(a_runner_that_pulses_again_is_healthy_again)
{
	int healths[8];

	ck_assert_uint_eq(health_of(3, healths, 8), 2);
	ck_assert_uint_eq(health_of(UINT32_MAX, healths, 8), 1);
	ck_assert_int_eq(healths[0], 1);
}
END_TEST

START_TEST(TestLifecycle)
{
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_start(registry), -EALREADY);
	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), 0);
	vitals_heartbeat_close(heartbeat);
	ck_assert_int_eq(vitals_heartbeat_pulse(heartbeat), -ECANCELED);
	vitals_heartbeat_close(heartbeat);
}
END_TEST

/* Defect 1: a healthy service panics if nobody reads its health. */
START_TEST(a_monitor_that_nobody_reads_harms_nobody)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	unsigned i;

	/* A minute of health, with a change now and then. */
	for (i = 0; i < 60 * 40; i++, now += TICK) {
		if (i % 100 == 99)
			ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now), 0);
		else
			ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_worst(snapshot, 0, &info), -ENOENT);
	snapshot = vitals_snapshot_free(snapshot);
}
END_TEST

/* Defect 2: start after close panics. */
START_TEST(starts_again_after_stop)
{
	unsigned i;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(vitals_start(registry), 0);
		ck_assert_int_eq(vitals_stop(registry), 0);
	}
}
END_TEST

/* Defect 3: a pulse and a close at the same time race. */
static void *pulse_until_closed(void *unused)
{
	while (vitals_heartbeat_pulse(heartbeat) == 0)
		continue;
	return unused;
}

START_TEST(a_pulse_and_a_close_may_meet)
{
	pthread_t threads[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, pulse_until_closed, NULL), 0);
	vitals_heartbeat_close(heartbeat);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

/* Defect 4: pulses are dropped while the monitor reports. */
START_TEST(no_pulse_is_lost)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	unsigned i;

	for (i = 0; i <= 100000; i++)
		(void)vt_heartbeat_pulse_at(heartbeat, now + i);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	ck_assert_uint_eq(info.pulses, 100000);
	snapshot = vitals_snapshot_free(snapshot);
}
END_TEST

/* Defect 6: one heart a monitor, without a name. */
START_TEST(one_monitor_watches_many_and_names_the_silent)
{
	static const char *const names[] = { "a", "b", "c" };
	vitals_heartbeat *others[3];
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;
	unsigned i, j;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vt_heartbeat_new_at(registry, names[i], TIMEOUT, NULL,
						     now, &others[i]),
				 0);
	for (j = 0; j < 12; j++, now += TICK) {
		(void)vt_heartbeat_pulse_at(heartbeat, now);
		(void)vt_heartbeat_pulse_at(others[0], now);
		(void)vt_heartbeat_pulse_at(others[2], now);
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_worst(snapshot, 0, &info), 0);
	ck_assert_str_eq(info.name, "b");
	ck_assert_int_eq(vitals_snapshot_worst(snapshot, 1, &info), -ENOENT);
	snapshot = vitals_snapshot_free(snapshot);
	for (i = 0; i < 3; i++)
		vitals_heartbeat_unref(others[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seed-heartbeat");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(
		tc,
		TestHeartbeatMonitor__monitor_should_remain_healthy_with_a_well_behaving_runner);
	tcase_add_test(
		tc,
		TestHeartbeatMonitor__monitor_should_send_unhealthy_once_a_heartbeat_fails);
	tcase_add_test(tc, a_runner_that_pulses_again_is_healthy_again);
	tcase_add_test(tc, TestLifecycle);
	tcase_add_test(tc, a_monitor_that_nobody_reads_harms_nobody);
	tcase_add_test(tc, starts_again_after_stop);
	tcase_add_test(tc, a_pulse_and_a_close_may_meet);
	tcase_add_test(tc, no_pulse_is_lost);
	tcase_add_test(tc, one_monitor_watches_many_and_names_the_silent);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
