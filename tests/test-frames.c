/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "frames.h"
#include "heartbeat.h"
#include "monitor.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T VITALS_MS(200)

static vitals_registry *registry;
static vitals_heartbeat *heartbeat;
static vitals_events *events;
static uint64_t now;

static void setup_with(uint64_t timeout_ns)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	now = VITALS_S(100);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "worker", timeout_ns, NULL, now,
					     &heartbeat),
			 0);
	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
}

static void setup(void)
{
	setup_with(T);
}

static void teardown(void)
{
	events = vitals_events_close(events);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
}

static uint64_t paused_ns(void)
{
	return atomic_load(&registry->root->tick.paused_ns);
}

static uint64_t tick_ns(void)
{
	return atomic_load(&registry->root->tick.tick_ns);
}

static int enter(const char *name, uint64_t budget_ns)
{
	return vt_heartbeat_enter_at(heartbeat, name, budget_ns, paused_ns(), now);
}

static void leave(int depth)
{
	vt_heartbeat_leave_at(heartbeat, depth, now);
}

/* Lets the monitor look, tick by tick, until @ns have passed. */
static void pass(uint64_t ns)
{
	uint64_t until = now + ns;

	while (now < until) {
		now = until - now > tick_ns() ? now + tick_ns() : until;
		ck_assert_int_eq(vitals_step(registry, now), 0);
	}
}

static struct vitals_heartbeat_info row(void)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&info);
	ck_assert_int_eq(vt_snapshot_take_at(&registry->view, registry, now, &snapshot),
			 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(snapshot, 0, &info), 0);
	snapshot = vitals_snapshot_free(snapshot);
	return info;
}

/* Return: how often scopes of a name were left too late, by how much in @ret_ns. */
static uint64_t overruns(const char *name, uint64_t *ret_ns)
{
	struct vitals_scope_info info;
	vitals_snapshot *snapshot = NULL;
	uint64_t n = 0;
	uint32_t i;

	VITALS_INIT(&info);
	*ret_ns = 0;
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	for (i = 0; vitals_snapshot_scope(snapshot, i, &info) == 0; i++)
		if (strcmp(info.name, name) == 0) {
			n += info.overruns;
			*ret_ns += info.overrun_ns;
		}
	snapshot = vitals_snapshot_free(snapshot);
	return n;
}

static void overruns_expect(const char *name, uint64_t n, uint64_t ns)
{
	uint64_t found_ns;

	ck_assert_uint_eq(overruns(name, &found_ns), n);
	ck_assert_uint_eq(found_ns, ns);
}

static void newest_expect(int to, const char *scope)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(events, 0, &event), 0);
	while (vitals_events_next(events, 0, &event) == 0)
		continue;
	ck_assert_int_eq(event.to, to);
	ck_assert_str_eq(event.scope, scope);
}

/* Scopes inside one another, entered at once, outermost first, and which is judged by. */
static const struct {
	uint64_t budgets_ms[3]; /* 1: none; 0: unbounded */
	unsigned judge;
	uint32_t state; /* after half a second */
} nests[] = {
	{ { 100, 10000, 1 }, 0, VITALS_STUCK },
	{ { 10000, 100, 1 }, 1, VITALS_STUCK },
	{ { 100, 0, 1 }, 0, VITALS_STUCK },
	{ { 0, 100, 1 }, 1, VITALS_STUCK },
	{ { 0, 10000, 0 }, 1, VITALS_HEALTHY },
	{ { 200, 300, 0 }, 0, VITALS_SILENT },
	{ { 300, 300, 300 }, 0, VITALS_SILENT },
	{ { 0, 0, 1 }, 1, VITALS_UNBOUNDED },
	{ { 0, 0, 0 }, 2, VITALS_UNBOUNDED },
	{ { 10000, 10000, 9999 }, 2, VITALS_HEALTHY },
};

START_TEST(the_one_whose_time_is_up_first_decides)
{
	static const char *const names[] = { "outer", "middle", "inner" };
	struct vitals_heartbeat_info info;
	uint32_t depth = 0;

	while (depth < 3 && nests[_i].budgets_ms[depth] != 1) {
		ck_assert_int_eq(enter(names[depth],
				       VITALS_MS(nests[_i].budgets_ms[depth])),
				 depth + 1);
		depth++;
	}
	pass(VITALS_MS(500));
	info = row();
	ck_assert_uint_eq(info.state, nests[_i].state);
	ck_assert_str_eq(info.scope, names[nests[_i].judge]);
	ck_assert_uint_eq(info.scope_depth, depth);
	ck_assert_uint_eq(info.scope_budget_ns,
			  VITALS_MS(nests[_i].budgets_ms[nests[_i].judge]));
	ck_assert_uint_eq(info.scope_age_ns, VITALS_MS(500));
	newest_expect((int)nests[_i].state,
		      nests[_i].state == VITALS_HEALTHY ? "" : names[nests[_i].judge]);
}
END_TEST

