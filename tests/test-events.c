/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "notifier.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define T VITALS_MS(80)
#define TICK VITALS_MS(10)

static vitals_registry *registry;
static uint64_t now;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
	ck_assert_int_eq(vitals_step(registry, now), 0);
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

static void pass(uint64_t ns)
{
	uint64_t until = now + ns;

	while (now < until) {
		now = until - now > TICK ? now + TICK : until;
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
}

static struct vitals_event next(vitals_events *events, int result)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(events, 0, &event), result);
	return event;
}

static bool readable(vitals_events *events)
{
	struct pollfd pollfd = { .fd = vitals_events_fd(events), .events = POLLIN };

	return poll(&pollfd, 1, 20) == 1;
}

START_TEST(tells_each_change_once_in_order)
{
	vitals_heartbeat *a = heartbeat_made("a"), *b = heartbeat_made("b");
	struct vitals_event event;
	vitals_events *events;

	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	next(events, -ETIMEDOUT);
	ck_assert(!readable(events));
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	ck_assert(readable(events));
	event = next(events, 0);
	ck_assert_str_eq(event.name, "a");
	ck_assert_int_eq(event.from, -1);
	ck_assert_int_eq(event.to, VITALS_HEALTHY);
	ck_assert_uint_eq(event.number, 1);
	next(events, -ETIMEDOUT);
	ck_assert(!readable(events));

	pass(T);
	event = next(events, 0);
	ck_assert_str_eq(event.name, "a");
	ck_assert_int_eq(event.from, VITALS_HEALTHY);
	ck_assert_int_eq(event.to, VITALS_SILENT);
	ck_assert_uint_gt(event.silence_ns, T);
	/* b never beats: its first event is its silence. */
	event = next(events, 0);
	ck_assert_str_eq(event.name, "b");
	ck_assert_int_eq(event.from, -1);
	ck_assert_int_eq(event.to, VITALS_SILENT);
	pass(TICK);
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	event = next(events, 0);
	ck_assert_int_eq(event.to, VITALS_HEALTHY);
	ck_assert_uint_eq(event.lasted_ns, 2 * TICK);
	/* What a recovery tells is the longest silence there was. */
	ck_assert_uint_gt(event.silence_ns, T);
	ck_assert_str_eq(event.group, "default");
	next(events, -ETIMEDOUT);
	vitals_events_close(events);
	vitals_heartbeat_unref(a);
	vitals_heartbeat_unref(b);
}
END_TEST

/* Through silent and stuck: the whole stall, from silent on, and the worst age it came to. */
START_TEST(a_recovery_tells_of_the_whole_stall)
{
	vitals_heartbeat *heartbeat = heartbeat_made("a");
	uint64_t beat_ns = now, silent_ns;
	struct vitals_event event;
	vitals_events *events;

	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(TICK);
	ck_assert_int_eq(vitals_events_open(registry, heartbeat, &events), 0);
	pass(T);
	event = next(events, 0);
	ck_assert_int_eq(event.to, VITALS_SILENT);
	ck_assert_uint_eq(event.lasted_ns, T);
	silent_ns = event.at_ns;
	/* A pause in it is time, but no silence. */
	pass(T);
	now += VITALS_S(60);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	pass(2 * T);
	event = next(events, 0);
	ck_assert_int_eq(event.from, VITALS_SILENT);
	ck_assert_int_eq(event.to, VITALS_STUCK);
	ck_assert_uint_eq(event.lasted_ns, event.at_ns - silent_ns);
	ck_assert_uint_gt(event.silence_ns, 4 * T);
	pass(10 * T);
	/* Not as of the last look, but as it was. */
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now + TICK / 2), 0);
	pass(TICK);
	event = next(events, 0);
	ck_assert_int_eq(event.from, VITALS_STUCK);
	ck_assert_int_eq(event.to, VITALS_HEALTHY);
	ck_assert_uint_eq(event.at_ns, now);
	ck_assert_uint_eq(event.lasted_ns, now - silent_ns);
	ck_assert_uint_eq(event.silence_ns, now - TICK / 2 - VITALS_S(60) - beat_ns);
	vitals_events_close(events);
	vitals_heartbeat_unref(heartbeat);
}
END_TEST

