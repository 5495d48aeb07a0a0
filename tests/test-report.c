/* SPDX-License-Identifier: MIT */

#include "clock.h"
#include "harness.h"
#include "registry.h"
#include "report.h"
#include "service.h"
#include "task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Holds */

START_TEST(a_hold_is_waited_for)
{
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "upload"), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 2);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, &late), -ETIMEDOUT);
	ck_assert_uint_eq(late_rows(late, "main/request"), 1);
	ck_assert_uint_eq(late_rows(late, "main/upload"), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(service.main, "upload"), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, &late), 0);
	ck_assert_ptr_null(late);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

START_TEST(what_is_not_held_cannot_be_released)
{
	vitals_quitter *child = child_of(service.main, "a");

	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_hold(child, "request"), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_release(child, "requests"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_release(child, "request"), 0);
	ck_assert_int_eq(vitals_quitter_release(child, "request"), -EINVAL);
	ck_assert_int_eq(vitals_quitter_hold(child, "bad/name"), -EINVAL);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(a_hold_is_refused_once_told)
{
	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "another"), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
}
END_TEST

START_TEST(a_hold_says_how_often_it_is_held)
{
	struct vitals_thread_info info;
	int i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert(thread_row(service.registry, "request", &info));
	ck_assert_uint_eq(info.state, VITALS_THREAD_HOLD);
	ck_assert_uint_eq(info.count, 3);
	ck_assert_uint_eq(info.tid, 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
}
END_TEST

START_TEST(an_abandoned_hold_is_not_waited_for)
{
	struct vitals_thread_info info;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert(thread_row(service.registry, "request", &info));
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 1);
	/* Another of the name is its own, and released first. */
	ck_assert_int_eq(vitals_quitter_hold(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), -EINVAL);
}
END_TEST

/* Waits */

struct worker {
	struct gate gate;
	_Atomic uint64_t id;
	bool stuck;
};

static int works(vitals_thread *self, void *arg)
{
	struct worker *worker = arg;

	atomic_store(&worker->id, vitals_thread_id(self));
	gate_pass(&worker->gate);
	return 0;
}

/* Is every row that of a stuck worker, and every stuck worker in one row? */
static bool exactly(vitals_snapshot *late, const struct worker *workers, unsigned n)
{
	struct vitals_thread_info info;
	unsigned i, rows, stuck = 0, found = 0;

	VITALS_INIT(&info);
	for (i = 0; i < n; i++)
		stuck += workers[i].stuck;
	for (rows = 0; late && vitals_snapshot_thread(late, rows, &info) == 0; rows++)
		for (i = 0; i < n; i++)
			found += workers[i].stuck && workers[i].id == info.id;
	return rows == stuck && found == stuck;
}

/* All have run: from here on time changes nothing. */
static bool all_began(const struct worker *workers, unsigned n)
{
	unsigned i, tries, began = 0;

	for (tries = 0; tries < 10000 && began < n; tries++) {
		for (i = 0, began = 0; i < n; i++)
			began += atomic_load(&workers[i].id) != 0;
		nap();
	}
	return began == n;
}

/*
 * k of n threads with one function and one name are late: exactly those, however often.
 */
START_TEST(the_late_are_exactly_the_late)
{
	enum {
		N = 24
	};
	struct worker workers[N];
	vitals_snapshot *late;
	unsigned n = 0, i, again;

	srand((unsigned)_i);
	memset(workers, 0, sizeof(workers));
	for (i = 0; i < N; i++) {
		workers[i].stuck = rand() % 3 == 0;
		workers[i].gate.open = !workers[i].stuck;
		n += workers[i].stuck;
		ck_assert_int_eq(vitals_thread_fork(service.main, "worker", 0, works,
						    &workers[i], NULL),
				 0);
	}
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert(all_began(workers, N));
	ck_assert(rows_reach(service.registry, n));
	for (again = 0; again < 3; again++) {
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20),
							  &late),
				 n ? -ETIMEDOUT : 0);
		ck_assert(exactly(late, workers, N));
		vitals_snapshot_free(late);
	}
	for (i = 0; i < N; i++)
		gate_open(&workers[i].gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), &late), 0);
	ck_assert_ptr_null(late);
}
END_TEST

START_TEST(a_shutdown_is_counted_by_how_long_it_took)
{
	uint64_t counts[VITALS_BUCKETS_COARSE], total = 0;
	struct vitals_process_info process;
	vitals_snapshot *all = NULL;
	unsigned i;

	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
	ck_assert_int_eq(vitals_snapshot_process(all, &process), 0);
	ck_assert_int_eq(vitals_snapshot_shutdown_buckets(all, counts), 0);
	for (i = 0; i < VITALS_BUCKETS_COARSE; i++)
		total += counts[i];
	ck_assert_uint_eq(process.shutdowns, 2);
	ck_assert_uint_eq(process.shutdown_timeouts, 1);
	ck_assert_uint_eq(total, 2);
	/* Both from the request on. */
	ck_assert_uint_ge(process.shutdown_sum_ns, 2 * VITALS_MS(20));
	vitals_snapshot_free(all);
}
END_TEST