START_TEST(an_inner_scope_of_10_s_does_not_hide_100_ms_around_it)
{
	uint64_t began, late;
	struct vitals_event event;
	char text[200];

	(void)enter("outer", VITALS_MS(100));
	began = now;
	(void)enter("inner", VITALS_S(10));
	while (row().state == VITALS_HEALTHY || now == began)
		pass(VITALS_MS(1));
	late = now - began;
	ck_assert_uint_gt(late, VITALS_MS(100));
	ck_assert_uint_le(late, VITALS_MS(100) + 2 * tick_ns());
	VITALS_INIT(&event);
	while (vitals_events_next(events, 0, &event) == 0)
		continue;
	ck_assert_int_gt(vitals_event_text(&event, text, sizeof(text)), 0);
	ck_assert_ptr_eq(strstr(text, "heartbeat worker is silent in outer for 101ms"),
			 text);
}
END_TEST

START_TEST(its_timeout_rests_in_a_scope_and_begins_anew_after_the_last)
{
	(void)enter("outer", VITALS_S(10));
	(void)enter("inner", VITALS_S(10));
	pass(5 * T);
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	leave(2);
	pass(5 * T);
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	leave(1);
	ck_assert_uint_eq(row().scope_depth, 0);
	ck_assert_str_eq(row().scope, "");
	pass(T);
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	pass(VITALS_MS(1));
	ck_assert_uint_eq(row().state, VITALS_SILENT);
	newest_expect(VITALS_SILENT, "");
}
END_TEST

/* By a raw exit in a handler, or a jump out of one: the turn was stored, the depth not yet. */
START_TEST(an_enter_that_was_cut_off_hides_no_later_scope)
{
	struct vt_scopes *scopes;

	leave(enter("first", T));
	scopes = vt_heartbeat_seldom(heartbeat)->scopes;
	atomic_fetch_add(&scopes->frames[0].turn, 1);
	leave(enter("second", T));
	ck_assert_uint_eq(row().scope_depth, 0);
	(void)enter("third", T);
	ck_assert_uint_eq(row().scope_depth, 1);
	/* And a leave: all frames were left, the depth not yet. */
	atomic_fetch_add(&scopes->frames[0].turn, 1);
	leave(1);
	(void)enter("fourth", T);
	ck_assert_str_eq(row().scope, "fourth");
}
END_TEST

START_TEST(neither_beats_nor_idle_put_a_scope_off)
{
	unsigned i;

	(void)enter("fsync", VITALS_MS(100));
	for (i = 0; i < 10; i++) {
		pass(VITALS_MS(10));
		(void)vt_heartbeat_pulse_at(heartbeat, now);
	}
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	(void)vt_heartbeat_idle_at(heartbeat, now);
	pass(VITALS_MS(1));
	ck_assert_uint_eq(row().state, VITALS_SILENT);
	leave(1);
	pass(VITALS_MS(1));
	/* Leaving is a beat, which ends idle. */
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
}
END_TEST

START_TEST(is_stuck_in_proportion_to_its_budget)
{
	(void)enter("fsync", VITALS_MS(50));
	pass(VITALS_MS(200));
	ck_assert_uint_eq(row().state, VITALS_SILENT);
	newest_expect(VITALS_SILENT, "fsync");
	pass(VITALS_MS(1));
	ck_assert_uint_eq(row().state, VITALS_STUCK);
	newest_expect(VITALS_STUCK, "fsync");
	leave(1);
	pass(VITALS_MS(1));
	newest_expect(VITALS_HEALTHY, "");
}
END_TEST

START_TEST(one_left_too_late_and_never_seen_is_counted)
{
	(void)enter("request", VITALS_S(1));
	(void)enter("fsync", VITALS_MS(10));
	now += VITALS_MS(10);
	leave(2);
	overruns_expect("fsync", 0, 0);
	(void)enter("fsync", VITALS_MS(10));
	now += VITALS_MS(11);
	leave(2);
	overruns_expect("fsync", 1, VITALS_MS(1));
	/* With the outer one, each frame once. */
	(void)enter("fsync", VITALS_MS(10));
	(void)enter("fsync", 0);
	now += VITALS_S(2);
	leave(1);
	leave(1);
	overruns_expect("fsync", 2, VITALS_MS(1) + VITALS_MS(1990));
	overruns_expect("request", 1, VITALS_MS(1021));
}
END_TEST

START_TEST(a_pause_inside_a_scope_is_credited)
{
	(void)enter("fsync", VITALS_MS(100));
	pass(VITALS_MS(50));
	now += VITALS_S(3600);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	pass(VITALS_MS(50));
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	leave(1);
	overruns_expect("fsync", 0, 0);
}
END_TEST

/* Entered when the process runs again, before the monitor has noted that it did not. */
START_TEST(a_pause_before_a_scope_is_no_credit_for_it)
{
	uint64_t stale = paused_ns();

	pass(VITALS_MS(10));
	now += VITALS_S(10);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(
		vt_heartbeat_enter_at(heartbeat, "fsync", VITALS_MS(50), stale, now), 1);
	(void)vt_heartbeat_enter_at(heartbeat, "longer", VITALS_S(3), paused_ns(), now);
	pass(VITALS_MS(50));
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	pass(VITALS_MS(1));
	ck_assert_uint_eq(row().state, VITALS_SILENT);
	ck_assert_str_eq(row().scope, "fsync");
}
END_TEST

