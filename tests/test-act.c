/* SPDX-License-Identifier: MIT */

/*
 * The abort: who counts, when it is decided and what stops it, in the tests' own time and without
 * ending anything; and that it ends a process, whatever its threads and its handler do, in children.
 */

#include "harness.h"

#include "abort.h"
#include "backstop.h"
#include "clock.h"
#include "service.h"
#include "vitals-act.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_MS(400)
#define TICK VITALS_MS(50)
/* The default, and what a look, and a step, may come later. */
#define STUCK (4 * T + 3 * TICK)
#define BEATS 8

bool __wrap_vt_witness_heartbeat(const struct vt_view *view, uint32_t index, uint32_t gen,
				 struct vitals_evidence *evidence);

static vitals_registry *registry;
static vitals_heartbeat *beats[BEATS];
static uint64_t now;
static uint32_t starved; /* a bit for each heartbeat */
static char words[256];
static unsigned n_words;

bool __wrap_vt_witness_heartbeat(const struct vt_view *view, uint32_t index, uint32_t gen,
				 struct vitals_evidence *evidence)
{
	(void)view;
	(void)gen;
	evidence->thread_class = starved >> index & 1 ? VITALS_STARVED : VITALS_ON_LOCK;
	return true;
}

static void words_note(vitals_registry *of, const char *line)
{
	(void)of;
	(void)strncpy(words, line, sizeof(words) - 1);
	n_words++;
}

/* Also in a child of the test's: without ck_assert. */
static void made(unsigned n, uint32_t flags)
{
	struct vitals_heartbeat_options options;
	unsigned i;

	starved = 0;
	child_check(vitals_registry_new(0, &registry) == 0);
	now = vt_clock_now();
	child_check(vitals_step(registry, now) == 0);
	VITALS_INIT(&options);
	options.flags = flags;
	for (i = 0; i < n; i++)
		child_check(vitals_heartbeat_new(registry, "beat", T, &options,
						 &beats[i]) == 0);
}

static void unmade(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		vitals_heartbeat_close(beats[i]);
		beats[i] = vitals_heartbeat_unref(beats[i]);
	}
	registry = vitals_registry_free(registry);
}

static struct vt_abort *abort_room(void)
{
	return atomic_load(&registry->abort);
}

static uint32_t decisions(void)
{
	return abort_room() ? atomic_load(&abort_room()->decisions) : 0;
}

static void asked(const struct vitals_abort_options *wanted)
{
	struct vitals_abort_options options = *wanted;

	options.size = sizeof(options);
	options.flags |= VITALS_ABORT_DRY_RUN;
	child_check(vitals_abort_when_stuck(registry, &options) == 0);
	atomic_store(&abort_room()->last_words, words_note);
}

/* A pulse reads the clock: these beat in the tests' time. */
static void beaten(unsigned i)
{
	struct vt_hot *hot = vt_slot(registry, VT_KIND_HOT, i);

	atomic_store(&hot->beat, VT_BEAT_NS(now) | VT_BEAT_PULSE);
}

/* In ticks, while those whose bit is set beat. Return: when it was first decided, 0: it was not. */
static uint64_t passes(uint64_t ns, uint32_t alive)
{
	uint64_t until = now + ns, decided = 0;
	uint32_t before = decisions();
	unsigned i;

	while (now < until) {
		for (i = 0; i < BEATS; i++)
			if (alive >> i & 1)
				beaten(i);
		now += TICK;
		child_check(vitals_step(registry, now) == 0);
		if (!decided && decisions() != before)
			decided = now;
	}
	return decided;
}

/* Who counts, and how many it takes: the edges. */
static const struct {
	unsigned n;
	uint32_t alive; /* they beat all the time; the others never again */
	uint32_t starved;
	uint32_t flags;
	uint32_t quorum;
	uint32_t percent;
	uint32_t informative;
	unsigned decides;
} edges[] = {
	{ 1, 0x0, 0x0, 0, 0, 0, 0, 1 },
	{ 8, 0xfe, 0x0, 0, 0, 0, 0, 1 },
	{ 8, 0xff, 0x0, 0, 0, 0, 0, 0 },
	{ 8, 0xfe, 0x0, 0, 2, 0, 0, 0 },
	{ 8, 0xfc, 0x0, 0, 2, 0, 0, 1 },
	{ 8, 0xf8, 0x0, 0, 0, 50, 0, 0 },
	{ 8, 0xf0, 0x0, 0, 0, 50, 0, 1 },
	{ 8, 0xf8, 0x0, 0, 0, 26, 0, 1 }, /* rounded up */
	{ 8, 0xfc, 0x0, 0, 0, 26, 0, 0 },
	{ 8, 0xf0, 0x0, 0, 5, 50, 0, 0 }, /* the larger of both */
	{ 8, 0xf0, 0x0, 0, 3, 50, 0, 1 },
	{ 8, 0xf0, 0x0, 0, 9, 0, 0, 0 },
	{ 8, 0x01, 0x0, 0, 0, 100, 0, 0 },
	{ 8, 0x00, 0x0, 0, 0, 100, 0, 1 },
	{ 1, 0x0, 0x1, 0, 0, 0, 0, 0 }, /* the machine's fault */
	{ 1, 0x0, 0x1, VITALS_ABORT_EVEN_IF_STARVED, 0, 0, 0, 1 },
	{ 8, 0xfc, 0x2, 0, 2, 0, 0, 0 },
	{ 8, 0xf8, 0x2, 0, 2, 0, 0, 1 },
	{ 8, 0x00, 0x0, 0, 0, 0, VITALS_INFORMATIVE, 0 },
};

