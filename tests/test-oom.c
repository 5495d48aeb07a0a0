/* SPDX-License-Identifier: MIT */

/*
 * Every call of ours that can fail fails once, and from then on for ever: the k-th of a scenario,
 * for k = 1, 2, … until the scenario is through without. Each time in a process of its own.
 */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"
#include "vitals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define T VITALS_S(10)

/* The fault: what is counted while armed, and fails. */
static _Atomic int armed;
static _Atomic unsigned calls, failed;
static unsigned fail_at;
static bool fail_on; /* the later ones, too */

static bool fails(void)
{
	unsigned n;

	if (!atomic_load(&armed))
		return false;
	n = 1 + atomic_fetch_add(&calls, 1);
	if (n < fail_at || (n > fail_at && !fail_on))
		return false;
	atomic_fetch_add(&failed, 1);
	return true;
}

/* Fails with errno. */
#define WRAP(type, name, params, args, error)                                            \
	type __real_##name params;                                                       \
	type __wrap_##name params;                                                       \
	type __wrap_##name params                                                        \
	{                                                                                \
		if (fails()) {                                                           \
			errno = error;                                                   \
			return (type)-1;                                                 \
		}                                                                        \
		return __real_##name args;                                               \
	}

/* Answers the error. */
#define WRAP_PTHREAD(name, params, args, error)                                          \
	int __real_##name params;                                                        \
	int __wrap_##name params;                                                        \
	int __wrap_##name params                                                         \
	{                                                                                \
		return fails() ? error : __real_##name args;                             \
	}

WRAP(void *, mmap, (void *at, size_t size, int prot, int flags, int fd, off_t offset),
     (at, size, prot, flags, fd, offset), ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), ENOSPC)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), EMFILE)
WRAP_PTHREAD(pthread_create,
	     (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *),
	      void *arg),
	     (thread, attr, run, arg), EAGAIN)
WRAP_PTHREAD(pthread_attr_init, (pthread_attr_t * attr), (attr), ENOMEM)
WRAP_PTHREAD(pthread_key_create, (pthread_key_t * key, void (*end)(void *)), (key, end),
	     EAGAIN)
WRAP_PTHREAD(pthread_setspecific, (pthread_key_t key, const void *value), (key, value),
	     ENOMEM)
WRAP_PTHREAD(pthread_atfork,
	     (void (*prepare)(void), void (*parent)(void), void (*child)(void)),
	     (prepare, parent, child), ENOMEM)

static vitals_registry *registry;
static vitals_quitter *root;

static void arm(void)
{
	atomic_store(&armed, 1);
}

static void disarm(void)
{
	atomic_store(&armed, 0);
}

/* 0, or one of the errors that are documented; 0 ends the list. */
static void expect(const char *what, int r, ...)
{
	bool known = r >= 0;
	va_list errors;
	int error;

	va_start(errors, r);
	while ((error = va_arg(errors, int)) != 0)
		known |= r == error;
	va_end(errors);
	if (!known)
		dprintf(STDERR_FILENO, "%s answers %d\n", what, r);
	child_check(known);
}

static void registry_made(void)
{
	child_check(vitals_registry_new(0, &registry) == 0);
}

static void registry_gone(void)
{
	registry = vitals_registry_free(registry);
	child_check(!registry);
}

/* Scenarios: whatever fails inside, all is as it was when they end. */

static void a_registry(void)
{
	int r;

	registry = (vitals_registry *)&registry;
	arm();
	r = vitals_registry_new(0, &registry);
	disarm();
	expect("registry_new", r, -ENOMEM, 0);
	child_check(!registry == (r < 0));
	registry_gone();
}

static void a_reserved_registry(void)
{
	int r;

	registry = (vitals_registry *)&registry;
	arm();
	r = vitals_registry_new(5000, &registry);
	disarm();
	expect("registry_new", r, -ENOMEM, 0);
	child_check(!registry == (r < 0));
	registry_gone();
}

