/* SPDX-License-Identifier: MIT */

/*
 * Holds, also while they count by themselves (see hold.c): nobody who looks can tell.
 */

#include "harness.h"
#include "member.h"
#include "service.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
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

static void hold(vitals_quitter *quitter, const char *what)
{
	ck_assert_int_eq(vitals_quitter_hold(quitter, what), 0);
}

static void release(vitals_quitter *quitter, const char *what)
{
	ck_assert_int_eq(vitals_quitter_release(quitter, what), 0);
}

/* What a snapshot says: of the process, of "main/pool", of the hold; 0 if there is none. */
static void rows_are(uint32_t threads, uint32_t here, uint32_t count)
{
	struct vitals_process_info process;
	struct vitals_quitter_info quitter;
	struct vitals_thread_info row;
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(&process);
	VITALS_INIT(&quitter);
	VITALS_INIT(&row);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &snapshot), 0);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &process), 0);
	vitals_snapshot_free(snapshot);
	ck_assert_uint_eq(process.threads, threads);
	ck_assert(quitter_row(service.registry, "main/pool", &quitter));
	ck_assert_uint_eq(quitter.threads, here);
	ck_assert_int_eq(thread_row(service.registry, "request", &row), count != 0);
	if (count)
		ck_assert_uint_eq(row.count, count);
}

START_TEST(rows_say_what_is_held_now)
{
	vitals_quitter *pool = child_of(service.main, "pool");
	int i;

	for (i = 0; i < 3; i++) {
		rows_are(0, 0, 0);
		hold(pool, "request");
		rows_are(1, 1, 1);
		hold(pool, "request");
		hold(pool, "request");
		rows_are(1, 1, 3);
		release(pool, "request");
		rows_are(1, 1, 2);
		release(pool, "request");
		release(pool, "request");
		rows_are(0, 0, 0);
		ck_assert_int_eq(vitals_quitter_release(pool, "request"), -EINVAL);
	}
	vitals_quitter_free(pool);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(a_look_finds_them_at_any_time)
{
	vitals_snapshot *late;
	int i;

	for (i = 0; i < 3; i++) {
		hold(service.main, "request");
		hold(service.main, "request");
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, &late),
				 -ETIMEDOUT);
		ck_assert_uint_eq(late_count(late), 1);
		vitals_snapshot_free(late);
		release(service.main, "request");
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL),
				 -ETIMEDOUT);
		hold(service.main, "request");
		release(service.main, "request");
		release(service.main, "request");
		ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	}
}
END_TEST

/* More names, and more quitters, than can be quick. */
START_TEST(there_may_be_any_number_of_them)
{
	static const char *const names[] = { "a", "b", "c", "a longer name", "e" };
	vitals_quitter *many[40];
	int i, j;

	for (i = 0; i < 40; i++) {
		many[i] = child_of(service.main, "pool");
		for (j = 0; j < 5 + i; j++)
			hold(many[i], names[j % 5]);
	}
	for (i = 0; i < 40; i++) {
		for (j = 0; j < 5 + i; j++) {
			ck_assert_int_eq(vitals_quitter_wait_done(many[i], 0, NULL),
					 -ETIMEDOUT);
			release(many[i], names[j % 5]);
		}
		ck_assert_int_eq(vitals_quitter_wait_done(many[i], 0, NULL), 0);
		ck_assert_int_eq(vitals_quitter_release(many[i], names[0]), -EINVAL);
		vitals_quitter_free(many[i]);
	}
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

/* As if so many had it that there is no room for one more in its word. */
START_TEST(there_may_be_any_number_of_one)
{
	struct vt_member_slot *slot;

	hold(service.main, "request");
	slot = vt_quitter_seldom(service.main)->quick[0];
	ck_assert_ptr_nonnull(slot);
	slot->word += (VT_HOLD_MAX - 1) * VT_HOLD_ONE;
	hold(service.main, "request");
	ck_assert_uint_eq(slot->count, VT_HOLD_MAX + 1);
	slot->count = 2;
	release(service.main, "request");
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	release(service.main, "request");
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "request"), -EINVAL);
}
END_TEST

