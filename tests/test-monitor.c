/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "monitor.h"
#include "verdict.h"

#include <errno.h>
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

static vitals_heartbeat *heartbeat_made(uint64_t timeout_ns)
{
	vitals_heartbeat *heartbeat;

	ck_assert_int_eq(vt_heartbeat_new_at(registry, "worker", timeout_ns, NULL, now,
					     &heartbeat),
			 0);
	return heartbeat;
}

static void step(uint64_t ns)
{
	now += ns;
	ck_assert_int_eq(vitals_step(registry, now), 0);
}

/* The monitor's last verdict. */
static uint32_t state_of(const vitals_heartbeat *heartbeat)
{
	return atomic_load(&vt_heartbeat_cold(heartbeat)->state);
}

static uint64_t tick_ns(void)
{
	return atomic_load(&registry->root->tick.tick_ns);
}

/* Steps by ticks until it is silent. Return: how long that took. */
static uint64_t until_silent(const vitals_heartbeat *heartbeat, uint64_t most_ns)
{
	uint64_t from = now;

	while (state_of(heartbeat) != VITALS_SILENT && now - from <= most_ns)
		step(tick_ns());
	return now - from;
}

START_TEST(a_touch_under_a_long_tick_keeps_its_time_when_ticks_get_short)
{
	vitals_heartbeat *heartbeat = heartbeat_made(VITALS_S(8)), *other;
	uint64_t touched;

	step(0);
	step(VITALS_S(1));
	ck_assert_uint_eq(tick_ns(), VITALS_S(1));
	now += VITALS_MS(990);
	vitals_heartbeat_touch(heartbeat);
	touched = now;
	other = heartbeat_made(VITALS_MS(80));
	step(VITALS_MS(10));
	ck_assert_uint_eq(tick_ns(), VITALS_MS(10));
	(void)until_silent(heartbeat, VITALS_S(10));
	ck_assert_uint_gt(now - touched, VITALS_S(8));
	ck_assert_uint_le(now - touched, VITALS_S(8) + 2 * VITALS_S(1));
	vitals_heartbeat_unref(heartbeat);
	vitals_heartbeat_unref(other);
}
END_TEST

START_TEST(a_touch_under_a_late_turn_keeps_its_time)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	uint64_t touched;

	step(0);
	step(VITALS_MS(25));
	now += VITALS_MS(49);
	vitals_heartbeat_touch(heartbeat);
	touched = now;
	/* Late, but by less than what counts as a pause. */
	step(VITALS_MS(1));
	while (now - touched < T)
		step(VITALS_MS(1));
	ck_assert_uint_eq(state_of(heartbeat), VITALS_HEALTHY);
	(void)until_silent(heartbeat, T);
	ck_assert_uint_le(now - touched, T + VITALS_MS(50));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A beat that came when the monitor was due already, and then the process was stopped. */
START_TEST(a_beat_just_before_a_pause_is_not_blamed_for_it)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);

	step(0);
	step(VITALS_MS(25));
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now + VITALS_MS(26)), 0);
	step(VITALS_S(1));
	step(VITALS_MS(25));
	step(VITALS_MS(25));
	ck_assert_uint_eq(state_of(heartbeat), VITALS_HEALTHY);
	ck_assert_uint_le(until_silent(heartbeat, VITALS_S(1)) + VITALS_MS(50),
			  T + VITALS_MS(50));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* Stopped right after a look: nothing ran since, so nothing of it is silence. */
START_TEST(a_pause_that_begins_with_a_look_costs_nobody_a_tick)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	uint64_t i;

	step(0);
	step(VITALS_MS(25));
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	for (i = 0; i < 7; i++)
		step(VITALS_MS(25));
	step(VITALS_S(1));
	/* It has run for 175 ms, and for 200 ms after this. */
	step(VITALS_MS(25));
	ck_assert_uint_eq(state_of(heartbeat), VITALS_HEALTHY);
	step(VITALS_MS(25));
	step(VITALS_MS(25));
	ck_assert_uint_eq(state_of(heartbeat), VITALS_SILENT);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A monitor that never gets its turn in time: silence takes longer to be told, not for ever. */