/* The 1st, and the 65th and 129th, with which segments, records and names grow. */
static void heartbeats(void)
{
	vitals_heartbeat *all[301];
	unsigned i, n = 0;
	int r = 0;

	registry_made();
	arm();
	for (i = 0; i < 300; i++) {
		struct vitals_heartbeat_options options;

		VITALS_INIT(&options);
		options.flags = i % 3 == 1 ? VITALS_COARSE_HISTOGRAM : 0;
		all[n] = (vitals_heartbeat *)&registry;
		r = vitals_heartbeat_new(registry, "worker", T, &options, &all[n]);
		expect("heartbeat_new", r, -ENOMEM, 0);
		child_check(!all[n] == (r < 0));
		n += r == 0;
	}
	disarm();
	/* What failed took no name nor slot. */
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &all[n]) == 0);
	child_check(vt_heartbeat_number(all[n]) == n + 1);
	for (i = 0; i <= n; i++)
		child_check(vitals_heartbeat_pulse(all[i]) == 0);
	for (i = 0; i <= n; i++)
		vitals_heartbeat_unref(all[i]);
	registry_gone();
}

/* Also the 17th and the 33rd, with which there are more of them. */
static void *scopes_run(void *arg)
{
	vitals_heartbeat *all[40];
	unsigned i;
	int r;

	for (i = 0; i < 40; i++) {
		child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &all[i]) ==
			    0);
		child_check(vitals_heartbeat_own(all[i]) == 0);
	}
	for (i = 0; i < 40; i++) {
		arm();
		r = vitals_heartbeat_enter(all[i], "fsync", T);
		disarm();
		expect("heartbeat_enter", r, -ENOMEM, 0);
		vitals_heartbeat_leave(all[i], r);
		child_check(vitals_heartbeat_enter(all[i], "fsync", T) == 1);
	}
	for (i = 0; i < 40; i++)
		vitals_heartbeat_unref(all[i]);
	return arg;
}