START_TEST(those_that_count_are_counted)
{
	struct vitals_abort_options options = {
		.flags = edges[_i].flags,
		.quorum = edges[_i].quorum,
		.quorum_percent = edges[_i].percent,
	};

	made(edges[_i].n, edges[_i].informative);
	asked(&options);
	starved = edges[_i].starved;
	(void)passes(STUCK + VITALS_S(2), edges[_i].alive);
	ck_assert_uint_eq(decisions(), edges[_i].decides);
	ck_assert_uint_eq(n_words, edges[_i].decides);
	unmade(edges[_i].n);
}
END_TEST

START_TEST(it_waits_for_its_grace_and_no_longer)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(3) };
	uint64_t begun, decided;

	made(1, 0);
	asked(&options);
	begun = now;
	decided = passes(STUCK + VITALS_S(4), 0);
	ck_assert_uint_ge(decided, begun + 4 * T + VITALS_S(3));
	ck_assert_uint_le(decided, begun + STUCK + VITALS_S(3) + TICK);
	ck_assert_ptr_nonnull(strstr(words,
				     "vitals: would abort: heartbeat beat has been "
				     "silent for 4."));
	ck_assert_ptr_nonnull(strstr(words, "; 1 of 1 critical"));
	unmade(1);
}
END_TEST

START_TEST(recovery_before_the_time_is_up_stops_it)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(3) };
	unsigned i;

	made(1, 0);
	asked(&options);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(passes(STUCK + VITALS_S(2), 0), 0);
		ck_assert_int_eq(abort_room()->step, VT_ABORT_WAITS);
		ck_assert_uint_eq(passes(2 * T, 1), 0);
		ck_assert_int_eq(abort_room()->step, VT_ABORT_WATCHES);
	}
	unmade(1);
}
END_TEST

START_TEST(it_is_decided_once_in_an_episode)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(1) };
	unsigned i;

	made(2, 0);
	asked(&options);
	for (i = 1; i <= 3; i++) {
		(void)passes(STUCK + VITALS_S(20), 0);
		ck_assert_uint_eq(decisions(), i);
		(void)passes(2 * T, 1);
		/* One is still stuck: the same episode. */
		ck_assert_int_eq(abort_room()->step, VT_ABORT_SAID);
		(void)passes(2 * T, 3);
		ck_assert_uint_eq(decisions(), i);
	}
	unmade(2);
}
END_TEST

START_TEST(jitter_is_within_bounds_and_not_the_same)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(1),
						.jitter_ns = VITALS_S(8) };
	uint64_t least = UINT64_MAX, most = 0, ns;
	unsigned i;

	made(1, 0);
	asked(&options);
	for (i = 0; i < 32; i++) {
		while (abort_room()->step != VT_ABORT_WAITS)
			(void)passes(TICK, 0);
		ns = abort_room()->due_ns - now;
		ck_assert_uint_ge(ns, VITALS_S(1) - TICK);
		ck_assert_uint_le(ns, VITALS_S(9));
		/* It stays what it was. */
		(void)passes(T, 0);
		ck_assert_uint_eq(abort_room()->due_ns - (now - T), ns);
		least = ns < least ? ns : least;
		most = ns > most ? ns : most;
		(void)passes(2 * T, 1);
	}
	/* Of 32 evenly spread ones, less than half of it once in 10^8. */
	ck_assert_uint_gt(most - least, VITALS_S(4));
	unmade(1);
}
END_TEST

START_TEST(a_pause_of_the_process_is_no_grace)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(3) };

	made(1, 0);
	asked(&options);
	ck_assert_uint_eq(passes(STUCK, 0), 0);
	ck_assert_int_eq(abort_room()->step, VT_ABORT_WAITS);
	now += VITALS_S(100);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_uint_eq(passes(VITALS_S(2), 0), 0);
	ck_assert_uint_ne(passes(VITALS_S(2), 0), 0);
	unmade(1);
}
END_TEST