START_TEST(what_is_deeper_than_32_is_counted_and_not_written)
{
	struct vt_scopes *scopes, before;
	int i;

	(void)enter("first", VITALS_MS(100));
	scopes = vt_heartbeat_seldom(heartbeat)->scopes;
	/* What follows in memory is another heartbeat's. */
	memcpy(&before, scopes + 1, sizeof(before));
	for (i = 2; i <= 32; i++)
		ck_assert_int_eq(enter("more", 0), i);
	for (; i <= 50; i++)
		ck_assert_int_eq(enter("shorter", VITALS_MS(1)), i);
	ck_assert_mem_eq(&before, scopes + 1, sizeof(before));
	ck_assert_uint_eq(row().scope_depth, 50);
	pass(VITALS_MS(50));
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	leave(33);
	ck_assert_uint_eq(row().scope_depth, 32);
	overruns_expect("shorter", 0, 0);
	ck_assert_int_eq(enter("again", VITALS_MS(1)), 33);
	leave(1);
	ck_assert_uint_eq(row().scope_depth, 0);
	ck_assert_int_eq(enter("again", VITALS_MS(1)), 1);
	ck_assert_str_eq(row().scope, "again");
	leave(1);
}
END_TEST

static void *dies(void *arg)
{
	vitals_heartbeat *mine = arg;
	int depth;

	(void)worker_check(vitals_heartbeat_own(mine) == 0);
	depth = vitals_heartbeat_enter(mine, "request", 0);
	(void)worker_check(depth == 1);
	(void)worker_check(vitals_heartbeat_enter(mine, "fsync", VITALS_S(10)) == 2);
	return NULL;
}

