/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "main.h"
#include "monitor.h"
#include "service.h"
#include "unblock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUDGET VITALS_S(10)
#define T VITALS_S(5000)

static struct service service;
static vitals_quitter *drain, *quit, *flush;

static vitals_quitter *staged(const char *name, uint32_t stage)
{
	struct vitals_quitter_options options;
	vitals_quitter *child;

	VITALS_INIT(&options);
	options.stage = stage;
	ck_assert_int_eq(vitals_quitter_new(service.main, name, &options, &child), 0);
	return child;
}

static void main_made(uint64_t ready_off_ns)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.ready_off_ns = ready_off_ns;
	ck_assert_int_eq(vitals_registry_new(0, &service.registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, BUDGET, &options,
						 &service.main),
			 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, 1000, "stop"), 0);
}

static void setup(void)
{
	main_made(0);
}

static void teardown(void)
{
	drain = vitals_quitter_free(drain);
	quit = vitals_quitter_free(quit);
	flush = vitals_quitter_free(flush);
	service_free(&service);
}

/* Each with something in it, so that it is not over before it is told to be. */
static void all_stages_made(void)
{
	drain = staged("drain", VITALS_STAGE_DRAIN);
	quit = staged("quit", VITALS_STAGE_QUIT);
	flush = staged("flush", VITALS_STAGE_FLUSH);
	ck_assert_int_eq(vitals_quitter_hold(drain, "work"), 0);
	ck_assert_int_eq(vitals_quitter_hold(quit, "work"), 0);
	ck_assert_int_eq(vitals_quitter_hold(flush, "work"), 0);
}

static void left(vitals_quitter *quitter)
{
	ck_assert_int_eq(vitals_quitter_release(quitter, "work"), 0);
}