START_TEST(a_monitor_that_is_always_late_still_tells)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	unsigned i;

	step(0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	for (i = 0; i < 40 && state_of(heartbeat) != VITALS_SILENT; i++)
		step(VITALS_MS(100));
	ck_assert_uint_eq(state_of(heartbeat), VITALS_SILENT);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* However late it always is: eight turns it believes in pauses, then a part of each counts. */
START_TEST(a_starved_monitor_tells_within_128_timeouts)
{
	static const uint64_t gaps_ns[] = {
		VITALS_MS(51), VITALS_MS(250), VITALS_S(1),
		VITALS_S(7),   VITALS_S(100),  VITALS_S(3600)
	};
	uint64_t gap_ns = gaps_ns[_i], from;
	vitals_heartbeat *heartbeat = heartbeat_made(T);

	step(0);
	step(VITALS_MS(25));
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	from = now;
	step(VITALS_MS(25));
	while (state_of(heartbeat) == VITALS_HEALTHY && now - from < VITALS_S(1000000))
		step(gap_ns);
	ck_assert_uint_gt(now - from, 8 * gap_ns);
	ck_assert_uint_le(now - from, 9 * gap_ns + 128 * T);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* Woken right after each late turn, as whoever registers wakes it: that is no turn in time. */
START_TEST(a_starved_monitor_that_is_woken_early_still_tells)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	unsigned i;

	step(0);
	step(VITALS_MS(25));
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	step(VITALS_MS(25));
	for (i = 0; i < 20 && state_of(heartbeat) == VITALS_HEALTHY; i++) {
		step(VITALS_S(1));
		step(4);
	}
	ck_assert_uint_eq(state_of(heartbeat), VITALS_SILENT);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/*
 * Stopped for a second, and run for 10 ms, again and again: the monitor gets its turn when it runs
 * again, and the thread beats in every @every-th of these.
 */
static void storm(vitals_heartbeat *heartbeat, unsigned every)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		step(VITALS_S(1) + VITALS_MS(2));
		ck_assert_uint_eq(state_of(heartbeat), VITALS_HEALTHY);
		now += VITALS_MS(8);
		if (i % every == 0)
			ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	}
}

