/* SPDX-License-Identifier: MIT */

#include "harness.h"
#include "service.h"
#include "thread.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

static int forked(vitals_quitter *quitter, const char *name, uint64_t timeout_ns,
		  vitals_thread_fn fn, void *arg, uint32_t flags)
{
	struct vitals_thread_options options;

	VITALS_INIT(&options);
	options.flags = flags;
	return vitals_thread_fork(quitter, name, timeout_ns, fn, arg, &options);
}

START_TEST(null_handles_do_nothing)
{
	vitals_thread *self = (vitals_thread *)(void *)&service;

	ck_assert_int_eq(vitals_thread_fork(NULL, "a", 0, obeys, NULL, NULL), -EINVAL);
	ck_assert_int_eq(vitals_thread_fork(service.main, NULL, 0, obeys, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", 0, NULL, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(vitals_thread_adopt(NULL, "a", 0, NULL, &self), -EINVAL);
	ck_assert_ptr_null(self);
	ck_assert_int_eq(vitals_thread_adopt(service.main, "a", 0, NULL, NULL), -EINVAL);
	vitals_thread_leave(NULL, 1);
	ck_assert_ptr_null(vitals_thread_self());
	ck_assert_uint_eq(vitals_thread_id(NULL), 0);
	ck_assert_ptr_null(vitals_thread_quitter(NULL));
	ck_assert_ptr_null(vitals_thread_heartbeat(NULL));
	ck_assert_int_eq(vitals_thread_go_on(NULL), 0);
	ck_assert_int_eq(vitals_thread_sleep(NULL, 1), -ECANCELED);
	ck_assert_int_eq(vitals_thread_poll(NULL, NULL, 0, 1), -ECANCELED);
	ck_assert_int_eq(vitals_thread_cond_wait(NULL, NULL, NULL, 1), -ECANCELED);
	ck_assert_int_eq(vitals_thread_on_quit(NULL, NULL, NULL), -EINVAL);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

struct seen {
	vitals_quitter *quitter;
	_Atomic uint32_t running;
	struct gate gate;
	char kernel_name[16];
	uint64_t id;
	sigset_t mask;
};

static int looks(vitals_thread *self, void *arg)
{
	struct seen *seen = arg;

	worker_check(vitals_thread_self() == self);
	worker_check(vitals_thread_quitter(self) == seen->quitter);
	worker_check(vitals_thread_heartbeat(self) != NULL);
	worker_check(vitals_thread_id(self) != 0);
	worker_check(vitals_thread_go_on(self) == 1);
	(void)prctl(PR_GET_NAME, (unsigned long)(uintptr_t)seen->kernel_name, 0, 0, 0);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
	seen->id = vitals_thread_id(self);
	atomic_store(&seen->running, 1);
	gate_pass(&seen->gate);
	return 0;
}

START_TEST(a_forked_thread_knows_where_it_is)
{
	struct seen seen = { .quitter = child_of(service.main, "pool") };
	struct vitals_heartbeat_info heartbeat;
	struct vitals_thread_info info;
	vitals_snapshot *all = NULL;

	ck_assert_int_eq(forked(seen.quitter, "wörker-with-a-name", VITALS_S(10), looks,
				&seen, 0),
			 0);
	ck_assert(word_reaches(&seen.running, 1));
	worker_checks_passed();
	/* 15 bytes would end in half a character if it were not cut with care. */
	ck_assert_str_eq(seen.kernel_name, "wörker-with-a-");
	ck_assert(thread_row(service.registry, "wörker-with-a-name", &info));
	ck_assert_uint_eq(info.id, seen.id);
	ck_assert_uint_eq(info.state, VITALS_THREAD_RUNNING);
	ck_assert_str_eq(info.path, "main/pool/wörker-with-a-name");
	VITALS_INIT(&heartbeat);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(all, 0, &heartbeat), 0);
	ck_assert_uint_eq(heartbeat.thread_id, info.id);
	ck_assert_uint_eq(heartbeat.id, info.heartbeat_id);
	ck_assert_uint_eq(heartbeat.tid, info.tid);
	ck_assert_str_eq(heartbeat.name, info.name);
	vitals_snapshot_free(all);
	gate_open(&seen.gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	vitals_quitter_free(seen.quitter);
}
END_TEST

START_TEST(a_forked_thread_has_its_creators_mask)
{
	struct seen seen = { .quitter = service.main };
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	ck_assert_int_eq(forked(service.main, "a", VITALS_S(10), looks, &seen, 0), 0);
	ck_assert(word_reaches(&seen.running, 1));
	gate_open(&seen.gate);
	ck_assert_int_eq(sigismember(&seen.mask, SIGUSR2), 1);
	ck_assert_int_eq(sigismember(&seen.mask, SIGTERM), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

START_TEST(a_thread_shares_its_heartbeats_number)
{
	struct vitals_thread_info info;
	struct gate gate = { 0 };

	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), refuses, &gate, 0), 0);
	ck_assert_int_eq(forked(service.main, "w", 0, refuses, &gate, 0), 0);
	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), refuses, &gate, 0), 0);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_uint_ne(info.heartbeat_id, 0);
	ck_assert(thread_row(service.registry, "w#2", &info));
	ck_assert_uint_eq(info.heartbeat_id, 0);
	ck_assert(thread_row(service.registry, "w#3", &info));
	ck_assert_uint_ne(info.heartbeat_id, 0);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

