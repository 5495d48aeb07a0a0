/* SPDX-License-Identifier: MIT */

#include "clock.h"
#include "harness.h"
#include "lines.h"
#include "main.h"
#include "monitor.h"
#include "service.h"
#include "tell.h"
#include "unblock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_S(1000)
#define BUDGET VITALS_S(10)

static struct service service;
static int out[2];

static void main_with(const struct vitals_quitter_options *options)
{
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, BUDGET, options,
						 &service.main),
			 0);
}

/* A main quitter with ten seconds, whose lists are read here. */
static void setup(void)
{
	struct vitals_quitter_options options;

	service_make(&service);
	ck_assert_int_eq(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
	VITALS_INIT(&options);
	options.report_fd = out[1];
	main_with(&options);
}

static void teardown(void)
{
	service_free(&service);
	(void)close(out[0]);
	(void)close(out[1]);
	worker_checks_passed();
}

static struct vt_ladder *ladder(void)
{
	return &service.registry->main->ladder;
}

/* As if it had been asked at T. */
static void asked(void)
{
	atomic_store(&service.registry->tree->asked_ns, T);
	atomic_store(&service.registry->root->stages[VITALS_STAGE_QUIT], VT_QUIT);
}

static uint64_t climb(uint64_t since_ns)
{
	return vt_ladder_climb_at(service.registry, ladder(), T + since_ns);
}

/* What was written since the last look. */
static const char *written(void)
{
	static char text[8192];
	ssize_t n = read(out[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static unsigned lines_with(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

START_TEST(nothing_is_said_before_anybody_was_asked)
{
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_uint_eq(climb(VITALS_S(100)), UINT64_MAX);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

START_TEST(the_missing_are_listed_at_half_at_most_and_at_the_end)
{
	const char *text;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	asked();
	ck_assert_uint_eq(climb(0), T + VITALS_S(5));
	ck_assert_str_eq(written(), "");
	ck_assert_uint_eq(climb(VITALS_S(5)), T + VITALS_S(8));
	text = written();
	ck_assert_ptr_nonnull(strstr(text, "vitals: 5s of 10s gone, missing: main/work"));
	ck_assert_uint_eq(lines_with(text, "\n"), 1);
	/* Once. */
	ck_assert_uint_eq(climb(VITALS_S(6)), T + VITALS_S(8));
	ck_assert_str_eq(written(), "");
	ck_assert_uint_eq(climb(VITALS_S(8)), T + BUDGET);
	ck_assert_ptr_nonnull(strstr(written(), "8s of 10s gone, missing: main/work"));
	ck_assert_uint_eq(climb(BUDGET), UINT64_MAX);
	ck_assert_ptr_nonnull(strstr(written(), "vitals: late: main/work"));
	ck_assert_uint_eq(climb(BUDGET), UINT64_MAX);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* The monitor comes late: what is over is not said afterwards. */
START_TEST(a_late_climb_says_the_newest_only)
{
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	asked();
	ck_assert_uint_eq(climb(VITALS_S(9)), T + BUDGET);
	ck_assert_uint_eq(lines_with(written(), "\n"), 1);
	ck_assert_uint_eq(climb(VITALS_S(20)), UINT64_MAX);
	ck_assert_uint_eq(lines_with(written(), "late: "), 1);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

START_TEST(who_was_not_told_yet_is_not_missing)
{
	struct vitals_quitter_options options;
	vitals_quitter *flush;

	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_FLUSH;
	ck_assert_int_eq(vitals_quitter_new(service.main, "flush", &options, &flush), 0);
	ck_assert_int_eq(vitals_quitter_hold(flush, "work"), 0);
	asked();
	(void)climb(VITALS_S(5));
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(vitals_quitter_release(flush, "work"), 0);
	vitals_quitter_free(flush);
}
END_TEST

/* A thread of a main quitter that was freed is told by the same stage, and is nobody's late one. */
START_TEST(who_belongs_to_an_earlier_main_is_not_missing)
{
	struct vitals_quitter_options options;
	vitals_quitter *old = child_of(service.main, "old");

	ck_assert_int_eq(vitals_quitter_hold(old, "work"), 0);
	VITALS_INIT(&options);
	options.report_fd = out[1];
	main_with(&options);
	asked();
	(void)climb(VITALS_S(5));
	(void)climb(BUDGET);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(vitals_quitter_release(old, "work"), 0);
	vitals_quitter_free(old);
}
END_TEST

START_TEST(nothing_is_said_once_finish_has_its_answer)
{
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	asked();
	vt_ladder_over(service.registry, ladder(), false);
	ck_assert_uint_eq(climb(VITALS_S(5)), UINT64_MAX);
	ck_assert_uint_eq(climb(BUDGET), UINT64_MAX);
	ck_assert_str_eq(written(), "");
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

START_TEST(another_main_begins_at_the_bottom)
{
	struct vitals_quitter_options options;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	asked();
	(void)climb(BUDGET);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
	VITALS_INIT(&options);
	options.report_fd = out[1];
	main_with(&options);
	(void)written();
	ck_assert_uint_eq(climb(BUDGET), UINT64_MAX);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "more"), 0);
	asked();
	ck_assert_uint_eq(climb(VITALS_S(5)), T + VITALS_S(8));
	ck_assert_ptr_nonnull(strstr(written(), "main/more"));
	ck_assert_int_eq(vitals_quitter_release(service.main, "more"), 0);
}
END_TEST

static _Atomic uint32_t climbed;

static void *climbs(void *arg)
{
	while (!atomic_load(&((struct gate *)arg)->open)) {
		(void)climb(VITALS_S(9));
		atomic_fetch_add(&climbed, 1);
	}
	return NULL;
}

/* Whoever is on his way up when main is freed takes no step of what comes after. */
START_TEST(a_step_is_of_the_main_that_it_was_seen_of)
{
	struct gate over = { 0 };
	pthread_t climber;
	unsigned i, taken = 0;

	asked();
	ck_assert_int_eq(pthread_create(&climber, NULL, climbs, &over), 0);
	ck_assert(word_reaches(&climbed, 1));
	for (i = 0; i < 20000; i++) {
		uint32_t from;

		vt_ladder_set(ladder(), BUDGET, NULL);
		vt_ladder_set(ladder(), 0, NULL);
		from = atomic_load(&climbed);
		while (atomic_load(&climbed) < from + 2)
			sched_yield();
		taken += (atomic_load(&ladder()->state) & 0xff) != 0;
	}
	gate_open(&over);
	ck_assert_int_eq(pthread_join(climber, NULL), 0);
	ck_assert_uint_eq(taken, 0);
}
END_TEST

/* Nobody reads, and what is there fills it. */
START_TEST(a_full_pipe_is_not_waited_for)
{
	char block[4096] = { 0 };
	uint64_t from_ns;

	while (write(out[1], block, sizeof(block)) > 0)
		continue;
	/* As the host has it: writing to it would block. */
	ck_assert_int_eq(fcntl(out[1], F_SETFL, 0), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	asked();
	from_ns = clock_now();
	(void)climb(VITALS_S(5));
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_S(5));
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

START_TEST(a_reader_that_has_gone_costs_no_signal)
{
	sigset_t pending;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	(void)close(out[0]);
	asked();
	(void)climb(VITALS_S(5));
	ck_assert_int_eq(sigpending(&pending), 0);
	ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* The host has closed everything, and its database got the number. */
START_TEST(a_number_that_is_another_file_is_not_written_to)
{
	int other[2];

	ck_assert_int_eq(pipe2(other, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_ge(dup2(other[1], out[1]), 0);
	asked();
	(void)climb(VITALS_S(5));
	(void)climb(BUDGET);
	(void)close(out[0]);
	out[0] = other[0];
	ck_assert_str_eq(written(), "");
	(void)close(other[1]);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* What the host writes to a stdout that it has closed is not for the reader of the report. */
START_TEST(nothing_of_ours_is_a_standard_descriptor)
{
	struct vt_lines lines;
	int in = dup(STDIN_FILENO), opened;

	(void)close(STDIN_FILENO);
	ck_assert(vt_lines_begin(&lines, out[1], vt_file_of(out[1]), UINT64_MAX));
	opened = lines.fd;
	vt_lines_end(&lines);
	if (in >= 0)
		(void)dup2(in, STDIN_FILENO);
	(void)close(in);
	ck_assert_int_gt(opened, STDERR_FILENO);
}
END_TEST

START_TEST(odd_options_are_refused)
{
	struct vitals_quitter_options options;
	vitals_quitter *quitter;

	service.main = vitals_quitter_free(service.main);
	VITALS_INIT(&options);
	options.at_deadline = VITALS_ABORT_AT_DEADLINE + 1;
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, &options, &quitter),
			 -EINVAL);
	VITALS_INIT(&options);
	options.report_fd = -1;
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, &options, &quitter),
			 -EINVAL);
	VITALS_INIT(&options);
	options.late_status = 256;
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, &options, &quitter),
			 -EINVAL);
	main_with(NULL);
	VITALS_INIT(&options);
	options.late_status = 3;
	ck_assert_int_eq(vitals_quitter_new(service.main, "child", &options, &quitter),
			 -EINVAL);
}
END_TEST

/* Time */

START_TEST(those_who_flush_have_their_reserve_however_late_they_are_told)
{
	struct vitals_quitter_options options;
	vitals_quitter *flush;

	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_FLUSH;
	ck_assert_int_eq(vitals_quitter_new(service.main, "flush", &options, &flush), 0);
	asked();
	ck_assert_uint_eq(vt_ladder_deadline(service.registry, ladder()), T + BUDGET);
	/* The second request: no more time, but for them. */
	atomic_store(&service.registry->tree->expired_ns, T + VITALS_S(2));
	ck_assert_uint_eq(vt_ladder_deadline(service.registry, ladder()),
			  T + VITALS_S(3));
	/* The process was stopped, and nobody could tell them. */
	atomic_store(&service.registry->tree->flush_ns, T + VITALS_S(60));
	ck_assert_uint_eq(vt_ladder_deadline(service.registry, ladder()),
			  T + VITALS_S(61));
	vitals_quitter_free(flush);
	ck_assert_uint_eq(vt_ladder_deadline(service.registry, ladder()),
			  T + VITALS_S(2));
}
END_TEST

static uint32_t requested(int signo, bool terminal)
{
	const struct vt_signal came = { .signo = signo, .terminal = terminal, .pid = 1 };

	return vt_signals_note_at(&service.registry->main->requests, 0, &came, T);
}

/* Who sits there does not want to wait until the balancers have noticed. */
START_TEST(an_interrupt_from_a_terminal_skips_the_delay)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.ready_off_ns = VITALS_S(5);
	main_with(&options);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, NULL), 0);
	ck_assert_uint_eq(requested(SIGINT, _i), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), _i);
	ck_assert_int_eq(vitals_step(service.registry, T + 1), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), _i);
	ck_assert_uint_eq(service.registry->main->phase,
			  _i ? VT_PHASE_FLUSH : VT_PHASE_BEGUN);
}
END_TEST

/* The lock is held by somebody who is stuck: sleepers are told by the time alone. */
START_TEST(stages_are_told_without_the_lock)
{
	vitals_registry *registry = service.registry;
	vitals_quitter *flush, *quit = child_of(service.main, "quit");
	struct vitals_quitter_options options;
	uint64_t next_ns = T;

	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_FLUSH;
	ck_assert_int_eq(vitals_quitter_new(service.main, "flush", &options, &flush), 0);
	ck_assert_int_eq(vitals_step(registry, T), 0);
	vt_lock(&registry->lock);
	vt_tree_ask(registry->tree, T);
	ck_assert_int_eq(vt_monitor_turn_at(registry, T + 1, &next_ns), 0);
	ck_assert(!vitals_quitter_must_quit(quit));
	ck_assert_int_eq(vt_monitor_turn_at(registry, T + VITALS_MS(101), &next_ns), 0);
	ck_assert(vitals_quitter_must_quit(quit));
	ck_assert(!vitals_quitter_must_quit(flush));
	ck_assert_int_eq(vt_monitor_turn_at(registry, T + VITALS_S(9), &next_ns), 0);
	ck_assert(vitals_quitter_must_quit(flush));
	vt_unlock(&registry->lock);
	vitals_quitter_free(quit);
	vitals_quitter_free(flush);
}
END_TEST

static _Atomic uint32_t asleep;

static int sleeps(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&asleep, 1);
	while (vitals_thread_go_on(self))
		(void)vitals_thread_sleep(self, VITALS_FOREVER);
	atomic_fetch_add(&asleep, 1);
	return 0;
}

