/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "main.h"
#include "service.h"
#include "unblock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct service service;

static void setup(void)
{
	/* Check's own handlers, which a test inherits, end it. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	service_make(&service);
}

static void teardown(void)
{
	service_free(&service);
}

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

/* What a child process makes of it, so that it may be killed. */
static int child_status(void (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setup();
		run();
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(a_signal_is_a_request)
{
	struct vitals_result result;
	struct vitals_cause cause;

	VITALS_INIT(&result);
	VITALS_INIT(&cause);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, "please stop"),
			 1);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
	/* By the handler alone: nobody else has run. */
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 0);
	ck_assert_int_eq(result.index, 1);
	ck_assert_int_eq(result.signo, SIGTERM);
	ck_assert_uint_eq(result.kind, VITALS_CAUSE_SIGNAL);
	ck_assert_str_eq(result.text, "please stop");
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
	ck_assert_int_eq(cause.sender_pid, getpid());
	ck_assert_uint_eq(cause.sender_uid, getuid());
	ck_assert_int_eq(cause.index, 1);
}
END_TEST

START_TEST(odd_signals_are_refused)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, 0, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, -1, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, 4711, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGKILL, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGSTOP, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), -EEXIST);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, -1, NULL), -EINVAL);
}
END_TEST

START_TEST(a_child_listens_to_nothing)
{
	vitals_quitter *child = child_of(service.main, "a");

	ck_assert_int_eq(vitals_quitter_on_signal(child, SIGTERM, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_on_fd(child, 0, NULL), -EINVAL);
	ck_assert_int_eq(vitals_quitter_finish(child, NULL, NULL), -EINVAL);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(there_is_room_for_64_events)
{
	int i;

	for (i = 0; i < 64; i++)
		ck_assert_int_eq(vitals_quitter_on_fd(service.main, 1000 + i, NULL), i);
	ck_assert_int_eq(vitals_quitter_on_fd(service.main, 2000, NULL), -ENOSPC);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), -ENOSPC);
}
END_TEST

static uint32_t note(struct vt_requests *requests, int signo, unsigned event,
		     uint64_t now_ns)
{
	const struct vt_signal came = { .signo = signo, .pid = 1, .uid = 1 };

	return vt_signals_note_at(requests, event, &came, now_ns);
}

/* The doubles that terminals and runners send, and a second one that is meant. */
START_TEST(doubles_are_one_request)
{
	struct vt_requests *requests;
	uint64_t now_ns = VITALS_S(1000);

	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, NULL), 1);
	requests = &service.registry->main->requests;
	ck_assert_uint_eq(note(requests, SIGTERM, 0, now_ns), 1);
	ck_assert_uint_eq(note(requests, SIGTERM, 0, now_ns + 1), 0);
	ck_assert_uint_eq(note(requests, SIGTERM, 0, now_ns + VITALS_MS(499)), 0);
	ck_assert_uint_eq(service.registry->tree->expired_ns, 0);
	ck_assert_uint_eq(note(requests, SIGTERM, 0, now_ns + VITALS_MS(500)), 2);
	ck_assert_uint_eq(service.registry->tree->expired_ns, now_ns + VITALS_MS(500));
	/* Of another kind it is another at once. */
	ck_assert_uint_eq(note(requests, SIGINT, 1, now_ns + VITALS_MS(501)), 3);
}
END_TEST

/* The first is kept from going on half-way, the second comes when it is no double any more. */
START_TEST(a_handler_that_does_not_get_on_hides_no_sender)
{
	const struct vt_signal came = { .signo = SIGTERM, .pid = 4711, .uid = 42 };
	uint64_t now_ns = VITALS_S(1000);
	struct vt_requests *requests;
	struct vitals_cause cause;
	int half;

	for (half = 0; half < 2; half++) {
		struct vt_told told = { 0 };

		if (half)
			service_make(&service);
		VITALS_INIT(&cause);
		requests = &service.registry->main->requests;
		ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL),
				 0);
		if (half)
			requests->senders[0].who = VT_SENDER_CAME | (uint64_t)17 << 32 |
						   4;
		ck_assert_uint_eq(vt_signals_note_at(requests, 0, &came, now_ns), 1);
		vt_lock(&service.registry->lock);
		(void)vt_main_turn_at(service.registry, service.registry->main, 0, false,
				      now_ns, &told);
		vt_tree_unlock(service.registry, &told);
		vt_told_done(service.registry, &told);
		ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
		ck_assert_int_eq(cause.sender_pid, half ? 17 : 4711);
		ck_assert_uint_eq(cause.sender_uid, half ? 4 : 42);
		ck_assert_uint_eq(cause.at_ns, now_ns);
		if (!half)
			service_free(&service);
	}
}
END_TEST