/* Every refusal leaves nothing behind. */
START_TEST(bad_options_are_refused)
{
	struct vitals_thread_options options;
	struct vitals_process_info process;
	vitals_snapshot *all = NULL;

	VITALS_INIT(&options);
	options.flags = 0x80;
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", 0, obeys, NULL, &options),
			 -EINVAL);
	VITALS_INIT(&options);
	options.reserved = 1;
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", 0, obeys, NULL, &options),
			 -EINVAL);
	VITALS_INIT(&options);
	options.stuck_ns = 1;
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", VITALS_S(1), obeys, NULL,
					    &options),
			 -EINVAL);
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", 1, obeys, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(vitals_thread_fork(service.main, "a#1", 0, obeys, NULL, NULL),
			 -EINVAL);
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
	ck_assert_int_eq(vitals_snapshot_process(all, &process), 0);
	vitals_snapshot_free(all);
	ck_assert_uint_eq(process.threads, 0);
	ck_assert_uint_eq(process.critical[VITALS_STARTING], 0);
}
END_TEST

START_TEST(a_detached_attribute_is_not_taken_over)
{
	struct vitals_thread_options options;
	pthread_attr_t attr;
	int state;

	VITALS_INIT(&options);
	options.attr = &attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	ck_assert_int_eq(
		vitals_thread_fork(service.main, "a", 0, returns, NULL, &options), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	pthread_attr_getdetachstate(&attr, &state);
	ck_assert_int_eq(state, PTHREAD_CREATE_DETACHED);
	pthread_attr_destroy(&attr);
}
END_TEST

/* The system gives no thread: nothing is left behind, nor waited for. */
START_TEST(a_thread_that_cannot_be_made_is_rolled_back)
{
	struct vitals_thread_options options;
	pthread_attr_t attr;

	ck_assert_int_eq(vitals_start(service.registry), 0);
	VITALS_INIT(&options);
	options.attr = &attr;
	pthread_attr_init(&attr);
	/* A stack that there is no room for. */
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, (size_t)1 << 46), 0);
	ck_assert_int_eq(vitals_thread_fork(service.main, "a", VITALS_S(1), obeys, NULL,
					    &options),
			 -EAGAIN);
	pthread_attr_destroy(&attr);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert_int_eq(forked(service.main, "a", VITALS_S(1), returns, NULL, 0), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
}
END_TEST