static int polls(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&asleep, 1);
	while (vitals_thread_go_on(self))
		(void)vitals_thread_poll(self, NULL, 0, VITALS_FOREVER);
	atomic_fetch_add(&asleep, 1);
	return 0;
}

START_TEST(whoever_waits_is_woken_without_the_lock)
{
	vitals_registry *registry = service.registry;
	uint64_t now_ns = clock_now(), next_ns;

	ck_assert_int_eq(vitals_step(registry, now_ns), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "s", 0, sleeps, NULL, NULL), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "p", 0, polls, NULL, NULL), 0);
	ck_assert(word_reaches(&asleep, 2));
	vt_lock(&registry->lock);
	vt_tree_ask(registry->tree, now_ns);
	ck_assert_int_eq(vt_monitor_turn_at(registry, now_ns + 1, &next_ns), 0);
	ck_assert_int_eq(vt_monitor_turn_at(registry, now_ns + VITALS_MS(200), &next_ns),
			 0);
	ck_assert(word_reaches(&asleep, 4));
	vt_unlock(&registry->lock);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

static void *finishes(void *arg)
{
	(void)arg;
	worker_check(vitals_quitter_finish(service.main, NULL, NULL) == 0);
	return NULL;
}

/* Where there is no monitor finish does it, and it takes time that passes. */
START_TEST(finish_tells_all_stages_without_the_lock)
{
	vitals_registry *registry = service.registry;
	struct vitals_quitter_options options;
	vitals_quitter *flush, *quit;
	pthread_t thread;

	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(
		vitals_quitter_new_main(registry, VITALS_S(1), NULL, &service.main), 0);
	quit = child_of(service.main, "quit");
	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_FLUSH;
	ck_assert_int_eq(vitals_quitter_new(service.main, "flush", &options, &flush), 0);
	vt_lock(&registry->lock);
	vt_tree_ask(registry->tree, clock_now());
	ck_assert_int_eq(pthread_create(&thread, NULL, finishes, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(vitals_quitter_must_quit(quit));
	ck_assert(vitals_quitter_must_quit(flush));
	vt_unlock(&registry->lock);
	vitals_quitter_free(quit);
	vitals_quitter_free(flush);
}
END_TEST

/* A child's own time, and the time of those around it. */
START_TEST(a_wait_ends_with_the_time_of_what_it_waits_for)
{
	struct vitals_quitter_options options;
	vitals_quitter *child, *below;
	uint64_t from_ns = clock_now();

	VITALS_INIT(&options);
	options.timeout_ns = VITALS_MS(50);
	ck_assert_int_eq(vitals_quitter_new(service.main, "child", &options, &child), 0);
	below = child_of(child, "below");
	ck_assert_int_eq(vitals_quitter_hold(below, "work"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(below, VITALS_S(100), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_ge(clock_now() - from_ns, VITALS_MS(50));
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_S(50));
	/* Who asks for more afterwards knows what he asks for. */
	from_ns = clock_now();
	ck_assert_int_eq(vitals_quitter_wait_done(below, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_ge(clock_now() - from_ns, VITALS_MS(20));
	ck_assert_int_eq(vitals_quitter_release(below, "work"), 0);
	vitals_quitter_free(below);
	vitals_quitter_free(child);
}
END_TEST

static void *waits_long(void *arg)
{
	worker_check(vitals_quitter_wait_done(arg, VITALS_S(1000), NULL) == -ETIMEDOUT);
	return NULL;
}

START_TEST(a_wait_that_is_under_way_learns_of_less_time)
{
	struct vitals_quitter_options options;
	uint64_t from_ns = clock_now();
	vitals_quitter *child;
	pthread_t waiter;

	VITALS_INIT(&options);
	options.timeout_ns = VITALS_MS(50);
	ck_assert_int_eq(vitals_quitter_new(service.main, "child", &options, &child), 0);
	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(pthread_create(&waiter, NULL, waits_long, child), 0);
	while (!(atomic_load(&child->waiters) & ~VT_NODE_FD))
		nap();
	ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
	ck_assert_int_eq(pthread_join(waiter, NULL), 0);
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_S(500));
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

static void *tells_once_waited_for(void *arg)
{
	vitals_quitter *child = arg;

	while (!(atomic_load(&child->waiters) & ~VT_NODE_FD))
		nap();
	worker_check(vitals_quitter_send_quit(child, 0, NULL) == 0);
	return NULL;
}

START_TEST(one_that_may_take_for_ever_does_not_end_a_wait)
{
	struct vitals_quitter_options options;
	uint64_t from_ns = clock_now();
	vitals_quitter *child;
	pthread_t teller;

	VITALS_INIT(&options);
	options.timeout_ns = VITALS_FOREVER;
	ck_assert_int_eq(vitals_quitter_new(service.main, "child", &options, &child), 0);
	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(pthread_create(&teller, NULL, tells_once_waited_for, child), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_MS(300), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_ge(clock_now() - from_ns, VITALS_MS(300));
	ck_assert_int_eq(pthread_join(teller, NULL), 0);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

/* Callbacks */

static _Atomic uint32_t calls;

static void counts(void *user)
{
	(void)user;
	atomic_fetch_add(&calls, 1);
}

static struct gate gate;

static int is_called(vitals_thread *self, void *arg)
{
	worker_check(vitals_thread_on_quit(self, counts, NULL) == 0);
	atomic_fetch_add(&asleep, 1);
	gate_pass(arg);
	return 0;
}

static void again(uint64_t now_ns)
{
	struct vt_told told = { 0 };

	vt_lock(&service.registry->lock);
	(void)vt_unblock_again_at(service.registry, now_ns, &told);
	vt_unlock(&service.registry->lock);
	vt_told_done(service.registry, &told);
	(void)vt_unblock_calls(service.registry);
}

START_TEST(a_callback_is_called_again_at_half_the_time_and_no_more)
{
	struct vitals_thread_info info;
	uint64_t told_ns;

	ck_assert_int_eq(vitals_step(service.registry, 1), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, is_called, &gate, NULL),
			 0);
	ck_assert(word_reaches(&asleep, 1));
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_uint_eq(atomic_load(&calls), 1);
	told_ns = atomic_load(&service.registry->tree->asked_ns);
	again(told_ns + BUDGET / 2 - 1);
	ck_assert_uint_eq(atomic_load(&calls), 1);
	again(told_ns + BUDGET / 2);
	ck_assert_uint_eq(atomic_load(&calls), 2);
	again(told_ns + BUDGET);
	ck_assert_uint_eq(atomic_load(&calls), 2);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	/* And nothing is kept of it. */
	ck_assert(!thread_row(service.registry, "w", &info));
}
END_TEST

static struct gate told;

static int is_told_first(vitals_thread *self, void *arg)
{
	atomic_fetch_add(&asleep, 1);
	gate_pass(&told);
	return is_called(self, arg);
}

/* By a signal's handler, then by whoever comes after it: one request, one call. */
START_TEST(whoever_made_the_call_itself_is_not_called_for_it)
{
	vitals_registry *registry = service.registry;

	ck_assert_int_eq(vitals_step(registry, 1), 0);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "w", 0, is_told_first, &gate, NULL), 0);
	ck_assert(word_reaches(&asleep, 1));
	atomic_store(&registry->root->stages[VITALS_STAGE_QUIT], VT_QUIT);
	gate_open(&told);
	ck_assert(word_reaches(&asleep, 2));
	ck_assert_uint_eq(atomic_load(&calls), 1);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_uint_eq(atomic_load(&calls), 1);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(registry->tree->again_first, 0);
}
END_TEST

START_TEST(one_that_has_left_is_not_called_again)
{
	uint64_t told_ns;

	ck_assert_int_eq(vitals_step(service.registry, 1), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, is_called, &gate, NULL),
			 0);
	ck_assert(word_reaches(&asleep, 1));
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	/* Not even kept for it. */
	ck_assert_uint_eq(service.registry->tree->again_first, 0);
	told_ns = atomic_load(&service.registry->tree->asked_ns);
	again(told_ns + BUDGET);
	ck_assert_uint_eq(atomic_load(&calls), 1);
}
END_TEST

/* Leaving */

static vitals_quitter *mine;

/* A main quitter of the process's own, of 100 ms, that does @at_deadline. */
static void own_main(uint32_t at_deadline)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.at_deadline = at_deadline;
	options.late_status = 7;
	options.leave_at = 2;
	child_check(vitals_quitter_new_main(NULL, VITALS_MS(100), &options, &mine) == 0);
	child_check(vitals_start(NULL) == 0);
}

/* Runs @run in a process of its own. Return: how it has ended. */
static int status_of(void (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		run();
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void hang(void)
{
	for (;;)
		nap();
}

static void nobody_finishes(void)
{
	own_main(VITALS_EXIT_AT_DEADLINE);
	child_check(vitals_quitter_hold(mine, "work") == 0);
	(void)vitals_quitter_send_quit(mine, 0, NULL);
	hang();
}

static void all_have_left_but_main(void)
{
	own_main(VITALS_EXIT_AT_DEADLINE);
	(void)vitals_quitter_send_quit(mine, 0, NULL);
	hang();
}

/* Keeps it, on purpose. */
static void holds_the_lock(void) VT_UNCHECKED
{
	own_main(VITALS_EXIT_AT_DEADLINE);
	child_check(vitals_quitter_hold(mine, "work") == 0);
	vt_lock(&vt_quitter_registry(mine)->lock);
	vt_tree_ask(vt_quitter_registry(mine)->tree, clock_now());
	vt_registry_wake(vt_quitter_registry(mine));
	hang();
}

/* They leave while it is being written who is late: the time was up first. */
static void the_last_leave_during_the_report(void)
{
	struct vt_ladder *its;

	own_main(VITALS_EXIT_AT_DEADLINE);
	its = &vt_quitter_registry(mine)->main->ladder;
	atomic_fetch_or(&its->state, 7); /* as another has it that writes */
	vt_ladder_over(vt_quitter_registry(mine), its, false);
	_exit(98);
}

static void an_exit_handler_hangs(void)
{
	own_main(VITALS_EXIT_AT_DEADLINE);
	child_check(atexit(hang) == 0);
	(void)vitals_quitter_send_quit(mine, 0, NULL);
	vitals_exit(mine);
}

START_TEST(the_process_leaves_whatever_hangs)
{
	static void (*const hangs[])(void) = { nobody_finishes, all_have_left_but_main,
					       holds_the_lock, an_exit_handler_hangs,
					       the_last_leave_during_the_report };
	int status = status_of(hangs[_i]);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

static int from_reader[2];
static _Atomic uint32_t kept, reading;

static void keeps_the_notifier(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	atomic_store(&kept, 1);
	hang();
}

static void writes(void *user)
{
	(void)user;
	(void)!write(from_reader[1], "x", 1);
}

static int reads(vitals_thread *self, void *arg)
{
	char byte;

	(void)arg;
	child_check(vitals_thread_on_quit(self, writes, NULL) == 0);
	atomic_store(&reading, 1);
	(void)!read(from_reader[0], &byte, 1);
	return 0;
}

/* The host's callback for events hangs; the reader's, to get it out, is another. */
static void an_event_keeps_the_notifier(void)
{
	vitals_heartbeat *heartbeat;

	(void)signal(SIGTERM, SIG_DFL);
	child_check(pipe(from_reader) == 0);
	child_check(vitals_quitter_new_main(NULL, VITALS_S(20), NULL, &mine) == 0);
	child_check(vitals_quitter_on_signal(mine, SIGTERM, NULL) == 0);
	child_check(vitals_on_event(NULL, keeps_the_notifier, NULL) == 0);
	child_check(vitals_start(NULL) == 0);
	child_check(vitals_heartbeat_new(NULL, "h", VITALS_MS(20), NULL, &heartbeat) ==
		    0);
	child_check(word_reaches(&kept, 1));
	child_check(vitals_thread_fork(mine, "r", 0, reads, NULL, NULL) == 0);
	child_check(word_reaches(&reading, 1));
	(void)raise(SIGTERM);
	vitals_exit(mine);
}

START_TEST(a_callback_for_events_that_hangs_keeps_no_other)
{
	int status = status_of(an_event_keeps_the_notifier);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static int handled[2];

/* As one would that writes down what it knows, and then waits for a lock that is held. */
static void says_it_was_here(int signo)
{
	(void)signo;
	(void)!write(handled[1], "x", 1);
	hang();
}

static void aborts(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	own_main(VITALS_ABORT_AT_DEADLINE);
	child_check(vitals_quitter_hold(mine, "work") == 0);
	(void)vitals_quitter_send_quit(mine, 0, NULL);
	hang();
}

static void aborts_through_a_handler(void)
{
	(void)signal(SIGABRT, says_it_was_here);
	aborts();
}

static void would_abort(void)
{
	(void)setenv("VITALS_ABORT", "off", 1);
	aborts();
}

START_TEST(abort_ends_in_a_signal_after_the_hosts_handler)
{
	int status = status_of(aborts);
	char byte;

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	ck_assert_int_eq(pipe(handled), 0);
	status = status_of(aborts_through_a_handler);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
	ck_assert_int_eq(fcntl(handled[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(read(handled[0], &byte, 1), 1);
	status = status_of(would_abort);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

static void the_second_signal(void)
{
	/* What runs the tests has handlers, to which ours would chain. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	own_main(VITALS_RETURN_AT_DEADLINE);
	child_check(vitals_quitter_on_signal(mine, SIGTERM, NULL) == 0);
	child_check(vitals_quitter_on_signal(mine, SIGINT, NULL) == 1);
	(void)raise(SIGTERM);
	(void)raise(SIGINT);
}

START_TEST(which_signal_leaves_from_the_handler_is_an_option)
{
	int status = status_of(the_second_signal);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGINT);
}
END_TEST

/* With all that finish could wait for held, it returns in time and says who is late. */
static void returns_in_time(void) VT_UNCHECKED
{
	vitals_registry *registry;
	struct vitals_result result;
	vitals_snapshot *late = NULL;

	own_main(VITALS_RETURN_AT_DEADLINE);
	registry = vt_quitter_registry(mine);
	child_check(vitals_quitter_hold(mine, "work") == 0);
	child_check(vitals_quitter_send_quit(mine, 0, "enough") == 0);
	VITALS_INIT(&result);
	vt_lock(&registry->judge);
	vt_lock(&registry->events_lock);
	vt_lock(&registry->monitor_control);
	vt_lock(&registry->notifier_control);
	vt_lock(&registry->notifier_lock);
	vt_lock(&registry->lock);
	child_check(vitals_quitter_finish(mine, &result, &late) == 7);
	child_check(result.late == 1 && !strcmp(result.text, "enough"));
	child_check(late_rows(late, "main/work") == 1 && late_count(late) == 1);
	_exit(0);
}

START_TEST(finish_returns_with_every_lock_held)
{
	int status = status_of(returns_in_time);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *tc = tcase_create("steps");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_said_before_anybody_was_asked);
	tcase_add_test(tc, the_missing_are_listed_at_half_at_most_and_at_the_end);
	tcase_add_test(tc, a_late_climb_says_the_newest_only);
	tcase_add_test(tc, who_was_not_told_yet_is_not_missing);
	tcase_add_test(tc, who_belongs_to_an_earlier_main_is_not_missing);
	tcase_add_test(tc, nothing_is_said_once_finish_has_its_answer);
	tcase_add_test(tc, another_main_begins_at_the_bottom);
	tcase_add_test(tc, a_step_is_of_the_main_that_it_was_seen_of);
	tcase_add_test(tc, a_full_pipe_is_not_waited_for);
	tcase_add_test(tc, a_reader_that_has_gone_costs_no_signal);
	tcase_add_test(tc, a_number_that_is_another_file_is_not_written_to);
	tcase_add_test(tc, nothing_of_ours_is_a_standard_descriptor);
	tcase_add_test(tc, odd_options_are_refused);
	suite_add_tcase(suite, tc);

	tc = tcase_create("time");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, those_who_flush_have_their_reserve_however_late_they_are_told);
	tcase_add_loop_test(tc, an_interrupt_from_a_terminal_skips_the_delay, 0, 2);
	tcase_add_test(tc, stages_are_told_without_the_lock);
	tcase_add_test(tc, finish_tells_all_stages_without_the_lock);
	tcase_add_test(tc, whoever_waits_is_woken_without_the_lock);
	tcase_add_test(tc, a_wait_ends_with_the_time_of_what_it_waits_for);
	tcase_add_test(tc, a_wait_that_is_under_way_learns_of_less_time);
	tcase_add_test(tc, one_that_may_take_for_ever_does_not_end_a_wait);
	tcase_add_test(tc, a_callback_is_called_again_at_half_the_time_and_no_more);
	tcase_add_test(tc, whoever_made_the_call_itself_is_not_called_for_it);
	tcase_add_test(tc, one_that_has_left_is_not_called_again);
	suite_add_tcase(suite, tc);

	tc = tcase_create("leaving");
	tcase_add_loop_test(tc, the_process_leaves_whatever_hangs, 0, 5);
	tcase_add_test(tc, a_callback_for_events_that_hangs_keeps_no_other);
	tcase_add_test(tc, abort_ends_in_a_signal_after_the_hosts_handler);
	tcase_add_test(tc, which_signal_leaves_from_the_handler_is_an_option);
	tcase_add_test(tc, finish_returns_with_every_lock_held);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
