/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "fork.h"
#include "heartbeat.h"
#include "monitor.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_MS(200)

/* ThreadSanitizer knows of no child that starts threads: those are tested without it. */
#if defined(__SANITIZE_THREAD__)
#define CHILD_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_THREADS 0
#endif
#endif
#ifndef CHILD_THREADS
#define CHILD_THREADS 1
#endif

static vitals_registry *registry;

static void setup(void)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
}

static void teardown(void)
{
	registry = vitals_registry_free(registry);
}

/* What a child of this process answers: 0 if all is well there. */
static int in_child(int (*run)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		(void)alarm(3);
		_exit(run());
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int child_renews_in_a_turn(void)
{
	if (vt_registry_renew(registry) != 0)
		return 1;
	return atomic_load(&registry->turns) & 1u ? 2 : 0;
}

START_TEST(a_turn_that_was_under_way_is_over_in_the_child)
{
	ck_assert_int_eq(vitals_step(registry, VITALS_S(1)), 0);
	atomic_fetch_add(&registry->turns, 1);
	ck_assert_int_eq(in_child(child_renews_in_a_turn), 0);
	atomic_fetch_add(&registry->turns, 1);
}
END_TEST

static int child_renews_twice(void)
{
	vitals_heartbeat *heartbeat;

	if (vt_registry_renew(registry) != 0 ||
	    vt_heartbeat_new_at(registry, "a", T, NULL, 1, &heartbeat) != 0)
		return 1;
	if (vt_registry_renew(registry) != 0)
		return 2;
	return vt_view_used(&registry->view, VT_KIND_HOT) == 1 ? 0 : 3;
}

START_TEST(two_threads_of_a_child_start_it_afresh_once)
{
	ck_assert_int_eq(vitals_step(registry, VITALS_S(1)), 0);
	ck_assert_int_eq(in_child(child_renews_twice), 0);
}
END_TEST

static void *prepare_in_vain(void *unused)
{
	(void)unused;
	vt_fork_prepare(1);
	vt_fork_parent();
	return NULL;
}

START_TEST(a_fork_that_waited_in_vain_leaves_the_other_its_locks)
{
	pthread_t thread;

	vt_fork_prepare(UINT64_MAX);
	ck_assert_int_eq(pthread_create(&thread, NULL, prepare_in_vain, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(!vt_trylock(&registry->lock));
	vt_fork_parent();
	ck_assert(vt_trylock(&registry->lock));
	vt_unlock(&registry->lock);
}
END_TEST

static _Atomic uint32_t called;

static void told(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	atomic_store(&called, 1);
	vt_futex_wake(&called, 1);
}

/* As after daemon(3): it starts, and its callback is called. */
static int child_is_told(void)
{
	vitals_heartbeat *heartbeat;

	if (vitals_heartbeat_new(registry, "a", VITALS_MS(1), NULL, &heartbeat) != 0 ||
	    vitals_start(registry) != 0)
		return 1;
	while (!atomic_load(&called))
		(void)vt_futex_wait(&called, 0, UINT64_MAX);
	return vitals_stop(registry) == 0 ? 0 : 2;
}

START_TEST(a_callback_from_before_a_fork_is_called_in_the_child)
{
	ck_assert_int_eq(vitals_on_event(registry, told, NULL), 0);
	ck_assert_int_eq(in_child(child_is_told), 0);
}
END_TEST

static int child_starts(void)
{
	return vitals_start(registry) == 0 && vitals_on_event(registry, told, NULL) == 0 &&
			       vitals_stop(registry) == 0 ?
		       0 :
		       1;
}

/* Another thread was about to start it, and does not exist in the child. */
START_TEST(a_start_under_way_does_not_keep_the_child_from_it)
{
	ck_assert_int_eq(vitals_on_event(registry, told, NULL), 0);
	vt_lock(&registry->monitor_control);
	vt_lock(&registry->notifier_control);
	vt_lock(&registry->notifier_lock);
	ck_assert_int_eq(in_child(child_starts), 0);
	vt_unlock(&registry->notifier_lock);
	vt_unlock(&registry->notifier_control);
	vt_unlock(&registry->monitor_control);
}
END_TEST

#define FORKS 200

static _Atomic int forking;

static void *registries_come_and_go(void *unused)
{
	vitals_registry *other;

	(void)unused;
	while (atomic_load(&forking)) {
		if (worker_check(vitals_registry_new(0, &other) == 0))
			(void)vitals_registry_free(other);
	}
	return NULL;
}

static int child_shares_nothing(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:vitals") && strstr(line, "rw-s"))
			return 1;
	return maps ? 0 : 2;
}

START_TEST(a_child_shares_no_memory_whenever_it_was_forked)
{
	pthread_t thread;
	int i;

	atomic_store(&forking, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, registries_come_and_go, NULL), 0);
	for (i = 0; i < FORKS; i++)
		ck_assert_int_eq(in_child(child_shares_nothing), 0);
	atomic_store(&forking, 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	worker_checks_passed();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fork");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_turn_that_was_under_way_is_over_in_the_child);
	tcase_add_test(tc, two_threads_of_a_child_start_it_afresh_once);
	tcase_add_test(tc, a_fork_that_waited_in_vain_leaves_the_other_its_locks);
	if (CHILD_THREADS) {
		tcase_add_test(tc, a_callback_from_before_a_fork_is_called_in_the_child);
		tcase_add_test(tc, a_start_under_way_does_not_keep_the_child_from_it);
	}
	tcase_add_test(tc, a_child_shares_no_memory_whenever_it_was_forked);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