START_TEST(forking_on_one_that_was_told_is_refused)
{
	vitals_quitter *child = child_of(service.main, "a");
	vitals_thread *self;

	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(forked(child, "w", VITALS_S(1), obeys, NULL, 0), -ECANCELED);
	ck_assert_int_eq(vitals_thread_adopt(child, "w", VITALS_S(1), NULL, &self),
			 -ECANCELED);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	vitals_quitter_free(child);
}
END_TEST

static int pthread_exits(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	pthread_exit(NULL);
}

static int fails(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 3;
}

struct pointer {
	pthread_t thread;
	_Atomic uint32_t set;
};

static int is_cancelled(vitals_thread *self, void *arg)
{
	struct pointer *pointer = arg;

	(void)self;
	pointer->thread = pthread_self();
	atomic_store(&pointer->set, 1);
	/*
	 * Not in a blocking call: cancelled there, ThreadSanitizer no longer sees the
	 * thread's locks.
	 */
	for (;;)
		pthread_testcancel();
	return 0;
}

START_TEST(every_way_of_ending_is_counted)
{
	struct pointer pointer = { 0 };

	ck_assert_int_eq(forked(service.main, "a", 0, pthread_exits, NULL, 0), 0);
	ck_assert_int_eq(forked(service.main, "b", 0, fails, NULL, 0), 0);
	ck_assert_int_eq(forked(service.main, "c", 0, is_cancelled, &pointer, 0), 0);
	ck_assert(word_reaches(&pointer.set, 1));
	pthread_cancel(pointer.thread);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

/* What failed stays to be seen, uncounted, until somebody puts it away. */
START_TEST(one_that_failed_leaves_a_dead_heartbeat)
{
	struct vitals_thread_info info;

	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), fails, NULL, 0), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_uint_eq(info.state, VITALS_THREAD_DEAD);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), -ESRCH);
	/* And again: a wait after the quit puts it away. */
	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), fails, NULL, 0), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 1);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

static pthread_key_t slow_key;

static void slow_destructor(void *value)
{
	gate_pass(value);
}

static int ends_slowly(vitals_thread *self, void *arg)
{
	(void)self;
	pthread_setspecific(slow_key, arg);
	return 0;
}

START_TEST(thread_exit_destructors_are_waited_for)
{
	struct vitals_thread_info info;
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(pthread_key_create(&slow_key, slow_destructor), 0);
	ck_assert_int_eq(forked(service.main, "w", 0, ends_slowly, &gate, 0), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(50), &late),
			 -ETIMEDOUT);
	VITALS_INIT(&info);
	ck_assert_int_eq(vitals_snapshot_thread(late, 0, &info), 0);
	ck_assert_uint_eq(info.state, VITALS_THREAD_RETURNED);
	ck_assert_str_eq(info.path, "main/w");
	ck_assert_uint_eq(info.late, 1);
	ck_assert_uint_eq(late_count(late), 1);
	vitals_snapshot_free(late);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), &late), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

static unsigned kernel_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/*
 * Of a quitter that lives long nobody ever waits for: those that have ended are joined
 * all the same.
 */
static int counts(vitals_thread *self, void *arg)
{
	(void)self;
	atomic_fetch_add((_Atomic uint32_t *)arg, 1);
	return 0;
}

START_TEST(finished_threads_are_joined_as_others_come)
{
	_Atomic uint32_t ended = 0;
	uint32_t i;

	for (i = 0; i < 500; i++) {
		ck_assert_int_eq(forked(service.main, "w", 0, counts, &ended, 0), 0);
		ck_assert(word_reaches(&ended, i + 1));
	}
	ck_assert_uint_lt(thread_rows(service.registry), 50);
	ck_assert(rows_reach(service.registry, 0));
	ck_assert_uint_lt(kernel_threads(), 10);
}
END_TEST

/* Adopted */

