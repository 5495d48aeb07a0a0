/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "clock.h"
#include "fork.h"
#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define T VITALS_S(10)
#define FORKS 200
#define FORK_SECONDS 10

static vitals_registry *registry; /* NULL: the process's own */
static vitals_heartbeat *fine, *coarse;
static vitals_events *events;
static vitals_snapshot *snapshot;

static vitals_heartbeat *heartbeat_made(const char *name, uint32_t flags,
					uint64_t timeout_ns)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	VITALS_INIT(&options);
	options.flags = flags;
	child_check(vitals_heartbeat_new(registry, name, timeout_ns, &options,
					 &heartbeat) == 0);
	return heartbeat;
}

static void all_make(void)
{
	fine = heartbeat_made("worker", 0, T);
	coarse = heartbeat_made("worker", VITALS_COARSE_HISTOGRAM, T);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ck_assert_int_ge(vitals_events_fd(events), 0);
	ck_assert_int_ge(vitals_heartbeat_due_fd(fine), 0);
	ck_assert_int_eq(vitals_heartbeat_own(fine), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(fine), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(coarse), 0);
	ck_assert_int_eq(vitals_heartbeat_pulse(coarse), 0);
}

static void all_free(void)
{
	vitals_heartbeat_close(fine);
	fine = vitals_heartbeat_unref(fine);
	coarse = vitals_heartbeat_unref(coarse);
	events = vitals_events_close(events);
	snapshot = vitals_snapshot_free(snapshot);
	ck_assert_int_eq(vitals_stop(registry), 0);
	registry = vitals_registry_free(registry);
}

/* All that a beat, a registration or a close can change, as bytes. */
struct bytes {
	unsigned char hot[2][sizeof(struct vt_hot)];
	unsigned char fine[sizeof(struct vt_fine)];
	unsigned char coarse[sizeof(struct vt_coarse)];
	unsigned char group[sizeof(struct vt_group_slot)];
	uint32_t used[VT_KINDS];
	uint32_t parts;
	uint64_t due_in_ns;
	int events_readable;
};

static uint64_t due_in_ns(void)
{
	struct itimerspec is;

	child_check(timerfd_gettime(vitals_heartbeat_due_fd(fine), &is) == 0);
	return VITALS_S(is.it_value.tv_sec) + (uint64_t)is.it_value.tv_nsec;
}

static void bytes_copy(struct bytes *bytes)
{
	vitals_registry *r = vt_heartbeat_registry(fine);
	struct pollfd pfd = { .fd = vitals_events_fd(events), .events = POLLIN };
	uint32_t kind;

	memset(bytes, 0, sizeof(*bytes));
	memcpy(bytes->hot[0], vt_heartbeat_hot(fine), sizeof(struct vt_hot));
	memcpy(bytes->hot[1], vt_heartbeat_hot(coarse), sizeof(struct vt_hot));
	memcpy(bytes->fine, fine->intervals, sizeof(struct vt_fine));
	memcpy(bytes->coarse, coarse->intervals, sizeof(struct vt_coarse));
	memcpy(bytes->group, vt_slot(r, VT_KIND_GROUP, 0), sizeof(struct vt_group_slot));
	/* The monitor counts here meanwhile. */
	memset(bytes->group + offsetof(struct vt_group_slot, states), 0,
	       sizeof(((struct vt_group_slot *)0)->states));
	for (kind = 0; kind < VT_KINDS; kind++)
		bytes->used[kind] = atomic_load(&r->root->used[kind]);
	bytes->due_in_ns = due_in_ns();
	bytes->events_readable = poll(&pfd, 1, 0);
}