START_TEST(who_runs_a_hundredth_of_the_time_is_not_silent_for_that)
{
	static const struct {
		uint64_t timeout_ns;
		unsigned every;
	} storms[] = {
		{ VITALS_MS(20), 1 }, { VITALS_MS(50), 2 }, { T, 1 }, { T, 4 },
		{ VITALS_S(1), 4 },
	};
	vitals_heartbeat *heartbeat = heartbeat_made(storms[_i].timeout_ns);

	step(0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	step(4);
	storm(heartbeat, storms[_i].every);
	/* And when it is over nothing of it is left. */
	step(tick_ns());
	step(tick_ns());
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	ck_assert_uint_gt(until_silent(heartbeat, VITALS_S(10)), storms[_i].timeout_ns);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* What was paused before a start has nothing to do with the silence after it. */
START_TEST(a_pause_before_the_start_is_no_credit_after_it)
{
	struct vt_sign sign = { .beat = 1000,
				.timeout_ns = 1000,
				.stuck_ns = 4000,
				.start_ns = 1000,
				.seen = 1000,
				.state = VITALS_HEALTHY };
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	struct vt_tick tick;

	step(0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	step(VITALS_MS(25));
	step(VITALS_S(3600));
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	vt_tick_load(&registry->root->tick, &tick);
	sign.beat = sign.seen = VT_BEAT_NS(tick.started_ns - VITALS_S(1));
	tick.at_ns = tick.started_ns + VITALS_S(1);
	ck_assert_uint_eq(vt_judge(&sign, &tick, tick.at_ns).silence_ns, VITALS_S(1));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(steps_in_the_future_do_not_spare_anybody_after_a_start)
{
	vitals_heartbeat *heartbeat = heartbeat_made(T);
	struct vt_tick tick;

	now = VITALS_S(1u << 30);
	step(0);
	step(VITALS_S(3600));
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	vt_tick_load(&registry->root->tick, &tick);
	ck_assert_uint_le(tick.grace_ns, tick.at_ns);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A stall that began in steps ahead of the clock and ends after it has a length all the same. */
START_TEST(a_stall_in_the_future_has_not_lasted_for_ever)
{
	vitals_heartbeat *heartbeat;

	now = VITALS_S(1u << 30);
	heartbeat = heartbeat_made(T);
	step(0);
	(void)until_silent(heartbeat, VITALS_S(10));
	ck_assert_int_eq(state_of(heartbeat), VITALS_SILENT);
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	now = vt_clock_now();
	(void)vt_heartbeat_pulse_at(heartbeat, now);
	step(0);
	ck_assert_int_eq(state_of(heartbeat), VITALS_HEALTHY);
	ck_assert_uint_le(atomic_load(&vt_heartbeat_rare(heartbeat)->stalled_ns),
			  VITALS_S(60));
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A step that did not see the start come: it would be ahead of the thread's clock. */
START_TEST(a_turn_by_hand_is_none_while_the_thread_runs)
{
	struct vt_tick tick;
	uint64_t next_ns;

	step(0);
	ck_assert_int_eq(vitals_start(registry), 0);
	now = vt_clock_now() + VITALS_S(3600);
	ck_assert_int_eq(vt_monitor_turn_at(registry, now, &next_ns), -EBUSY);
	ck_assert_int_eq(vitals_stop(registry), 0);
	vt_tick_load(&registry->root->tick, &tick);
	ck_assert_uint_lt(tick.at_ns, now);
}
END_TEST

#define POSTED 256

/* Says that time is up after so many looks, as a turn's clock does; and then that it is not. */
static bool looked_at(void *user, uint32_t index)
{
	unsigned *looks = user;

	(void)index;
	return ++*looks % 64 != 32;
}

START_TEST(who_has_no_time_left_leaves_the_rest_of_what_was_posted)
{
	vitals_heartbeat *all[POSTED];
	unsigned i, looks = 0;

	for (i = 0; i < POSTED; i++)
		all[i] = heartbeat_made(T);
	ck_assert(!vt_inbox_drain(registry, looked_at, &looks));
	ck_assert_uint_le(looks, 64);
	for (i = 0; i < 10 && !vt_inbox_drain(registry, looked_at, &looks); i++)
		continue;
	ck_assert_uint_eq(looks, POSTED);
	for (i = 0; i < POSTED; i++)
		vitals_heartbeat_unref(all[i]);
}
END_TEST

START_TEST(stuck_at_once_is_a_stall_too)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	VITALS_INIT(&options);
	options.stuck_ns = T + 1;
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "worker", T, &options, now, &heartbeat), 0);
	step(0);
	while (state_of(heartbeat) != VITALS_STUCK)
		step(VITALS_MS(25));
	ck_assert_uint_eq(atomic_load(&vt_heartbeat_rare(heartbeat)->stalls), 1);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

/* A heartbeat wakes it where its tick is too long, or where the turn under way may have missed it. */
START_TEST(is_woken_for_a_heartbeat_it_would_look_at_too_late)
{
	vitals_heartbeat *all[4];
	uint32_t wake;

	step(0);
	wake = atomic_load(&registry->wake);
	all[0] = heartbeat_made(T);
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 1);
	step(1);
	all[1] = heartbeat_made(T);
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 1);
	atomic_fetch_add(&registry->turns, 1);
	all[2] = heartbeat_made(T);
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 2);
	atomic_fetch_add(&registry->turns, 1);
	all[3] = heartbeat_made(VITALS_MS(2));
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 3);
	step(1);
	/* No tick is shorter than this one. */
	vitals_heartbeat_unref(all[0]);
	all[0] = heartbeat_made(VITALS_MS(1));
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 3);
	vitals_heartbeat_unref(all[0]);
	vitals_heartbeat_unref(all[1]);
	vitals_heartbeat_unref(all[2]);
	vitals_heartbeat_unref(all[3]);
}
END_TEST

