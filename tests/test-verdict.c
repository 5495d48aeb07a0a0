/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "verdict.h"
#include "vitals.h"

#define T 1000u
#define TICK 100u
#define NOW 100000u

/* A tick at NOW of a monitor that started long ago. */
static struct vt_tick tick_now(void)
{
	return (struct vt_tick){
		.at_ns = NOW,
		.tick_ns = TICK,
		.before_ns = NOW - TICK,
		.started_ns = 4,
		.gap_ns = TICK,
	};
}

static struct vt_sign sign_of(uint64_t beat, uint32_t state)
{
	return (struct vt_sign){ .beat = beat,
				 .timeout_ns = T,
				 .stuck_ns = 4 * T,
				 .start_ns = 2 * T,
				 .state = state };
}

/* Verdicts at NOW, by how the last beat was and how long ago; times are multiples of 4. */
static const struct {
	uint64_t kind;
	uint64_t ago_ns;
	uint32_t state;
} boundaries[] = {
	{ VT_BEAT_PULSE, 0, VITALS_HEALTHY },
	{ VT_BEAT_PULSE, T, VITALS_HEALTHY },
	{ VT_BEAT_PULSE, T + 4, VITALS_SILENT },
	{ VT_BEAT_PULSE, 4 * T, VITALS_SILENT },
	{ VT_BEAT_PULSE, 4 * T + 4, VITALS_STUCK },
	{ VT_BEAT_TICK, T + TICK, VITALS_HEALTHY },
	{ VT_BEAT_TICK, T + TICK + 4, VITALS_SILENT },
	{ VT_BEAT_STARTING, 2 * T, VITALS_STARTING },
	{ VT_BEAT_STARTING, 2 * T + 4, VITALS_SILENT },
	{ VT_BEAT_IDLE, 90 * T, VITALS_IDLE },
};

START_TEST(judges_each_boundary)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of((NOW - boundaries[_i].ago_ns) | boundaries[_i].kind,
				      VITALS_HEALTHY);

	sign.seen = VT_BEAT_NS(sign.beat);
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, boundaries[_i].state);
}
END_TEST

/* It carries the time of a tick and came before the next: the monitor has to take that. */
START_TEST(a_touch_may_have_come_as_late_as_the_next_tick)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of((NOW - TICK) | VT_BEAT_TICK, VITALS_HEALTHY);

	sign.seen = NOW - TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW);
	/* One that the monitor did not see, too: how far apart ticks were since, it knows. */
	sign.beat -= 4 * TICK;
	sign.seen = VT_BEAT_NS(sign.beat) - TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW - 4 * TICK);
	tick.gap_ns = 3 * TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW - 2 * TICK);
	tick.gap_ns = 6 * TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW);
	sign.seen = NOW - 3 * TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW - 3 * TICK);
	/* One since the tick is of this moment, even where the tick is longer than the timeout. */
	sign.beat = NOW | VT_BEAT_TICK;
	sign.timeout_ns = TICK / 4;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + TICK).silence_ns, 0);
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + TICK).state, VITALS_HEALTHY);
}
END_TEST

START_TEST(counts_no_silence_from_before_the_start)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(4, VITALS_HEALTHY);

	tick.started_ns = NOW - T;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_HEALTHY);
	tick.started_ns = NOW - T - 4;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_SILENT);
}
END_TEST

/* A pause of every length at every phase: seen before, beaten since, credited just now or long ago. */
START_TEST(credits_a_pause_exactly_once)
{
	static const uint64_t lengths[] = { 4, 96, T, 3 * T, 70 * T };
	uint64_t length = lengths[_i], phase;

	for (phase = 0; phase <= 2 * T; phase += 20) {
		struct vt_tick tick = tick_now();
		struct vt_sign sign = sign_of(NOW - length - phase, VITALS_HEALTHY);

		tick.paused_ns = 5000 + length;
		tick.swept_paused_ns = 5000;
		sign.seen = sign.beat;
		sign.seen_paused_ns = 5000;
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).silence_ns, phase);
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state,
				  phase > T ? VITALS_SILENT : VITALS_HEALTHY);

		/* The same, but the monitor had not seen the beat when the pause began. */
		sign.seen = sign.beat - 8;
		tick.pause_from_ns = sign.beat + 4;
		tick.pause_ns = length;
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).silence_ns, phase);

		/* Had there been another pause since its last look, it is spared that one too. */
		tick.swept_paused_ns = 4990;
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).silence_ns,
				  phase > 10 ? phase - 10 : 0);

		/* A beat that came within it: only what followed the pause is silence. */
		tick.pause_from_ns = sign.beat - 4;
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).silence_ns, phase + 4);

		/* A beat that came when the pause was over is as old as it is. */
		tick.pause_ns = 4;
		ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).silence_ns, length + phase);
	}
}
END_TEST

START_TEST(gives_a_tick_to_beat_after_a_pause)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(NOW - 2 * T, VITALS_HEALTHY);

	tick.grace_ns = NOW + TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_HEALTHY);
	/* But nobody who was silent before is well for it. */
	sign.state = VITALS_SILENT;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_SILENT);
	sign.state = VITALS_HEALTHY;
	tick.at_ns = NOW + TICK;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + TICK).state, VITALS_SILENT);
}
END_TEST