/* A turn at @now_ns, with event 0 if @event. Return: when it wants the next. */
static uint64_t turn(uint64_t now_ns, bool event)
{
	vitals_registry *registry = service.registry;
	struct vt_told told = { 0 };
	uint64_t wish_ns;

	vt_lock(&registry->lock);
	wish_ns = vt_main_turn_at(registry, registry->main, event, false, now_ns, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	return wish_ns;
}

/* Who was told: "d", "q", "f" and "m", as they answer. */
static const char *told(void)
{
	static char word[8];

	snprintf(word, sizeof(word), "%s%s%s%s",
		 vitals_quitter_must_quit(drain) ? "d" : "",
		 vitals_quitter_must_quit(quit) ? "q" : "",
		 vitals_quitter_must_quit(service.main) ? "m" : "",
		 vitals_quitter_must_quit(flush) ? "f" : "");
	return word;
}

static bool quitting(void)
{
	return service.registry->root->flags & VT_ROOT_QUITTING;
}

START_TEST(stages_follow_one_another_as_they_empty)
{
	all_stages_made();
	ck_assert_uint_eq(turn(T, false), UINT64_MAX);
	ck_assert_str_eq(told(), "");
	ck_assert(!quitting());
	/* Half of what is left when the reserve is taken: 4.5 of 9 seconds. */
	ck_assert_uint_eq(turn(T, true), T + VITALS_MS(4500));
	ck_assert_str_eq(told(), "d");
	ck_assert(quitting());
	ck_assert_uint_eq(turn(T + VITALS_S(1), false), T + VITALS_MS(4500));
	ck_assert_str_eq(told(), "d");
	left(drain);
	ck_assert_uint_eq(turn(T + VITALS_S(2), false), T + VITALS_S(9));
	ck_assert_str_eq(told(), "dqm");
	left(quit);
	ck_assert_uint_eq(turn(T + VITALS_S(3), false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqmf");
	left(flush);
}
END_TEST

/* Nobody leaves: each stage comes in its time, flush with its reserve. */
START_TEST(stages_follow_one_another_by_time)
{
	all_stages_made();
	ck_assert_uint_eq(turn(T, true), T + VITALS_MS(4500));
	ck_assert_uint_eq(turn(T + VITALS_MS(4499), false), T + VITALS_MS(4500));
	ck_assert_str_eq(told(), "d");
	ck_assert_uint_eq(turn(T + VITALS_MS(4500), false), T + VITALS_S(9));
	ck_assert_str_eq(told(), "dqm");
	ck_assert_uint_eq(turn(T + VITALS_MS(8999), false), T + VITALS_S(9));
	ck_assert_str_eq(told(), "dqm");
	ck_assert_uint_eq(turn(T + VITALS_S(9), false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqmf");
	left(drain);
	left(quit);
	left(flush);
}
END_TEST

/* The monitor comes late, or the process was stopped: all at once, in order. */
/* Each stage has as long as it takes; the second request is the end of it all the same. */
START_TEST(stages_may_take_for_ever)
{
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_FOREVER, NULL,
						 &service.main),
			 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, 1000, "stop"), 0);
	all_stages_made();
	ck_assert_uint_gt(turn(T, true), T + VITALS_S(1000000));
	ck_assert_str_eq(told(), "d");
	(void)turn(T + VITALS_S(1000), false);
	ck_assert_str_eq(told(), "d");
	left(drain);
	ck_assert_uint_eq(turn(T + VITALS_S(2000), false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqm");
	atomic_store(&service.registry->tree->expired_ns, T + VITALS_S(3000));
	(void)turn(T + VITALS_S(3000), false);
	ck_assert_str_eq(told(), "dqmf");
	left(quit);
	left(flush);
}
END_TEST

START_TEST(a_late_turn_tells_all)
{
	all_stages_made();
	ck_assert_uint_eq(turn(T, true), T + VITALS_MS(4500));
	ck_assert_uint_eq(turn(T + VITALS_S(100), false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqmf");
	left(drain);
	left(quit);
	left(flush);
}
END_TEST

START_TEST(the_second_request_ends_all_stages)
{
	all_stages_made();
	ck_assert_uint_eq(turn(T, true), T + VITALS_MS(4500));
	atomic_store(&service.registry->tree->expired_ns, T + VITALS_S(1));
	ck_assert_uint_eq(turn(T + VITALS_S(1), false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqmf");
	/* But for those who flush: they always have their share. */
	ck_assert_uint_eq(service.registry->tree->deadline_ns, T + VITALS_S(2));
	left(drain);
	left(quit);
	left(flush);
}
END_TEST

START_TEST(without_stages_it_is_one_cascade)
{
	quit = staged("quit", VITALS_STAGE_QUIT);
	ck_assert_uint_eq(turn(T, true), UINT64_MAX);
	ck_assert_str_eq(told(), "qm");
}
END_TEST

START_TEST(readiness_goes_before_anybody_is_told)
{
	teardown();
	main_made(VITALS_S(2));
	all_stages_made();
	ck_assert_uint_eq(turn(T, true), T + VITALS_S(2));
	ck_assert(quitting());
	ck_assert_str_eq(told(), "");
	ck_assert_uint_eq(turn(T + VITALS_MS(1999), false), T + VITALS_S(2));
	ck_assert_str_eq(told(), "");
	/* Half of the seven seconds that are left before the reserve. */
	ck_assert_uint_eq(turn(T + VITALS_S(2), false), T + VITALS_MS(5500));
	ck_assert_str_eq(told(), "d");
	left(drain);
	ck_assert_uint_eq(turn(T + VITALS_S(3), false), T + VITALS_S(9));
	left(quit);
	left(flush);
}
END_TEST

START_TEST(a_delay_longer_than_the_time_is_cut)
{
	teardown();
	main_made(VITALS_S(100));
	quit = staged("quit", VITALS_STAGE_QUIT);
	ck_assert_uint_eq(turn(T, true), T + BUDGET);
	ck_assert_uint_eq(turn(T + BUDGET, false), UINT64_MAX);
	ck_assert_str_eq(told(), "qm");
}
END_TEST

/*
 * A signal is not obeyed before those that drain were told; where there are none, at
 * once.
 */
START_TEST(the_handler_leaves_the_stages_to_main)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 1);
	drain = staged("drain", VITALS_STAGE_DRAIN);
	ck_assert_int_eq(vitals_quitter_hold(drain, "work"), 0);
	raise(SIGUSR1);
	ck_assert_str_eq(told(), "");
	(void)turn(clock_now(), false);
	ck_assert_str_eq(told(), "d");
	left(drain);
	(void)turn(clock_now(), false);
	ck_assert_str_eq(told(), "dm");
}
END_TEST

START_TEST(a_drained_child_that_has_gone_drains_no_more)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 1);
	drain = vitals_quitter_free(staged("drain", VITALS_STAGE_DRAIN));
	raise(SIGUSR1);
	ck_assert_str_eq(told(), "m");
}
END_TEST

START_TEST(send_quit_begins_the_stages)
{
	all_stages_made();
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 3, "enough"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 4, "again"), -EALREADY);
	ck_assert_str_eq(told(), "d");
	/* A child is told by itself at any time. */
	ck_assert_int_eq(vitals_quitter_send_quit(flush, 5, "you too"), 0);
	ck_assert_str_eq(told(), "df");
	left(drain);
	left(quit);
	left(flush);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 3);
	ck_assert_str_eq(told(), "dqmf");
}
END_TEST

/* Flush threads may still fork while main is told. */
START_TEST(the_flush_stage_works_until_it_is_told)
{
	all_stages_made();
	left(drain);
	left(flush);
	ck_assert_uint_eq(turn(T, true), T + VITALS_S(9));
	ck_assert_str_eq(told(), "dqm");
	ck_assert_int_eq(vitals_quitter_hold(flush, "work"), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	left(flush);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	left(quit);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert_uint_eq(turn(T + 1, false), UINT64_MAX);
	ck_assert_str_eq(told(), "dqmf");
	ck_assert_int_eq(vitals_quitter_hold(flush, "work"), -ECANCELED);
}
END_TEST

/* Told all there is when main goes in the middle of it: later nobody could. */
/* The monitor, which runs already, finds all of it or nothing: for a sanitizer to see. */
START_TEST(is_made_while_the_monitor_runs)
{
	vitals_registry *registry;
	vitals_quitter *root;
	unsigned i;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(vitals_quitter_new_main(registry, BUDGET, NULL, &root),
				 0);
		ck_assert_int_eq(vitals_quitter_on_fd(root, 1000, "stop"), 0);
		vt_registry_wake(registry);
		root = vitals_quitter_free(root);
	}
	registry = vitals_registry_free(registry);
}
END_TEST

START_TEST(freeing_main_ends_what_has_begun)
{
	all_stages_made();
	ck_assert_uint_eq(turn(T, true), T + VITALS_MS(4500));
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_must_quit(quit), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(flush), 1);
	left(drain);
	left(quit);
	left(flush);
}
END_TEST