/*
 * Random schedules of all that can happen, in virtual time, against a naive model: it knows when
 * the process really ran, and what it holds against a heartbeat is only that.
 */
#define RUNS (THREAD_SANITIZED ? 300 : 3000)
#define TURNS 200
#define SIGNS 10
#define CROWD 400
/* Beats lose their two low bits. */
#define BEAT_NS 4u
/* Pauses in a row after which the monitor takes itself for starved. */
#define PAUSES_MAX 6

static struct {
	uint64_t seed;
	uint64_t random;
	uint64_t run_ns;   /* how long the process has run */
	uint64_t turn_run; /* that, at the last turn */
	uint64_t next_ns;
	uint64_t grace_ns;
	unsigned pauses; /* in a row */
	uint32_t wake;
	bool crowded; /* too many for a look at each in every turn */
	struct sign {
		vitals_heartbeat *heartbeat;
		uint64_t life_run; /* run_ns when it last gave a sign */
		uint64_t slack_ns; /* what it may be late by */
		uint64_t gap_ns;   /* the longest from turn to turn since */
		uint64_t allowed_ns;
		uint64_t timeout_ns;
		bool idle;
		bool beaten;
		bool quiet; /* at its last verdict */
	} signs[SIGNS];
} model;

static uint64_t draw(uint64_t n)
{
	/* xorshift64*: the same everywhere. */
	model.random ^= model.random >> 12;
	model.random ^= model.random << 25;
	model.random ^= model.random >> 27;
	return n ? (model.random * 0x2545f4914f6cdd1du >> 11) % n : 0;
}

static void runs_for(uint64_t ns)
{
	now += ns;
	model.run_ns += ns;
}

static void sign_given(struct sign *sign, bool idle)
{
	sign->life_run = model.run_ns;
	sign->slack_ns = 0;
	sign->gap_ns = 0;
	sign->idle = idle;
	sign->beaten = true;
	sign->allowed_ns = sign->timeout_ns;
}

static void sign_made(struct sign *sign)
{
	struct vitals_heartbeat_options options;

	VITALS_INIT(&options);
	memset(sign, 0, sizeof(*sign));
	sign->timeout_ns = VITALS_MS(1) << draw(12);
	sign->timeout_ns += draw(sign->timeout_ns);
	sign->allowed_ns = sign->timeout_ns;
	if (draw(2))
		sign->allowed_ns = options.start_ns = 1 + draw(3 * sign->timeout_ns);
	options.flags = VITALS_NO_HISTOGRAM;
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "sign", sign->timeout_ns, &options,
					     now, &sign->heartbeat),
			 0);
	sign->life_run = model.run_ns;
}

/* Says something only where it fails: there are millions. */
static void expect(bool is, const char *what, uint64_t ns, uint64_t of_ns)
{
	if (!is)
		ck_abort_msg("seed %llu: %s, %llu of %llu",
			     (unsigned long long)model.seed, what, (unsigned long long)ns,
			     (unsigned long long)of_ns);
}