START_TEST(who_ends_in_a_scope_died_in_it)
{
	vitals_heartbeat *mine;
	struct vitals_event event;
	pthread_t thread;
	char text[200];

	heartbeat = vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(vitals_heartbeat_new(registry, "victim", T, NULL, &mine), 0);
	ck_assert_int_eq(vitals_heartbeat_enter(mine, "fsync", VITALS_S(10)), -EPERM);
	ck_assert_int_eq(pthread_create(&thread, NULL, dies, mine), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	ck_assert_int_eq(vitals_step(registry, now), 0);
	VITALS_INIT(&event);
	ck_assert_int_eq(vitals_events_next(events, 0, &event), 0);
	ck_assert_int_eq(event.to, VITALS_DEAD);
	ck_assert_str_eq(event.scope, "fsync");
	ck_assert_int_gt(vitals_event_text(&event, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "heartbeat victim is dead in fsync"));
	ck_assert_str_eq(row().scope, "fsync");
	ck_assert_uint_eq(row().scope_depth, 2);
	/* Nobody's scopes: what is entered is the next owner's, who has none yet. */
	ck_assert_int_eq(vitals_heartbeat_enter(mine, "fsync", VITALS_S(10)), -EPERM);
	vitals_heartbeat_leave(mine, 1);
	ck_assert_uint_eq(row().scope_depth, 2);
	ck_assert_int_eq(vitals_heartbeat_own(mine), 0);
	ck_assert_uint_eq(row().scope_depth, 0);
	ck_assert_int_eq(vitals_heartbeat_enter(mine, "fsync", VITALS_S(10)), 1);
	overruns_expect("fsync", 0, 0);
	mine = vitals_heartbeat_unref(mine);
}
END_TEST

static vitals_quitter *main_quitter;
static _Atomic uint32_t inside;

static int works(vitals_thread *self, void *arg)
{
	VITALS_SCOPE(vitals_thread_heartbeat(self), "fsync", VITALS_S(100));

	(void)arg;
	atomic_store(&inside, 1);
	while (atomic_load(&inside))
		usleep(1000);
	return 0;
}

START_TEST(a_late_thread_is_listed_with_its_scope)
{
	vitals_snapshot *late = NULL;
	char dir[TEMP_PATH_MAX], path[TEMP_PATH_MAX + 8], *text;
	int fd;

	ck_assert_int_eq(
		vitals_quitter_new_main(registry, VITALS_S(5), NULL, &main_quitter), 0);
	ck_assert_int_eq(vitals_thread_fork(main_quitter, "syncer", VITALS_S(100), works,
					    NULL, NULL),
			 0);
	while (!atomic_load(&inside))
		usleep(1000);
	ck_assert_int_eq(vitals_quitter_send_quit(main_quitter, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(main_quitter, VITALS_MS(1), &late),
			 -ETIMEDOUT);
	temp_dir_make(dir);
	(void)snprintf(path, sizeof(path), "%s/late", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(vitals_snapshot_print(late, fd), 0);
	(void)close(fd);
	text = file_read(path, NULL);
	ck_assert_msg(strstr(text, ", running in fsync, told ") != NULL, "%s", text);
	free(text);
	temp_dir_remove(dir);
	late = vitals_snapshot_free(late);
	atomic_store(&inside, 0);
	ck_assert_int_eq(vitals_quitter_wait_done(main_quitter, VITALS_S(30), NULL), 0);
	main_quitter = vitals_quitter_free(main_quitter);
}
END_TEST

/* With the monitor's thread and the clock: whenever it is, it is told. */
START_TEST(a_running_monitor_tells_of_it_and_of_its_end)
{
	struct vitals_event event;
	int depth;

	teardown();
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(
		vitals_heartbeat_new(registry, "b", VITALS_S(100), NULL, &heartbeat), 0);
	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	ck_assert_int_eq(vitals_events_open(registry, heartbeat, &events), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	VITALS_INIT(&event);
	depth = vitals_heartbeat_enter(heartbeat, "fsync", VITALS_MS(5));
	ck_assert_int_eq(depth, 1);
	do
		ck_assert_int_eq(vitals_events_next(events, VITALS_S(30), &event), 0);
	while (event.to != VITALS_STUCK);
	ck_assert_str_eq(event.scope, "fsync");
	ck_assert_uint_gt(event.silence_ns, VITALS_MS(20));
	vitals_heartbeat_leave(heartbeat, depth);
	do
		ck_assert_int_eq(vitals_events_next(events, VITALS_S(30), &event), 0);
	while (event.to != VITALS_HEALTHY);
	depth = vitals_heartbeat_enter(heartbeat, "compact", 0);
	do
		ck_assert_int_eq(vitals_events_next(events, VITALS_S(30), &event), 0);
	while (event.to != VITALS_UNBOUNDED);
	ck_assert_str_eq(event.scope, "compact");
	vitals_heartbeat_leave(heartbeat, depth);
}
END_TEST

/* The monitor is two ticks behind, and not for want of a thread: it will find a pause. */
START_TEST(one_left_right_after_a_pause_is_not_blamed_for_it)
{
	struct vt_tick tick = { .at_ns = 1000000, .tick_ns = 1000 };
	struct vt_frame frame = { 0 };

	atomic_store(&frame.entered_ns, 999000);
	atomic_store(&frame.budget_ns, 3000);
	ck_assert_uint_eq(vt_frame_overrun(&frame, &tick, 1003000), 1000);
	tick.flags = VT_TICK_RUNNING;
	ck_assert_uint_eq(vt_frame_overrun(&frame, &tick, 1003000), 0);
	/* What was too long before that is, all the same. */
	atomic_store(&frame.entered_ns, 996900);
	ck_assert_uint_eq(vt_frame_overrun(&frame, &tick, 1003000), 100);
	ck_assert_uint_eq(vt_frame_overrun(&frame, &tick, 1002000), 2100);
}
END_TEST

static const struct {
	const char *name;
	uint64_t budget_ns;
	int answer;
} asks[] = {
	{ "fsync", VITALS_MS(1), 1 },
	{ "fsync", VITALS_S(315360000), 1 },
	{ "fsync", 0, 1 },
	{ "123456789012345678901234567890123456789012345678901234567890123", 0, 1 },
	{ "1234567", 0, 1 },
	{ "12345678", 0, 1 },
	{ "Gr\303\274\303\237e \xe2\x82\xac", 0, 1 },
	{ "1234567890123456789012345678901234567890123456789012345678901234", 0,
	  -EINVAL },
	{ "12345678901234567890123456789012345678901234567890123456789012\303\237", 0,
	  -EINVAL },
	{ "", 0, -EINVAL },
	{ NULL, 0, -EINVAL },
	{ "a/b", 0, -EINVAL },
	{ "12345678#", 0, -EINVAL },
	{ "12345678\n", 0, -EINVAL },
	{ "\177", 0, -EINVAL },
	{ "abc\303", 0, -EINVAL },
	{ "\302\200", 0, -EINVAL },
	{ "fsync", VITALS_MS(1) - 1, -EINVAL },
	{ "fsync", VITALS_S(315360000) + 1, -EINVAL },
};

START_TEST(takes_names_and_budgets_as_documented)
{
	uint64_t beat = atomic_load(&vt_heartbeat_hot(heartbeat)->beat);

	ck_assert_int_eq(enter(asks[_i].name, asks[_i].budget_ns), asks[_i].answer);
	if (asks[_i].answer < 0) {
		ck_assert_uint_eq(atomic_load(&vt_heartbeat_hot(heartbeat)->beat), beat);
		leave(asks[_i].answer);
		return;
	}
	ck_assert_str_eq(row().scope, asks[_i].name);
	ck_assert_uint_eq(row().scope_budget_ns, asks[_i].budget_ns);
	vitals_heartbeat_close(heartbeat);
	ck_assert_int_eq(enter(asks[_i].name, asks[_i].budget_ns), -ECANCELED);
	leave(1);
	leave(-ECANCELED);
}
END_TEST

/* A shorter name over a longer one: nothing of it is left. */
START_TEST(a_name_is_as_long_as_it_is)
{
	static const char *const names[] = { "a name of more than two words", "12345678",
					     "1234567", "x" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct vitals_heartbeat_info info;
		static const char zeros[VITALS_NAME_MAX];

		(void)enter(names[i], VITALS_S(1));
		info = row();
		ck_assert_str_eq(info.scope, names[i]);
		ck_assert_mem_eq(info.scope + strlen(names[i]), zeros,
				 sizeof(zeros) - strlen(names[i]));
		leave(1);
	}
}
END_TEST

START_TEST(a_shorter_budget_than_any_before_wakes_the_monitor)
{
	uint32_t wake;

	pass(VITALS_MS(100));
	ck_assert_uint_eq(tick_ns(), VITALS_MS(25));
	wake = atomic_load(&registry->wake);
	(void)enter("long", VITALS_S(10));
	(void)enter("as the timeout", T);
	ck_assert_uint_eq(atomic_load(&registry->wake), wake);
	(void)enter("short", VITALS_MS(16));
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 1);
	leave(3);
	(void)enter("short", VITALS_MS(16));
	ck_assert_uint_eq(atomic_load(&registry->wake), wake + 1);
	pass(VITALS_MS(1));
	ck_assert_uint_eq(tick_ns(), VITALS_MS(2));
	leave(1);
	pass(VITALS_MS(10));
	/* It may come again. */
	ck_assert_uint_eq(tick_ns(), VITALS_MS(2));
	heartbeat = vitals_heartbeat_unref(heartbeat);
	pass(VITALS_MS(2));
	ck_assert_uint_gt(tick_ns(), VITALS_MS(2));
}
END_TEST

START_TEST(budgets_are_scaled_as_timeouts_are)
{
	teardown();
	ck_assert_int_eq(setenv("VITALS_TIMEOUT_SCALE", "3", 1), 0);
	setup();
	(void)enter("fsync", VITALS_MS(100));
	ck_assert_uint_eq(row().scope_budget_ns, VITALS_MS(300));
	pass(VITALS_MS(300));
	ck_assert_uint_eq(row().state, VITALS_HEALTHY);
	pass(VITALS_MS(1));
	ck_assert_uint_eq(row().state, VITALS_SILENT);
	ck_assert_int_eq(unsetenv("VITALS_TIMEOUT_SCALE"), 0);
}
END_TEST

static uint32_t depth_inside(int way)
{
	VITALS_SCOPE(heartbeat, "first", VITALS_S(1));
	VITALS_SCOPE(heartbeat, "second", 0);

	if (way == 0)
		return row().scope_depth;
	do {
		VITALS_SCOPE(heartbeat, "third", VITALS_S(1));

		if (way == 1)
			break;
		if (way == 2)
			return row().scope_depth;
	} while (0);
	return row().scope_depth;
}

START_TEST(a_declared_scope_ends_with_its_block_by_every_way)
{
	ck_assert_uint_eq(depth_inside(0), 2);
	ck_assert_uint_eq(row().scope_depth, 0);
	ck_assert_uint_eq(depth_inside(1), 2);
	ck_assert_uint_eq(row().scope_depth, 0);
	ck_assert_uint_eq(depth_inside(2), 3);
	ck_assert_uint_eq(row().scope_depth, 0);
}
END_TEST

START_TEST(past_256_names_all_are_other)
{
	char name[32];
	unsigned i;

	for (i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "scope-%u", i);
		(void)enter(name, VITALS_MS(1));
		now += VITALS_MS(2);
		leave(1);
	}
	overruns_expect("scope-0", 1, VITALS_MS(1));
	overruns_expect("scope-255", 1, VITALS_MS(1));
	overruns_expect("scope-256", 0, 0);
	overruns_expect("other", 44, VITALS_MS(44));
	(void)enter("other", VITALS_MS(1));
	now += VITALS_MS(2);
	leave(1);
	overruns_expect("other", 45, VITALS_MS(45));
}
END_TEST

START_TEST(scopes_are_given_back_with_their_heartbeat)
{
	unsigned i;

	for (i = 0; i < 1000; i++) {
		(void)enter("fsync", VITALS_MS(100));
		(void)enter("fsync", 0);
		heartbeat = vitals_heartbeat_unref(heartbeat);
		ck_assert_int_eq(
			vt_heartbeat_new_at(registry, "b", T, NULL, now, &heartbeat), 0);
		ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
		ck_assert_uint_eq(row().scope_depth, 0);
		ck_assert_int_eq(enter("next", 0), 1);
		ck_assert_str_eq(row().scope, "next");
	}
	ck_assert_uint_le(vt_view_used(&registry->view, VT_KIND_SCOPES), 4);
}
END_TEST

/* The slot was another's, who was blamed. */
START_TEST(an_event_from_before_its_first_scope_blames_none)
{
	(void)enter("fsync", VITALS_MS(10));
	pass(VITALS_MS(12));
	newest_expect(VITALS_SILENT, "fsync");
	heartbeat = vitals_heartbeat_unref(heartbeat);
	ck_assert_int_eq(vt_heartbeat_new_at(registry, "b", T, NULL, now, &heartbeat), 0);
	ck_assert_int_eq(vitals_heartbeat_own(heartbeat), 0);
	(void)vt_heartbeat_pulse_at(heartbeat, now);
	pass(VITALS_MS(1));
	(void)enter("next", VITALS_S(1));
	ck_assert_uint_eq(vt_view_used(&registry->view, VT_KIND_SCOPES), 1);
	newest_expect(VITALS_HEALTHY, "");
}
END_TEST

static void child_enters(void *arg)
{
	(void)arg;
	child_check(vitals_heartbeat_enter(heartbeat, "fsync", VITALS_S(1)) ==
		    -ECANCELED);
	vitals_heartbeat_leave(heartbeat, 1);
}

START_TEST(a_forked_child_is_in_no_scope)
{
	(void)enter("fsync", VITALS_S(1));
	child_run(child_enters, NULL);
	ck_assert_uint_eq(row().scope_depth, 1);
}
END_TEST

/*
 * Random operations against a model that knows every pause by heart. A run that fails says its seed;
 * VITALS_TEST_SEED=N is where it begins.
 */
#define RUNS 500u
#define OPS 2000u
#define MODEL_DEPTH 64
#define MODEL_PAUSES 512

static struct {
	uint64_t seed, random, op;
	uint64_t started_ns, at_ns; /* the first turn, the last */
	uint64_t shortest_ns, least_budget_ns;
	uint64_t last_ns; /* beat */
	bool idle, beaten, paused;
	uint32_t state;
	uint64_t grace_ns;
	unsigned late_turns, eager;

	struct {
		uint64_t from_ns, to_ns;
	} pauses[MODEL_PAUSES];
	unsigned n_pauses;

	struct scope {
		uint64_t entered_ns, budget_ns;
		unsigned name, pauses; /* how many there were */
	} scopes[MODEL_DEPTH];
	uint32_t depth;

	uint64_t overruns[8], overrun_ns[8];
} model;

static const char *const model_names[8] = {
	"a",
	"fsync",
	"12345678",
	"other",
	"request of a client",
	"Stra\303\237e",
	"123456789012345678901234567890123456789012345678901234567890123",
	"compact"
};

static uint64_t draw(uint64_t below)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return below ? model.random % below : 0;
}

static void expect_eq(const char *what, uint64_t is, uint64_t should)
{
	if (is != should)
		ck_abort_msg("seed %llu, operation %llu: %s is %llu, not %llu",
			     (unsigned long long)model.seed, (unsigned long long)model.op,
			     what, (unsigned long long)is, (unsigned long long)should);
}

/* How much of the pauses noted so far came after @ns. */
static uint64_t pauses_after(uint64_t ns)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < model.n_pauses; i++)
		if (model.pauses[i].to_ns > ns)
			sum += model.pauses[i].to_ns - (model.pauses[i].from_ns > ns
								? model.pauses[i].from_ns
								: ns);
	return sum;
}