static void *adopted_and_leaves(void *arg)
{
	struct seen *seen = arg;
	vitals_thread *self, *again;

	worker_check(vitals_thread_adopt(seen->quitter, "a", VITALS_S(10), NULL, &self) ==
		     0);
	worker_check(vitals_thread_self() == self);
	worker_check(vitals_thread_adopt(seen->quitter, "b", 0, NULL, &again) == -EBUSY);
	worker_check(again == NULL);
	worker_check(vitals_thread_go_on(self) == 1);
	worker_check(vitals_quitter_wait_done(seen->quitter, 0, NULL) == -EDEADLK);
	vitals_thread_leave(self, 0);
	worker_check(vitals_thread_self() == NULL);
	worker_check(vitals_thread_adopt(seen->quitter, "b", 0, NULL, &self) == 0);
	vitals_thread_leave(self, 1);
	return NULL;
}

START_TEST(a_thread_is_adopted_and_leaves)
{
	struct seen seen = { .quitter = service.main };
	pthread_t thread;

	pthread_create(&thread, NULL, adopted_and_leaves, &seen);
	pthread_join(thread, NULL);
	worker_checks_passed();
	ck_assert_uint_eq(thread_rows(service.registry), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
}
END_TEST

static void *adopted_and_vanishes(void *arg)
{
	struct seen *seen = arg;
	vitals_thread *self;

	worker_check(vitals_thread_adopt(seen->quitter, "a", VITALS_S(10), NULL, &self) ==
		     0);
	return NULL;
}

START_TEST(one_that_vanishes_is_noticed)
{
	struct seen seen = { .quitter = service.main };
	struct vitals_heartbeat_info heartbeat;
	struct vitals_thread_info info;
	vitals_snapshot *all = NULL;
	pthread_t thread;

	pthread_create(&thread, NULL, adopted_and_vanishes, &seen);
	pthread_join(thread, NULL);
	worker_checks_passed();
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 0, NULL), 0);
	ck_assert(thread_row(service.registry, "a", &info));
	ck_assert_uint_eq(info.adopted, 1);
	VITALS_INIT(&heartbeat);
	ck_assert_int_eq(vitals_start(service.registry), 0);
	ck_assert_int_eq(vitals_snapshot_take(service.registry, &all), 0);
	ck_assert_int_eq(vitals_snapshot_heartbeat(all, 0, &heartbeat), 0);
	ck_assert_uint_eq(heartbeat.state, VITALS_DEAD);
	vitals_snapshot_free(all);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	ck_assert_uint_eq(thread_rows(service.registry), 0);
}
END_TEST

/* Flags */

START_TEST(weak_threads_are_told_when_the_last_other_has_gone)
{
	vitals_quitter *child = child_of(service.main, "pool");
	struct gate gate = { 0 };

	ck_assert_int_eq(
		forked(service.main, "watcher", 0, obeys, NULL, VITALS_THREAD_WEAK), 0);
	ck_assert_int_eq(forked(child, "w", 0, refuses, &gate, 0), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_MS(20), NULL),
			 -ETIMEDOUT);
	ck_assert_uint_eq(thread_rows(service.registry), 2);
	gate_open(&gate);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), NULL), 0);
	ck_assert(rows_reach(service.registry, 0));
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	vitals_quitter_free(child);
}
END_TEST

START_TEST(a_weak_one_is_not_waited_for)
{
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(forked(service.main, "w", 0, refuses, &gate, VITALS_THREAD_WEAK),
			 0);
	ck_assert_int_eq(vitals_quitter_hold(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	/* Nor is it late where somebody else is. */
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, 1, &late), -ETIMEDOUT);
	ck_assert_uint_eq(late_count(late), 1);
	ck_assert_uint_eq(late_rows(late, "main/work"), 1);
	vitals_snapshot_free(late);
	ck_assert_int_eq(vitals_quitter_release(service.main, "work"), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), &late), 0);
	ck_assert_ptr_null(late);
	gate_open(&gate);
	ck_assert(rows_reach(service.registry, 0));
}
END_TEST

