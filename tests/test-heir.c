/* SPDX-License-Identifier: MIT */

/*
 * What a forked child, and a daemon, has of the threads of its parent: the one that forked.
 */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "service.h"
#include "task.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_MS(50)

static vitals_registry *registry;
static vitals_quitter *quitter;
static vitals_heartbeat *mine, *theirs;
static struct gate gate;
static _Atomic uint32_t ready;
static uint64_t now;

static void setup(void)
{
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &quitter) == 0);
	child_check(vitals_heartbeat_new(registry, "mine", T, NULL, &mine) == 0);
	child_check(vitals_heartbeat_new(registry, "theirs", T, NULL, &theirs) == 0);
}

static void teardown(void)
{
	worker_checks_passed();
	vitals_heartbeat_close(mine);
	vitals_heartbeat_close(theirs);
	mine = vitals_heartbeat_unref(mine);
	theirs = vitals_heartbeat_unref(theirs);
	quitter = vitals_quitter_free(quitter);
	registry = vitals_registry_free(registry);
}

static void step(uint64_t ns)
{
	now = now ? now + ns : vt_clock_now();
	child_check(vitals_step(registry, now) == 0);
}

static uint32_t state_of(const vitals_heartbeat *heartbeat)
{
	return atomic_load(&vt_heartbeat_cold(heartbeat)->state);
}

static uint32_t tid_of(const vitals_heartbeat *heartbeat)
{
	uint64_t thread_id;
	uint32_t tid;

	vt_owner_load(&vt_heartbeat_registry(heartbeat)->view,
		      vt_heartbeat_cold(heartbeat), &tid, &thread_id);
	return tid;
}

static uint32_t dead(void)
{
	return atomic_load(&registry->root->summary.critical[VITALS_DEAD]);
}

static void *owns_theirs(void *arg)
{
	(void)worker_check(vitals_heartbeat_own(theirs) == 0);
	atomic_store(&ready, 1);
	gate_pass(&gate);
	return arg;
}

/* Another thread of the parent's is up to something while it forks. */
static pthread_t other_started(void *(*run)(void *))
{
	pthread_t thread;

	child_check(pthread_create(&thread, NULL, run, NULL) == 0);
	child_check(word_reaches(&ready, 1));
	return thread;
}

static void other_ended(pthread_t thread)
{
	gate_open(&gate);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *ends(void *arg)
{
	child_check(vitals_heartbeat_own(theirs) == 0);
	return arg;
}

static void owners_in_child(void *unused)
{
	pthread_t thread;

	(void)unused;
	child_check(tid_of(mine) == vt_task_self());
	child_check(tid_of(theirs) == 0);
	child_check(vitals_heartbeat_own(mine) == -EBUSY);
	(void)vitals_heartbeat_pulse(mine);
	step(0);
	child_check(state_of(mine) == VITALS_HEALTHY);
	child_check(state_of(theirs) == VITALS_DEAD);
	while (state_of(mine) == VITALS_HEALTHY)
		step(VITALS_MS(1));
	child_check(state_of(mine) == VITALS_SILENT);
	/* Another may own it, and die again. */
	if (!SANITIZED) {
		child_check(pthread_create(&thread, NULL, ends, NULL) == 0);
		child_check(pthread_join(thread, NULL) == 0);
	}
	child_check(atomic_load(&theirs->refs) == 1);
	step(VITALS_MS(1));
	child_check(state_of(theirs) == VITALS_DEAD);
	child_check(vitals_heartbeat_own(theirs) == 0);
	step(VITALS_MS(1));
	child_check(state_of(theirs) != VITALS_DEAD);
	vitals_heartbeat_close(theirs);
	theirs = vitals_heartbeat_unref(theirs);
	vitals_heartbeat_close(mine);
	mine = vitals_heartbeat_unref(mine);
	child_check(vitals_heartbeat_new(registry, "next", T, NULL, &mine) == 0);
	child_check(vitals_heartbeat_own(mine) == 0);
}

START_TEST(a_child_owns_what_the_thread_that_forked_owned)
{
	pthread_t thread = other_started(owns_theirs);
	uint32_t tid = tid_of(theirs);

	ck_assert_int_eq(vitals_heartbeat_own(mine), 0);
	child_run(owners_in_child, NULL);
	ck_assert_uint_eq(tid_of(mine), vt_task_self());
	ck_assert_uint_eq(tid_of(theirs), tid);
	step(0);
	ck_assert_uint_ne(state_of(theirs), VITALS_DEAD);
	other_ended(thread);
}
END_TEST

static void *looks_until_dead(void *arg)
{
	(void)arg;
	for (step(0); state_of(mine) != VITALS_DEAD; step(VITALS_MS(1))) {
		nap();
		child_check(state_of(mine) != VITALS_SILENT);
	}
	_exit(EXIT_SUCCESS);
}

static void forker_ends(void *unused)
{
	pthread_t thread;

	(void)unused;
	(void)vitals_heartbeat_idle(mine);
	child_check(pthread_create(&thread, NULL, looks_until_dead, NULL) == 0);
	pthread_exit(NULL);
}

START_TEST(a_forker_that_ends_in_the_child_is_dead_there)
{
	ck_assert_int_eq(vitals_heartbeat_own(mine), 0);
	if (!SANITIZED)
		child_run(forker_ends, NULL);
	ck_assert_uint_eq(atomic_load(&vt_heartbeat_hot(mine)->flags) & VT_HB_DEAD, 0);
}
END_TEST

/* Members */

static void *is_adopted(void *arg)
{
	vitals_thread *self;

	(void)worker_check(vitals_thread_adopt(quitter, "other", T, NULL, &self) == 0);
	atomic_store(&ready, 1);
	gate_pass(&gate);
	vitals_thread_leave(self, 0);
	return arg;
}

static void *is_adopted_unwatched(void *arg)
{
	vitals_thread *self;

	(void)worker_check(vitals_thread_adopt(quitter, "other", 0, NULL, &self) == 0);
	atomic_store(&ready, 1);
	gate_pass(&gate);
	vitals_thread_leave(self, 0);
	return arg;
}

static void adopted_in_child(void *watched)
{
	vitals_thread *self = vitals_thread_self();
	struct vitals_thread_info info;

	child_check(self != NULL);
	child_check(vitals_thread_go_on(self) == 1);
	child_check(thread_row(registry, "self", &info));
	child_check(info.tid == vt_task_self());
	child_check(tid_of(vitals_thread_heartbeat(self)) == vt_task_self());
	child_check(vitals_thread_adopt(quitter, "again", T, NULL, &self) == -EBUSY);
	child_check(thread_row(registry, "other", &info) == (watched != NULL));
	child_check(!watched || info.state == VITALS_THREAD_DEAD);
	child_check(vitals_thread_sleep(vitals_thread_self(), 1) == 0);
	step(0);
	child_check(dead() == (watched ? 1 : 0));
	child_check(vitals_quitter_wait_done(quitter, 0, NULL) == -EDEADLK);
	vitals_thread_leave(vitals_thread_self(), 0);
	child_check(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL) == 0);
	child_check(vitals_quitter_send_quit(quitter, 0, "child") == 0);
	child_check(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL) == 0);
	child_check(thread_rows(registry) == 0);
	step(VITALS_MS(1));
	child_check(dead() == 0);
	quitter = vitals_quitter_free(quitter);
	child_check(atomic_load(&registry->root->totals.threads) == 0);
	child_check(atomic_load(&registry->root->totals.quitters) == 0);
}

