/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "vitals.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Longer than any machine is too busy for. */
#define LONG_MS 60000
#define SHORT_MS 100

static void sleep_ms(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000,
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0)
		continue;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

/* Of a body in a child: what it wrote to stderr, and how it ended. */
static struct {
	char text[4096];
	int status;
	uint64_t ns;
} child;

static void child_die(void (*fn)(void))
{
	uint64_t began_ns = now_ns();
	size_t length = 0;
	int fds[2];
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		(void)dup2(fds[1], STDERR_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		fn();
		_exit(EXIT_SUCCESS);
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], child.text + length, sizeof(child.text) - 1 - length)) >
	       0)
		length += (size_t)n;
	child.text[length] = 0;
	(void)close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &child.status, 0), pid);
	child.ns = now_ns() - began_ns;
}

static void aborted_at(int line, const char *function, const char *what)
{
	char place[256];

	ck_assert_msg(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT,
		      "status %x: %s", (unsigned)child.status, child.text);
	(void)snprintf(place, sizeof(place), "%s:%d: %s: ", __FILE__, line, function);
	ck_assert_msg(strncmp(child.text, place, strlen(place)) == 0, "%s: %s", place,
		      child.text);
	ck_assert_msg(strstr(child.text, what) != NULL, "%s: %s", what, child.text);
	/* One line. */
	ck_assert_ptr_eq(strchr(child.text, '\n'), child.text + strlen(child.text) - 1);
}

START_TEST(a_body_that_is_quick_passes_and_leaves_nothing_behind)
{
	size_t pages;
	int i, runs = 0, fds;

	for (i = 0; i < 20; i++) {
		if (i == 10) {
			pages = mapped_pages();
			fds = fd_count();
		}
		ck_assert_ptr_null(vitals_expected());
		VITALS_EXPECT_NO_STALL(LONG_MS)
		{
			runs++;
			ck_assert_ptr_nonnull(vitals_expected());
		}
	}
	ck_assert_int_eq(runs, 20);
	ck_assert_ptr_null(vitals_expected());
	ck_assert_int_eq(fd_count(), fds);
	/* A stack that the C library keeps for the next thread is no leak. */
	ck_assert_uint_le(mapped_pages(), pages + 1024);
}
END_TEST

static const int silent_line = __LINE__ + 4;

static void silent_run(void)
{
	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		sleep_ms(1000 * CHILD_SECONDS);
	}
}

START_TEST(a_body_that_goes_silent_dies_and_its_line_says_where)
{
	child_die(silent_run);
	aborted_at(silent_line, "silent_run", "silent for ");
	ck_assert_ptr_nonnull(strstr(child.text, "allowed 100ms"));
	ck_assert_uint_ge(child.ns, VITALS_MS(SHORT_MS));
	/* While it is stuck. */
	ck_assert_uint_lt(child.ns, VITALS_S(CHILD_SECONDS) / 2);
}
END_TEST

static void beaten_run(void)
{
	int i;

	VITALS_EXPECT_NO_STALL(900)
	{
		for (i = 0; i < 100; i++) {
			sleep_ms(10);
			if (i % 2)
				vitals_heartbeat_touch(vitals_expected());
			else
				(void)vitals_heartbeat_pulse(vitals_expected());
		}
		/* By intent. */
		(void)vitals_heartbeat_idle(vitals_expected());
		sleep_ms(1000);
	}
}

START_TEST(a_body_that_beats_may_take_as_long_as_it_likes)
{
	child_die(beaten_run);
	ck_assert_msg(child.status == 0, "%s", child.text);
}
END_TEST

/* Runs on for a while after the stop, wherever that comes. */
static void stopped_run(void)
{
	int i;

	VITALS_EXPECT_NO_STALL(1000)
	{
		for (i = 0; i < 30; i++)
			sleep_ms(10);
	}
}

START_TEST(a_process_that_is_stopped_is_not_silent)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		stopped_run();
		_exit(EXIT_SUCCESS);
	}
	sleep_ms(50);
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	sleep_ms(1500);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	child_passed(pid);
}
END_TEST

static int returns_from_body(int how)
{
	int i;

	for (i = 0; i < 2; i++) {
		VITALS_EXPECT_NO_STALL(LONG_MS)
		{
			if (how == 0)
				break;
			if (how == 1)
				continue;
			if (how == 2)
				goto out;
			return 3;
		}
		/* The loop around it went on. */
		ck_assert_ptr_null(vitals_expected());
	}
out:
	return i;
}