/*
 * How long it is in a scope, but for pauses. One entered in the middle of what was then found to be a
 * pause is spared all of that pause once there is another: less than nothing, at times.
 */
static int64_t scope_ran(const struct scope *scope)
{
	int64_t ran =
		(int64_t)(now - scope->entered_ns - pauses_after(scope->entered_ns));

	if (model.n_pauses <= scope->pauses + 1 ||
	    model.pauses[scope->pauses].from_ns >= scope->entered_ns)
		return ran;
	return ran - (int64_t)(scope->entered_ns - model.pauses[scope->pauses].from_ns);
}

static uint64_t scope_age(const struct scope *scope)
{
	int64_t ran = scope_ran(scope);

	return ran > 0 ? (uint64_t)ran : 0;
}

/* The naive way: all of them, and whose rest is least. */
static const struct scope *model_judge(void)
{
	const struct scope *least = NULL;
	int64_t rest, least_rest = 0;
	uint32_t i;

	for (i = 0; i < model.depth && i < VT_FRAMES; i++) {
		const struct scope *scope = &model.scopes[i];

		if (!scope->budget_ns && (!least || !least->budget_ns)) {
			least = scope;
			continue;
		}
		if (!scope->budget_ns)
			continue;
		rest = (int64_t)scope->budget_ns - scope_ran(scope);
		if (!least || !least->budget_ns || rest < least_rest) {
			least = scope;
			least_rest = rest;
		}
	}
	return least;
}