START_TEST(what_was_let_go_of_lives_as_long_as_it_is_held)
{
	vitals_quitter *pool = child_of(service.main, "pool");

	hold(pool, "request");
	release(pool, "request");
	vitals_quitter_free(pool);
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

START_TEST(who_is_told_refuses_and_still_waits)
{
	vitals_quitter *pool = child_of(service.main, "pool");

	hold(pool, "request");
	hold(pool, "request");
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_hold(pool, "request"), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_hold(pool, "another"), -ECANCELED);
	release(pool, "request");
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), -ETIMEDOUT);
	release(pool, "request");
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	vitals_quitter_free(pool);
}
END_TEST

static void *release_soon(void *arg)
{
	usleep(20000);
	worker_check(vitals_quitter_release(arg, "request") == 0);
	return NULL;
}

START_TEST(the_last_release_wakes_who_waits)
{
	pthread_t thread;

	hold(service.main, "request");
	pthread_create(&thread, NULL, release_soon, service.main);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	pthread_join(thread, NULL);
	worker_checks_passed();
}
END_TEST

/* A thread leaves, and with it the last: what nobody has does not keep finish. */
START_TEST(finish_ends_when_all_have_left)
{
	struct vitals_result result;
	struct gate gate = { 0 };
	pthread_t thread;

	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, refuses, &gate, NULL),
			 0);
	hold(service.main, "request");
	if (_i) /* released while finish waits, after the thread has left */
		pthread_create(&thread, NULL, release_soon, service.main);
	else
		release(service.main, "request");
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_ALL_DONE);
	ck_assert_uint_eq(result.late, 0);
	if (_i)
		pthread_join(thread, NULL);
	worker_checks_passed();
}
END_TEST

static int holds_and_leaves(vitals_thread *self, void *arg)
{
	(void)arg;
	usleep(20000);
	worker_check(vitals_quitter_hold(vitals_thread_quitter(self), "request") == 0);
	worker_check(vitals_quitter_release(vitals_thread_quitter(self), "request") == 0);
	return 0;
}

/* Held and released while finish waits, by the last that leaves. */
START_TEST(finish_ends_after_a_hold_that_nobody_has)
{
	struct vitals_result result;

	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, holds_and_leaves, NULL,
					    NULL),
			 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_ALL_DONE);
	worker_checks_passed();
}
END_TEST

/* One of the main quitter before is still there, and none of finish's business. */
START_TEST(finish_ends_whoever_is_left_of_another_main)
{
	struct gate before = { 0 }, gate = { 0 };
	struct vitals_result result;

	VITALS_INIT(&result);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "old", 0, refuses, &before, NULL), 0);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_S(5), NULL,
						 &service.main),
			 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, refuses, &gate, NULL),
			 0);
	hold(service.main, "request");
	release(service.main, "request");
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_ALL_DONE);
	gate_open(&before);
	ck_assert(rows_reach(service.registry, 0));
	worker_checks_passed();
}
END_TEST

static int holds_and_tells(vitals_thread *self, void *arg)
{
	vitals_quitter *drain = arg;

	usleep(20000);
	worker_check(vitals_quitter_hold(drain, "request") == 0);
	worker_check(vitals_quitter_release(drain, "request") == 0);
	worker_check(vitals_quitter_send_quit(vitals_thread_quitter(self), 3, NULL) == 0);
	return obeys(self, NULL);
}

/* What the one hold that is quick counts in. */
static uint64_t quick_word(void)
{
	vitals_registry *registry = service.registry;
	uint32_t at = atomic_load(&registry->root->quick[0]);

	ck_assert_uint_ne(at, 0);
	return atomic_load(&vt_member_at(registry, at - 1)->slot->word);
}