/* In a thread, which keeps what it owned until it ends. */
static void scopes(void)
{
	pthread_t thread;

	registry_made();
	child_check(pthread_create(&thread, NULL, scopes_run, NULL) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	registry_gone();
}

static void *own_run(void *arg)
{
	vitals_heartbeat *heartbeat = arg;
	int r;

	arm();
	r = vitals_heartbeat_own(heartbeat);
	disarm();
	expect("heartbeat_own", r, -ENOMEM, 0);
	child_check(vitals_heartbeat_own(heartbeat) == (r < 0 ? 0 : -EBUSY));
	return NULL;
}

static void an_owner(void)
{
	vitals_heartbeat *heartbeat;
	pthread_t thread;

	registry_made();
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(pthread_create(&thread, NULL, own_run, heartbeat) == 0);
	child_check(pthread_join(thread, NULL) == 0);
	child_check(atomic_load(&vt_heartbeat_hot(heartbeat)->flags) & VT_HB_DEAD);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry_gone();
}

static void descriptors(void)
{
	vitals_heartbeat *heartbeat;
	vitals_quitter *quitter;
	vitals_events *events;

	registry_made();
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(vitals_quitter_new_main(registry, T, NULL, &root) == 0);
	child_check(vitals_quitter_new(root, "child", NULL, &quitter) == 0);
	child_check(vitals_events_open(registry, NULL, &events) == 0);
	arm();
	expect("due_fd", vitals_heartbeat_due_fd(heartbeat), -EMFILE, -ENFILE, -ENOMEM,
	       0);
	expect("quitter_fd", vitals_quitter_fd(quitter), -EMFILE, -ENFILE, -ENOMEM, 0);
	expect("events_fd", vitals_events_fd(events), -EMFILE, -ENFILE, -ENOMEM, 0);
	disarm();
	child_check(vitals_heartbeat_due_fd(heartbeat) >= 0);
	child_check(vitals_quitter_fd(quitter) >= 0);
	child_check(vitals_events_fd(events) >= 0);
	events = vitals_events_close(events);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	quitter = vitals_quitter_free(quitter);
	root = vitals_quitter_free(root);
	registry_gone();
}

static void ignore_event(const struct vitals_event *event, void *user)
{
	(void)event;
	(void)user;
}

static void watching(void)
{
	vitals_events *events = (vitals_events *)&registry;
	vitals_snapshot *snapshot = NULL;
	vitals_heartbeat *heartbeat;
	uint64_t now = vt_clock_now();
	int r;

	registry_made();
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	arm();
	r = vitals_events_open(registry, NULL, &events);
	expect("events_open", r, -ENOMEM, 0);
	child_check(!events == (r < 0));
	expect("set_ready", vitals_set_ready(registry, "part", 1), -ENOMEM, 0);
	expect("step", vitals_step(registry, now), -ENOMEM, 0);
	(void)vt_heartbeat_pulse_at(heartbeat, now);
	expect("step", vitals_step(registry, now + 1), -ENOMEM, 0);
	disarm();
	/* A change that there was no memory for is told with the next turn. */
	child_check(vitals_step(registry, now + 2) == 0);
	child_check(vt_heartbeat_cold(heartbeat)->change != 0);
	child_check(vitals_snapshot_take(registry, &snapshot) == 0);
	snapshot = vitals_snapshot_free(snapshot);
	events = vitals_events_close(events);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry_gone();
}

static void threads_of_ours(void)
{
	int r;

	registry_made();
	arm();
	expect("on_event", vitals_on_event(registry, ignore_event, NULL), -EAGAIN,
	       -ENOMEM, 0);
	r = vitals_start(registry);
	expect("start", r, -EAGAIN, -ENOMEM, -EPERM, 0);
	disarm();
	child_check(vitals_start(registry) == (r < 0 ? 0 : -EALREADY));
	child_check(vitals_on_event(registry, ignore_event, NULL) == 0);
	child_check(vitals_stop(registry) == 0);
	registry_gone();
}

/* Nobody listens: what cannot be sent is no error. */
static void messages(void)
{
	int r;

	child_check(setenv("NOTIFY_SOCKET", "/nowhere/notify", 1) == 0);
	registry_made();
	arm();
	r = vitals_systemd(registry, 0);
	expect("systemd", r, -EAGAIN, -ENOMEM, -EPERM, 0);
	disarm();
	child_check(vitals_systemd(registry, 0) == 0);
	child_check(vitals_reloading(registry) == 0);
	child_check(vitals_stop(registry) == 0);
	registry_gone();
	child_check(unsetenv("NOTIFY_SOCKET") == 0);
}

static void the_process_own(void)
{
	vitals_heartbeat *heartbeat = (vitals_heartbeat *)&registry;
	int r;

	arm();
	expect("set_ready", vitals_set_ready(NULL, "part", 1), -ENOMEM, 0);
	r = vitals_heartbeat_new(NULL, "worker", T, NULL, &heartbeat);
	expect("heartbeat_new", r, -ENOMEM, 0);
	child_check(!heartbeat == (r < 0));
	disarm();
	heartbeat = vitals_heartbeat_unref(heartbeat);
	child_check(vitals_heartbeat_new(NULL, "worker", T, NULL, &heartbeat) == 0);
	heartbeat = vitals_heartbeat_unref(heartbeat);
}

static void snapshots(void)
{
	uint64_t counts[VITALS_BUCKETS_FINE];
	struct vitals_heartbeat_info row;
	struct vitals_quitter_info quitter;
	struct vitals_thread_info thread;
	struct vitals_group_info group;
	vitals_snapshot *snapshot = NULL;
	vitals_heartbeat *heartbeat;
	int r;

	registry_made();
	child_check(vitals_heartbeat_new(registry, "worker", T, NULL, &heartbeat) == 0);
	child_check(vitals_quitter_new_main(registry, T, NULL, &root) == 0);
	child_check(vitals_quitter_hold(root, "hold") == 0);
	VITALS_INIT(&row);
	VITALS_INIT(&quitter);
	VITALS_INIT(&thread);
	VITALS_INIT(&group);
	arm();
	r = vitals_snapshot_take(registry, &snapshot);
	expect("snapshot_take", r, -ENOMEM, 0);
	child_check(!snapshot == (r < 0));
	if (snapshot) {
		expect("heartbeat", vitals_snapshot_heartbeat(snapshot, 0, &row), -ENOMEM,
		       0);
		expect("worst", vitals_snapshot_worst(snapshot, 0, &row), -ENOMEM,
		       -ENOENT, 0);
		expect("group", vitals_snapshot_group(snapshot, 0, &group), -ENOMEM, 0);
		expect("quitter", vitals_snapshot_quitter(snapshot, 0, &quitter), -ENOMEM,
		       0);
		expect("thread", vitals_snapshot_thread(snapshot, 0, &thread), -ENOMEM,
		       0);
		expect("buckets",
		       vitals_snapshot_buckets(snapshot, 0, counts, VITALS_BUCKETS_FINE),
		       -ENOMEM, 0);
	}
	disarm();
	child_check(vitals_snapshot_take(registry, &snapshot) == 0);
	child_check(vitals_snapshot_heartbeat(snapshot, 0, &row) == 0);
	child_check(vitals_snapshot_thread(snapshot, 0, &thread) == 0);
	snapshot = vitals_snapshot_free(snapshot);
	child_check(vitals_quitter_release(root, "hold") == 0);
	root = vitals_quitter_free(root);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry_gone();
}

static void quitters(void)
{
	vitals_quitter *all[150];
	unsigned i, n = 0, holds = 0;
	char what[16];
	int r;

	registry_made();
	root = (vitals_quitter *)&registry;
	arm();
	r = vitals_quitter_new_main(registry, T, NULL, &root);
	disarm();
	expect("new_main", r, -ENOMEM, 0);
	child_check(!root == (r < 0));
	if (r < 0)
		child_check(vitals_quitter_new_main(registry, T, NULL, &root) == 0);
	arm();
	for (i = 0; i < 150; i++) {
		all[n] = (vitals_quitter *)&registry;
		r = vitals_quitter_new(n ? all[0] : root, "child", NULL, &all[n]);
		expect("quitter_new", r, -ENOMEM, 0);
		child_check(!all[n] == (r < 0));
		n += r == 0;
		(void)snprintf(what, sizeof(what), "h%u", i);
		r = vitals_quitter_hold(root, what);
		expect("hold", r, -ENOMEM, 0);
		child_check(vitals_quitter_release(root, what) == (r < 0 ? -EINVAL : 0));
		r = vitals_quitter_hold(root, what);
		expect("hold", r, -ENOMEM, 0);
		holds += r == 0;
	}
	/* To leave needs no memory, and a wait without its report still answers. */
	child_check(vitals_quitter_send_quit(root, 0, "oom") == 0);
	for (i = 0; i < n; i++)
		child_check(vitals_quitter_must_quit(all[i]));
	r = vitals_quitter_wait_done(root, 0, NULL);
	disarm();
	child_check(r == (holds ? -ETIMEDOUT : 0));
	for (i = 0; i < 150; i++) {
		(void)snprintf(what, sizeof(what), "h%u", i);
		holds -= vitals_quitter_release(root, what) == 0;
	}
	child_check(holds == 0);
	child_check(vitals_quitter_wait_done(root, 0, NULL) == 0);
	for (i = 0; i < n; i++)
		all[i] = vitals_quitter_free(all[i]);
	root = vitals_quitter_free(root);
	registry_gone();
}

static int sleeper(vitals_thread *self, void *arg)
{
	(void)arg;
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	return 0;
}

static void threads(void)
{
	vitals_thread *self = (vitals_thread *)&registry;
	vitals_snapshot *late = (vitals_snapshot *)&registry;
	unsigned i;
	int r;

	registry_made();
	child_check(vitals_quitter_new_main(registry, VITALS_S(20), NULL, &root) == 0);
	arm();
	for (i = 0; i < 3; i++)
		expect("thread_fork",
		       vitals_thread_fork(root, "worker", i == 1 ? 0 : T, sleeper, NULL,
					  NULL),
		       -EAGAIN, -ENOMEM, 0);
	r = vitals_thread_adopt(root, "adopted", T, NULL, &self);
	expect("thread_adopt", r, -EAGAIN, -ENOMEM, 0);
	child_check(!self == (r < 0));
	disarm();
	if (self)
		vitals_thread_leave(self, 0);
	child_check(vitals_thread_fork(root, "worker", T, sleeper, NULL, NULL) == 0);
	arm();
	r = vitals_quitter_wait_done(root, 0, &late);
	disarm();
	/* Without memory for who is late it is still late. */
	child_check(r == -ETIMEDOUT);
	late = vitals_snapshot_free(late);
	arm();
	child_check(vitals_quitter_send_quit(root, 0, "oom") == 0);
	disarm();
	child_check(vitals_quitter_finish(root, NULL, NULL) == 0);
	root = vitals_quitter_free(root);
	registry_gone();
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned least; /* calls that can fail in it */
} scenarios[] = {
	{ "a registry", a_registry, 10 },
	{ "a reserved registry", a_reserved_registry, 10 },
	{ "heartbeats", heartbeats, 10 },
	{ "scopes", scopes, 6 },
	{ "an owner", an_owner, 2 },
	{ "descriptors", descriptors, 3 },
	{ "watching", watching, 3 },
	{ "threads of ours", threads_of_ours, 6 },
	{ "messages", messages, 6 },
	{ "the process's own", the_process_own, 11 },
	{ "snapshots", snapshots, 5 },
	{ "quitters", quitters, 6 },
	{ "threads", threads, 8 },
};

#define THROUGH 99 /* an exit status: no call has failed */

/* A thread that has just left may be the last to let go of its registry: a moment later. */
static void fds_expect(int fds)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int tries;

	for (tries = 0; fd_count() != fds && tries < 5000; tries++)
		(void)nanosleep(&moment, NULL);
	child_check(fd_count() == fds);
}

