/* SPDX-License-Identifier: MIT */

/*
 * One test for each defect of go-quitter that could exist in C, in the order of their
 * numbers; each fails on a library that has the defect.
 */

#include "chance.h"
#include "harness.h"
#include "service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLENTY VITALS_S(20)

static struct service service;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &service.registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_MS(50), NULL,
						 &service.main),
			 0);
}

static void teardown(void)
{
	service_free(&service);
}

/* Of two with one function and one name the first that returns hides the other. */
START_TEST(D1_two_of_one_function_are_two)
{
	struct gate open = { 1 }, shut = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(fork_on(service.main, "stuck", refuses, &shut), 0);
	ck_assert_int_eq(fork_on(service.main, "stuck", refuses, &open), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert(rows_reach(service.registry, 1));
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/stuck"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	gate_open(&shut);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
}
END_TEST

/* Names are functions', never the user's. */
START_TEST(D2_names_are_the_users)
{
	struct vitals_thread_info info;
	struct gate gate = { 0 };

	ck_assert_int_eq(fork_on(service.main, "Straße nach Süden", refuses, &gate), 0);
	ck_assert(thread_row(service.registry, "Straße nach Süden", &info));
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
}
END_TEST

START_TEST(D3_refused_children_leave_nothing)
{
	vitals_quitter *child;
	int i;

	ck_assert_int_eq(send_quit(service.main), 0);
	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(vitals_quitter_new(service.main, "c", NULL, &child),
				 -ECANCELED);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(D4_finished_children_leave_nothing)
{
	int i, fds = fd_count();

	for (i = 0; i < 1000; i++) {
		vitals_quitter *child = child_of(service.main, "c");

		ck_assert_int_eq(send_quit(child), 0);
		vitals_quitter_free(child);
	}
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
	ck_assert_int_eq(fd_count(), fds);
}
END_TEST

enum {
	MAKERS = 4,
	MADE = 5000
};
static vitals_quitter *made[MAKERS][MADE];
static pthread_barrier_t at_once;

static void *makes(void *arg)
{
	vitals_quitter **mine = arg;
	int i;

	pthread_barrier_wait(&at_once);
	for (i = 0; i < MADE; i++)
		worker_check(vitals_quitter_new(service.main, "c", NULL, &mine[i]) == 0);
	return NULL;
}

START_TEST(D5_children_made_at_once_are_all_there)
{
	pthread_t threads[MAKERS];
	int i, j;

	pthread_barrier_init(&at_once, NULL, MAKERS);
	for (i = 0; i < MAKERS; i++)
		pthread_create(&threads[i], NULL, makes, made[i]);
	for (i = 0; i < MAKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&at_once);
	worker_checks_passed();
	ck_assert_uint_eq(quitter_rows(service.registry), 1 + MAKERS * MADE);
	ck_assert_int_eq(send_quit(service.main), 0);
	for (i = 0; i < MAKERS; i++)
		for (j = 0; j < MADE; j++) {
			ck_assert_int_eq(vitals_quitter_must_quit(made[i][j]), 1);
			vitals_quitter_free(made[i][j]);
		}
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(D6_a_second_wait_keeps_its_time)
{
	vitals_quitter *child = child_of(service.main, "c");
	int i;

	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5),
							  NULL),
				 -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(
			vitals_quitter_wait_done(service.main, VITALS_MS(5), NULL), 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D7_a_wait_on_a_child_does_not_hang_finish)
{
	vitals_quitter *child = child_of(service.main, "c"),
		       *below = child_of(child, "b");

	ck_assert_int_eq(fork_on(below, "w", obeys, NULL), 0);
	ck_assert_int_eq(send_quit(child), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(child, PLENTY, NULL), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 0);
	vitals_quitter_free(below);
	vitals_quitter_free(child);
}
END_TEST

struct wait {
	_Atomic uint32_t begun;
	int answer;
};

static void *waits(void *arg)
{
	struct wait *wait = arg;

	atomic_store(&wait->begun, 1);
	wait->answer = vitals_quitter_wait_done(service.main, PLENTY, NULL);
	return NULL;
}

START_TEST(D8_a_child_that_comes_during_a_wait_is_waited_for)
{
	struct wait wait = { 0 };
	vitals_quitter *child;
	pthread_t thread;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	pthread_create(&thread, NULL, waits, &wait);
	ck_assert(word_reaches(&wait.begun, 1));
	usleep(1000);
	child = child_of(service.main, "c");
	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), NULL),
			 -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(wait.answer, 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D9_a_child_that_comes_after_a_wait_is_waited_for)
{
	vitals_quitter *child;

	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), NULL), 0);
	child = child_of(service.main, "c");
	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), NULL),
			 -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D10_a_wait_on_an_idle_one_promises_nothing_for_later)
{
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), NULL), 0);
	ck_assert_int_eq(fork_on(service.main, "w", refuses, &gate), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/w"), 1);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
}
END_TEST

