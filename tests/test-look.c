/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>

/* So many that nobody is looked at in every turn. */
#define CROWD 3000
#define T VITALS_MS(400)
#define START (3 * T)

static vitals_registry *registry;
static vitals_snapshot *snapshot;
static vitals_events *events;
static vitals_heartbeat *crowd[CROWD], *heartbeat;
static uint64_t now;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
}

static void teardown(void)
{
	unsigned i;

	for (i = 0; i < CROWD; i++)
		crowd[i] = vitals_heartbeat_unref(crowd[i]);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	events = vitals_events_close(events);
	snapshot = vitals_snapshot_free(snapshot);
	registry = vitals_registry_free(registry);
}

static vitals_heartbeat *made(const char *name, uint64_t timeout_ns, uint64_t start_ns)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *ret;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	options.start_ns = start_ns;
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, name, timeout_ns, &options, now, &ret), 0);
	return ret;
}

/* From 10 ms to a minute, as many in each octave; they say that they are idle. */
static void crowd_made(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		crowd[i] = made("crowd", VITALS_MS(10) << i % 13, 0);
		ck_assert_int_eq(vt_heartbeat_idle_at(crowd[i], now), 0);
	}
}

static void watched_made(uint64_t timeout_ns, uint64_t start_ns)
{
	heartbeat = made("watched", timeout_ns, start_ns);
	ck_assert_int_eq(vitals_events_open(registry, heartbeat, &events), 0);
}

static void step(uint64_t ns)
{
	now += ns;
	ck_assert_int_eq(vitals_step(registry, now), 0);
}

static uint64_t tick_ns(void)
{
	return atomic_load(&registry->root->tick.tick_ns);
}

static void pass_until(uint64_t until_ns)
{
	while (now < until_ns)
		step(until_ns - now < tick_ns() ? until_ns - now : tick_ns());
}

/* The newest event there is. */
static struct vitals_event told(void)
{
	struct vitals_event event = { .to = -1 };

	event.size = sizeof(event);
	while (vitals_events_next(events, 0, &event) == 0)
		continue;
	return event;
}

/* What a row says of it; it is the one that was made last. */
static uint32_t row_state(uint32_t index)
{
	struct vitals_heartbeat_info info;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, index, &info), 0);
	ck_assert_str_eq(info.name, "watched");
	return info.state;
}

enum sign {
	REGISTERED,
	STARTED,
	PULSED,
	TOUCHED
};

/* What it did last, and how long it may be silent then. */
static const struct {
	enum sign sign;
	uint64_t start_ns;
	uint64_t allowed_ns;
	unsigned crowd;
} silences[] = {
	{ REGISTERED, 0, T, 0 },
	{ REGISTERED, 0, T, CROWD },
	{ REGISTERED, START, START, 0 },
	{ REGISTERED, START, START, CROWD },
	{ REGISTERED, T / 8, T / 8, CROWD },
	{ STARTED, START, START, 0 },
	{ STARTED, START, START, CROWD },
	{ STARTED, T / 8, T / 8, CROWD },
	{ PULSED, START, T, 0 },
	{ PULSED, T / 8, T, CROWD },
	{ PULSED, START, T, CROWD },
	{ TOUCHED, START, T, 0 },
	{ TOUCHED, START, T, CROWD },
};

/* Gives the sign. Return: from when on it counts. */
static uint64_t sign_given(enum sign sign)
{
	if (sign == PULSED)
		ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	if (sign != TOUCHED)
		return now;
	/* It may have been as late as the end of its tick. */
	vitals_heartbeat_touch(heartbeat);
	step(tick_ns());
	return now;
}

/* In a turn at any nanosecond: at its last it is well, one later it is silent, and told. */
START_TEST(silence_is_told_a_nanosecond_after_its_time_and_not_before)
{
	struct vitals_event event;
	uint64_t from_ns, up_ns;
	unsigned n = silences[_i].crowd;

	crowd_made(n);
	if (silences[_i].sign == STARTED)
		watched_made(T, silences[_i].start_ns);
	now += VITALS_S(7);
	step(0);
	from_ns = now;
	if (silences[_i].sign != STARTED) {
		/* In the middle of everything. */
		pass_until(now + VITALS_MS(12345) + 4 * (uint64_t)_i);
		watched_made(T, silences[_i].start_ns);
		from_ns = sign_given(silences[_i].sign);
	}
	up_ns = from_ns + silences[_i].allowed_ns;
	pass_until(up_ns - 1);
	ck_assert_int_ne(told().to, VITALS_SILENT);
	step(1);
	ck_assert_int_ne(told().to, VITALS_SILENT);
	ck_assert_uint_ne(row_state(n), VITALS_SILENT);
	step(1);
	event = told();
	ck_assert_int_eq(event.to, VITALS_SILENT);
	ck_assert_uint_eq(event.at_ns, up_ns + 1);
	ck_assert_uint_eq(event.silence_ns, silences[_i].allowed_ns + 1);
	ck_assert_uint_eq(row_state(n), VITALS_SILENT);

	/* Stuck in the same way. */
	up_ns = from_ns + 4 * T;
	pass_until(up_ns);
	ck_assert_int_ne(told().to, VITALS_STUCK);
	step(1);
	event = told();
	ck_assert_int_eq(event.to, VITALS_STUCK);
	ck_assert_uint_eq(event.at_ns, up_ns + 1);
}
END_TEST

/* What nobody has to be warned of may take until the sweep comes by. */
START_TEST(a_change_for_the_good_is_told_within_a_round)
{
	struct vitals_event event;
	uint64_t from_ns;

	crowd_made(CROWD);
	step(0);
	watched_made(VITALS_S(60), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	/* It is bad that it has not started: that is looked at sooner. */
	pass_until(now + VITALS_S(1) + 2 * tick_ns());
	ck_assert_int_eq(told().to, VITALS_HEALTHY);
	from_ns = now;
	ck_assert_int_eq(vt_heartbeat_idle_at(heartbeat, now), 0);
	/* But a reader sees it at once. */
	ck_assert_uint_eq(row_state(CROWD), VITALS_IDLE);
	pass_until(now + VITALS_S(CROWD + 1) / 12500 + 2 * tick_ns());
	event = told();
	ck_assert_int_eq(event.to, VITALS_IDLE);
	ck_assert_uint_gt(event.at_ns, from_ns);
}
END_TEST

/* Bad is good again soon after the beat, in any crowd. */
START_TEST(a_recovery_is_told_within_an_eighth_of_the_timeout)
{
	uint64_t from_ns;

	crowd_made(CROWD);
	step(0);
	watched_made(T, 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass_until(now + 2 * T);
	ck_assert_int_eq(told().to, VITALS_SILENT);
	from_ns = now;
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass_until(now + T / 8 + tick_ns());
	ck_assert_int_eq(told().to, VITALS_HEALTHY);
	ck_assert_uint_le(now - from_ns, T / 8 + 2 * tick_ns());
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("look");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc,
			    silence_is_told_a_nanosecond_after_its_time_and_not_before, 0,
			    COUNT(silences));
	tcase_add_test(tc, a_change_for_the_good_is_told_within_a_round);
	tcase_add_test(tc, a_recovery_is_told_within_an_eighth_of_the_timeout);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