/* Everything that can be done with what was inherited. */
static void inherited_use(void)
{
	struct vitals_heartbeat_info info;
	struct vitals_event event;
	vitals_heartbeat *none = fine;
	vitals_events *no_events = events;
	vitals_snapshot *old = NULL;
	int i;

	for (i = 0; i < 3; i++) {
		vitals_heartbeat_touch(fine);
		(vitals_heartbeat_touch)(coarse);
		child_check(vitals_heartbeat_pulse(fine) == 0);
		child_check(vitals_heartbeat_pulse(coarse) == 0);
		child_check(vitals_heartbeat_idle(coarse) == 0);
		(void)vitals_heartbeat_due(fine);
	}
	child_check(vitals_heartbeat_due_fd(fine) == -ECANCELED);
	child_check(vitals_heartbeat_due_fd(coarse) == -ECANCELED);
	child_check(vitals_heartbeat_own(coarse) == -ECANCELED);
	child_check(vitals_heartbeat_ref(fine) == fine);
	vitals_heartbeat_close(fine);
	child_check(!vitals_heartbeat_unref(fine));
	child_check(!vitals_heartbeat_unref(coarse));

	VITALS_INIT(&event);
	child_check(vitals_events_next(events, VITALS_FOREVER, &event) == -ECANCELED);
	child_check(vitals_events_fd(events) == -EINVAL);
	child_check(!vitals_events_close(events));

	VITALS_INIT(&info);
	(void)vitals_snapshot_heartbeat(snapshot, 0, &info);
	child_check(vitals_snapshot_take(registry, &old) == -ECHILD);
	child_check(!old);
	child_check(vitals_heartbeat_new(registry, "new", T, NULL, &none) == -ECANCELED);
	child_check(!none);
	child_check(vitals_events_open(registry, NULL, &no_events) == -ECANCELED);
	child_check(!no_events);
	child_check(vitals_on_event(registry, NULL, NULL) == -ECANCELED);
	child_check(vitals_set_ready(registry, "part", 1) == -ECANCELED);
	child_check(vitals_step(registry, VITALS_S(1)) == -ECANCELED);
	child_check(vitals_stop(registry) == 0);
}

/* A registry that knows nobody and whose monitor sees a silence. */
static void afresh_works(void)
{
	struct vitals_heartbeat_info info;
	struct vitals_event event;
	vitals_heartbeat *heartbeat;
	vitals_events *mine;
	vitals_snapshot *new = NULL;

	child_check(vitals_start(registry) == 0);
	child_check(vitals_start(registry) == -EALREADY);
	child_check(vitals_snapshot_take(registry, &new) == 0);
	VITALS_INIT(&info);
	child_check(vitals_snapshot_heartbeat(new, 0, &info) == -ENOENT);
	child_check(vitals_events_open(registry, NULL, &mine) == 0);
	heartbeat = heartbeat_made("worker", 0, VITALS_MS(1));
	child_check(vitals_snapshot_take(registry, &new) == 0);
	child_check(vitals_snapshot_heartbeat(new, 0, &info) == 0);
	child_check(strcmp(info.name, "worker") == 0);
	VITALS_INIT(&event);
	child_check(vitals_events_next(mine, T, &event) == 0);
	/* On a busy machine the first look may come late. */
	child_check(event.to == VITALS_SILENT || event.to == VITALS_STUCK ||
		    event.kind == VITALS_EVENT_PAUSE);

	/* What was inherited stays what it was. */
	child_check(vitals_heartbeat_pulse(fine) == 0);
	child_check(vitals_heartbeat_own(fine) == -ECANCELED);
	vitals_heartbeat_close(fine);
	child_check(vitals_events_next(events, 0, &event) == -ECANCELED);
	child_check(vitals_snapshot_take(registry, &new) == 0);
	child_check(vitals_snapshot_heartbeat(new, 0, &info) == 0);
	child_check(info.pulses == 0);
	child_check(vitals_snapshot_heartbeat(new, 1, &info) == -ENOENT);

	heartbeat = vitals_heartbeat_unref(heartbeat);
	mine = vitals_events_close(mine);
	new = vitals_snapshot_free(new);
	child_check(vitals_stop(registry) == 0);
}

static void started_child(void *arg)
{
	(void)arg;
	inherited_use();
	/*
	 * The sanitizers of today carry their own locks over a fork as they stand, and know a
	 * thread by an address that the child uses again: there a child of several threads can
	 * start none. So here and below.
	 */
	if (!SANITIZED)
		afresh_works();
	child_check(!vitals_snapshot_free(snapshot));
	child_check(!vitals_registry_free(registry));
}

START_TEST(a_child_of_a_started_process_is_empty_and_touches_nothing_of_its_parents)
{
	struct bytes before, after;

	if (_i > 0)
		ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	all_make();
	if (_i == 2)
		ck_assert_int_eq(vitals_step(registry, vt_clock_now()), 0);
	else
		ck_assert_int_eq(vitals_start(registry), 0);
	bytes_copy(&before);
	child_run(started_child, NULL);
	bytes_copy(&after);
	ck_assert_uint_le(after.due_in_ns, before.due_in_ns);
	after.due_in_ns = before.due_in_ns;
	/* The monitor may have told of a first beat meanwhile. */
	after.events_readable = before.events_readable;
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_int_eq(vitals_heartbeat_pulse(fine), 0);
	ck_assert_int_eq(vitals_heartbeat_own(fine), -EBUSY);
	all_free();
}
END_TEST