START_TEST(a_child_waits_for_no_adopted_thread_but_itself)
{
	pthread_t thread = other_started(_i ? is_adopted : is_adopted_unwatched);
	vitals_thread *self;

	ck_assert_int_eq(vitals_thread_adopt(quitter, "self", T, NULL, &self), 0);
	child_run(adopted_in_child, _i ? &ready : NULL);
	ck_assert_uint_eq(thread_rows(registry), 2);
	vitals_thread_leave(self, 0);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, 1, NULL), -ETIMEDOUT);
	other_ended(thread);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL), 0);
}
END_TEST

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static _Atomic int asked;

static void note_asked(void *unused)
{
	(void)unused;
	atomic_store(&asked, 1);
}

static void *waits_in_a_condition(void *arg)
{
	vitals_thread *self;

	(void)worker_check(vitals_thread_adopt(quitter, "waits", T, NULL, &self) == 0);
	(void)worker_check(vitals_thread_on_quit(self, note_asked, NULL) == 0);
	pthread_mutex_lock(&mutex);
	atomic_store(&ready, 1);
	while (vitals_thread_cond_wait(self, &cond, &mutex, VITALS_FOREVER) == 0)
		continue;
	(void)worker_check(!vitals_thread_go_on(self));
	pthread_mutex_unlock(&mutex);
	vitals_thread_leave(self, 0);
	return arg;
}

static void waits_in_child(void *unused)
{
	(void)unused;
	child_check(vitals_start(registry) == 0);
	child_check(vitals_quitter_send_quit(quitter, 0, "child") == 0);
	child_check(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL) == 0);
	child_check(vitals_stop(registry) == 0);
	child_check(!registry->tree->kick_first && !registry->tree->call_first);
	child_check(!atomic_load(&asked));
	child_check(thread_rows(registry) == 0);
}

START_TEST(a_quit_in_a_child_kicks_no_thread_of_the_parents)
{
	pthread_t thread = other_started(waits_in_a_condition);

	/* Until it waits. */
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	if (!SANITIZED)
		child_run(waits_in_child, NULL);
	ck_assert_int_eq(vitals_quitter_must_quit(quitter), 0);
	ck_assert_int_eq(vitals_start(registry), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(quitter, 0, NULL), 0);
	other_ended(thread);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL), 0);
}
END_TEST

/* A thread can be forked though the monitor cannot be started: then the registry is carried over. */

static int waits(vitals_thread *self, void *status)
{
	(void)self;
	atomic_fetch_add(&ready, 1);
	gate_pass(&gate);
	return status ? 1 : 0;
}