/* From cold: what is made once in a process can fail, too. */
static void cold_run(void (*run)(void))
{
	int fds = fd_count();

	run();
	/* The process's own registry stays, with its segment. */
	if (run != the_process_own)
		fds_expect(fds);
	/* And it works afterwards. */
	run();
}

/* From warm: nothing leaks. What is kept for the next time is there by then. */
static void warm_run(void (*run)(void), unsigned at)
{
	size_t pages;
	int fds;

	fail_at = 0;
	fds = fd_count();
	run();
	if (run == the_process_own)
		fds = fd_count();
	fds_expect(fds);
	run();
	fds_expect(fds);
	pages = mapped_pages();
	atomic_store(&calls, 0);
	fail_at = at;
	run();
	fail_at = 0;
	fds_expect(fds);
	run();
	fds_expect(fds);
	/* A sanitizer keeps what it knew of a thread that has ended. */
	child_check(SANITIZED || mapped_pages() <= pages);
}

/* Return: whether a call has failed in it. */
static bool attempt(int scenario, unsigned at, bool on, bool warm)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		fail_at = at;
		fail_on = on && !warm;
		if (warm)
			warm_run(scenarios[scenario].run, at);
		else
			cold_run(scenarios[scenario].run);
		_exit(atomic_load(&failed) ? EXIT_SUCCESS : THROUGH);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_SUCCESS ||
					    WEXITSTATUS(status) == THROUGH),
		      "%s, call %u fails%s, %s: status 0x%x", scenarios[scenario].name,
		      at, on ? " and all after" : "", warm ? "warm" : "cold",
		      (unsigned)status);
	return WEXITSTATUS(status) == EXIT_SUCCESS;
}

static void each_call_fails(int scenario, bool on, bool warm)
{
	unsigned at = 1;

	while (attempt(scenario, at, on, warm))
		at++;
	/* What is made once is there by then. */
	ck_assert(warm || at > scenarios[scenario].least);
	printf("%s: %u calls failed%s, %s\n", scenarios[scenario].name, at - 1,
	       on ? " with all after" : "", warm ? "warm" : "cold");
	fflush(stdout);
}

START_TEST(each_call_that_fails_once_is_an_errno_and_nothing_else)
{
	each_call_fails(_i, false, false);
}
END_TEST

START_TEST(each_call_that_fails_from_then_on_is_an_errno_and_nothing_else)
{
	each_call_fails(_i, true, false);
}
END_TEST

START_TEST(each_call_that_fails_leaks_nothing)
{
	each_call_fails(_i, false, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("oom");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, each_call_that_fails_once_is_an_errno_and_nothing_else, 0,
			    COUNT(scenarios));
	tcase_add_loop_test(
		tc, each_call_that_fails_from_then_on_is_an_errno_and_nothing_else, 0,
		COUNT(scenarios));
	tcase_add_loop_test(tc, each_call_that_fails_leaks_nothing, 0, COUNT(scenarios));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