static uint64_t pulses_of(uint32_t index)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *now = NULL;

	VITALS_INIT(&info);
	child_check(vitals_snapshot_take(registry, &now) == 0);
	child_check(vitals_snapshot_heartbeat(now, index, &info) == 0);
	now = vitals_snapshot_free(now);
	return info.pulses;
}

static void carried_child(void *arg)
{
	vitals_heartbeat *third;
	struct vitals_event event;
	const int *pipes = arg;
	char byte;

	/* Not before the parent has beaten. */
	child_check(read(pipes[0], &byte, 1) == 1);
	child_check(pulses_of(0) == 0);
	child_check(pulses_of(1) == 1);
	child_check(vt_heartbeat_registry(fine)->segments[0].segment->pid ==
		    (uint32_t)getpid());
	/* Its timers are its own, too. */
	child_check(vt_heartbeat_due_at(fine, vt_clock_now() + T) == 1);
	child_check(due_in_ns() > 0);
	child_check(vitals_heartbeat_pulse(fine) == 0);
	child_check(vitals_heartbeat_pulse(fine) == 0);
	child_check(pulses_of(0) == 2);
	third = heartbeat_made("worker", 0, VITALS_MS(1));
	child_check(vt_heartbeat_number(third) == 3);
	vitals_heartbeat_close(coarse);
	child_check(vitals_heartbeat_pulse(coarse) == -ECANCELED);
	child_check(vitals_set_ready(registry, "child", 1) == 0);
	/* daemon(3) after init: the reader from before is told, too. */
	child_check(vitals_start(registry) == 0);
	VITALS_INIT(&event);
	child_check(vitals_events_next(events, T, &event) == 0);
	third = vitals_heartbeat_unref(third);
	child_check(vitals_stop(registry) == 0);
	fine = vitals_heartbeat_unref(fine);
	coarse = vitals_heartbeat_unref(coarse);
	events = vitals_events_close(events);
	snapshot = vitals_snapshot_free(snapshot);
	child_check(!vitals_registry_free(registry));
}

START_TEST(a_registry_that_was_not_started_is_carried_over_and_then_apart)
{
	struct bytes before, after;
	int pipes[2];
	pid_t pid;

	if (_i)
		ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	all_make();
	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		carried_child(pipes);
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(vitals_heartbeat_pulse(fine), 0);
	bytes_copy(&before);
	ck_assert_int_eq(write(pipes[1], "", 1), 1);
	child_passed(pid);
	bytes_copy(&after);
	ck_assert_uint_le(after.due_in_ns, before.due_in_ns);
	after.due_in_ns = before.due_in_ns;
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_eq(pulses_of(0), 1);
	ck_assert_int_eq(vitals_heartbeat_pulse(coarse), 0);
	close(pipes[0]);
	close(pipes[1]);
	all_free();
}
END_TEST

/* A tree, with a quitter's descriptor that is polled on both sides. */
static vitals_quitter *main_quitter, *child_quitter;

/* A timer that was just set takes a moment to fire. */
static int readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms);
}

static void tree_child(void *arg)
{
	int fd = *(const int *)arg;

	child_check(!readable(fd, 0));
	child_check(vitals_quitter_send_quit(child_quitter, 0, "child") == 0);
	child_check(readable(fd, 1000) == 1);
	child_check(vitals_quitter_fd(child_quitter) == fd);
	child_check(vitals_quitter_wait_done(child_quitter, 0, NULL) == 0);
	child_check(vitals_quitter_send_quit(main_quitter, 0, "child") == 0);
}

START_TEST(a_quit_in_a_child_is_not_the_parents)
{
	int fd;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(registry, T, NULL, &main_quitter), 0);
	ck_assert_int_eq(vitals_quitter_new(main_quitter, "child", NULL, &child_quitter),
			 0);
	fd = vitals_quitter_fd(child_quitter);
	ck_assert_int_ge(fd, 0);
	child_run(tree_child, &fd);
	ck_assert_int_eq(vitals_quitter_must_quit(child_quitter), 0);
	ck_assert_int_eq(vitals_quitter_must_quit(main_quitter), 0);
	ck_assert_int_eq(readable(fd, 0), 0);
	ck_assert_int_eq(vitals_quitter_send_quit(child_quitter, 0, "parent"), 0);
	ck_assert_int_eq(readable(fd, 1000), 1);
	child_quitter = vitals_quitter_free(child_quitter);
	main_quitter = vitals_quitter_free(main_quitter);
	registry = vitals_registry_free(registry);
}
END_TEST

static _Atomic uint32_t told;

static void note_told(const struct vitals_event *event, void *user)
{
	/* Silent, or stuck already. */
	if (event->kind == VITALS_EVENT_HEARTBEAT && user == &told)
		atomic_store(&told, 1);
	vt_futex_wake(&told, 1);
}