START_TEST(of_several_events_the_lowest_wins)
{
	struct vitals_result result;
	int low[2], high[2];

	VITALS_INIT(&result);
	ck_assert_int_eq(pipe(low), 0);
	ck_assert_int_eq(pipe(high), 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, low[0], "low"), 1);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 2);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, high[0], "high"), 3);
	raise(SIGUSR1);
	ck_assert_int_eq(write(high[1], "x", 1), 1);
	ck_assert_int_eq(write(low[1], "x", 1), 1);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_int_eq(result.index, 1);
	ck_assert_str_eq(result.text, "low");
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_FD);
	close(low[0]);
	close(low[1]);
	close(high[0]);
	close(high[1]);
}
END_TEST

/* Hang-up counts; what the host has closed never does. */
START_TEST(descriptors_that_go_are_told_apart)
{
	struct vitals_result result;
	int closed[2], hung[2];

	VITALS_INIT(&result);
	ck_assert_int_eq(pipe(closed), 0);
	ck_assert_int_eq(pipe(hung), 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, closed[0], "closed"), 1);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, hung[0], NULL), 2);
	close(closed[0]);
	close(hung[1]);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_int_eq(result.index, 2);
	ck_assert_str_eq(result.text, "fd");
	close(closed[1]);
	close(hung[0]);
}
END_TEST

static void *finishes(void *arg)
{
	struct vitals_result *result = arg;

	VITALS_INIT(result);
	worker_check(vitals_quitter_finish(service.main, result, NULL) == 0);
	return NULL;
}

/* Whatever comes while it waits, and whoever else waits. */
START_TEST(finish_is_woken_by_everything)
{
	struct vitals_result results[2];
	pthread_t threads[2];
	int event[2], i;

	ck_assert_int_eq(pipe(event), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 1);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, event[0], NULL), 2);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, obeys, NULL, NULL), 0);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, finishes, &results[i]);
	usleep(_i % 2 ? 3000 : 0);
	if (_i / 2 == 0)
		kill(getpid(), SIGUSR1);
	else if (_i / 2 == 1)
		ck_assert_int_eq(write(event[1], "x", 1), 1);
	else
		ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	worker_checks_passed();
	ck_assert_int_eq(results[0].index, _i / 2 == 0 ? 1 : _i / 2 == 1 ? 2 : -1);
	ck_assert_int_eq(results[1].index, results[0].index);
	close(event[0]);
	close(event[1]);
}
END_TEST

/* None waits until it would have looked by itself. */
START_TEST(many_that_finish_are_all_woken)
{
	struct vitals_result results[4];
	pthread_t threads[4];
	uint64_t from_ns;
	unsigned i;

	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, obeys, NULL, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, finishes, &results[i]);
	usleep(5000);
	from_ns = clock_now();
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_MS(800));
	worker_checks_passed();
}
END_TEST