static void *ends_at_once(void *arg)
{
	child_check(vitals_heartbeat_own(arg) == 0);
	child_check(vitals_heartbeat_pulse(arg) == 0);
	return NULL;
}

START_TEST(a_dead_one_counts)
{
	struct vitals_abort_options options = { 0 };
	pthread_t thread;

	made(1, 0);
	asked(&options);
	ck_assert_int_eq(pthread_create(&thread, NULL, ends_at_once, beats[0]), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_ne(passes(T, 0), 0);
	unmade(1);
}
END_TEST

START_TEST(what_is_asked_for_is_checked)
{
	struct vitals_abort_options options;

	made(1, 0);
	VITALS_INIT(&options);
	options.flags = 16;
	ck_assert_int_eq(vitals_abort_when_stuck(registry, &options), -EINVAL);
	options.flags = 0;
	options.quorum_percent = 101;
	ck_assert_int_eq(vitals_abort_when_stuck(registry, &options), -EINVAL);
	unmade(1);
}
END_TEST

START_TEST(it_is_off_by_itself_and_by_the_environment)
{
	struct vitals_abort_options options = { 0 };

	made(1, 0);
	(void)passes(STUCK, 0);
	ck_assert_ptr_null(abort_room());
	ck_assert_int_eq(setenv("VITALS_ABORT", "off", 1), 0);
	/* Not dry: it would end the test. */
	ck_assert_int_eq(vitals_abort_when_stuck(registry, NULL), 0);
	(void)passes(STUCK + T, 0);
	ck_assert_uint_eq(decisions(), 0);
	ck_assert_int_eq(unsetenv("VITALS_ABORT"), 0);
	/* And a later call turns it on. */
	asked(&options);
	ck_assert_uint_ne(passes(T, 0), 0);
	unmade(1);
}
END_TEST

/* The test itself as a debugger of a child, which is stepped through its stall. */
static void debugged_child(int ready, int go)
{
	struct vitals_abort_options options = { .after_ns = VITALS_S(1) };
	char byte = 0;

	child_alarm(CHILD_SECONDS);
	made(1, 0);
	asked(&options);
	child_check(write(ready, &byte, 1) == 1);
	child_check(read(go, &byte, 1) == 1);
	/* Held: put off, whatever the time. */
	child_check(!passes(STUCK + VITALS_S(20), 0));
	child_check(abort_room()->step == VT_ABORT_WAITS);
	child_check(write(ready, &byte, 1) == 1);
	child_check(read(go, &byte, 1) == 1);
	/* Let go: once more, and then not. */
	child_check(abort_room()->traced);
	child_check(!passes(VITALS_MS(900), 0));
	child_check(passes(VITALS_S(3), 0));
	_exit(0);
}

START_TEST(a_debugger_puts_it_off)
{
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0)
		debugged_child(ready[1], go[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	child_passed(pid);
}
END_TEST

/* A process that is to end: real threads, a real clock. */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t hung = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t handled_tid;
static int told_fd;

static void handler_returns(int signo)
{
	(void)signo;
	handled_tid = (int)syscall(SYS_gettid);
	(void)!write(told_fd, &(int){ handled_tid }, sizeof(int));
}

static void handler_hangs(int signo)
{
	handler_returns(signo);
	for (;;)
		(void)pause();
}

static void callback_hangs(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
	(void)pthread_mutex_lock(&held);
}

enum how {
	PLAIN,
	BLOCKED,  /* the culprit blocks the signal */
	RETURNS,  /* the host's handler does */
	HANGS,    /* the host's handler does */
	IGNORED,  /* the signal is */
	CALLBACK, /* the callback hangs on the culprit's lock */
	ENDED,    /* the culprit's thread has ended */
	HOWS
};

static void *culprit(void *arg)
{
	enum how how = *(enum how *)arg;
	vitals_heartbeat *heartbeat;
	sigset_t all;

	sigfillset(&all);
	if (how == BLOCKED)
		(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	child_check(vitals_heartbeat_new(registry, "culprit", VITALS_MS(20), NULL,
					 &heartbeat) == 0);
	child_check(vitals_heartbeat_own(heartbeat) == 0);
	child_check(vitals_heartbeat_pulse(heartbeat) == 0);
	child_check(write(told_fd, &(int){ (int)syscall(SYS_gettid) }, sizeof(int)) ==
		    sizeof(int));
	if (how == ENDED)
		return NULL;
	(void)pthread_mutex_lock(&held);
	(void)pthread_mutex_lock(&hung);
	return NULL;
}

static void doomed(enum how how)
{
	struct vitals_abort_options options;
	pthread_t thread;

	child_alarm(CHILD_SECONDS);
	(void)pthread_mutex_lock(&hung);
	(void)signal(SIGABRT, how == RETURNS   ? handler_returns
			      : how == HANGS   ? handler_hangs
			      : how == IGNORED ? SIG_IGN
					       : SIG_DFL);
	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_start(registry) == 0);
	if (how == CALLBACK)
		child_check(vitals_on_event(registry, callback_hangs, NULL) == 0);
	VITALS_INIT(&options);
	options.after_ns = VITALS_MS(50);
	child_check(vitals_abort_when_stuck(registry, &options) == 0);
	child_check(pthread_create(&thread, NULL, culprit, &how) == 0);
	for (;;)
		(void)pause();
}

START_TEST(it_ends_the_process_whatever_that_does)
{
	uint64_t begun = vt_clock_now(), took;
	int told[2], status, tid, handler_tid;
	enum how how = (enum how)_i;
	pid_t pid;

	ck_assert_int_eq(pipe(told), 0);
	told_fd = told[1];
	pid = fork();
	if (pid == 0)
		doomed(how);
	ck_assert_int_eq(close(told[1]), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	took = vt_clock_now() - begun;
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x",
		      (unsigned)status);
	/* 80 ms to be stuck, 50 of grace; a handler has a second. */
	ck_assert_uint_lt(took,
			  how == RETURNS || how == HANGS ? VITALS_S(12) : VITALS_S(3));
	ck_assert_int_eq(read(told[0], &tid, sizeof(tid)), sizeof(tid));
	if (how == RETURNS || how == HANGS) {
		ck_assert_int_eq(read(told[0], &handler_tid, sizeof(handler_tid)),
				 sizeof(handler_tid));
		/* The culprit's stack is the one that is seen. */
		ck_assert_int_eq(handler_tid, tid);
	}
	/* It was called once. */
	ck_assert_int_eq(read(told[0], &tid, sizeof(tid)), 0);
}
END_TEST

/* The last resort alone: nobody leaves, and the process is gone. */
static void kept(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	child_check(vt_backstop_arm(VITALS_MS(50)) == 0);
	(void)raise(SIGSTOP);
	for (;;)
		(void)pause();
}

START_TEST(the_backstop_needs_nobody)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		kept(NULL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_ne(WIFSIGNALED(status), 0);
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}
END_TEST

static void forked_child(void *arg)
{
	(void)arg;
	/* Nothing of it is the child's, not even once it starts afresh. */
	child_check(vitals_abort_when_stuck(NULL, NULL) == -ECANCELED);
	child_check(vitals_start(NULL) == 0);
	{
		vitals_heartbeat *heartbeat;

		child_check(vitals_heartbeat_new(NULL, "forked", VITALS_MS(5), NULL,
						 &heartbeat) == 0);
		child_check(vitals_heartbeat_pulse(heartbeat) == 0);
		(void)usleep(300000);
	}
}

START_TEST(a_forked_child_does_not_inherit_it)
{
	struct vitals_abort_options options;

	ck_assert_int_eq(vitals_start(NULL), 0);
	VITALS_INIT(&options);
	ck_assert_int_eq(vitals_abort_when_stuck(NULL, &options), 0);
	/* ThreadSanitizer starts no thread in a child of many. */
	if (!SANITIZED)
		child_run(forked_child, NULL);
	ck_assert_int_eq(vitals_stop(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("act");
	TCase *tc = tcase_create("decided");
	TCase *ends = tcase_create("carried out");

	tcase_add_loop_test(tc, those_that_count_are_counted, 0,
			    (int)(sizeof(edges) / sizeof(edges[0])));
	tcase_add_test(tc, it_waits_for_its_grace_and_no_longer);
	tcase_add_test(tc, recovery_before_the_time_is_up_stops_it);
	tcase_add_test(tc, it_is_decided_once_in_an_episode);
	tcase_add_test(tc, jitter_is_within_bounds_and_not_the_same);
	tcase_add_test(tc, a_pause_of_the_process_is_no_grace);
	tcase_add_test(tc, a_dead_one_counts);
	tcase_add_test(tc, what_is_asked_for_is_checked);
	tcase_add_test(tc, it_is_off_by_itself_and_by_the_environment);
	tcase_add_test(tc, a_debugger_puts_it_off);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(ends, it_ends_the_process_whatever_that_does, 0, HOWS);
	tcase_add_test(ends, the_backstop_needs_nobody);
	tcase_add_test(ends, a_forked_child_does_not_inherit_it);
	suite_add_tcase(suite, ends);
	return run_suite(suite);
}