static uint32_t model_state(void)
{
	const struct scope *scope = model_judge();
	uint64_t age, allowed, stuck;
	uint32_t well;

	if (scope && !scope->budget_ns)
		return VITALS_UNBOUNDED;
	if (!scope && model.idle)
		return VITALS_IDLE;
	if (scope) {
		age = scope_age(scope);
		allowed = scope->budget_ns;
	} else {
		age = now - model.last_ns - pauses_after(model.last_ns);
		allowed = T;
	}
	stuck = 4 * allowed;
	well = model.beaten ? VITALS_HEALTHY : VITALS_STARTING;
	if (age <= allowed)
		return well;
	if (now < model.grace_ns)
		return model.state == VITALS_SILENT || model.state == VITALS_STUCK
			       ? model.state
			       : well;
	return age > stuck ? VITALS_STUCK : VITALS_SILENT;
}

static void frames_expect(void)
{
	const struct scope *scope = model_judge();
	struct vt_framed framed;
	struct vt_tick tick;

	vt_tick_load(&registry->root->tick, &tick);
	vt_frames_load(&registry->view, vt_heartbeat_index(heartbeat), &tick, &framed);
	expect_eq("the depth", framed.depth, model.depth);
	if (!scope)
		return;
	expect_eq("the budget", framed.budget_ns, scope->budget_ns);
	expect_eq("the entry", framed.entered_ns, scope->entered_ns);
	expect_eq("the name's difference",
		  strcmp(framed.name, model_names[scope->name]) != 0, 0);
}