static void wait_told(void)
{
	/* Bounded by the alarm, or by Check. */
	while (!atomic_load(&told))
		(void)vt_futex_wait(&told, 0, UINT64_MAX);
}

static void callback_works(void *arg)
{
	vitals_heartbeat *heartbeat = heartbeat_made("worker", 0, VITALS_MS(1));

	(void)arg;
	child_check(vitals_start(registry) == 0);
	wait_told();
	child_check(vitals_stop(registry) == 0);
	/* A second life. */
	atomic_store(&told, 0);
	child_check(vitals_start(registry) == 0);
	child_check(vitals_heartbeat_pulse(heartbeat) == 0);
	wait_told();
	child_check(vitals_on_event(registry, NULL, NULL) == 0);
	heartbeat = vitals_heartbeat_unref(heartbeat);
	child_check(!vitals_registry_free(registry));
}

START_TEST(a_callback_set_before_daemon_is_called_in_the_child)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_on_event(registry, note_told, &told), 0);
	if (!SANITIZED)
		child_run(callback_works, NULL);
	ck_assert_uint_eq(atomic_load(&told), 0);
	callback_works(NULL);
}
END_TEST

static void registry_freed(void *arg)
{
	(void)arg;
	child_check(!vitals_registry_free(registry));
}

START_TEST(a_child_can_free_what_it_inherited)
{
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_on_event(registry, note_told, &told), 0);
	child_run(registry_freed, NULL);
	ck_assert_int_eq(vitals_start(registry), 0);
	child_run(registry_freed, NULL);
	registry = vitals_registry_free(registry);
}
END_TEST

/* Runs after the destructor of owned heartbeats, for its key is newer. */
static void destructors_done(void *arg)
{
	_exit(arg ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void thread_ends(void *arg)
{
	pthread_key_t key;

	(void)arg;
	child_check(pthread_key_create(&key, destructors_done) == 0);
	child_check(pthread_setspecific(key, &told) == 0);
	pthread_exit(NULL);
}

START_TEST(a_child_whose_thread_ends_kills_no_heartbeat_of_its_parent)
{
	uint32_t refs;

	if (_i > 0)
		ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	all_make();
	if (_i < 2)
		ck_assert_int_eq(vitals_start(registry), 0);
	refs = atomic_load(&fine->refs);
	child_run(thread_ends, NULL);
	ck_assert_uint_eq(atomic_load(&vt_heartbeat_hot(fine)->flags) & VT_HB_DEAD, 0);
	ck_assert_uint_eq(atomic_load(&fine->refs), refs);
	all_free();
}
END_TEST

/* What goes on while the process forks. */
static _Atomic uint32_t over;

static void *registrar_run(void *arg)
{
	vitals_heartbeat *heartbeat;

	while (!atomic_load(&over)) {
		if (!worker_check(vitals_heartbeat_new(registry, "passing", T, NULL,
						       &heartbeat) == 0))
			break;
		(void)vitals_heartbeat_pulse(heartbeat);
		vitals_heartbeat_close(heartbeat);
		(void)vitals_heartbeat_unref(heartbeat);
	}
	return arg;
}

static void *beater_run(void *arg)
{
	while (!atomic_load(&over)) {
		(void)vitals_heartbeat_pulse(coarse);
		vitals_heartbeat_touch(fine);
		(void)vitals_heartbeat_idle(coarse);
	}
	return arg;
}

static void *looker_run(void *arg)
{
	struct vitals_heartbeat_info info;
	vitals_snapshot *mine = NULL;
	vitals_events *reader;
	uint32_t i;

	VITALS_INIT(&info);
	while (!atomic_load(&over)) {
		(void)worker_check(vitals_snapshot_take(registry, &mine) == 0);
		for (i = 0; vitals_snapshot_heartbeat(mine, i, &info) == 0; i++)
			continue;
		if (worker_check(vitals_events_open(registry, NULL, &reader) == 0))
			(void)vitals_events_close(reader);
	}
	(void)vitals_snapshot_free(mine);
	return arg;
}

/* Sets the callback; the notifier begins and ends with the process, or with stop. */
static void *setter_run(void *arg)
{
	bool stops = arg;

	while (!atomic_load(&over)) {
		(void)worker_check(vitals_on_event(registry, note_told, &told) == 0);
		(void)worker_check(vitals_set_ready(registry, NULL, 1) == 0);
		if (stops)
			(void)worker_check(vitals_stop(registry) == 0);
	}
	return NULL;
}

static void forked_once(bool started)
{
	vitals_heartbeat *mine;
	vitals_snapshot *new = NULL;
	int r;

	vitals_heartbeat_touch(fine);
	(void)vitals_heartbeat_pulse(coarse);
	(void)vitals_heartbeat_due(fine);
	r = vitals_heartbeat_new(registry, "mine", T, NULL, &mine);
	/* Whoever held the lock for long may have made it be left behind. */
	child_check(r == (started ? -ECANCELED : 0) || r == -ECANCELED);
	if (r == 0) {
		child_check(vitals_heartbeat_pulse(mine) == 0);
		child_check(vitals_snapshot_take(registry, &new) == 0);
		child_check(SANITIZED ||
			    vitals_on_event(registry, note_told, &told) == 0);
		mine = vitals_heartbeat_unref(mine);
		new = vitals_snapshot_free(new);
	}
	child_check(vitals_stop(registry) == 0);
	if (SANITIZED)
		return;
	child_check(vitals_start(registry) == 0);
	child_check(vitals_heartbeat_new(registry, "mine", T, NULL, &mine) == 0);
	child_check(vitals_on_event(registry, NULL, NULL) == 0);
	child_check(vitals_stop(registry) == 0);
}

START_TEST(forks_never_deadlock_whatever_other_threads_do)
{
	void *(*const runs[])(void *) = { registrar_run, beater_run, looker_run,
					  setter_run };
	pthread_t threads[4];
	unsigned i;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	fine = heartbeat_made("fine", 0, T);
	coarse = heartbeat_made("coarse", VITALS_COARSE_HISTOGRAM, T);
	if (_i == 1)
		ck_assert_int_eq(vitals_start(registry), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, runs[i],
						_i == 2 ? &over : NULL),
				 0);
	for (i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			child_alarm(FORK_SECONDS);
			forked_once(_i == 1);
			_exit(EXIT_SUCCESS);
		}
		child_passed(pid);
	}
	atomic_store(&over, 1);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	worker_checks_passed();
	fine = vitals_heartbeat_unref(fine);
	coarse = vitals_heartbeat_unref(coarse);
	registry = vitals_registry_free(registry);
}
END_TEST