/* The kernel is asked whether a thread is there; who asks must not hold the lock of the tree. */
static _Atomic uint32_t watched, asked, asked_with_the_lock;

bool __real_vt_task_exists(uint32_t tid);
bool __wrap_vt_task_exists(uint32_t tid);

bool __wrap_vt_task_exists(uint32_t tid)
{
	vitals_registry *registry = service.registry;

	if (atomic_load(&watched)) {
		atomic_fetch_add(&asked, 1);
		if (vt_lock_until(&registry->lock, vt_clock_now() + VITALS_S(2)))
			vt_unlock(&registry->lock);
		else
			atomic_fetch_add(&asked_with_the_lock, 1);
	}
	return __real_vt_task_exists(tid);
}

START_TEST(the_kernel_is_asked_without_the_lock)
{
	struct gate gate = { 0 };

	ck_assert_int_eq(fork_on(service.main, "w", refuses, &gate), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	atomic_store(&watched, 1);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	atomic_store(&watched, 0);
	ck_assert_uint_ne(atomic_load(&asked), 0);
	ck_assert_uint_eq(atomic_load(&asked_with_the_lock), 0);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

START_TEST(a_late_row_says_how)
{
	vitals_quitter *pool = child_of(service.main, "pool");
	struct vitals_thread_info info;
	struct gate gate = { 0 };
	vitals_snapshot *late;

	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_thread_fork(pool, "w", VITALS_S(9), refuses, &gate, NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), &late),
			 -ETIMEDOUT);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_int_eq(vitals_snapshot_thread(late, 1, &info), -ENOENT);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_str_eq(info.quitter_path, "main/pool");
	ck_assert_str_eq(info.path, "main/pool/w");
	ck_assert_str_eq(info.name, "w");
	ck_assert_uint_eq(info.late, 1);
	ck_assert_uint_eq(info.count, 1);
	ck_assert_uint_ne(info.id, 0);
	ck_assert_uint_ge(info.told_ns, VITALS_MS(20));
	ck_assert_uint_ge(info.age_ns, info.told_ns);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	vitals_quitter_free(pool);
}
END_TEST

/* Somebody late in the tree twenty levels down: one deadline, not one a level. */
START_TEST(one_deadline_for_all_levels)
{
	enum {
		DEPTH = 20
	};
	vitals_quitter *chain[DEPTH];
	vitals_snapshot *late;
	uint64_t from_ns, took_ns;
	int i;

	chain[0] = child_of(service.main, "q");
	for (i = 1; i < DEPTH; i++)
		chain[i] = child_of(chain[i - 1], "q");
	ck_assert_int_eq(vitals_quitter_hold(chain[DEPTH - 1], "work"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	from_ns = clock_now();
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(50), &late),
			 -ETIMEDOUT);
	took_ns = clock_now() - from_ns;
	ck_assert_uint_ge(took_ns, VITALS_MS(50));
	ck_assert_uint_lt(took_ns, VITALS_MS(500));
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(chain[DEPTH - 1], "work"), 0);
	for (i = 0; i < DEPTH; i++)
		vitals_quitter_free(chain[i]);
}
END_TEST

static int waits_for_itself(vitals_thread *self, void *arg)
{
	vitals_quitter *other = arg;
	vitals_snapshot *late = (vitals_snapshot *)arg;

	worker_check(vitals_quitter_wait_done(vitals_thread_quitter(self), VITALS_S(10),
					      &late) == -EDEADLK);
	worker_check(late == NULL);
	worker_check(vitals_quitter_finish(service.main, NULL, NULL) == -EDEADLK);
	worker_check(vitals_quitter_wait_done(service.main, VITALS_FOREVER, NULL) ==
		     -EDEADLK);
	worker_check(vitals_quitter_wait_done(other, VITALS_S(10), NULL) == 0);
	return 0;
}

START_TEST(waiting_for_oneself_is_noticed)
{
	vitals_quitter *a = child_of(service.main, "a"), *b = child_of(service.main, "b");

	ck_assert_int_eq(vitals_thread_fork(a, "w", 0, waits_for_itself, b, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(20), NULL), 0);
	worker_checks_passed();
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}
END_TEST

static void *waits_too(void *arg)
{
	worker_check(vitals_quitter_wait_done(arg, VITALS_S(20), NULL) == 0);
	return NULL;
}