START_TEST(every_way_out_of_the_body_ends_it)
{
	static const int loops[] = { 2, 2, 0, 3 };

	ck_assert_int_eq(returns_from_body(_i), loops[_i]);
	ck_assert_ptr_null(vitals_expected());
}
END_TEST

static jmp_buf landing;

START_TEST(after_a_longjmp_it_can_be_ended_by_hand)
{
	vitals_heartbeat *outer;

	VITALS_EXPECT_NO_STALL(LONG_MS)
	{
		outer = vitals_expected();
		if (setjmp(landing) == 0)
			VITALS_EXPECT_NO_STALL(LONG_MS)
			{
				ck_assert_ptr_ne(vitals_expected(), outer);
				longjmp(landing, 1);
			}
		ck_assert_ptr_ne(vitals_expected(), outer);
		(void)vitals_expect_end(vitals_expected());
		ck_assert_ptr_eq(vitals_expected(), outer);
	}
	ck_assert_ptr_null(vitals_expected());
}
END_TEST

START_TEST(the_outer_ends_what_was_left_open_inside_it)
{
	vitals_heartbeat *outer = vitals_expect_begin(VITALS_S(60), "a", 1, "a"), *inner;

	inner = vitals_expect_begin(VITALS_S(60), "b", 2, "b");
	ck_assert_ptr_eq(vitals_expected(), inner);
	outer = vitals_expect_end(outer);
	ck_assert_ptr_null(outer);
	ck_assert_ptr_null(vitals_expected());
	/* Ended already. */
	ck_assert_ptr_null(vitals_expect_end(inner));
}
END_TEST

static void *thread_that_ends_inside(void *arg)
{
	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		pthread_exit(arg);
	}
	return NULL;
}

START_TEST(a_thread_that_ends_inside_is_no_longer_watched)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, thread_that_ends_inside, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	sleep_ms(3 * SHORT_MS);
}
END_TEST

static const int nested_line = __LINE__ + 6;

static void nested_run(void)
{
	VITALS_EXPECT_NO_STALL(LONG_MS)
	{
		VITALS_EXPECT_NO_STALL(SHORT_MS)
		{
			sleep_ms(1000 * CHILD_SECONDS);
		}
	}
}

START_TEST(the_inner_one_has_its_own_time)
{
	child_die(nested_run);
	aborted_at(nested_line, "nested_run", "silent for ");
}
END_TEST

static void in_turn_run(void)
{
	int i;

	VITALS_EXPECT_NO_STALL(1500)
	{
		for (i = 0; i < 20; i++)
			VITALS_EXPECT_NO_STALL(LONG_MS)
			{
				sleep_ms(100);
			}
	}
}

START_TEST(inner_ones_are_beats_of_the_outer)
{
	child_die(in_turn_run);
	ck_assert_msg(child.status == 0, "%s", child.text);
}
END_TEST

static void *quick_one(void *arg)
{
	int i;

	for (i = 0; i < 20; i++)
		VITALS_EXPECT_NO_STALL(LONG_MS)
		{
			(void)worker_check(vitals_heartbeat_pulse(vitals_expected()) ==
					   0);
		}
	(void)worker_check(vitals_expected() == NULL);
	return arg;
}

static void *slow_one(void *arg)
{
	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		for (;;)
			sleep_ms(1000);
	}
	return arg;
}

static void side_by_side_run(void)
{
	pthread_t threads[5];
	int i;

	for (i = 0; i < 5; i++)
		if (pthread_create(&threads[i], NULL, i == 2 ? slow_one : quick_one,
				   NULL))
			_exit(1);
	for (i = 0; i < 5; i++)
		(void)pthread_join(threads[i], NULL);
}

START_TEST(threads_have_theirs_side_by_side)
{
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, quick_one, NULL), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	worker_checks_passed();
	child_die(side_by_side_run);
	ck_assert(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(child.text, ": slow_one: "));
}
END_TEST

static pid_t stuck_tid;

static void tell_who_took_it(int signo)
{
	(void)signo;
	_exit(syscall(SYS_gettid) == stuck_tid ? 42 : 43);
}

static void who_takes_it_run(void)
{
	stuck_tid = (pid_t)syscall(SYS_gettid);
	(void)signal(SIGABRT, tell_who_took_it);
	silent_run();
}