static void model_turn(void)
{
	uint64_t tick = tick_ns(), least;

	if (now - model.at_ns > 2 * tick) {
		/* Eight in a row it takes for its own weakness: not modelled. */
		ck_assert_uint_lt(model.n_pauses, MODEL_PAUSES);
		model.pauses[model.n_pauses].from_ns = model.at_ns;
		model.pauses[model.n_pauses++].to_ns = now;
		model.grace_ns = now + tick;
		model.late_turns++;
	} else {
		model.late_turns = 0;
	}
	model.at_ns = now;
	ck_assert_int_eq(vitals_step(registry, now), 0);
	model.state = model_state();
	expect_eq("the state", atomic_load(&vt_heartbeat_cold(heartbeat)->state),
		  model.state);
	frames_expect();
	least = model.shortest_ns / 8;
	expect_eq("the tick", tick_ns(), least < VITALS_MS(1) ? VITALS_MS(1) : least);
}

static void beaten(bool idle)
{
	model.last_ns = now;
	model.idle = idle;
	model.beaten = true;
}

static void model_enter(void)
{
	struct scope *scope = &model.scopes[model.depth];

	if (model.depth == MODEL_DEPTH)
		return;
	scope->name = (unsigned)draw(8);
	scope->entered_ns = now;
	scope->pauses = model.n_pauses;
	scope->budget_ns = draw(4) ? model.least_budget_ns << draw(8) : 0;
	scope->budget_ns += scope->budget_ns ? draw(scope->budget_ns) : 0;
	if (scope->budget_ns && scope->budget_ns < model.shortest_ns)
		model.shortest_ns = scope->budget_ns;
	model.depth++;
	expect_eq("the answer",
		  (uint64_t)enter(model_names[scope->name], scope->budget_ns),
		  model.depth);
	beaten(false);
}

static void model_leave(void)
{
	/* Anywhere, also where it is not; or near the innermost, so that it gets deep. */
	int depth = model.eager < 2 || !draw(16) ? (int)draw(model.depth + 4) - 2
						 : (int)(model.depth - draw(3) + 1);
	uint32_t i;

	leave(depth);
	if (depth <= 0 || (uint32_t)depth > model.depth)
		return;
	for (i = (uint32_t)depth - 1; i < model.depth && i < VT_FRAMES; i++) {
		const struct scope *scope = &model.scopes[i];
		uint64_t age = scope_age(scope);

		if (!scope->budget_ns || age <= scope->budget_ns)
			continue;
		model.overruns[scope->name]++;
		model.overrun_ns[scope->name] += age - scope->budget_ns;
	}
	model.depth = (uint32_t)depth - 1;
	beaten(false);
}

static void model_act(void)
{
	now += draw(3) ? draw(VITALS_MS(1)) : 0;
	switch (draw(16)) {
	case 0:
		(void)vt_heartbeat_pulse_at(heartbeat, now);
		beaten(false);
		break;
	case 1:
		(void)vt_heartbeat_idle_at(heartbeat, now);
		beaten(true);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		model_leave();
		break;
	case 6:
		if (model.late_turns < 7 && model.n_pauses < MODEL_PAUSES && !draw(4))
			now += 2 * tick_ns() +
			       draw(draw(2) ? 3 * tick_ns() : VITALS_S(50));
		break;
	case 7:
	case 8:
	case 9:
		model_enter();
		break;
	case 10:
		if (model.eager)
			model_enter();
		break;
	case 11:
		if (model.eager > 1)
			model_enter();
		break;
	default:
		if (draw(2))
			now += draw(tick_ns());
		if (now - model.at_ns <= 2 * tick_ns() || model.late_turns < 7)
			model_turn();
	}
	/* In time, or it would be a pause all the time. */
	if (now - model.at_ns > tick_ns() && draw(2) &&
	    (now - model.at_ns <= 2 * tick_ns() || model.late_turns < 7))
		model_turn();
}

static void model_run(uint64_t seed)
{
	unsigned i;

	memset(&model, 0, sizeof(model));
	model.seed = seed;
	model.random = (seed + 1) * 0x9e3779b97f4a7c15u;
	setup();
	model.at_ns = model.started_ns = model.last_ns = now;
	model.shortest_ns = T;
	model.state = VITALS_STARTING;
	model.eager = (unsigned)draw(3);
	model.least_budget_ns = VITALS_MS(1) << draw(8);
	for (model.op = 0; model.op < OPS; model.op++) {
		if (model.n_pauses == MODEL_PAUSES)
			break;
		model_act();
	}
	for (i = 0; i < 8; i++) {
		uint64_t ns, n = overruns(model_names[i], &ns);

		expect_eq("how many overruns", n, model.overruns[i]);
		expect_eq("the sum of overruns", ns, model.overrun_ns[i]);
	}
	teardown();
}