START_TEST(D11_a_parent_of_a_finished_child_is_done)
{
	vitals_quitter *child = child_of(service.main, "c");
	uint64_t from_ns = clock_now();
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, &late), 0);
	ck_assert_int_eq(fork_on(child, "w", returns, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(child, PLENTY, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, &late), 0);
	ck_assert_ptr_null(late);
	/* Not that the time was up and then nobody was there. */
	ck_assert_uint_lt(clock_now() - from_ns, PLENTY / 2);
	vitals_quitter_free(child);
}
END_TEST

/* Refused, or waited for: never forked behind the back of a wait that has ended. */
struct racer {
	vitals_quitter *quitter;
	_Atomic uint32_t ready;
	_Atomic uint32_t waited;
};

static int must_not_run(vitals_thread *self, void *arg)
{
	struct racer *racer = arg;

	(void)self;
	worker_check(!atomic_load(&racer->waited));
	return 0;
}

static void *forks_until_refused(void *arg)
{
	struct racer *racer = arg;

	atomic_fetch_add(&racer->ready, 1);
	while (fork_on(racer->quitter, "w", must_not_run, racer) == 0)
		;
	return NULL;
}

START_TEST(D12_a_refusal_and_a_quit_cannot_race_past_each_other)
{
	int round, i;

	for (round = 0; round < 50; round++) {
		struct racer racer = { .quitter = child_of(service.main, "race") };
		pthread_t threads[2];

		for (i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, forks_until_refused, &racer);
		ck_assert(word_reaches(&racer.ready, 2));
		ck_assert_int_eq(send_quit(racer.quitter), 0);
		ck_assert_int_eq(vitals_quitter_wait_done(racer.quitter, PLENTY, NULL),
				 0);
		atomic_store(&racer.waited, 1);
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		vitals_quitter_free(racer.quitter);
	}
	worker_checks_passed();
}
END_TEST

START_TEST(D13_who_was_late_once_is_not_late_for_ever)
{
	vitals_quitter *child = child_of(service.main, "c");
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(fork_on(child, "w", refuses, &gate), 0);
	ck_assert_int_eq(send_quit(child), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_MS(5), &late),
			 -ETIMEDOUT);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(child, PLENTY, NULL), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/work"), 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D14_nobody_is_reported_twice)
{
	vitals_quitter *child = child_of(service.main, "c"),
		       *below = child_of(child, "b");
	vitals_snapshot *late;
	int i;

	ck_assert_int_eq(vitals_quitter_hold(below, "work"), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(vitals_quitter_wait_done(below, 1, NULL), -ETIMEDOUT);
		ck_assert_int_eq(vitals_quitter_wait_done(child, 1, NULL), -ETIMEDOUT);
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, 1, &late),
				 -ETIMEDOUT);
		ck_assert_uint_eq(late_count(late), 1);
		vitals_snapshot_free(late);
	}
	ck_assert_int_eq(vitals_quitter_release(below, "work"), 0);
	vitals_quitter_free(below);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D15_a_child_called_main_is_a_child)
{
	vitals_quitter *child = child_of(service.main, "main");
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 1, &late), -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/main/work"), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

/* Nothing says "quit" before it was said, in no form of the question. */
START_TEST(D16_nobody_is_told_before_he_is)
{
	struct vitals_cause cause;
	struct pollfd fd = { .fd = vitals_quitter_fd(service.main), .events = POLLIN };

	VITALS_INIT(&cause);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
	ck_assert_uint_eq(cause.kind, VITALS_CAUSE_NONE);
}
END_TEST

/* Main is busy: the event counts when it comes, not when finish is called. */
START_TEST(D17_an_event_counts_while_main_is_busy)
{
	int event[2];

	ck_assert_int_eq(pipe(event), 0);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, event[0], "stop"), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 1);
	ck_assert_int_eq(fork_on(service.main, "w", obeys, NULL), 0);
	if (_i)
		raise(SIGUSR1);
	else
		ck_assert_int_eq(write(event[1], "x", 1), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
	close(event[0]);
	close(event[1]);
}
END_TEST

static void *finishes(void *arg)
{
	int *answer = arg;

	*answer = vitals_quitter_finish(service.main, NULL, NULL);
	return NULL;
}