START_TEST(finish_ends_when_everybody_has_returned)
{
	struct vitals_result result;
	int i;

	VITALS_INIT(&result);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
			vitals_thread_fork(service.main, "w", 0, returns, NULL, NULL), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_ALL_DONE);
	ck_assert_int_eq(result.index, -1);
}
END_TEST

static void *finishes_by_call(void *arg)
{
	struct vitals_result *result = arg;

	VITALS_INIT(result);
	worker_check(vitals_quitter_finish(service.main, result, NULL) == 4);
	return NULL;
}

/* Nobody was there yet: that is not the same as nobody any more. */
START_TEST(finish_waits_where_nobody_was)
{
	struct vitals_result result;
	pthread_t thread;

	pthread_create(&thread, NULL, finishes_by_call, &result);
	usleep(3000);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 4, NULL), 0);
	pthread_join(thread, NULL);
	worker_checks_passed();
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_CALL);
	ck_assert_uint_lt(result.took_ns, VITALS_MS(800));
}
END_TEST

/*
 * One that is abandoned has not returned: whoever abandoned it may be about to replace
 * it.
 */
START_TEST(abandoning_the_last_is_not_the_end)
{
	struct vitals_thread_info info;
	struct vitals_result result;
	struct gate gate = { 0 };

	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, refuses, &gate, NULL),
			 0);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	vt_lock(&service.registry->lock);
	ck_assert_uint_eq(service.registry->tree->departed, 0);
	vt_unlock(&service.registry->lock);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, returns, NULL, NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_ALL_DONE);
	ck_assert_uint_eq(result.abandoned, 1);
	ck_assert_uint_eq(result.late, 0);
	gate_open(&gate);
	ck_assert(rows_reach(service.registry, 0));
}
END_TEST

START_TEST(finish_names_the_late)
{
	vitals_quitter *pool;
	struct vitals_result result;
	struct gate gate = { 0 };
	vitals_snapshot *late;

	VITALS_INIT(&result);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_MS(50), NULL,
						 &service.main),
			 0);
	pool = child_of(service.main, "pool");
	ck_assert_int_eq(vitals_thread_fork(pool, "w", 0, obeys, &gate, NULL), 0);
	ck_assert_int_eq(vitals_thread_fork(pool, "w", 0, refuses, &gate, NULL), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 9, "bye"), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, &late), 1);
	ck_assert_int_eq(result.status, 1);
	ck_assert_uint_eq(result.late, 1);
	ck_assert_uint_ge(result.took_ns, VITALS_MS(50));
	ck_assert_uint_lt(result.took_ns, VITALS_MS(500));
	ck_assert_str_eq(result.text, "bye");
	ck_assert_uint_eq(late_rows(late, "main/pool/w#2"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	gate_open(&gate);
	/* Once more, when it has gone. */
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, &late), 9);
	ck_assert_ptr_null(late);
	vitals_quitter_free(pool);
}
END_TEST

START_TEST(a_failed_threads_status_is_the_processes)
{
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, -1, NULL), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 255);
}
END_TEST

/* A stuck thread holds the lock: the monitor goes on judging, and tells when it can. */
START_TEST(the_monitor_does_not_wait_for_the_lock)
{
	vitals_registry *registry = service.registry;
	uint64_t now_ns = clock_now(), next_ns, from_ns;

	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 1);
	quit = staged("quit", VITALS_STAGE_QUIT);
	ck_assert_int_eq(vitals_step(registry, now_ns), 0);
	vt_lock(&registry->lock);
	raise(SIGUSR1);
	from_ns = clock_now();
	ck_assert_int_eq(vt_monitor_turn_at(registry, now_ns + 1, &next_ns), 0);
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_MS(500));
	/* It comes back for it soon. */
	ck_assert_uint_le(next_ns, now_ns + 1 + VITALS_MS(1));
	ck_assert_uint_eq(registry->main->phase, VT_PHASE_IDLE);
	vt_unlock(&registry->lock);
	/* The signal was noted by the clock, which may be past that. */
	ck_assert_int_eq(vt_monitor_turn_at(registry, clock_now(), &next_ns), 0);
	ck_assert_uint_eq(registry->main->phase, VT_PHASE_FLUSH);
	ck_assert_int_eq(vitals_quitter_hold(quit, "work"), -ECANCELED);
}
END_TEST