static const struct {
	uint32_t flags;
	vitals_thread_fn fn;
	uint32_t kind; /* NONE: its quitter is not told */
	int status;
} ends[] = {
	{ 0, fails, VITALS_CAUSE_NONE, 0 },
	{ VITALS_THREAD_QUIT_WHEN_IT_ENDS, returns, VITALS_CAUSE_THREAD_ENDED, 0 },
	{ VITALS_THREAD_QUIT_WHEN_IT_ENDS, fails, VITALS_CAUSE_THREAD_FAILED, 3 },
	{ VITALS_THREAD_QUIT_WHEN_IT_ENDS, pthread_exits, VITALS_CAUSE_THREAD_FAILED, 1 },
	{ VITALS_THREAD_QUIT_WHEN_IT_FAILS, returns, VITALS_CAUSE_NONE, 0 },
	{ VITALS_THREAD_QUIT_WHEN_IT_FAILS, fails, VITALS_CAUSE_THREAD_FAILED, 3 },
	{ VITALS_THREAD_QUIT_WHEN_IT_FAILS, pthread_exits, VITALS_CAUSE_THREAD_FAILED,
	  1 },
};

START_TEST(the_end_of_a_thread_may_tell_its_quitter)
{
	vitals_quitter *child = child_of(service.main, "pool");
	struct vitals_cause cause;

	VITALS_INIT(&cause);
	ck_assert_int_eq(forked(child, "w", 0, ends[_i].fn, NULL, ends[_i].flags), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(child, VITALS_S(10), NULL), 0);
	ck_assert_int_eq(vitals_quitter_cause(child, &cause), 0);
	ck_assert_uint_eq(cause.kind, ends[_i].kind);
	ck_assert_int_eq(vitals_quitter_must_quit(child),
			 cause.kind != VITALS_CAUSE_NONE);
	ck_assert_int_eq(vitals_quitter_must_quit(service.main), 0);
	ck_assert_int_eq(cause.status, ends[_i].status);
	if (cause.kind) {
		ck_assert_uint_ne(cause.thread_id, 0);
		ck_assert_str_eq(cause.text, "w");
	}
	vitals_quitter_free(child);
}
END_TEST

/* Abandoned */

START_TEST(an_abandoned_one_is_listed_and_not_waited_for)
{
	struct vitals_thread_info info, again;
	struct vitals_quitter_info quitter;
	struct gate gate = { 0 };
	vitals_snapshot *late;

	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), refuses, &gate, 0), 0);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id + 1000), -ESRCH);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), -EALREADY);
	/* Its name is free. */
	ck_assert_int_eq(forked(service.main, "w", VITALS_S(10), returns, NULL, 0), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(service.main, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(service.main, VITALS_S(10), &late), 0);
	ck_assert_ptr_null(late);
	ck_assert(thread_row(service.registry, "w", &again));
	ck_assert_uint_eq(again.id, info.id);
	ck_assert_uint_eq(again.abandoned, 1);
	ck_assert(quitter_row(service.registry, "main", &quitter));
	ck_assert_uint_eq(quitter.abandoned, 1);
	ck_assert_uint_eq(quitter.threads, 0);
	gate_open(&gate);
	ck_assert(rows_reach(service.registry, 0));
	ck_assert(quitter_row(service.registry, "main", &quitter));
	ck_assert_uint_eq(quitter.abandoned, 0);
}
END_TEST

START_TEST(an_abandoned_one_is_told_alone)
{
	vitals_quitter *a = child_of(service.main, "a"), *b = child_of(service.main, "b");
	struct vitals_thread_info info;

	ck_assert_int_eq(forked(a, "w", VITALS_S(10), obeys, NULL, 0), 0);
	ck_assert_int_eq(forked(a, "other", VITALS_S(10), obeys, NULL, 0), 0);
	ck_assert(thread_row(service.registry, "w", &info));
	ck_assert_int_eq(vitals_quitter_abandon(b, info.id), -ESRCH);
	ck_assert_int_eq(vitals_quitter_abandon(service.main, info.id), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(a), 0);
	ck_assert(rows_reach(service.registry, 1));
	ck_assert(!thread_row(service.registry, "w", &info));
	ck_assert(thread_row(service.registry, "other", &info));
	ck_assert_int_eq(vitals_quitter_send_quit(a, 0, NULL), 0);
	ck_assert_int_eq(vitals_quitter_wait_done(a, VITALS_S(10), NULL), 0);
	vitals_quitter_free(a);
	vitals_quitter_free(b);
}
END_TEST