static bool quiet(uint32_t state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

/* A reader, in the process, at any moment. */
static void sign_read(const struct sign *sign)
{
	struct vt_verdict verdict;
	struct vt_sign copy = { 0 };
	struct vt_tick tick;
	uint64_t silence;

	vt_tick_load(&registry->root->tick, &tick);
	vt_sign_load(vt_heartbeat_hot(sign->heartbeat),
		     vt_heartbeat_cold(sign->heartbeat), &copy);
	verdict = vt_judge(&copy, &tick, now);
	if (!tick.turns || !quiet(verdict.state) || quiet(copy.state))
		return;
	silence = model.run_ns - sign->life_run;
	expect(!sign->idle && silence + BEAT_NS > sign->allowed_ns, "a reader is early",
	       silence, sign->allowed_ns);
}

static void act(void)
{
	struct sign *sign = &model.signs[draw(SIGNS)];

	if (!sign->heartbeat) {
		if (!draw(8))
			sign_made(sign);
		return;
	}
	switch (draw(24)) {
	case 0:
		sign->heartbeat = vitals_heartbeat_unref(sign->heartbeat);
		break;
	case 1:
	case 2:
		(void)vt_heartbeat_idle_at(sign->heartbeat, now);
		sign_given(sign, true);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		(void)vt_heartbeat_pulse_at(sign->heartbeat, now);
		sign_given(sign, false);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		vitals_heartbeat_touch(sign->heartbeat);
		sign_given(sign, false);
		break;
	default:
		sign_read(sign);
	}
}

/* The process runs until @until_ns and does this and that; a wake makes the next turn be now. */
static bool runs_until(uint64_t until_ns)
{
	while (now < until_ns) {
		runs_for(1 + draw(until_ns - now));
		act();
		if (atomic_load(&registry->wake) != model.wake)
			return true;
	}
	return false;
}

/* A touch may be taken for one as late as the next turn; this turn is the other tick. */
static void sign_not_late(const struct sign *sign, uint64_t silence)
{
	expect(now < model.grace_ns ||
		       silence <= sign->allowed_ns + sign->gap_ns + sign->slack_ns,
	       "late", silence, sign->allowed_ns);
}

/* In a crowd nobody is looked at but when it may be silent: that is what has to be right. */
static void sign_judged_in_crowd(struct sign *sign)
{
	uint64_t silence = model.run_ns - sign->life_run;
	bool was = sign->quiet;

	sign->quiet = quiet(state_of(sign->heartbeat));
	if (sign->quiet && !was)
		expect(!sign->idle && silence + BEAT_NS > sign->allowed_ns, "early",
		       silence, sign->allowed_ns);
	else if (!sign->quiet && !sign->idle)
		sign_not_late(sign, silence);
}

static void sign_judged(struct sign *sign)
{
	uint32_t state = state_of(sign->heartbeat);
	uint64_t silence = model.run_ns - sign->life_run;

	if (model.crowded) {
		sign_judged_in_crowd(sign);
		return;
	}
	if (sign->idle) {
		expect(state == VITALS_IDLE, "not idle", silence, 0);
		return;
	}
	if (quiet(state)) {
		expect(silence + BEAT_NS > sign->allowed_ns, "early", silence,
		       sign->allowed_ns);
		return;
	}
	expect(state == (sign->beaten ? VITALS_HEALTHY : VITALS_STARTING), "wrong", state,
	       0);
	sign_not_late(sign, silence);
}

static void model_turn(bool paused)
{
	uint64_t gap_ns = model.run_ns - model.turn_run;
	unsigned i;

	model.wake = atomic_load(&registry->wake);
	if (paused)
		/* By the tick as it was; what it is afterwards may be shorter. */
		model.grace_ns = now + tick_ns();
	expect(vt_monitor_turn_at(registry, now, &model.next_ns) == 0, "no turn", 0, 0);
	model.turn_run = model.run_ns;
	for (i = 0; i < SIGNS; i++) {
		struct sign *sign = &model.signs[i];

		if (!sign->heartbeat)
			continue;
		if (paused)
			sign->slack_ns += gap_ns;
		else if (gap_ns > sign->gap_ns)
			sign->gap_ns = gap_ns;
		sign_judged(sign);
	}
}

/* From one turn to the next. */
static void model_go_on(void)
{
	uint64_t tick = tick_ns();
	bool paused = false;

	switch (draw(10)) {
	case 0: /* early, as when woken */
		(void)runs_until(now + draw(tick));
		break;
	case 1: /* late, but no pause */
	case 2:
		(void)runs_until(now + tick + draw(tick));
		break;
	case 3:
		if (model.pauses == PAUSES_MAX)
			break;
		if (runs_until(now + draw(2 * tick)))
			break;
		now += 3 * tick + draw(draw(2) ? 3 * tick : VITALS_S(100));
		(void)runs_until(now + draw(tick));
		paused = true;
		break;
	default:
		(void)runs_until(model.next_ns > now ? model.next_ns : now);
	}
	model.pauses = paused ? model.pauses + 1 : 0;
	model_turn(paused);
}

/* Others, who wait for ever. */
static void crowd_made(vitals_heartbeat **crowd, unsigned n)
{
	struct vitals_heartbeat_options options;
	unsigned i;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(vt_heartbeat_new_at(registry, "crowd", VITALS_S(300),
						     &options, now, &crowd[i]),
				 0);
		ck_assert_int_eq(vt_heartbeat_idle_at(crowd[i], now), 0);
	}
}