START_TEST(D18_finish_is_woken_by_a_call_and_by_the_last_to_return)
{
	struct gate gate = { 0 };
	pthread_t thread;
	uint64_t from_ns;
	int answer = -1;

	ck_assert_int_eq(fork_on(service.main, "w", _i ? obeys : refuses, &gate), 0);
	pthread_create(&thread, NULL, finishes, &answer);
	usleep(2000);
	from_ns = clock_now();
	if (_i)
		ck_assert_int_eq(vitals_quitter_send_quit(service.main, 4, NULL), 0);
	else
		gate_open(&gate);
	pthread_join(thread, NULL);
	ck_assert_int_eq(answer, _i ? 4 : 0);
	/* By the news, not because it happened to look. */
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_MS(800));
}
END_TEST

START_TEST(D19_a_second_interrupt_is_heard)
{
	uint64_t from_ns = clock_now();

	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, PLENTY, NULL,
						 &service.main),
			 0);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 1);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	raise(SIGINT);
	raise(SIGTERM);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 1);
	ck_assert_uint_lt(clock_now() - from_ns, PLENTY / 2);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* Some of them, all there before anybody looks: a signal in the middle, descriptors around it. */
static unsigned event_of(unsigned pending)
{
	struct vitals_result result;
	int pipes[4][2], i;

	VITALS_INIT(&result);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(pipe(pipes[i]), 0);
		ck_assert_int_eq(
			i == 2 ? vitals_quitter_on_signal(service.main, SIGUSR1, NULL)
			       : vitals_quitter_on_fd(service.main, pipes[i][0], NULL),
			i);
	}
	for (i = 3; i >= 0; i--) {
		if (!(pending & 1u << i))
			continue;
		if (i == 2)
			raise(SIGUSR1);
		else
			ck_assert_int_eq(write(pipes[i][1], "x", 1), 1);
	}
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	for (i = 0; i < 4; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	return (unsigned)result.index;
}

START_TEST(D20_of_several_events_it_is_always_the_same)
{
	uint64_t rounds = number_from("VITALS_EVENTS", 100), round;

	for (round = 0; round < rounds; round++) {
		unsigned pending = (unsigned)(round % 15) + 1;

		service.main = vitals_quitter_free(service.main);
		ck_assert_int_eq(vitals_stop(service.registry), 0);
		ck_assert_int_eq(vitals_quitter_new_main(service.registry, PLENTY, NULL,
							 &service.main),
				 0);
		ck_assert_uint_eq(event_of(pending), (unsigned)__builtin_ctz(pending));
	}
}
END_TEST

START_TEST(D21_what_ended_it_is_known)
{
	vitals_quitter *child = child_of(service.main, "c");
	struct vitals_cause cause;

	VITALS_INIT(&cause);
	ck_assert_int_eq(
		vitals_quitter_on_signal(service.main, SIGUSR1, "config changed"), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 0);
	ck_assert_int_eq(vitals_quitter_cause(child, &cause), 0);
	ck_assert_uint_eq(cause.kind, VITALS_CAUSE_SIGNAL);
	ck_assert_int_eq(cause.signo, SIGUSR1);
	ck_assert_int_eq(cause.sender_pid, getpid());
	ck_assert_str_eq(cause.text, "config changed");
	vitals_quitter_free(child);
}
END_TEST

START_TEST(D22_when_send_quit_returns_all_below_are_told)
{
	int i;

	for (i = 0; i < 1000; i++) {
		vitals_quitter *parent = child_of(service.main, "p"),
			       *c = child_of(parent, "c");

		ck_assert_int_eq(send_quit(parent), 0);
		ck_assert_int_eq(vitals_quitter_must_quit(c), 1);
		ck_assert_int_eq(vitals_quitter_hold(c, "work"), -ECANCELED);
		vitals_quitter_free(c);
		vitals_quitter_free(parent);
	}
}
END_TEST

START_TEST(D23_a_deep_chain_has_one_deadline)
{
	enum {
		DEPTH = 3000
	};
	static vitals_quitter *chain[DEPTH];
	uint64_t from_ns, took_ns;
	int i;

	chain[0] = child_of(service.main, "c");
	for (i = 1; i < DEPTH; i++)
		chain[i] = child_of(chain[i - 1], "c");
	ck_assert_int_eq(vitals_quitter_hold(chain[DEPTH - 1], "work"), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	from_ns = clock_now();
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	took_ns = clock_now() - from_ns;
	ck_assert_uint_ge(took_ns, VITALS_MS(20));
	ck_assert_uint_lt(took_ns, VITALS_MS(400));
	ck_assert_int_eq(vitals_quitter_release(chain[DEPTH - 1], "work"), 0);
	for (i = DEPTH; i--;)
		vitals_quitter_free(chain[i]);
}
END_TEST

static int waits_for_its_own(vitals_thread *self, void *arg)
{
	(void)arg;
	worker_check(vitals_quitter_wait_done(vitals_thread_quitter(self), PLENTY,
					      NULL) == -EDEADLK);
	return 0;
}

START_TEST(D24_waiting_for_oneself_is_noticed)
{
	uint64_t from_ns = clock_now();

	ck_assert_int_eq(fork_on(service.main, "w", waits_for_its_own, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	ck_assert_uint_lt(clock_now() - from_ns, PLENTY / 2);
	worker_checks_passed();
}
END_TEST

static int fails(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 17;
}

/* The others are told, and the process says how it went. */
START_TEST(D25_a_failure_is_told_and_ends_in_the_status)
{
	struct vitals_thread_options options;
	struct vitals_result result;

	VITALS_INIT(&options);
	VITALS_INIT(&result);
	options.flags = VITALS_THREAD_QUIT_WHEN_IT_FAILS;
	ck_assert_int_eq(fork_on(service.main, "other", obeys, NULL), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, fails, NULL, &options),
			 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 17);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_THREAD_FAILED);
	ck_assert_str_eq(result.text, "w");
}
END_TEST

START_TEST(D26_there_is_a_main_quitter_after_the_first)
{
	int i;

	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(send_quit(service.main), 0);
		service.main = vitals_quitter_free(service.main);
		ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, NULL,
							 &service.main),
				 0);
		ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	}
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

