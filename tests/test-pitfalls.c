/* SPDX-License-Identifier: MIT */

/*
 * What tends to go wrong in a shutdown written in C, by the numbers of docs/pitfalls.md, as far
 * as no other test is about it.
 */

#include "chance.h"
#include "harness.h"
#include "quitter.h"
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLENTY VITALS_S(20)

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

/* A thread that was there before us and blocks nothing is who gets the signal. */
static void *is_signalled(void *arg)
{
	worker_check(pthread_kill(pthread_self(), SIGTERM) == 0);
	gate_pass(arg);
	return NULL;
}

static void *waits_for_its_turn(void *arg)
{
	struct gate *gates = arg;

	gate_pass(&gates[0]);
	return is_signalled(&gates[1]);
}

START_TEST(P1_whichever_thread_gets_a_signal_it_is_a_request)
{
	struct gate gates[2] = { { 0 }, { 0 } };
	pthread_t older;

	ck_assert_int_eq(pthread_create(&older, NULL, waits_for_its_turn, gates), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	gate_open(&gates[0]);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 0);
	gate_open(&gates[1]);
	pthread_join(older, NULL);
	worker_checks_passed();
}
END_TEST

/* In a forked child, or its parent: what an exec'ed process says of its signals. */
static uint64_t mask_of(const char *status, const char *which)
{
	const char *line = strstr(status, which);

	return line ? strtoull(line + strlen(which), NULL, 16) : UINT64_MAX;
}

static int execs(vitals_thread *self, void *arg)
{
	const uint64_t asked = 1u << (SIGTERM - 1) | 1u << (SIGINT - 1);
	char status[8192] = "";
	size_t have = 0;
	ssize_t n;
	int out[2];
	pid_t pid;

	(void)self;
	(void)arg;
	if (!worker_check(pipe2(out, O_CLOEXEC) == 0))
		return 1;
	pid = fork();
	if (pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", "exec cat /proc/self/status", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	while ((n = read(out[0], status + have, sizeof(status) - 1 - have)) > 0)
		have += (size_t)n;
	close(out[0]);
	worker_check(waitpid(pid, NULL, 0) == pid);
	worker_check(mask_of(status, "SigBlk:") == 0);
	worker_check((mask_of(status, "SigCgt:") & asked) == 0);
	worker_check((mask_of(status, "SigIgn:") & asked) == 0);
	return 0;
}

START_TEST(P2_what_is_execed_finds_signals_as_they_were)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGINT, NULL), 1);
	ck_assert_int_eq(fork_on(service.main, "w", execs, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	ck_assert_int_eq(execs(NULL, NULL), 0);
	worker_checks_passed();
}
END_TEST

/* Says that it is ready, finishes, and what came was @signo from @sender. */
static void child_finishes(int ready, int signo, int sender)
{
	struct vitals_cause cause;

	setup();
	VITALS_INIT(&cause);
	child_check(vitals_quitter_on_signal(service.main, signo, NULL) == 0);
	child_check(write(ready, "x", 1) == 1);
	child_check(vitals_quitter_finish(service.main, NULL, NULL) == 0);
	child_check(vitals_quitter_cause(service.main, &cause) == 0);
	child_check(cause.signo == signo);
	child_check(cause.sender_pid == sender);
	_exit(EXIT_SUCCESS);
}

static void on_a_terminal(void *arg)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, ready[2];
	char byte;
	pid_t pid;

	(void)arg;
	child_check(pipe(ready) == 0);
	child_check(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	child_check(slave >= 0);
	pid = fork();
	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		child_check(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
		child_finishes(ready[1], SIGINT, 0);
	}
	child_check(read(ready[0], &byte, 1) == 1);
	child_check(write(master, "\003", 1) == 1);
	child_passed(pid);
}

/* The kernel sent it, to the whole group; nobody in particular did. */
START_TEST(P7_an_interrupt_from_the_terminal_says_so)
{
	child_run(on_a_terminal, NULL);
}
END_TEST

/* Before it was started, before anybody waits for it. */
START_TEST(P9_a_signal_counts_from_the_first_call_on)
{
	ck_assert_int_eq(vitals_quitter_on_signal(service.main, SIGTERM, NULL), 0);
	raise(SIGTERM);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(fork_on(service.main, "w", obeys, NULL), -ECANCELED);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 0);
}
END_TEST