/* The slot is another's next, under the same name; nor is its word one that was there before. */
START_TEST(what_was_quick_is_not_found_elsewhere)
{
	vitals_quitter *a = child_of(service.main, "a"), *b = child_of(service.main, "b");
	uint64_t word;

	hold(a, "request");
	word = quick_word();
	(void)vitals_quitter_wait_done(a, 0, NULL);
	release(a, "request");
	hold(b, "request");
	ck_assert_uint_ne(quick_word(), word);
	hold(a, "request");
	ck_assert_uint_eq(vt_quitter_live(a), VT_LIVE_ONE);
	ck_assert_uint_eq(vt_quitter_live(b), VT_LIVE_ONE);
	release(b, "request");
	release(a, "request");
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}
END_TEST

/* Nobody looks: the last thread that leaves says that there is nobody. */
START_TEST(after_the_last_thread_a_hold_that_nobody_has_is_gone)
{
	struct gate gate = { 0 };
	unsigned i;

	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, refuses, &gate, NULL),
			 0);
	hold(service.main, "request");
	release(service.main, "request");
	ck_assert_uint_eq(vt_quitter_live(service.main), 2 * VT_LIVE_ONE);
	gate_open(&gate);
	for (i = 0; i < 50000 && vt_quitter_live(service.main) == 2 * VT_LIVE_ONE; i++)
		nap();
	ck_assert_uint_eq(vt_quitter_live(service.main), 0);
	ck_assert(rows_reach(service.registry, 0));
}
END_TEST

/* Half of the time would be over before the next stage begins. */
START_TEST(a_hold_that_nobody_has_keeps_no_stage)
{
	struct vitals_quitter_options options;
	struct vitals_result result;
	vitals_quitter *drain;

	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_S(60), NULL,
						 &service.main),
			 0);
	VITALS_INIT(&options);
	options.stage = VITALS_STAGE_DRAIN;
	ck_assert_int_eq(vitals_quitter_new(service.main, "drain", &options, &drain), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, holds_and_tells, drain,
					    NULL),
			 0);
	VITALS_INIT(&result);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 3);
	ck_assert_uint_lt(result.took_ns, VITALS_S(20));
	worker_checks_passed();
	vitals_quitter_free(drain);
}
END_TEST

START_TEST(weak_threads_are_told_with_the_last_hold)
{
	struct vitals_thread_options weak;
	vitals_quitter *pool = child_of(service.main, "pool");

	VITALS_INIT(&weak);
	weak.flags = VITALS_THREAD_WEAK;
	hold(pool, "request");
	ck_assert_int_eq(vitals_thread_fork(service.main, "weak", 0, obeys, NULL, &weak),
			 0);
	hold(pool, "request");
	release(pool, "request");
	ck_assert_uint_eq(thread_rows(service.registry), 2);
	release(pool, "request");
	ck_assert(rows_reach(service.registry, 0));
	vitals_quitter_free(pool);
}
END_TEST