static void model_run(uint64_t seed)
{
	vitals_heartbeat *crowd[CROWD];
	unsigned i, n;

	memset(&model, 0, sizeof(model));
	model.seed = seed;
	model.random = (seed + 1) * 0x9e3779b97f4a7c15u;
	setup();
	now += draw(4);
	model.crowded = draw(2);
	n = model.crowded ? 40 + (unsigned)draw(CROWD - 40) : 0;
	crowd_made(crowd, n);
	vt_lock(&registry->lock);
	ck_assert_int_eq(vt_monitor_make(registry), 0);
	vt_unlock(&registry->lock);
	for (i = 0; i < 20; i++)
		act();
	model_turn(false);
	for (i = 0; i < TURNS; i++)
		model_go_on();
	for (i = 0; i < SIGNS; i++)
		vitals_heartbeat_unref(model.signs[i].heartbeat);
	for (i = 0; i < n; i++)
		vitals_heartbeat_unref(crowd[i]);
	teardown();
}

/* VITALS_TEST_SEED=N is where it begins: what a failure says, to see it again. */
START_TEST(is_never_early_and_never_late_whatever_happens)
{
	const char *from = getenv("VITALS_TEST_SEED");
	uint64_t seed = from ? strtoull(from, NULL, 10) : 0, i;

	teardown();
	for (i = 0; i < RUNS; i++)
		model_run(seed + i);
	setup();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("monitor");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_touch_under_a_long_tick_keeps_its_time_when_ticks_get_short);
	tcase_add_test(tc, a_touch_under_a_late_turn_keeps_its_time);
	tcase_add_test(tc, a_beat_just_before_a_pause_is_not_blamed_for_it);
	tcase_add_test(tc, a_pause_that_begins_with_a_look_costs_nobody_a_tick);
	tcase_add_test(tc, a_monitor_that_is_always_late_still_tells);
	tcase_add_loop_test(tc, a_starved_monitor_tells_within_128_timeouts, 0, 6);
	tcase_add_test(tc, a_starved_monitor_that_is_woken_early_still_tells);
	tcase_add_loop_test(tc, who_runs_a_hundredth_of_the_time_is_not_silent_for_that,
			    0, 5);
	tcase_add_test(tc, a_pause_before_the_start_is_no_credit_after_it);
	tcase_add_test(tc, steps_in_the_future_do_not_spare_anybody_after_a_start);
	tcase_add_test(tc, a_stall_in_the_future_has_not_lasted_for_ever);
	tcase_add_test(tc, a_turn_by_hand_is_none_while_the_thread_runs);
	tcase_add_test(tc, who_has_no_time_left_leaves_the_rest_of_what_was_posted);
	tcase_add_test(tc, stuck_at_once_is_a_stall_too);
	tcase_add_test(tc, is_woken_for_a_heartbeat_it_would_look_at_too_late);
	tcase_add_test(tc, is_never_early_and_never_late_whatever_happens);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