START_TEST(a_million_operations_equal_the_model)
{
	const char *from = getenv("VITALS_TEST_SEED");
	uint64_t seed = from ? strtoull(from, NULL, 10) : 0, i;

	teardown();
	for (i = 0; i < RUNS; i++)
		model_run(seed + i);
	setup();
}
END_TEST

/* One enters and leaves as fast as it can, one looks until it is done. */
static _Atomic uint32_t entering;

#define ROUNDS (SANITIZED ? 100000u : 1000000u)

static void *enters(void *arg)
{
	/* Each budget has its name. */
	static const char *const names[] = { "1", "2 of these words", "333333333",
					     "4444444444444444444444" };
	uint32_t i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		uint32_t which = i % 4;
		int depth = vt_heartbeat_enter_at(heartbeat, names[which],
						  VITALS_S(10 * (which + 1)), 0, now);

		if (i % 8 < 4)
			(void)vt_heartbeat_enter_at(heartbeat, names[which], 0, 0, now);
		vt_heartbeat_leave_at(heartbeat, depth, now);
	}
	atomic_store(&entering, 0);
	return NULL;
}

static void framed_read(uint64_t *outer, uint64_t *inner)
{
	struct vt_framed framed;
	struct vt_tick tick;

	vt_tick_load(&registry->root->tick, &tick);
	vt_frames_load(&registry->view, vt_heartbeat_index(heartbeat), &tick, &framed);
	if (!framed.depth)
		return;
	*outer += strcmp(framed.name, "outer") == 0;
	*inner += strcmp(framed.name, "outer") != 0;
	if (framed.name[0] != 'o')
		(void)worker_check(framed.budget_ns ==
				   VITALS_S(10 * (framed.name[0] - '0')));
	(void)worker_check(framed.entered_ns && framed.depth <= 3);
}

static uint64_t looks(uint64_t *outer, uint64_t *inner)
{
	pthread_t thread;
	uint64_t n = 0;

	*outer = *inner = 0;
	atomic_store(&entering, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, enters, NULL), 0);
	for (; atomic_load(&entering); n++)
		framed_read(outer, inner);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
	return n;
}

START_TEST(what_is_read_while_it_changes_was_once_so)
{
	uint64_t outer, inner, n;

	/* Bounded in unbounded: now the one, now the other. */
	(void)enter("outer", 0);
	n = looks(&outer, &inner);
	ck_assert_uint_eq(outer + inner, n);
	leave(1);
	/* It is in none at times. */
	n = looks(&outer, &inner);
	ck_assert_uint_eq(outer, 0);
	(void)n;
}
END_TEST

START_TEST(one_that_is_entered_all_the_time_hides_none_around_it)
{
	uint64_t outer, inner, n;

	(void)enter("outer", VITALS_S(1));
	now += VITALS_MS(500);
	n = looks(&outer, &inner);
	ck_assert_uint_eq(outer, n);
	ck_assert_uint_eq(inner, 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *suite = suite_create("frames");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, the_one_whose_time_is_up_first_decides, 0, COUNT(nests));
	tcase_add_test(tc, an_inner_scope_of_10_s_does_not_hide_100_ms_around_it);
	tcase_add_test(tc, its_timeout_rests_in_a_scope_and_begins_anew_after_the_last);
	tcase_add_test(tc, an_enter_that_was_cut_off_hides_no_later_scope);
	tcase_add_test(tc, neither_beats_nor_idle_put_a_scope_off);
	tcase_add_test(tc, is_stuck_in_proportion_to_its_budget);
	tcase_add_test(tc, one_left_too_late_and_never_seen_is_counted);
	tcase_add_test(tc, a_pause_inside_a_scope_is_credited);
	tcase_add_test(tc, a_pause_before_a_scope_is_no_credit_for_it);
	tcase_add_test(tc, what_is_deeper_than_32_is_counted_and_not_written);
	tcase_add_test(tc, who_ends_in_a_scope_died_in_it);
	tcase_add_test(tc, a_late_thread_is_listed_with_its_scope);
	tcase_add_test(tc, a_running_monitor_tells_of_it_and_of_its_end);
	tcase_add_test(tc, one_left_right_after_a_pause_is_not_blamed_for_it);
	tcase_add_loop_test(tc, takes_names_and_budgets_as_documented, 0, COUNT(asks));
	tcase_add_test(tc, a_name_is_as_long_as_it_is);
	tcase_add_test(tc, a_shorter_budget_than_any_before_wakes_the_monitor);
	tcase_add_test(tc, budgets_are_scaled_as_timeouts_are);
	tcase_add_test(tc, a_declared_scope_ends_with_its_block_by_every_way);
	tcase_add_test(tc, past_256_names_all_are_other);
	tcase_add_test(tc, scopes_are_given_back_with_their_heartbeat);
	tcase_add_test(tc, an_event_from_before_its_first_scope_blames_none);
	tcase_add_test(tc, a_forked_child_is_in_no_scope);
	tcase_add_test(tc, a_million_operations_equal_the_model);
	tcase_add_test(tc, what_is_read_while_it_changes_was_once_so);
	tcase_add_test(tc, one_that_is_entered_all_the_time_hides_none_around_it);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