START_TEST(an_abandoned_one_is_not_waited_for)
{
	struct vitals_thread_info row;

	hold(service.main, "request");
	hold(service.main, "request");
	ck_assert(thread_row(service.registry, "request", &row));
	ck_assert_int_eq(vitals_quitter_abandon(service.main, row.id), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	hold(service.main, "request"); /* another of that name */
	ck_assert_uint_eq(thread_rows(service.registry), 2);
	release(service.main, "request");
	release(service.main, "request");
	release(service.main, "request");
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

static void in_a_child(void *arg)
{
	child_check(vitals_quitter_hold(arg, "request") == -ECANCELED);
	child_check(vitals_quitter_release(arg, "request") == 0);
}

START_TEST(a_forked_child_holds_nothing_of_its_parents)
{
	struct vitals_thread_info row;

	VITALS_INIT(&row);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	hold(service.main, "request");
	hold(service.main, "request");
	child_run(in_a_child, service.main);
	ck_assert(thread_row(service.registry, "request", &row));
	ck_assert_uint_eq(row.count, 2);
	release(service.main, "request");
	release(service.main, "request");
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
}
END_TEST

/* Half a dozen hold, one tells, looks and waits: a hold is refused or waited for. */
#define HOLDERS 6
#define ROUNDS 60

struct race {
	vitals_quitter *_Atomic quitter;
	_Atomic uint32_t inside; /* have a hold */
	_Atomic uint32_t idle;   /* have seen that it was refused */
	_Atomic uint32_t round;
	_Atomic uint32_t had;
};

static void *holder_run(void *arg)
{
	struct race *race = arg;
	uint32_t round;

	for (round = 1; round <= ROUNDS; round++) {
		vitals_quitter *quitter;

		while (atomic_load(&race->round) < round)
			sched_yield();
		quitter = atomic_load(&race->quitter);
		while (vitals_quitter_hold(quitter, "request") == 0) {
			atomic_fetch_add(&race->inside, 1);
			atomic_fetch_add(&race->had, 1);
			atomic_fetch_sub(&race->inside, 1);
			worker_check(vitals_quitter_release(quitter, "request") == 0);
		}
		atomic_fetch_add(&race->idle, 1);
	}
	return NULL;
}

START_TEST(a_hold_is_refused_or_waited_for)
{
	static struct race race;
	pthread_t threads[HOLDERS];
	uint32_t round;
	int i;

	for (i = 0; i < HOLDERS; i++)
		pthread_create(&threads[i], NULL, holder_run, &race);
	for (round = 1; round <= ROUNDS; round++) {
		vitals_quitter *child = child_of(service.main, "pool");

		atomic_store(&race.quitter, child);
		atomic_store(&race.idle, 0);
		atomic_store(&race.round, round);
		usleep(500 * (round % 8));
		/* In between somebody only looks, and holds are quick again afterwards. */
		for (i = 0; i < (int)(round % 4); i++)
			(void)vitals_quitter_wait_done(service.main, 0, NULL);
		ck_assert_int_eq(vitals_quitter_send_quit(child, 0, NULL), 0);
		ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(10), NULL), 0);
		ck_assert_uint_eq(atomic_load(&race.inside), 0);
		ck_assert(word_reaches(&race.idle, HOLDERS));
		ck_assert_uint_eq(atomic_load(&race.inside), 0);
		vitals_quitter_free(child);
		ck_assert_uint_eq(thread_rows(service.registry), 0);
		ck_assert_uint_eq(quitter_rows(service.registry), 1);
	}
	for (i = 0; i < HOLDERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(atomic_load(&race.had), 0);
	worker_checks_passed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hold");
	TCase *tcase = tcase_create("hold");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, rows_say_what_is_held_now);
	tcase_add_test(tcase, a_look_finds_them_at_any_time);
	tcase_add_test(tcase, there_may_be_any_number_of_them);
	tcase_add_test(tcase, there_may_be_any_number_of_one);
	tcase_add_test(tcase, what_was_let_go_of_lives_as_long_as_it_is_held);
	tcase_add_test(tcase, who_is_told_refuses_and_still_waits);
	tcase_add_test(tcase, the_last_release_wakes_who_waits);
	tcase_add_loop_test(tcase, finish_ends_when_all_have_left, 0, 2);
	tcase_add_test(tcase, finish_ends_after_a_hold_that_nobody_has);
	tcase_add_test(tcase, finish_ends_whoever_is_left_of_another_main);
	tcase_add_test(tcase, what_was_quick_is_not_found_elsewhere);
	tcase_add_test(tcase, after_the_last_thread_a_hold_that_nobody_has_is_gone);
	tcase_add_test(tcase, a_hold_that_nobody_has_keeps_no_stage);
	tcase_add_test(tcase, weak_threads_are_told_with_the_last_hold);
	tcase_add_test(tcase, an_abandoned_one_is_not_waited_for);
	tcase_add_test(tcase, a_forked_child_holds_nothing_of_its_parents);
	tcase_add_test(tcase, a_hold_is_refused_or_waited_for);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