/* A child that was refused is NULL, and NULL harms nobody. */
START_TEST(D27_a_refused_child_may_be_used)
{
	vitals_quitter *child = service.main; /* anything but NULL */

	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_new(service.main, "c", NULL, &child), -ECANCELED);
	ck_assert_ptr_null(child);
	ck_assert_int_eq(vitals_quitter_must_quit(child), 0);
	ck_assert_int_eq(fork_on(child, "w", obeys, NULL), -EINVAL);
	ck_assert_int_eq(send_quit(child), -EINVAL);
	ck_assert_int_eq(vitals_quitter_wait_done(child, PLENTY, NULL), -EINVAL);
	ck_assert_ptr_null(vitals_quitter_free(child));
}
END_TEST

/* Its test of the same compares two counters that nobody counts. */
static int counts(vitals_thread *self, void *arg)
{
	(void)self;
	atomic_fetch_add((_Atomic uint32_t *)arg, 1);
	return 0;
}

START_TEST(D28_what_is_counted_is_counted)
{
	_Atomic uint32_t counter = 0;
	uint32_t i;

	for (i = 0; i < 200; i++)
		ck_assert_int_eq(fork_on(service.main, "w", counts, &counter), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	ck_assert_uint_eq(atomic_load(&counter), 200);
}
END_TEST

/* By number. Each is a case of its own, so that CK_RUN_CASE runs it alone. */
static void add(Suite *suite, const TTest *test, int rounds)
{
	TCase *tcase = tcase_create(test->name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test, 0, rounds);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("defects");

	add(suite, D1_two_of_one_function_are_two, 1);
	add(suite, D2_names_are_the_users, 1);
	add(suite, D3_refused_children_leave_nothing, 1);
	add(suite, D4_finished_children_leave_nothing, 1);
	add(suite, D5_children_made_at_once_are_all_there, 1);
	add(suite, D6_a_second_wait_keeps_its_time, 1);
	add(suite, D7_a_wait_on_a_child_does_not_hang_finish, 1);
	add(suite, D8_a_child_that_comes_during_a_wait_is_waited_for, 1);
	add(suite, D9_a_child_that_comes_after_a_wait_is_waited_for, 1);
	add(suite, D10_a_wait_on_an_idle_one_promises_nothing_for_later, 1);
	add(suite, D11_a_parent_of_a_finished_child_is_done, 1);
	add(suite, D12_a_refusal_and_a_quit_cannot_race_past_each_other, 1);
	add(suite, D13_who_was_late_once_is_not_late_for_ever, 1);
	add(suite, D14_nobody_is_reported_twice, 1);
	add(suite, D15_a_child_called_main_is_a_child, 1);
	add(suite, D16_nobody_is_told_before_he_is, 1);
	add(suite, D17_an_event_counts_while_main_is_busy, 2);
	add(suite, D18_finish_is_woken_by_a_call_and_by_the_last_to_return, 2);
	add(suite, D19_a_second_interrupt_is_heard, 1);
	add(suite, D20_of_several_events_it_is_always_the_same, 1);
	add(suite, D21_what_ended_it_is_known, 1);
	add(suite, D22_when_send_quit_returns_all_below_are_told, 1);
	add(suite, D23_a_deep_chain_has_one_deadline, 1);
	add(suite, D24_waiting_for_oneself_is_noticed, 1);
	add(suite, D25_a_failure_is_told_and_ends_in_the_status, 1);
	add(suite, D26_there_is_a_main_quitter_after_the_first, 1);
	add(suite, D27_a_refused_child_may_be_used, 1);
	add(suite, D28_what_is_counted_is_counted, 1);
	return run_suite(suite);
}