START_TEST(many_wait_and_all_are_woken)
{
	enum {
		N = 64
	};
	vitals_quitter *child = child_of(service.main, "a");
	pthread_t threads[N];
	struct gate gate = { 0 };
	int i;

	ck_assert_int_eq(vitals_thread_fork(child, "w", 0, refuses, &gate, NULL), 0);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, waits_too,
						i % 2 ? child : service.main),
				 0);
	usleep(5000);
	gate_open(&gate);
	for (i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	worker_checks_passed();
	vitals_quitter_free(child);
}
END_TEST

START_TEST(one_that_drained_may_be_used_again)
{
	int i;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(
			vitals_thread_fork(service.main, "w", 0, returns, NULL, NULL), 0);
		ck_assert_int_eq(
			vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	}
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
}
END_TEST

START_TEST(a_wait_leaves_its_mark_on_the_quitter)
{
	vitals_quitter *pool = child_of(service.main, "pool"), *idle;
	struct vt_totals *totals = &service.registry->root->totals;
	struct vitals_quitter_info info;

	idle = child_of(service.main, "idle");
	ck_assert_int_eq(vitals_quitter_hold(pool, "a"), 0);
	ck_assert_int_eq(vitals_quitter_hold(pool, "b"), 0);
	/* Before it is told a wait is no shutdown. */
	ck_assert_int_eq(vitals_quitter_wait_done(pool, 1, NULL), -ETIMEDOUT);
	ck_assert(quitter_row(service.registry, "main/pool", &info));
	ck_assert_uint_eq(info.shutdowns, 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	/* A look is no wait. */
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	ck_assert_uint_eq(totals->shutdowns, 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 1, NULL), -ETIMEDOUT);
	ck_assert_uint_eq(totals->shutdowns, 1);
	ck_assert_uint_eq(totals->shutdown_timeouts, 1);
	ck_assert_uint_eq(totals->late_threads, 2);
	ck_assert_uint_eq(totals->timed_out, 2);
	ck_assert(quitter_row(service.registry, "main/pool", &info));
	ck_assert_uint_eq(info.timed_out, 1);
	ck_assert_uint_eq(info.late, 2);
	ck_assert_uint_eq(info.timeouts, 1);
	ck_assert_uint_eq(info.timed_out_threads, 2);
	ck_assert(quitter_row(service.registry, "main", &info));
	ck_assert_uint_eq(info.timed_out, 1);
	ck_assert_uint_eq(info.late, 0);
	ck_assert(quitter_row(service.registry, "main/idle", &info));
	ck_assert_uint_eq(info.timed_out, 0);
	/* What an earlier wait has found is not repeated. */
	ck_assert_int_eq(vitals_quitter_release(pool, "a"), 0);
	ck_assert_int_eq(vitals_quitter_release(pool, "b"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 1, NULL), 0);
	ck_assert(quitter_row(service.registry, "main/pool", &info));
	ck_assert_uint_eq(info.timed_out, 0);
	ck_assert_uint_eq(info.late, 0);
	ck_assert_uint_eq(info.timeouts, 1);
	ck_assert_uint_eq(totals->timed_out, 0);
	ck_assert_uint_eq(totals->shutdowns, 2);
	vitals_quitter_free(pool);
	vitals_quitter_free(idle);
}
END_TEST

/* Between a wait that found nobody and its note of that, somebody else asks it to quit. */
START_TEST(one_told_after_the_wait_took_no_time)
{
	struct vitals_quitter_info info;
	uint64_t before_ns = clock_now();

	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	vt_report_done(service.main, before_ns - 1);
	ck_assert(quitter_row(service.registry, "main", &info));
	ck_assert_uint_eq(info.shutdowns, 1);
	ck_assert_uint_eq(info.last_shutdown_ns, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report");
	TCase *tcase = tcase_create("report");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_hold_is_waited_for);
	tcase_add_test(tcase, what_is_not_held_cannot_be_released);
	tcase_add_test(tcase, a_hold_is_refused_once_told);
	tcase_add_test(tcase, a_hold_says_how_often_it_is_held);
	tcase_add_test(tcase, an_abandoned_hold_is_not_waited_for);
	tcase_add_loop_test(tcase, the_late_are_exactly_the_late, 0, 10);
	tcase_add_test(tcase, the_kernel_is_asked_without_the_lock);
	tcase_add_test(tcase, a_late_row_says_how);
	tcase_add_test(tcase, a_shutdown_is_counted_by_how_long_it_took);
	tcase_add_test(tcase, one_deadline_for_all_levels);
	tcase_add_test(tcase, waiting_for_oneself_is_noticed);
	tcase_add_test(tcase, many_wait_and_all_are_woken);
	tcase_add_test(tcase, one_that_drained_may_be_used_again);
	tcase_add_test(tcase, a_wait_leaves_its_mark_on_the_quitter);
	tcase_add_test(tcase, one_told_after_the_wait_took_no_time);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