START_TEST(the_second_expires_the_deadline)
{
	struct vitals_result result;
	uint64_t from_ns = clock_now();

	VITALS_INIT(&result);
	service.main = vitals_quitter_free(service.main);
	ck_assert_int_eq(vitals_quitter_new_main(service.registry, VITALS_S(100), NULL,
						 &service.main),
			 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, NULL), 1);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(raise(SIGINT), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, &result, NULL), 1);
	ck_assert_uint_lt(clock_now() - from_ns, VITALS_S(10));
	ck_assert_uint_eq(result.late, 1);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* Keeps the lock, on purpose. */
static void three_times(void) VT_UNCHECKED
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	int i;

	for (i = 0; i < 3; i++)
		if (vitals_quitter_on_signal(service.main, signals[i], NULL) != i)
			_exit(1);
	/* Deadlocked, if you like: nobody else is needed. */
	vt_lock(&service.registry->lock);
	for (i = 0; i < 3; i++)
		raise(signals[i]);
}

START_TEST(the_third_leaves_from_the_handler)
{
	int status = child_status(three_times);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGHUP);
}
END_TEST

static _Atomic uint32_t chained;

static void plain_handler(int signo)
{
	(void)signo;
	atomic_fetch_add(&chained, 1);
}

static void full_handler(int signo, siginfo_t *info, void *context)
{
	(void)context;
	atomic_fetch_add(&chained, info->si_signo == signo ? 1 : 100);
}

START_TEST(handlers_before_ours_go_on_and_are_put_back)
{
	struct sigaction action, before;

	memset(&action, 0, sizeof(action));
	if (_i) {
		action.sa_sigaction = full_handler;
		action.sa_flags = SA_SIGINFO;
	} else {
		action.sa_handler = plain_handler;
	}
	sigaction(SIGUSR1, &action, NULL);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	raise(SIGUSR1);
	ck_assert_uint_eq(chained, 1);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
	service.main = vitals_quitter_free(service.main);
	sigaction(SIGUSR1, NULL, &before);
	ck_assert(_i ? before.sa_sigaction == full_handler
		     : before.sa_handler == plain_handler);
	raise(SIGUSR1);
	ck_assert_uint_eq(chained, 2);
}
END_TEST

/*
 * Somebody has put a handler over ours that calls ours: it is left alone, and harms
 * nobody.
 */
static struct sigaction ours;

static void over_ours(int signo, siginfo_t *info, void *context)
{
	atomic_fetch_add(&chained, 1);
	ours.sa_sigaction(signo, info, context);
}

START_TEST(a_handler_over_ours_stays)
{
	struct sigaction action, now;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = over_ours;
	action.sa_flags = SA_SIGINFO;
	signal(SIGUSR1, plain_handler);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	sigaction(SIGUSR1, &action, &ours);
	raise(SIGUSR1);
	ck_assert_uint_eq(chained, 2);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
	service.main = vitals_quitter_free(service.main);
	sigaction(SIGUSR1, NULL, &now);
	ck_assert(now.sa_sigaction == over_ours);
	raise(SIGUSR1);
	ck_assert_uint_eq(chained, 4);
	/* And asked for again: no circle. */
	ck_assert_int_eq(
		vitals_quitter_new_main(service.registry, 1, NULL, &service.main), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
}
END_TEST

START_TEST(what_is_ignored_stays_ignored)
{
	struct sigaction now;

	signal(SIGHUP, SIG_IGN);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGHUP, NULL), 0);
	sigaction(SIGHUP, NULL, &now);
	ck_assert(now.sa_handler == SIG_IGN);
	raise(SIGHUP);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	service.main = vitals_quitter_free(service.main);
	sigaction(SIGHUP, NULL, &now);
	ck_assert(now.sa_handler == SIG_IGN);
}
END_TEST