/* There the kernel ignores what has no handler. */
static void as_pid_1(void *arg)
{
	int ready[2];
	char byte;
	pid_t pid;

	(void)arg;
	child_check(pipe(ready) == 0);
	if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
		return; /* not here */
	pid = fork();
	if (pid == 0) {
		child_check(getpid() == 1);
		child_alarm(CHILD_SECONDS);
		child_finishes(ready[1], SIGTERM, 0); /* nobody that is seen from here */
	}
	child_check(pid > 0 && read(ready[0], &byte, 1) == 1);
	child_check(kill(pid, SIGTERM) == 0);
	child_passed(pid);
}

START_TEST(P9_as_the_first_process_it_hears_signals)
{
	child_run(as_pid_1, NULL);
}
END_TEST

struct caller {
	vitals_quitter *other;
	_Atomic uint32_t armed;
	_Atomic uint32_t called;
};

static void calls_back(void *user)
{
	struct caller *caller = user;
	vitals_snapshot *all = NULL;
	vitals_quitter *child;

	worker_check(vitals_quitter_new(caller->other, "new", NULL, &child) == 0);
	worker_check(vitals_quitter_hold(child, "work") == 0);
	worker_check(vitals_quitter_release(child, "work") == 0);
	worker_check(send_quit(caller->other) == 0);
	worker_check(vitals_quitter_wait_done(caller->other, PLENTY, NULL) == 0);
	worker_check(vitals_quitter_free(child) == NULL);
	worker_check(vitals_quitter_hold(service.main, "work") == -ECANCELED);
	worker_check(vitals_snapshot_take(service.registry, &all) == 0);
	vitals_snapshot_free(all);
	atomic_fetch_add(&caller->called, 1);
}

static int is_called(vitals_thread *self, void *arg)
{
	struct caller *caller = arg;

	worker_check(vitals_thread_on_quit(self, calls_back, caller) == 0);
	atomic_store(&caller->armed, 1);
	while (!atomic_load(&caller->called))
		nap();
	return 0;
}

START_TEST(P17_a_callback_may_call_whatever_it_likes)
{
	struct caller caller = { .other = NULL };
	vitals_registry *registry = NULL;

	/* Outside of the tree: what is below main has been told, too. */
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(registry, PLENTY, NULL, &caller.other),
			 0);
	ck_assert_int_eq(fork_on(service.main, "w", is_called, &caller), 0);
	ck_assert(word_reaches(&caller.armed, 1));
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	worker_checks_passed();
	ck_assert_uint_ge(atomic_load(&caller.called), 1);
	vitals_quitter_free(caller.other);
	vitals_registry_free(registry);
}
END_TEST

struct listener {
	int fd;
	_Atomic uint32_t listens;
	int accepted;
	int error;
};

static void stops_listening(void *user)
{
	(void)shutdown(((struct listener *)user)->fd, SHUT_RD);
}

static int accepts(vitals_thread *self, void *arg)
{
	struct listener *listener = arg;

	worker_check(vitals_thread_on_quit(self, stops_listening, listener) == 0);
	atomic_store(&listener->listens, 1);
	listener->accepted = accept(listener->fd, NULL, NULL);
	listener->error = errno;
	worker_check(vitals_thread_on_quit(self, NULL, NULL) == 0);
	return 0;
}

/* Where close would leave it. */
START_TEST(P19_who_blocks_in_accept_gets_out)
{
	struct listener listener = { .fd = socket(AF_UNIX, SOCK_STREAM, 0) };
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	/* An address of the kernel's choice. */
	ck_assert_int_eq(
		bind(listener.fd, (struct sockaddr *)&any, sizeof(any.sun_family)), 0);
	ck_assert_int_eq(listen(listener.fd, 8), 0);
	ck_assert_int_eq(fork_on(service.main, "w", accepts, &listener), 0);
	ck_assert(word_reaches(&listener.listens, 1));
	usleep(1000);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	ck_assert_int_eq(listener.accepted, -1);
	ck_assert_int_eq(listener.error, EINVAL);
	close(listener.fd);
	worker_checks_passed();
}
END_TEST

