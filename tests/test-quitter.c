/* SPDX-License-Identifier: MIT */

#include "chance.h"
#include "harness.h"
#include "quitter.h"
#include "service.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
	service_make(&service);
}

static void teardown(void)
{
	service_free(&service);
}

static int readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0);
}

START_TEST(null_handles_do_nothing)
{
	struct vitals_cause cause;
	vitals_quitter *quitter = (vitals_quitter *)(void *)&cause;

	VITALS_INIT(&cause);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(vitals_quitter_new(NULL, "a", NULL, &quitter), -EINVAL);
	ck_assert_ptr_null(quitter);
	ck_assert_int_eq(vitals_quitter_new(service.main, "a", NULL, NULL), -EINVAL);
	ck_assert_ptr_null(vitals_quitter_free(NULL));
	ck_assert_int_eq(vitals_quitter_on_signal(NULL, 1, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_fd(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_must_quit(NULL), 0);
	ck_assert_int_eq((vitals_quitter_must_quit)(NULL), 0);
	ck_assert_int_eq(vitals_quitter_fd(NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_cause(NULL, &cause), -EINVAL);
	ck_assert_int_eq(vitals_quitter_cause(service.main, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_send_quit(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_wait_done(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_hold(NULL, "a"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_hold(service.main, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_release(NULL, "a"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_abandon(NULL, 1), -EINVAL);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, 0), -EINVAL);
	ck_assert_int_eq(vitals_quitter_finish(NULL, NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(a_second_main_is_refused_until_the_first_is_freed)
{
	vitals_quitter *second;

	ck_assert_int_eq(vitals_quitter_new_main(service.registry, 1, NULL, &second),
			 -EEXIST);
	ck_assert_ptr_null(second);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(
		vitals_quitter_new_main(service.registry, 1, NULL, &service.main), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
}
END_TEST

/* After a shutdown too: the new one was not told, and the signals' word is as new. */
START_TEST(a_new_main_begins_afresh)
{
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(
		vitals_quitter_new_main(service.registry, 1, NULL, &service.main), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

static const struct {
	const char *name;
	uint32_t flags;
	uint32_t stage;
	uint64_t ready_off_ns;
	int expected;
} odd[] = {
	{ "", 0, 0, 0, -EINVAL },
	{ "a/b", 0, 0, 0, -EINVAL },
	{ "a#2", 0, 0, 0, -EINVAL },
	{ "a\n", 0, 0, 0, -EINVAL },
	{ "\xff", 0, 0, 0, -EINVAL },
	{ "a", 1, 0, 0, -EINVAL },
	{ "a", 0, 3, 0, -EINVAL },
	{ "a", 0, 0, 1, -EINVAL },
	{ "a", 0, 2, 0, 0 },
	{ "main", 0, 0, 0, 0 },
	{ "0123456789012345678901234567890123456789012345678901234567890123", 0, 0, 0,
	  -EINVAL },
	{ "012345678901234567890123456789012345678901234567890123456789012", 0, 0, 0, 0 },
};

START_TEST(names_and_options_are_checked)
{
	struct vitals_quitter_options options;
	vitals_quitter *child;

	VITALS_INIT(&options);
	options.flags = odd[_i].flags;
	options.stage = odd[_i].stage;
	options.ready_off_ns = odd[_i].ready_off_ns;
	ck_assert_int_eq(vitals_quitter_new(service.main, odd[_i].name, &options, &child),
			 odd[_i].expected);
	ck_assert_int_eq(child != NULL, odd[_i].expected == 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(stages_are_for_children_of_main)
{
	struct vitals_quitter_options options;
	vitals_quitter *child, *grandchild;

	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_FLUSH;
	ck_assert_int_eq(vitals_quitter_new(service.main, "log", &options, &child), 0);
	ck_assert_int_eq(vitals_quitter_new(child, "file", &options, &grandchild),
			 -EINVAL);
	ck_assert_int_eq(vitals_quitter_new(child, "file", NULL, &grandchild), 0);
	vitals_quitter_free(grandchild);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(a_larger_options_struct_is_taken_if_the_rest_is_0)
{
	struct {
		struct vitals_quitter_options known;
		uint64_t later;
	} options;
	vitals_quitter *child;

	memset(&options, 0, sizeof(options));
	options.known.size = sizeof(options);
	ck_assert_int_eq(vitals_quitter_new(service.main, "a", &options.known, &child),
			 0);
	vitals_quitter_free(child);
	options.later = 1;
	ck_assert_int_eq(vitals_quitter_new(service.main, "a", &options.known, &child),
			 -E2BIG);
	ck_assert_ptr_null(child);
	options.known.size = 0;
	ck_assert_int_eq(vitals_quitter_new(service.main, "a", &options.known, &child),
			 -EINVAL);
}
END_TEST

START_TEST(a_request_reaches_all_below_and_nobody_else)
{
	vitals_quitter *a = child_of(service.main, "a"), *b = child_of(service.main, "b");
	vitals_quitter *aa = child_of(a, "aa"), *ab = child_of(a, "ab");
	vitals_quitter *aaa = child_of(aa, "aaa");

	ck_assert_int_eq(vitals_quitter_send_quit(a, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(aaa), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(a), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(aa), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(ab), 1);
	ck_assert_int_eq((vitals_quitter_must_quit)(ab), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(b), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(aa, 0, NULL), -EALREADY);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(b), 1);
	vitals_quitter_free(aaa);
	vitals_quitter_free(aa);
	vitals_quitter_free(ab);
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}
END_TEST

START_TEST(the_first_cause_wins_and_is_inherited)
{
	vitals_quitter *a = child_of(service.main, "a"), *aa = child_of(a, "aa");
	vitals_quitter *b = child_of(service.main, "b");
	struct vitals_cause of_a, of_aa, of_b;

	VITALS_INIT(&of_a);
	VITALS_INIT(&of_aa);
	VITALS_INIT(&of_b);
	ck_assert_int_eq(vitals_quitter_cause(a, &of_a), 0);
	ck_assert_uint_eq(of_a.kind, VITALS_CAUSE_NONE);
	ck_assert_int_eq(of_a.index, -1);
	ck_assert_int_eq(vitals_quitter_send_quit(a, 7, "first"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 8, "second"), 0);
	ck_assert_int_eq(vitals_quitter_cause(a, &of_a), 0);
	ck_assert_int_eq(vitals_quitter_cause(aa, &of_aa), 0);
	ck_assert_int_eq(vitals_quitter_cause(b, &of_b), 0);
	ck_assert_uint_eq(of_a.kind, VITALS_CAUSE_CALL);
	ck_assert_int_eq(of_a.status, 7);
	ck_assert_str_eq(of_a.text, "first");
	ck_assert_int_eq(of_a.index, -1);
	ck_assert_uint_ne(of_a.at_ns, 0);
	ck_assert_int_eq(memcmp(&of_a, &of_aa, sizeof(of_a)), 0);
	ck_assert_str_eq(of_b.text, "second");
	ck_assert_uint_ne(of_b.origin_id, of_a.origin_id);
	vitals_quitter_free(aa);
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}
END_TEST

START_TEST(a_cause_fills_an_older_record_as_far_as_it_goes)
{
	struct vitals_cause cause;

	memset(&cause, 0x5a, sizeof(cause));
	cause.size = 12;
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 1, "x"), 0);
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
	ck_assert_uint_eq(cause.size, 12);
	ck_assert_uint_eq(cause.kind, VITALS_CAUSE_CALL);
	ck_assert_int_eq(cause.index, -1);
	ck_assert_int_eq(cause.signo, 0x5a5a5a5a);
	cause.size = 0;
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), -EINVAL);
}
END_TEST

START_TEST(a_text_is_cut_and_cleaned)
{
	struct vitals_cause cause;
	char text[200];

	VITALS_INIT(&cause);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	text[3] = '\n';
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, text), 0);
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
	ck_assert_uint_eq(strlen(cause.text), 63);
	ck_assert_int_eq(cause.text[3], '?');
}
END_TEST

START_TEST(the_descriptor_cannot_be_drained)
{
	vitals_quitter *a = child_of(service.main, "a");
	int fd = vitals_quitter_fd(a), i;
	char buffer[8];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(vitals_quitter_fd(a), fd);
	ck_assert_int_eq(readable(fd), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(readable(fd), 1);
		(void)!read(fd, buffer, sizeof(buffer));
		usleep(10);
	}
	ck_assert_int_eq(readable(fd), 1);
	vitals_quitter_free(a);
}
END_TEST

START_TEST(a_descriptor_asked_for_afterwards_is_readable)
{
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(readable(vitals_quitter_fd(service.main)), 1);
}
END_TEST

START_TEST(descriptors_are_made_when_asked_for_and_closed_with_the_quitter)
{
	int before = fd_count(), i;
	vitals_quitter *children[20];

	for (i = 0; i < 20; i++)
		children[i] = child_of(service.main, "child");
	ck_assert_int_eq(fd_count(), before);
	for (i = 0; i < 20; i++)
		ck_assert_int_ge(vitals_quitter_fd(children[i]), 0);
	ck_assert_int_eq(fd_count(), before + 20);
	for (i = 0; i < 20; i++)
		vitals_quitter_free(children[i]);
	ck_assert_int_eq(fd_count(), before);
}
END_TEST

/* The number is the host's file afterwards: we neither set, read nor close it. */
static void *frees_while_cancelled(void *arg)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(before, NULL);
	vitals_quitter_free(arg);
	return NULL;
}

static bool lock_is_free(void)
{
	if (!vt_trylock(&service.registry->lock))
		return false;
	vt_unlock(&service.registry->lock);
	return true;
}

/* It ends wherever it may: not with the registry's lock. */
START_TEST(who_is_cancelled_closes_a_descriptor_all_the_same)
{
	vitals_quitter *child = child_of(service.main, "child");
	pthread_t thread;

	ck_assert_int_ge(vitals_quitter_fd(child), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, frees_while_cancelled, child), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(lock_is_free());
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(a_descriptor_that_the_host_closed_is_made_anew)
{
	int fd = vitals_quitter_fd(service.main), file;

	close(fd);
	file = dup(0);
	ck_assert_int_eq(file, fd);
	ck_assert_int_ne(vitals_quitter_fd(service.main), fd);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(readable(vitals_quitter_fd(service.main)), 1);
	close(file);
}
END_TEST

START_TEST(a_child_of_one_that_was_told_is_refused)
{
	vitals_quitter *child;

	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_new(service.main, "late", NULL, &child),
			 -ECANCELED);
	ck_assert_ptr_null(child);
}
END_TEST

START_TEST(siblings_of_one_name_are_numbered)
{
	vitals_quitter *first = child_of(service.main, "pool");
	vitals_quitter *second = child_of(service.main, "pool");
	vitals_quitter *elsewhere = child_of(first, "pool");
	struct vitals_quitter_info info;

	ck_assert(quitter_row(service.registry, "main/pool", &info));
	ck_assert(quitter_row(service.registry, "main/pool#2", &info));
	ck_assert(quitter_row(service.registry, "main/pool/pool", &info));
	vitals_quitter_free(elsewhere);
	vitals_quitter_free(first);
	first = child_of(service.main, "pool");
	ck_assert(quitter_row(service.registry, "main/pool", &info));
	ck_assert(!quitter_row(service.registry, "main/pool#3", &info));
	vitals_quitter_free(first);
	vitals_quitter_free(second);
}
END_TEST

/* The same name and so the same path, not "#2". */
START_TEST(one_that_has_drained_makes_room_for_another_of_its_name)
{
	struct vitals_quitter_info info;
	struct gate gate = { 0 };
	vitals_quitter *pool;
	int i;

	for (i = 0; i < 20; i++) {
		atomic_store(&gate.open, 0);
		pool = child_of(service.main, "pool");
		ck_assert_int_eq(fork_on(pool, "worker", refuses, &gate), 0);
		ck_assert_int_eq(send_quit(pool), 0);
		ck_assert_int_eq(fork_on(pool, "worker", obeys, NULL), -ECANCELED);
		gate_open(&gate);
		ck_assert_int_eq(vitals_quitter_wait_done(pool, VITALS_S(10), NULL), 0);
		ck_assert(quitter_row(service.registry, "main/pool", &info));
		vitals_quitter_free(pool);
		ck_assert_uint_eq(quitter_rows(service.registry), 1);
	}
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
}
END_TEST

START_TEST(one_that_is_freed_lives_on_while_something_is_in_it)
{
	vitals_quitter *a = child_of(service.main, "a"), *aa = child_of(a, "aa");
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_hold(aa, "work"), 0);
	vitals_quitter_free(a);
	ck_assert_uint_eq(quitter_rows(service.registry), 3);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(aa), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/a/aa/work"), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(aa, "work"), 0);
	vitals_quitter_free(aa);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
}
END_TEST

/* A chain so deep that one stack frame each would not fit. */
static void *tell_deep(void *arg)
{
	vitals_quitter *root = arg;

	worker_check(vitals_quitter_send_quit(root, 0, NULL) == 0);
	worker_check(vitals_quitter_wait_done(root, 0, NULL) == 0);
	return NULL;
}

START_TEST(a_deep_chain_needs_no_stack)
{
	enum {
		DEPTH = 20000
	};
	static vitals_quitter *chain[DEPTH];
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	chain[0] = child_of(service.main, "q");
	for (i = 1; i < DEPTH; i++)
		chain[i] = child_of(chain[i - 1], "q");
	ck_assert_int_eq(vitals_quitter_hold(chain[DEPTH - 1], "work"), 0);
	ck_assert_int_eq(vitals_quitter_release(chain[DEPTH - 1], "work"), 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	ck_assert_int_eq(pthread_create(&thread, &attr, tell_deep, service.main), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	worker_checks_passed();
	ck_assert_int_eq(vitals_quitter_must_quit(chain[DEPTH - 1]), 1);
	/* From the root down: each lives on until the one below goes. */
	for (i = 0; i < DEPTH; i++)
		vitals_quitter_free(chain[i]);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(totals_count_what_there_is)
{
	vitals_quitter *a = child_of(service.main, "a");
	struct vt_totals *totals = &service.registry->root->totals;

	ck_assert_uint_eq(totals->quitters, 2);
	ck_assert_int_eq(vitals_quitter_hold(a, "work"), 0);
	ck_assert_uint_eq(totals->threads, 1);
	ck_assert_uint_eq(totals->quitting, 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_uint_eq(totals->quitting, 2);
	ck_assert_int_eq(vitals_quitter_release(a, "work"), 0);
	ck_assert_uint_eq(totals->quitting, 0);
	ck_assert_uint_eq(totals->threads, 0);
	vitals_quitter_free(a);
	ck_assert_uint_eq(totals->quitters, 1);
}
END_TEST

/*
 * Half of the workers make children and hold, the other half tells: every hold that was
 * taken is seen by the wait, and none is taken after it.
 */
enum {
	ROUNDS = 300,
	RACERS = 4
};

struct race {
	vitals_quitter *quitter;
	pthread_barrier_t barrier;
	_Atomic uint32_t taken;
	_Atomic uint32_t done;
};

static void *race_holds(void *arg)
{
	struct race *race = arg;
	vitals_quitter *child;

	pthread_barrier_wait(&race->barrier);
	while (vitals_quitter_new(race->quitter, "child", NULL, &child) == 0) {
		if (vitals_quitter_hold(child, "work") == 0) {
			atomic_fetch_add(&race->taken, 1);
			worker_check(!atomic_load(&race->done));
			atomic_fetch_sub(&race->taken, 1);
			worker_check(vitals_quitter_release(child, "work") == 0);
		}
		vitals_quitter_free(child);
	}
	return NULL;
}

START_TEST(joining_and_telling_cannot_race_past_each_other)
{
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		struct race race = { .quitter = child_of(service.main, "race") };
		pthread_t threads[RACERS];

		pthread_barrier_init(&race.barrier, NULL, RACERS + 1);
		for (i = 0; i < RACERS; i++)
			ck_assert_int_eq(
				pthread_create(&threads[i], NULL, race_holds, &race), 0);
		pthread_barrier_wait(&race.barrier);
		ck_assert_int_eq(vitals_quitter_send_quit(race.quitter, 0, NULL), 0);
		ck_assert_int_eq(
			vitals_quitter_wait_done(race.quitter, VITALS_S(10), NULL), 0);
		atomic_store(&race.done, 1);
		ck_assert_uint_eq(atomic_load(&race.taken), 0);
		for (i = 0; i < RACERS; i++)
			pthread_join(threads[i], NULL);
		pthread_barrier_destroy(&race.barrier);
		vitals_quitter_free(race.quitter);
	}
	worker_checks_passed();
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

START_TEST(a_forked_child_of_a_started_process_is_inert)
{
	vitals_quitter *child = child_of(service.main, "a"), *made;
	int status;
	pid_t pid;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_hold(child, "work"), 0);
	pid = fork();
	if (pid == 0) {
		bool good = vitals_quitter_must_quit(child) == 0 &&
			    vitals_quitter_send_quit(child, 0, NULL) == 0 &&
			    vitals_quitter_must_quit(child) == 0 &&
			    vitals_quitter_wait_done(child, 0, NULL) == -ECHILD &&
			    vitals_quitter_finish(service.main, NULL, NULL) == -ECHILD &&
			    vitals_quitter_new(child, "x", NULL, &made) == -ECANCELED &&
			    vitals_quitter_hold(child, "x") == -ECANCELED &&
			    vitals_quitter_release(child, "work") == 0 &&
			    vitals_thread_fork(child, "x", 0, returns, NULL, NULL) ==
				    -ECANCELED &&
			    vitals_quitter_on_signal(service.main, 10, NULL) ==
				    -ECANCELED &&
			    vitals_quitter_free(child) == NULL &&
			    vitals_quitter_free(service.main) == NULL;

		_exit(good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(thread_rows(service.registry), 1);
	ck_assert_int_eq(vitals_quitter_must_quit(child), 0);
	ck_assert_int_eq(vitals_quitter_release(child, "work"), 0);
	vitals_quitter_free(child);
}
END_TEST

/* In the middle of somebody's cascade, or by who has just told: neither side hangs. */
static void child_is_inert(void)
{
	vitals_quitter *child;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(vitals_quitter_new(service.main, "c", NULL, &child) == -ECANCELED &&
				      vitals_quitter_wait_done(service.main, 0, NULL) ==
					      -ECHILD &&
				      vitals_quitter_free(service.main) == NULL
			      ? 0
			      : 1);
	worker_check(waitpid(pid, &status, 0) == pid);
	worker_check(status == 0);
}

static void cascade(bool forks)
{
	vitals_quitter *a = NULL, *b = NULL;

	worker_check(vitals_quitter_new(service.main, "a", NULL, &a) == 0);
	worker_check(vitals_quitter_new(a, "b", NULL, &b) == 0);
	worker_check(vitals_quitter_hold(b, "work") == 0);
	worker_check(vitals_quitter_send_quit(a, 0, NULL) == 0);
	if (forks)
		child_is_inert();
	worker_check(vitals_quitter_release(b, "work") == 0);
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}

static void *tells_and_frees(void *arg)
{
	_Atomic uint32_t *stop = arg;

	while (!atomic_load(stop))
		cascade(false);
	return NULL;
}

static void *tells_and_forks(void *arg)
{
	uint64_t forks = *(uint64_t *)arg;

	while (forks--)
		cascade(true);
	return NULL;
}

/* From this thread, and from one that tells: together VITALS_FORKS times. */
START_TEST(forking_in_the_middle_of_a_cascade_is_fine)
{
	uint64_t half = number_from("VITALS_FORKS", 200) / 2, i;
	_Atomic uint32_t stop = 0;
	pthread_t teller, forker;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	pthread_create(&teller, NULL, tells_and_frees, &stop);
	pthread_create(&forker, NULL, tells_and_forks, &half);
	for (i = 0; i < half; i++)
		child_is_inert();
	pthread_join(forker, NULL);
	atomic_store(&stop, 1);
	pthread_join(teller, NULL);
	worker_checks_passed();
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quitter");
	TCase *tcase = tcase_create("quitter");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, null_handles_do_nothing);
	tcase_add_test(tcase, a_second_main_is_refused_until_the_first_is_freed);
	tcase_add_test(tcase, a_new_main_begins_afresh);
	tcase_add_loop_test(tcase, names_and_options_are_checked, 0,
			    (int)(sizeof(odd) / sizeof(odd[0])));
	tcase_add_test(tcase, stages_are_for_children_of_main);
	tcase_add_test(tcase, a_larger_options_struct_is_taken_if_the_rest_is_0);
	tcase_add_test(tcase, a_request_reaches_all_below_and_nobody_else);
	tcase_add_test(tcase, the_first_cause_wins_and_is_inherited);
	tcase_add_test(tcase, a_cause_fills_an_older_record_as_far_as_it_goes);
	tcase_add_test(tcase, a_text_is_cut_and_cleaned);
	tcase_add_test(tcase, the_descriptor_cannot_be_drained);
	tcase_add_test(tcase, a_descriptor_asked_for_afterwards_is_readable);
	tcase_add_test(tcase,
		       descriptors_are_made_when_asked_for_and_closed_with_the_quitter);
	tcase_add_test(tcase, who_is_cancelled_closes_a_descriptor_all_the_same);
	tcase_add_test(tcase, a_descriptor_that_the_host_closed_is_made_anew);
	tcase_add_test(tcase, a_child_of_one_that_was_told_is_refused);
	tcase_add_test(tcase, siblings_of_one_name_are_numbered);
	tcase_add_test(tcase, one_that_has_drained_makes_room_for_another_of_its_name);
	tcase_add_test(tcase, one_that_is_freed_lives_on_while_something_is_in_it);
	tcase_add_test(tcase, a_deep_chain_needs_no_stack);
	tcase_add_test(tcase, totals_count_what_there_is);
	tcase_add_test(tcase, joining_and_telling_cannot_race_past_each_other);
	tcase_add_test(tcase, a_forked_child_of_a_started_process_is_inert);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("forking");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, forking_in_the_middle_of_a_cascade_is_fine);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