/* The handlers themselves. */

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
		child_alarm(FORK_SECONDS);
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
	ck_assert_uint_ne(atomic_load(&registry->lock.word), 0);
	vt_fork_parent();
	if (vt_trylock(&registry->lock))
		vt_unlock(&registry->lock);
	else
		ck_abort_msg("still locked");
}
END_TEST

static int child_starts(void)
{
	return vitals_start(registry) == 0 &&
			       vitals_on_event(registry, note_told, NULL) == 0 &&
			       vitals_stop(registry) == 0
		       ? 0
		       : 1;
}

/* Another thread was about to start it, and does not exist in the child. */
START_TEST(a_start_under_way_does_not_keep_the_child_from_it)
{
	ck_assert_int_eq(vitals_on_event(registry, note_told, NULL), 0);
	vt_lock(&registry->monitor_control);
	vt_lock(&registry->notifier_control);
	vt_lock(&registry->notifier_lock);
	ck_assert_int_eq(in_child(child_starts), 0);
	vt_unlock(&registry->notifier_lock);
	vt_unlock(&registry->notifier_control);
	vt_unlock(&registry->monitor_control);
}
END_TEST

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

	tcase_add_loop_test(
		tc,
		a_child_of_a_started_process_is_empty_and_touches_nothing_of_its_parents,
		0, 3);
	tcase_add_loop_test(
		tc, a_registry_that_was_not_started_is_carried_over_and_then_apart, 0, 2);
	tcase_add_test(tc, a_quit_in_a_child_is_not_the_parents);
	tcase_add_test(tc, a_callback_set_before_daemon_is_called_in_the_child);
	tcase_add_test(tc, a_child_can_free_what_it_inherited);
	tcase_add_loop_test(
		tc, a_child_whose_thread_ends_kills_no_heartbeat_of_its_parent, 0, 3);
	tcase_add_loop_test(tc, forks_never_deadlock_whatever_other_threads_do, 0, 3);
	suite_add_tcase(suite, tc);

	tc = tcase_create("handlers");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_turn_that_was_under_way_is_over_in_the_child);
	tcase_add_test(tc, two_threads_of_a_child_start_it_afresh_once);
	tcase_add_test(tc, a_fork_that_waited_in_vain_leaves_the_other_its_locks);
	if (!SANITIZED)
		tcase_add_test(tc, a_start_under_way_does_not_keep_the_child_from_it);
	tcase_add_test(tc, a_child_shares_no_memory_whenever_it_was_forked);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
