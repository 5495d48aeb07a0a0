/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define T VITALS_MS(80)
#define TICK (T / 8)
#define STEPS 2000
#define EVENTS_MAX 1024

/* The day's clock, put forward or back: the library's clock_gettime() is this one. */
static uint64_t real_ahead_ns;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = __real_clock_gettime(id, ts);
	uint64_t ns;

	if (id != CLOCK_REALTIME)
		return r;
	ns = (uint64_t)ts->tv_sec * VITALS_S(1) + (uint64_t)ts->tv_nsec + real_ahead_ns;
	*ts = vt_clock_timespec(ns);
	return r;
}

/* All that is told in a life, but for what time of day it was. */
struct life {
	unsigned n_events;
	struct vitals_event events[EVENTS_MAX];
	uint32_t states[STEPS][VITALS_STATES];
};

static struct life lives[2];
static uint64_t random_state;

static uint64_t draw(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static void put_wrong(void)
{
	static const uint64_t jumps[] = { VITALS_S(3600),
					  (uint64_t)-VITALS_S(3600),
					  VITALS_S(1),
					  (uint64_t)-VITALS_S(1),
					  VITALS_MS(1),
					  VITALS_S(30u * 365 * 86400),
					  T,
					  (uint64_t)-T };
	static unsigned i;

	/* Back to the right time now and then, which is a step too. */
	real_ahead_ns = i % 3 ? jumps[i % 8] : 0;
	i++;
}

static void act(vitals_heartbeat **all, int *depth, uint64_t paused_ns, uint64_t now)
{
	switch (draw(12)) {
	case 0:
	case 1:
		(void)vt_heartbeat_pulse_at(all[0], now);
		break;
	case 2:
		(void)vt_heartbeat_idle_at(all[1], now);
		break;
	case 3:
		(void)vt_heartbeat_pulse_at(all[1], now);
		break;
	case 4:
		*depth = vt_heartbeat_enter_at(all[2], "work", 2 * T, paused_ns, now);
		break;
	case 5:
	case 6:
		vt_heartbeat_leave_at(all[2], *depth, now);
		break;
	default:
		break;
	}
}

static void events_kept(struct life *life, vitals_events *events)
{
	struct vitals_event *event = &life->events[life->n_events];

	while (life->n_events < EVENTS_MAX && (VITALS_INIT(event), true) &&
	       vitals_events_next(events, 0, event) == 0) {
		event->real_ns = 0;
		event->heartbeat_id = 0;
		event = &life->events[++life->n_events];
	}
}

static void life_lived(struct life *life, bool jumping)
{
	vitals_registry *registry;
	vitals_heartbeat *all[3];
	vitals_events *events;
	uint64_t now = VITALS_S(100);
	int depth = 0;
	unsigned i, k;

	random_state = 88172645463325252u;
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	/* What this thread is doing hangs on no clock of the test's. */
	ck_assert_int_eq(vitals_evidence_set(registry, VITALS_EVIDENCE_OFF), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vt_heartbeat_new_at(registry, "worker", T, NULL, now,
						     &all[i]),
				 0);
	ck_assert_int_eq(vitals_heartbeat_own(all[2]), 0);
	for (i = 0; i < STEPS; i++) {
		if (jumping)
			put_wrong();
		/* A pause is one by whatever clock. */
		now += draw(50) ? TICK : VITALS_S(3);
		act(all, &depth, atomic_load(&registry->root->tick.paused_ns), now);
		ck_assert_int_eq(vitals_step(registry, now), 0);
		events_kept(life, events);
		for (k = 0; k < VITALS_STATES; k++)
			life->states[i][k] =
				atomic_load(&registry->root->summary.critical[k]);
	}
	events = vitals_events_close(events);
	for (i = 0; i < 3; i++)
		vitals_heartbeat_unref(all[i]);
	vitals_registry_free(registry);
	real_ahead_ns = 0;
}

START_TEST(what_time_of_day_it_is_changes_nothing)
{
	life_lived(&lives[0], false);
	life_lived(&lives[1], true);
	ck_assert_uint_gt(lives[0].n_events, 20);
	ck_assert_uint_eq(lives[0].n_events, lives[1].n_events);
	ck_assert_mem_eq(lives[0].events, lives[1].events, sizeof(lives[0].events));
	ck_assert_mem_eq(lives[0].states, lives[1].states, sizeof(lives[0].states));
}
END_TEST

static uint64_t real_of_row(vitals_registry *registry, vitals_snapshot **snapshot,
			    uint64_t now)
{
	struct vitals_process_info info;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, snapshot),
			 0);
	ck_assert_int_eq(vitals_snapshot_process(*snapshot, &info), 0);
	return info.real_ns;
}

/* But what is shown is the day's time as it is, from the next look on. */
START_TEST(what_is_shown_follows_the_clock)
{
	vitals_registry *registry;
	vitals_snapshot *snapshot = NULL;
	uint64_t now = VITALS_S(100), right;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	right = real_of_row(registry, &snapshot, now);
	real_ahead_ns = VITALS_S(3600);
	ck_assert_uint_eq(real_of_row(registry, &snapshot, now), right);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_uint_ge(real_of_row(registry, &snapshot, now), right + VITALS_S(3600));
	real_ahead_ns = (uint64_t)-VITALS_S(3600);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_uint_lt(real_of_row(registry, &snapshot, now), right);
	real_ahead_ns = 0;
	snapshot = vitals_snapshot_free(snapshot);
	vitals_registry_free(registry);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, what_time_of_day_it_is_changes_nothing);
	tcase_add_test(tc, what_is_shown_follows_the_clock);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