static int fails(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 1;
}

static void forked_in_child(void *unused)
{
	struct vitals_thread_info info;

	(void)unused;
	/* The failed one, the running one with a heartbeat; not: returned, without, abandoned. */
	child_check(thread_rows(registry) == 2);
	child_check(thread_row(registry, "failed", &info));
	child_check(info.state == VITALS_THREAD_DEAD);
	child_check(thread_row(registry, "runs", &info));
	child_check(info.state == VITALS_THREAD_DEAD);
	step(0);
	child_check(dead() == 2);
	child_check(vitals_quitter_wait_done(quitter, 0, NULL) == 0);
	child_check(atomic_load(&registry->root->totals.threads) == 0);
	child_check(atomic_load(&registry->root->totals.abandoned) == 0);
	child_check(atomic_load(&registry->tree->n_over) == 0);
	child_check(vitals_quitter_release(quitter, "work") == -EINVAL);
	vt_reap(registry);
}

static void forked(const char *name, uint64_t timeout_ns, vitals_thread_fn fn)
{
	ck_assert_int_eq(vitals_thread_fork(quitter, name, timeout_ns, fn, NULL, NULL),
			 0);
}

START_TEST(a_child_has_no_forked_threads)
{
	struct vitals_thread_info info;

	step(0);
	forked("runs", T, waits);
	forked("unwatched", 0, waits);
	forked("abandoned", T, waits);
	ck_assert(word_reaches(&ready, 3));
	ck_assert(thread_row(registry, "abandoned", &info));
	ck_assert_int_eq(vitals_quitter_abandon(quitter, info.id), 0);
	forked("failed", T, fails);
	forked("returned", T, returns);
	while (atomic_load(&registry->root->totals.threads) > 2)
		nap();
	atomic_store(&registry->run, VT_RUN_NEVER);
	child_run(forked_in_child, NULL);
	atomic_store(&registry->run, VT_RUN_STEPPED);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(quitter, VITALS_S(5), NULL), 0);
	ck_assert(rows_reach(registry, 1));
}
END_TEST

/*
 * daemon(3) between init and start. The process that called it is gone, so a pipe says how its child
 * fares.
 */

static void wait_silent(const vitals_heartbeat *heartbeat)
{
	while (state_of(heartbeat) != VITALS_SILENT &&
	       state_of(heartbeat) != VITALS_STUCK)
		nap(); /* bounded by the alarm */
}

static void daemon_works(const void *owned)
{
	struct vitals_result result;

	child_check(vitals_start(registry) == 0);
	wait_silent(mine);
	(void)vitals_heartbeat_pulse(mine);
	while (state_of(mine) != VITALS_HEALTHY)
		nap();
	wait_silent(mine);
	if (owned) {
		child_check(vitals_heartbeat_own(mine) == -EBUSY);
		child_check(state_of(theirs) == VITALS_DEAD);
	} else {
		child_check(vitals_heartbeat_own(mine) == 0);
		wait_silent(theirs);
	}
	child_check(vitals_thread_fork(quitter, "obeys", VITALS_S(10), obeys, NULL,
				       NULL) == 0);
	child_check(kill(getpid(), SIGUSR1) == 0);
	VITALS_INIT(&result);
	child_check(vitals_quitter_finish(quitter, &result, NULL) == 0);
	child_check(result.late == 0);
	teardown();
}

static void daemon_lives(void *arg)
{
	const int *pipes = arg;
	bool owned = pipes[2];
	pthread_t thread;

	setup();
	child_check(vitals_quitter_on_signal(quitter, SIGUSR1, "SIGUSR1") >= 0);
	if (owned) {
		thread = other_started(owns_theirs);
		(void)thread;
		child_check(vitals_heartbeat_own(mine) == 0);
	}
	child_check(daemon(1, 1) == 0);
	child_alarm(CHILD_SECONDS);
	close(pipes[0]);
	daemon_works(owned ? &gate : NULL);
	child_check(write(pipes[1], "y", 1) == 1);
}

START_TEST(a_daemon_does_what_its_parent_set_up)
{
	int pipes[3] = { 0, 0, _i };
	char byte;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	child_run(daemon_lives, pipes);
	close(pipes[1]);
	ck_assert_int_eq((int)read(pipes[0], &byte, 1), 1);
	close(pipes[0]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heir");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_child_owns_what_the_thread_that_forked_owned);
	tcase_add_test(tc, a_forker_that_ends_in_the_child_is_dead_there);
	tcase_add_loop_test(tc, a_child_waits_for_no_adopted_thread_but_itself, 0, 2);
	tcase_add_test(tc, a_quit_in_a_child_kicks_no_thread_of_the_parents);
	tcase_add_test(tc, a_child_has_no_forked_threads);
	suite_add_tcase(suite, tc);

	tc = tcase_create("daemon");
	if (!SANITIZED)
		tcase_add_loop_test(tc, a_daemon_does_what_its_parent_set_up, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