START_TEST(a_reader_is_never_ahead_of_the_monitor_by_more_than_a_tick)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(NOW - T + TICK, VITALS_HEALTHY);

	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + 2 * TICK).state, VITALS_HEALTHY);
	sign.beat -= 4;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + TICK).state, VITALS_SILENT);
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + 2 * TICK).state, VITALS_SILENT);
	/* Later, it may have been a pause that the monitor has yet to find. */
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW + 2 * TICK + 1).state,
			  VITALS_HEALTHY);
}
END_TEST

START_TEST(keeps_its_verdict_while_nobody_looks)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(NOW - 90 * T, VITALS_HEALTHY);
	uint64_t later = NOW + VITALS_S(1) + 1;

	tick.flags = VT_TICK_RUNNING;
	ck_assert_uint_eq(vt_not_watched(&tick, later - 1), 0);
	ck_assert_uint_eq(vt_not_watched(&tick, later), VITALS_S(1) + 1);
	ck_assert_uint_eq(vt_judge(&sign, &tick, later).state, VITALS_HEALTHY);
	tick.flags = 0;
	ck_assert_uint_eq(vt_not_watched(&tick, later), 0);
}
END_TEST

START_TEST(believes_the_newest_beat_it_ever_saw)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(NOW - 2 * T, VITALS_HEALTHY);

	sign.seen = NOW - 4;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_HEALTHY);
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).beat_ns, NOW - 4);
}
END_TEST

START_TEST(closed_comes_before_dead_before_all_else)
{
	struct vt_tick tick = tick_now();
	struct vt_sign sign = sign_of(NOW, VITALS_HEALTHY);

	sign.flags = VT_HB_DEAD;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_DEAD);
	sign.flags |= VT_HB_CLOSED;
	ck_assert_uint_eq(vt_judge(&sign, &tick, NOW).state, VITALS_CLOSED);
}
END_TEST

/* One heartbeat in a state, and what each endpoint then says. */
static const struct {
	uint32_t state;
	bool critical;
	uint32_t health;
	bool ready;
	bool live;
} table[] = {
	{ VITALS_STARTING, true, VITALS_WARN, false, true },
	{ VITALS_HEALTHY, true, VITALS_PASS, true, true },
	{ VITALS_IDLE, true, VITALS_PASS, true, true },
	{ VITALS_SILENT, true, VITALS_FAIL, false, true },
	{ VITALS_STUCK, true, VITALS_FAIL, false, false },
	{ VITALS_DEAD, true, VITALS_FAIL, false, false },
	{ VITALS_CLOSED, true, VITALS_PASS, true, true },
	{ VITALS_STARTING, false, VITALS_PASS, true, true },
	{ VITALS_HEALTHY, false, VITALS_PASS, true, true },
	{ VITALS_IDLE, false, VITALS_PASS, true, true },
	{ VITALS_SILENT, false, VITALS_WARN, true, true },
	{ VITALS_STUCK, false, VITALS_WARN, true, true },
	{ VITALS_DEAD, false, VITALS_WARN, true, true },
};

START_TEST(says_what_the_table_says)
{
	struct vt_standing standing = { 0 };

	if (table[_i].critical)
		standing.critical[table[_i].state] = 1;
	else
		standing.informative[table[_i].state] = 1;
	ck_assert_uint_eq(vt_standing_health(&standing), table[_i].health);
	ck_assert_int_eq(vt_standing_ready(&standing), table[_i].ready);
	ck_assert_int_eq(vt_standing_live(&standing), table[_i].live);
}
END_TEST

START_TEST(not_watched_fails_at_once_and_dies_after_ten_seconds)
{
	struct vt_standing standing = { .not_watched_ns = VITALS_S(1) + 1 };

	ck_assert_uint_eq(vt_standing_health(&standing), VITALS_FAIL);
	ck_assert(!vt_standing_ready(&standing));
	ck_assert(vt_standing_live(&standing));
	standing.not_watched_ns = VITALS_S(10) + 1;
	ck_assert(!vt_standing_live(&standing));
}
END_TEST

START_TEST(quitting_ends_readiness_and_not_life)
{
	struct vt_standing standing = { .quitting = true };

	ck_assert(!vt_standing_ready(&standing));
	ck_assert(vt_standing_live(&standing));
	ck_assert_uint_eq(vt_standing_health(&standing), VITALS_PASS);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("verdict");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, judges_each_boundary, 0, COUNT(boundaries));
	tcase_add_test(tc, a_touch_may_have_come_as_late_as_the_next_tick);
	tcase_add_test(tc, counts_no_silence_from_before_the_start);
	tcase_add_loop_test(tc, credits_a_pause_exactly_once, 0, 5);
	tcase_add_test(tc, gives_a_tick_to_beat_after_a_pause);
	tcase_add_test(tc, a_reader_is_never_ahead_of_the_monitor_by_more_than_a_tick);
	tcase_add_test(tc, keeps_its_verdict_while_nobody_looks);
	tcase_add_test(tc, believes_the_newest_beat_it_ever_saw);
	tcase_add_test(tc, closed_comes_before_dead_before_all_else);
	tcase_add_loop_test(tc, says_what_the_table_says, 0, COUNT(table));
	tcase_add_test(tc, not_watched_fails_at_once_and_dies_after_ten_seconds);
	tcase_add_test(tc, quitting_ends_readiness_and_not_life);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