/*
 * Threads fork threads while everybody is told: what was forked is waited for, the rest
 * refused.
 */
struct storm {
	_Atomic uint32_t started;
	_Atomic uint32_t ended;
	_Atomic uint32_t done;
};

static int storm_ends(vitals_thread *self, void *arg)
{
	struct storm *storm = arg;

	atomic_fetch_add(&storm->started, 1);
	worker_check(!atomic_load(&storm->done));
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	worker_check(!atomic_load(&storm->done));
	atomic_fetch_add(&storm->ended, 1);
	return 0;
}

static int storm_forks(vitals_thread *self, void *arg)
{
	vitals_quitter *mine;

	if (vitals_quitter_new(vitals_thread_quitter(self), "sub", NULL, &mine))
		return 0;
	while (vitals_thread_fork(mine, "leaf", 0, storm_ends, arg, NULL) == 0)
		(void)vitals_thread_sleep(self, VITALS_US(100));
	vitals_quitter_free(mine);
	return 0;
}

START_TEST(forking_and_telling_cannot_race_past_each_other)
{
	uint32_t started;
	int round, i;

	for (round = 0; round < 10; round++) {
		vitals_quitter *root = child_of(service.main, "storm");
		struct storm storm = { 0 };

		for (i = 0; i < 4; i++)
			ck_assert_int_eq(forked(root, "w", 0, storm_forks, &storm, 0), 0);
		ck_assert(word_reaches(&storm.started, 5));
		ck_assert_int_eq(vitals_quitter_send_quit(root, 0, NULL), 0);
		ck_assert_int_eq(vitals_quitter_wait_done(root, VITALS_S(20), NULL), 0);
		atomic_store(&storm.done, 1);
		started = atomic_load(&storm.started);
		ck_assert_uint_eq(started, atomic_load(&storm.ended));
		ck_assert_uint_eq(thread_rows(service.registry), 0);
		vitals_quitter_free(root);
	}
	worker_checks_passed();
	ck_assert_uint_eq(quitter_rows(service.registry), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("thread");
	TCase *tcase = tcase_create("thread");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, null_handles_do_nothing);
	tcase_add_test(tcase, a_forked_thread_knows_where_it_is);
	tcase_add_test(tcase, a_forked_thread_has_its_creators_mask);
	tcase_add_test(tcase, a_thread_shares_its_heartbeats_number);
	tcase_add_test(tcase, bad_options_are_refused);
	tcase_add_test(tcase, a_detached_attribute_is_not_taken_over);
	tcase_add_test(tcase, a_thread_that_cannot_be_made_is_rolled_back);
	tcase_add_test(tcase, forking_on_one_that_was_told_is_refused);
	tcase_add_test(tcase, every_way_of_ending_is_counted);
	tcase_add_test(tcase, one_that_failed_leaves_a_dead_heartbeat);
	tcase_add_test(tcase, thread_exit_destructors_are_waited_for);
	tcase_add_test(tcase, finished_threads_are_joined_as_others_come);
	tcase_add_test(tcase, a_thread_is_adopted_and_leaves);
	tcase_add_test(tcase, one_that_vanishes_is_noticed);
	tcase_add_test(tcase, weak_threads_are_told_when_the_last_other_has_gone);
	tcase_add_test(tcase, a_weak_one_is_not_waited_for);
	tcase_add_loop_test(tcase, the_end_of_a_thread_may_tell_its_quitter, 0,
			    (int)(sizeof(ends) / sizeof(ends[0])));
	tcase_add_test(tcase, an_abandoned_one_is_listed_and_not_waited_for);
	tcase_add_test(tcase, an_abandoned_one_is_told_alone);
	tcase_add_test(tcase, forking_and_telling_cannot_race_past_each_other);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