START_TEST(the_stuck_thread_takes_the_signal)
{
	child_die(who_takes_it_run);
	ck_assert_msg(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 42,
		      "status %x", (unsigned)child.status);
}
END_TEST

static void blocked_run(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGABRT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	silent_run();
}

START_TEST(a_thread_that_blocks_the_signal_does_not_save_the_process)
{
	child_die(blocked_run);
	ck_assert(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
}
END_TEST

static const int bad_time_line = __LINE__ + 4;

static void bad_time_run(void)
{
	VITALS_EXPECT_NO_STALL(0)
	{
		_exit(EXIT_SUCCESS);
	}
}

START_TEST(what_cannot_be_watched_does_not_pass)
{
	child_die(bad_time_run);
	aborted_at(bad_time_line, "bad_time_run", "cannot be watched: ");
}
END_TEST

static void scaled_run(void)
{
	(void)setenv("VITALS_TIMEOUT_SCALE", "20", 1);
	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		sleep_ms(5 * SHORT_MS);
	}
}

static void off_run(void)
{
	(void)setenv("VITALS", "off", 1);
	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		(void)vitals_heartbeat_pulse(vitals_expected());
		sleep_ms(5 * SHORT_MS);
	}
}

START_TEST(the_environment_makes_it_longer_or_ends_it)
{
	child_die(scaled_run);
	ck_assert_msg(child.status == 0, "%s", child.text);
	child_die(off_run);
	ck_assert_msg(child.status == 0, "%s", child.text);
}
END_TEST

static const int others_line = __LINE__ + 6;

static void others_run(void)
{
	vitals_registry *registry;

	VITALS_EXPECT_NO_STALL(SHORT_MS)
	{
		if (vitals_registry_new(0, &registry) || vitals_start(registry) ||
		    vitals_start(NULL) || vitals_stop(NULL))
			_exit(1);
		registry = vitals_registry_free(registry);
		sleep_ms(1000 * CHILD_SECONDS);
	}
}

START_TEST(other_registries_have_no_part_in_it)
{
	child_die(others_run);
	aborted_at(others_line, "others_run", "silent for ");
}
END_TEST

static void forks_run(void)
{
	pid_t pid = -1;
	int status;

	VITALS_EXPECT_NO_STALL(LONG_MS)
	{
		pid = fork();
		if (pid == 0) {
			vitals_heartbeat_touch(vitals_expected());
			(void)vitals_heartbeat_pulse(vitals_expected());
		} else if (waitpid(pid, &status, 0) != pid || status != 0) {
			_exit(1);
		}
	}
	/* The child ends it too, and may have others; but threads there are not for every sanitizer. */
	if (pid == 0 && SANITIZED)
		return;
	VITALS_EXPECT_NO_STALL(LONG_MS)
	{
		sleep_ms(1);
	}
}

START_TEST(a_child_forked_in_the_body_lives_on)
{
	child_die(forks_run);
	ck_assert_msg(child.status == 0, "%x %s", (unsigned)child.status, child.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("expect");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, NULL, worker_checks_passed);
	tcase_add_test(tc, a_body_that_is_quick_passes_and_leaves_nothing_behind);
	tcase_add_test(tc, a_body_that_goes_silent_dies_and_its_line_says_where);
	tcase_add_test(tc, a_body_that_beats_may_take_as_long_as_it_likes);
	tcase_add_test(tc, a_process_that_is_stopped_is_not_silent);
	tcase_add_loop_test(tc, every_way_out_of_the_body_ends_it, 0, 4);
	tcase_add_test(tc, after_a_longjmp_it_can_be_ended_by_hand);
	tcase_add_test(tc, the_outer_ends_what_was_left_open_inside_it);
	tcase_add_test(tc, a_thread_that_ends_inside_is_no_longer_watched);
	tcase_add_test(tc, the_inner_one_has_its_own_time);
	tcase_add_test(tc, inner_ones_are_beats_of_the_outer);
	tcase_add_test(tc, threads_have_theirs_side_by_side);
	tcase_add_test(tc, the_stuck_thread_takes_the_signal);
	tcase_add_test(tc, a_thread_that_blocks_the_signal_does_not_save_the_process);
	tcase_add_test(tc, what_cannot_be_watched_does_not_pass);
	tcase_add_test(tc, the_environment_makes_it_longer_or_ends_it);
	tcase_add_test(tc, other_registries_have_no_part_in_it);
	tcase_add_test(tc, a_child_forked_in_the_body_lives_on);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