/* As many as a second has room for, or VITALS_READS: each sets the timer anew, slowly on some machines. */
START_TEST(P20_strays_that_read_leave_the_descriptor_readable)
{
	struct pollfd fd = { .fd = vitals_quitter_fd(service.main), .events = POLLIN };
	uint64_t reads = number_from("VITALS_READS", 1000), until_ns, n;
	char buffer[8];
	int i;

	ck_assert_int_eq(fcntl(fd.fd, F_SETFL, fcntl(fd.fd, F_GETFL) | O_NONBLOCK), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	until_ns = clock_now() + VITALS_S(1);
	for (n = 0; n < reads || (n < 1000000 && clock_now() < until_ns); n++)
		(void)!read(fd.fd, buffer, sizeof(buffer));
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(poll(&fd, 1, 1000), 1);
}
END_TEST

/* The day's clock jumps by an hour with each look; which one condition waits are by. */
static _Atomic uint32_t jumps;
static _Atomic uint32_t waits_by_day;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __real_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  clockid_t id, const struct timespec *until);
int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  clockid_t id, const struct timespec *until);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = __real_clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += atomic_fetch_add(&jumps, 1) % 2 ? 3600 : -3600;
	return r;
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  clockid_t id, const struct timespec *until)
{
	if (id != CLOCK_MONOTONIC)
		atomic_fetch_add(&waits_by_day, 1);
	return __real_pthread_cond_clockwait(cond, mutex, id, until);
}

static int waits_all_ways(vitals_thread *self, void *arg)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	uint64_t from_ns = clock_now();
	int r = 0;

	(void)arg;
	worker_check(vitals_thread_sleep(self, VITALS_MS(20)) == 0);
	worker_check(clock_now() - from_ns >= VITALS_MS(20));
	from_ns = clock_now();
	worker_check(vitals_thread_poll(self, NULL, 0, VITALS_MS(20)) == 0);
	worker_check(clock_now() - from_ns >= VITALS_MS(20));
	pthread_mutex_lock(&mutex);
	from_ns = clock_now();
	while (!r)
		r = vitals_thread_cond_wait(self, &cond, &mutex, VITALS_MS(20));
	pthread_mutex_unlock(&mutex);
	worker_check(r == -ETIMEDOUT);
	worker_check(clock_now() - from_ns >= VITALS_MS(20));
	return 0;
}

START_TEST(P21_a_clock_that_jumps_ends_no_wait)
{
	uint64_t from_ns;

	ck_assert_int_eq(fork_on(service.main, "w", waits_all_ways, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
	worker_checks_passed();
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	from_ns = clock_now();
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_ge(clock_now() - from_ns, VITALS_MS(20));
	from_ns = clock_now();
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 1);
	ck_assert_uint_ge(clock_now() - from_ns, VITALS_S(1));
	ck_assert_uint_lt(clock_now() - from_ns, PLENTY);
	ck_assert_uint_eq(atomic_load(&waits_by_day), 0);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
}
END_TEST

/* Tells and waits, on a stack that a frame for each level would not fit. */
static void *tells_the_chain(void *arg)
{
	vitals_snapshot *late = NULL;

	worker_check(send_quit(arg) == 0);
	worker_check(vitals_quitter_wait_done(arg, 1, &late) == -ETIMEDOUT);
	worker_check(late_count(late) == 1);
	vitals_snapshot_free(late);
	return NULL;
}

START_TEST(P24_a_chain_of_a_million_needs_no_stack)
{
	enum {
		DEPTH = SANITIZED ? 100000 : 1000000,
		STACK = 64 * 1024
	};
	vitals_quitter **chain = calloc(DEPTH, sizeof(vitals_quitter *));
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	ck_assert_ptr_nonnull(chain);
	chain[0] = child_of(service.main, "q");
	for (i = 1; i < DEPTH; i++)
		chain[i] = child_of(chain[i - 1], "q");
	ck_assert_int_eq(vitals_quitter_hold(chain[DEPTH - 1], "work"), 0);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, SANITIZED ? 8 * STACK : STACK),
			 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, tells_the_chain, service.main),
			 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	worker_checks_passed();
	ck_assert_int_eq(vitals_quitter_must_quit(chain[DEPTH - 1]), 1);
	ck_assert_int_eq(vitals_quitter_release(chain[DEPTH - 1], "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	for (i = 0; i < DEPTH; i++)
		vitals_quitter_free(chain[i]);
	free(chain);
}
END_TEST

/* How many somebody counts: its own, and children that are not empty. */
static uint64_t counted(const vitals_quitter *quitter)
{
	return vt_quitter_live(quitter) / VT_LIVE_ONE;
}

START_TEST(P25_only_the_first_and_the_last_of_a_child_are_news_above)
{
	vitals_quitter *pool = child_of(service.main, "pool"),
		       *below = child_of(pool, "b");
	int i;

	ck_assert_uint_eq(counted(service.main), 0);
	for (i = 0; i < 5; i++) {
		char name[] = { (char)('a' + i), 0 };

		ck_assert_int_eq(vitals_quitter_hold(below, name), 0);
		ck_assert_uint_eq(counted(below), (unsigned)i + 1);
		ck_assert_uint_eq(counted(pool), 1);
		ck_assert_uint_eq(counted(service.main), 1);
	}
	while (i--) {
		char name[] = { (char)('a' + i), 0 };

		ck_assert_uint_eq(counted(service.main), 1);
		ck_assert_int_eq(vitals_quitter_release(below, name), 0);
	}
	ck_assert_uint_eq(counted(service.main), 0);
	vitals_quitter_free(below);
	vitals_quitter_free(pool);
}
END_TEST

/* A thread that the system has made and not let run yet. */
static struct held {
	struct gate gate;
	_Atomic uint32_t holds;
	void *(*run)(void *);
	void *arg;
} held;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg);