START_TEST(the_handler_keeps_errno_and_masks_nothing)
{
	sigset_t mask;

	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	errno = 4711;
	raise(SIGTERM);
	ck_assert_int_eq(errno, 4711);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
}
END_TEST

/* A signal to a child that was forked and has not exec'ed yet is the child's own. */
START_TEST(a_forked_child_does_not_quit_its_parent)
{
	int status;
	pid_t pid;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	/* With the handlers of fork, and without them. */
	pid = _i ? _Fork() : fork();
	if (pid == 0) {
		raise(SIGTERM);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
#ifndef UNDER_TSAN /* which does not let a handler raise its own signal */
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
#endif
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_uint_eq(service.registry->main->requests.count, 0);
}
END_TEST

/*
 * As daemon(3) does: before anything was started, the child goes on with what there is.
 */
START_TEST(a_daemon_takes_its_signals_along)
{
	int status;
	pid_t pid;

	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	pid = fork();
	if (pid == 0) {
		raise(SIGTERM);
		_exit(vitals_quitter_must_quit(service.main) == 1 &&
				      vitals_quitter_finish(service.main, NULL, NULL) == 0
			      ? 7
			      : 8);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
}
END_TEST

#ifndef UNDER_TSAN
/* A child that starts afresh asks for the signals anew. */
START_TEST(a_child_that_starts_afresh_has_its_own)
{
	vitals_quitter *mine;
	int status;
	pid_t pid;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	pid = fork();
	if (pid == 0) {
		bool good = vitals_start(service.registry) == 0 &&
			    vitals_quitter_new_main(service.registry, VITALS_S(1), NULL,
						    &mine) == 0 &&
			    vitals_quitter_on_signal(mine, SIGTERM, NULL) == 0 &&
			    raise(SIGTERM) == 0 && vitals_quitter_must_quit(mine) == 1 &&
			    vitals_quitter_finish(mine, NULL, NULL) == 0;

		_exit(good ? 7 : 8);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
}
END_TEST
#endif

static void *sends(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 2000; i++)
		kill(getpid(), SIGUSR1);
	return NULL;
}

START_TEST(a_storm_is_one_request)
{
	struct vitals_cause cause;
	pthread_t threads[4];
	int i;

	VITALS_INIT(&cause);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGUSR1, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, sends, NULL);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(vitals_quitter_cause(service.main, &cause), 0);
	ck_assert_int_eq(cause.signo, SIGUSR1);
}
END_TEST

/* The monitor acts on it, long before anybody calls finish. */
START_TEST(a_sleeping_thread_is_woken_by_a_signal)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "w", 0, obeys, NULL, NULL), 0);
	kill(getpid(), SIGTERM);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signals");
	TCase *tcase = tcase_create("signals");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_signal_is_a_request);
	tcase_add_test(tcase, odd_signals_are_refused);
	tcase_add_test(tcase, a_child_listens_to_nothing);
	tcase_add_test(tcase, there_is_room_for_64_events);
	tcase_add_test(tcase, doubles_are_one_request);
	tcase_add_test(tcase, a_handler_that_does_not_get_on_hides_no_sender);
	tcase_add_test(tcase, the_second_expires_the_deadline);
	tcase_add_test(tcase, the_third_leaves_from_the_handler);
	tcase_add_loop_test(tcase, handlers_before_ours_go_on_and_are_put_back, 0, 2);
	tcase_add_test(tcase, a_handler_over_ours_stays);
	tcase_add_test(tcase, what_is_ignored_stays_ignored);
	tcase_add_test(tcase, the_handler_keeps_errno_and_masks_nothing);
	tcase_add_loop_test(tcase, a_forked_child_does_not_quit_its_parent, 0, 2);
	tcase_add_test(tcase, a_daemon_takes_its_signals_along);
#ifndef UNDER_TSAN /* which gives a child of fork no threads */
	tcase_add_test(tcase, a_child_that_starts_afresh_has_its_own);
#endif
	tcase_add_test(tcase, a_storm_is_one_request);
	tcase_add_test(tcase, a_sleeping_thread_is_woken_by_a_signal);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