START_TEST(a_reader_of_one_heartbeat_hears_of_no_other)
{
	vitals_heartbeat *a = heartbeat_made("a"), *b = heartbeat_made("b");
	vitals_events *events;

	ck_assert_int_eq(vitals_events_open(registry, b, &events), 0);
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	next(events, -ETIMEDOUT);
	vt_heartbeat_pulse_at(b, now);
	pass(TICK);
	ck_assert_str_eq(next(events, 0).name, "b");
	vitals_heartbeat_unref(b);
	/* Another takes its place. */
	b = heartbeat_made("c");
	vt_heartbeat_pulse_at(b, now);
	pass(TICK);
	next(events, -ETIMEDOUT);
	vitals_events_close(events);
	vitals_heartbeat_unref(a);
	vitals_heartbeat_unref(b);
}
END_TEST

/* One heartbeat flaps, others change once; a reader looks now and then. Nothing but stale is lost. */
START_TEST(loses_only_what_a_newer_change_made_stale)
{
	vitals_heartbeat *flapper = heartbeat_made("flapper"), *quiet[20];
	uint64_t seen = 0, lost = 0, changes, last = 0;
	struct vitals_process_info process;
	struct vitals_event event;
	vitals_snapshot *snapshot = NULL;
	vitals_events *events;
	unsigned i, names = 0;

	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	for (i = 0; i < 20; i++)
		quiet[i] = heartbeat_made("quiet");
	for (i = 0; i < 200; i++) {
		vt_heartbeat_idle_at(flapper, now);
		pass(TICK);
		vt_heartbeat_pulse_at(flapper, now);
		if (i % 10 == 5)
			vt_heartbeat_idle_at(quiet[i / 10], now);
		pass(TICK);
		VITALS_INIT(&event);
		while (i % 7 == 3 && vitals_events_next(events, 0, &event) == 0) {
			ck_assert_uint_gt(event.number, last);
			last = event.number;
			seen++;
			lost += event.lost;
			names += strncmp(event.name, "quiet", 5) == 0 &&
				 event.to == VITALS_IDLE;
		}
	}
	while (vitals_events_next(events, 0, &event) == 0) {
		ck_assert_uint_gt(event.number, last);
		last = event.number;
		seen++;
		lost += event.lost;
		names += strncmp(event.name, "quiet", 5) == 0 && event.to == VITALS_IDLE;
	}
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &process), 0);
	changes = process.changes;
	vitals_snapshot_free(snapshot);
	ck_assert_uint_eq(seen + lost, changes);
	ck_assert_uint_eq(names, 20);
	for (i = 0; i < 20; i++)
		vitals_heartbeat_unref(quiet[i]);
	vitals_heartbeat_unref(flapper);
	vitals_events_close(events);
}
END_TEST

START_TEST(tells_a_pause_of_the_whole_process)
{
	vitals_heartbeat *a = heartbeat_made("a");
	struct vitals_event event;
	vitals_events *events;

	pass(2 * TICK);
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	now += VITALS_S(60);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	event = next(events, 0);
	ck_assert_int_eq(event.kind, VITALS_EVENT_PAUSE);
	ck_assert_uint_eq(event.lasted_ns, VITALS_S(60));
	next(events, -ETIMEDOUT);
	vt_heartbeat_pulse_at(a, now);
	pass(T);
	next(events, -ETIMEDOUT);
	vitals_events_close(events);
	vitals_heartbeat_unref(a);
}
END_TEST

START_TEST(a_65th_reader_has_no_room)
{
	vitals_events *events[65];
	int i;

	for (i = 0; i <= 64; i++)
		ck_assert_int_eq(vitals_events_open(registry, NULL, &events[i]),
				 i < 64 ? 0 : -ENOSPC);
	ck_assert_ptr_null(events[64]);
	for (i = 0; i < 64; i++)
		vitals_events_close(events[i]);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events[0]), 0);
	vitals_events_close(events[0]);
}
END_TEST