static void off_run(void)
{
	vitals_quitter *mine;

	setenv("VITALS", "off", 1);
	/* Threads run, are told and waited for; only nobody watches. */
	if (vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &mine) ||
	    vitals_quitter_on_signal(mine, SIGUSR1, NULL) < 0 ||
	    vitals_thread_fork(mine, "w", VITALS_S(1), obeys, NULL, NULL))
		_exit(98);
	raise(SIGUSR1);
	vitals_exit(mine);
}

/* vitals_exit, in a process of its own whose stderr is read here. */
static int exit_of(void (*run)(void), char *text, size_t size)
{
	int out[2], status;
	ssize_t n, all = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		run();
		_exit(99);
	}
	close(out[1]);
	while ((n = read(out[0], text + all, size - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = 0;
	close(out[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void says_goodbye(void)
{
	(void)!write(STDERR_FILENO, "atexit\n", 7);
}

static void exits_well(void)
{
	vitals_quitter *mine;

	atexit(says_goodbye);
	if (vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &mine) ||
	    vitals_thread_fork(mine, "w", VITALS_S(1), returns, NULL, NULL))
		_exit(98);
	vitals_exit(mine);
}

static struct gate never;

static void exits_late(void)
{
	vitals_quitter *mine, *pool;

	atexit(says_goodbye);
	if (vitals_quitter_new_main(NULL, VITALS_MS(20), NULL, &mine) ||
	    vitals_quitter_new(mine, "pool", NULL, &pool) ||
	    vitals_thread_fork(pool, "w", VITALS_S(1), refuses, &never, NULL) ||
	    vitals_quitter_hold(mine, "upload") || vitals_quitter_hold(mine, "upload"))
		_exit(98);
	(void)vitals_quitter_send_quit(mine, 0, NULL);
	vitals_exit(mine);
}

static void exits_null(void)
{
	atexit(says_goodbye);
	vitals_exit(NULL);
}

START_TEST(exit_runs_destructors_only_if_all_have_returned)
{
	char text[1024];

	ck_assert_int_eq(exit_of(exits_well, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "atexit\n");
	ck_assert_int_eq(exit_of(off_run, text, sizeof(text)), 0);
	ck_assert_int_eq(exit_of(exits_null, text, sizeof(text)), 1);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(exit_of(exits_late, text, sizeof(text)), 1);
	ck_assert_ptr_nonnull(strstr(text, "vitals: late: main/pool/w (thread "));
	ck_assert_ptr_nonnull(strstr(text, ", running, told "));
	ck_assert_ptr_nonnull(
		strstr(text, "vitals: late: main/upload (a hold, held 2 times, told "));
	ck_assert_ptr_null(strstr(text, "atexit"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("main");
	TCase *tcase = tcase_create("main");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, stages_follow_one_another_as_they_empty);
	tcase_add_test(tcase, stages_follow_one_another_by_time);
	tcase_add_test(tcase, stages_may_take_for_ever);
	tcase_add_test(tcase, a_late_turn_tells_all);
	tcase_add_test(tcase, the_second_request_ends_all_stages);
	tcase_add_test(tcase, without_stages_it_is_one_cascade);
	tcase_add_test(tcase, readiness_goes_before_anybody_is_told);
	tcase_add_test(tcase, a_delay_longer_than_the_time_is_cut);
	tcase_add_test(tcase, the_handler_leaves_the_stages_to_main);
	tcase_add_test(tcase, a_drained_child_that_has_gone_drains_no_more);
	tcase_add_test(tcase, send_quit_begins_the_stages);
	tcase_add_test(tcase, the_flush_stage_works_until_it_is_told);
	tcase_add_test(tcase, freeing_main_ends_what_has_begun);
	tcase_add_test(tcase, is_made_while_the_monitor_runs);
	tcase_add_test(tcase, of_several_events_the_lowest_wins);
	tcase_add_test(tcase, descriptors_that_go_are_told_apart);
	tcase_add_loop_test(tcase, finish_is_woken_by_everything, 0, 6);
	tcase_add_loop_test(tcase, many_that_finish_are_all_woken, 0, 20);
	tcase_add_test(tcase, finish_ends_when_everybody_has_returned);
	tcase_add_test(tcase, finish_waits_where_nobody_was);
	tcase_add_test(tcase, abandoning_the_last_is_not_the_end);
	tcase_add_test(tcase, finish_names_the_late);
	tcase_add_test(tcase, a_failed_threads_status_is_the_processes);
	tcase_add_test(tcase, the_monitor_does_not_wait_for_the_lock);
	tcase_add_test(tcase, exit_runs_destructors_only_if_all_have_returned);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