static void *runs_later(void *arg)
{
	(void)arg;
	gate_pass(&held.gate);
	return held.run(held.arg);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*run)(void *), void *arg)
{
	if (!atomic_exchange(&held.holds, 0))
		return __real_pthread_create(thread, attr, run, arg);
	held.run = run;
	held.arg = arg;
	return __real_pthread_create(thread, attr, runs_later, NULL);
}

START_TEST(P28_who_never_got_to_run_is_late_and_has_not_started)
{
	struct vitals_thread_info info;
	vitals_snapshot *late;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	atomic_store(&held.holds, 1);
	ck_assert_int_eq(fork_on(service.main, "w", returns, NULL), 0);
	ck_assert_uint_eq(atomic_load(&held.holds), 0);
	ck_assert_int_eq(send_quit(service.main), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(5), &late),
			 -ETIMEDOUT);
	ck_assert_uint_eq(late_count(late), 1);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_str_eq(info.path, "main/w");
	ck_assert_uint_eq(info.state, VITALS_THREAD_NOT_STARTED);
	ck_assert_uint_eq(info.tid, 0);
	vitals_snapshot_free(late);
	gate_open(&held.gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, PLENTY, NULL), 0);
}
END_TEST

static int obeys_with_poll(vitals_thread *self, void *arg)
{
	gate_pass(arg);
	return vitals_thread_poll(self, NULL, 0, VITALS_FOREVER) == -ECANCELED ? 0 : 3;
}

/* Told before anybody looks, starts, waits or polls: no start of anything clears it. */
START_TEST(P30_a_request_that_comes_first_is_not_lost)
{
	struct gate gate = { 0 };
	struct pollfd fd;

	if (_i) /* the monitor runs; else it does not, yet */
		ck_assert_int_eq(fork_on(service.main, "w", obeys_with_poll, &gate), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 5, NULL), 0);
	if (!_i)
		ck_assert_int_eq(vitals_start(service.registry), 0);
	gate_open(&gate);
	fd = (struct pollfd){ .fd = vitals_quitter_fd(service.main), .events = POLLIN };
	ck_assert_int_eq(poll(&fd, 1, 1000), 1);
	ck_assert_int_eq(vitals_quitter_finish(service.main, NULL, NULL), 5);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 1);
}
END_TEST

/* By number. Each is a case of its own, so that CK_RUN_CASE runs it alone. */
static void add(Suite *suite, const TTest *test, int rounds)
{
	TCase *tcase = tcase_create(test->name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	/* It takes a second, and many on a machine that has other things to do. */
	if (test == P24_a_chain_of_a_million_needs_no_stack)
		tcase_set_timeout(tcase, 240);
	tcase_add_loop_test(tcase, test, 0, rounds);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("pitfalls");

	add(suite, P1_whichever_thread_gets_a_signal_it_is_a_request, 1);
	add(suite, P2_what_is_execed_finds_signals_as_they_were, 1);
	add(suite, P7_an_interrupt_from_the_terminal_says_so, 1);
	add(suite, P9_a_signal_counts_from_the_first_call_on, 1);
	add(suite, P9_as_the_first_process_it_hears_signals, 1);
	add(suite, P17_a_callback_may_call_whatever_it_likes, 1);
	add(suite, P19_who_blocks_in_accept_gets_out, 1);
	add(suite, P20_strays_that_read_leave_the_descriptor_readable, 1);
	add(suite, P21_a_clock_that_jumps_ends_no_wait, 1);
	add(suite, P24_a_chain_of_a_million_needs_no_stack, 1);
	add(suite, P25_only_the_first_and_the_last_of_a_child_are_news_above, 1);
	add(suite, P28_who_never_got_to_run_is_late_and_has_not_started, 1);
	add(suite, P30_a_request_that_comes_first_is_not_lost, 2);
	return run_suite(suite);
}