START_TEST(ends_with_stop)
{
	struct vitals_event event;
	vitals_heartbeat *a = heartbeat_made("a");
	vitals_events *events;
	struct pollfd pollfd = { .events = POLLIN };
	int r;

	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_start(registry), -EALREADY);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	vitals_heartbeat_idle(a);
	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(events, VITALS_S(20), &event), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	ck_assert_int_eq(vitals_stop(registry), 0);
	pollfd.fd = vitals_events_fd(events);
	ck_assert_int_eq(poll(&pollfd, 1, 5000), 1);
	ck_assert_int_eq(vitals_events_next(events, VITALS_FOREVER, &event), -ECANCELED);
	ck_assert_int_eq(vitals_start(registry), 0);
	/* Nothing but that the machine had no time for the monitor. */
	while ((r = vitals_events_next(events, 0, &event)) == 0)
		ck_assert_int_eq(event.kind, VITALS_EVENT_PAUSE);
	ck_assert_int_eq(r, -ETIMEDOUT);
	vitals_events_close(events);
	vitals_heartbeat_unref(a);
}
END_TEST

/* A callback: what it saw, and a gate that it may be held at. */
static struct called {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	unsigned calls; /* guarded by mutex, like all here */
	bool hold;
	int stop_result;
	int replace_result;
	sigset_t mask;
} called = { .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void on_event(const struct vitals_event *event, void *user)
{
	struct called *c = user;

	pthread_mutex_lock(&c->mutex);
	(void)worker_check(event->size == sizeof(*event));
	c->calls++;
	c->stop_result = vitals_stop(registry);
	c->replace_result = vitals_on_event(registry, NULL, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &c->mask);
	pthread_cond_broadcast(&c->cond);
	while (c->hold)
		pthread_cond_wait(&c->cond, &c->mutex);
	pthread_mutex_unlock(&c->mutex);
}

static void wait_for_calls(unsigned calls)
{
	pthread_mutex_lock(&called.mutex);
	while (called.calls < calls)
		pthread_cond_wait(&called.cond, &called.mutex);
	pthread_mutex_unlock(&called.mutex);
}

START_TEST(calls_back_with_no_lock_held_and_the_callers_mask)
{
	vitals_heartbeat *a;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	ck_assert_int_eq(vitals_on_event(registry, on_event, &called), 0);
	a = heartbeat_made("a");
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	wait_for_calls(1);
	pthread_mutex_lock(&called.mutex);
	ck_assert_int_eq(called.stop_result, -EDEADLK);
	ck_assert_int_eq(called.replace_result, -EDEADLK);
	ck_assert_int_eq(sigismember(&called.mask, SIGUSR2), 1);
	ck_assert_int_eq(sigismember(&called.mask, SIGTERM), 0);
	pthread_mutex_unlock(&called.mutex);
	ck_assert_int_eq(vitals_on_event(registry, NULL, NULL), 0);
	vt_heartbeat_idle_at(a, now);
	pass(TICK);
	ck_assert_uint_eq(called.calls, 1);
	worker_checks_passed();
	vitals_heartbeat_unref(a);
}
END_TEST

START_TEST(judges_on_while_a_callback_blocks)
{
	vitals_heartbeat *a = heartbeat_made("a");
	vitals_events *events;
	unsigned i;

	called.hold = true;
	ck_assert_int_eq(vitals_on_event(registry, on_event, &called), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	vt_heartbeat_pulse_at(a, now);
	pass(TICK);
	wait_for_calls(1);
	/* Others are told in time, registering and closing goes on. */
	for (i = 0; i < 50; i++) {
		vitals_heartbeat *b = heartbeat_made("b");

		vt_heartbeat_idle_at(b, now);
		pass(TICK);
		ck_assert_str_eq(next(events, 0).name, i ? "b" : "a");
		if (!i)
			ck_assert_str_eq(next(events, 0).name, "b");
		vt_heartbeat_pulse_at(a, now);
		vitals_heartbeat_unref(b);
	}
	pthread_mutex_lock(&called.mutex);
	ck_assert_uint_eq(called.calls, 1);
	called.hold = false;
	pthread_cond_broadcast(&called.cond);
	pthread_mutex_unlock(&called.mutex);
	ck_assert_int_eq(vitals_on_event(registry, NULL, NULL), 0);
	worker_checks_passed();
	vitals_events_close(events);
	vitals_heartbeat_unref(a);
}
END_TEST

START_TEST(says_an_event_in_one_line)
{
	struct vitals_event event = { .kind = VITALS_EVENT_HEARTBEAT,
				      .from = VITALS_HEALTHY,
				      .to = VITALS_SILENT,
				      .silence_ns = VITALS_MS(250),
				      .tid = 77,
				      .name = "worker#2" };
	char line[256], expected[256], small[10];

	ck_assert_int_eq(vitals_event_text(&event, line, sizeof(line)), 46);
	ck_assert_str_eq(line, "heartbeat worker#2 is silent for 250ms, tid 77");
	ck_assert_int_eq(vitals_event_text(&event, small, sizeof(small)), 46);
	ck_assert_str_eq(small, "heartbeat");
	/* A record of an older size ends before what follows. */
	event.thread_class = VITALS_ON_LOCK;
	(void)snprintf(event.doing, sizeof(event.doing), "%s",
		       "waits for mutex journal (0x5581), held by flu\nsher (tid 71)");
	ck_assert_int_eq(vitals_event_text(&event, line, sizeof(line)), 46);
	event.size = sizeof(event);
	(void)vitals_event_text(&event, line, sizeof(line));
	(void)snprintf(expected, sizeof(expected),
		       "heartbeat worker#2 is silent for 250ms, tid 77, %s: waits for "
		       "mutex journal (0x5581), held by flu?sher (tid 71)",
		       vitals_class_name(VITALS_ON_LOCK));
	ck_assert_str_eq(line, expected);
	event.kind = VITALS_EVENT_DEADLOCK;
	event.thread_class = 0;
	event.threads = 2;
	(void)snprintf(event.doing, sizeof(event.doing), "a waits for b");
	(void)vitals_event_text(&event, line, sizeof(line));
	ck_assert_str_eq(line, "deadlock of 2 threads: a waits for b");
	event.kind = VITALS_EVENT_ASLEEP;
	(void)snprintf(event.doing, sizeof(event.doing),
		       "all 2 threads are asleep: main joins a");
	(void)vitals_event_text(&event, line, sizeof(line));
	ck_assert_str_eq(line, "all 2 threads are asleep: main joins a");
	event.doing[0] = 0;
	(void)vitals_event_text(&event, line, sizeof(line));
	ck_assert_str_eq(line, "all 2 threads are asleep");
	event.kind = VITALS_EVENT_PAUSE;
	event.lasted_ns = VITALS_S(2);
	(void)vitals_event_text(&event, line, sizeof(line));
	ck_assert_str_eq(line, "the process did not run for 2s");
	ck_assert_int_eq(vitals_event_text(NULL, line, sizeof(line)), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, tells_each_change_once_in_order);
	tcase_add_test(tc, a_recovery_tells_of_the_whole_stall);
	tcase_add_test(tc, a_reader_of_one_heartbeat_hears_of_no_other);
	tcase_add_test(tc, loses_only_what_a_newer_change_made_stale);
	tcase_add_test(tc, tells_a_pause_of_the_whole_process);
	tcase_add_test(tc, a_65th_reader_has_no_room);
	tcase_add_test(tc, ends_with_stop);
	tcase_add_test(tc, calls_back_with_no_lock_held_and_the_callers_mask);
	tcase_add_test(tc, judges_on_while_a_callback_blocks);
	tcase_add_test(tc, says_an_event_in_one_line);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
