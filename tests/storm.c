/* SPDX-License-Identifier: MIT */

/*
 * A storm of forks under load. Two threads fork; others beat, register and look; the monitor judges
 * and the notifier calls. Half of the children use all they inherited, some of them end as threads
 * do, some start afresh. In the end the parent has seen what its own threads did, to the byte.
 *
 *   storm [CHILDREN]        or VITALS_STORM_CHILDREN
 */

#include "harness.h"

#include "clock.h"
#include "heartbeat.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 300
#define CHILD_SECONDS_MAX 60
#define T VITALS_MS(200)
#define FOREVER VITALS_S(100000)
#define FORKERS 2
#define PULSERS 2
#define AT_ONCE 4 /* children of one forker */

static vitals_registry *registry;
static vitals_quitter *quitter;
static _Atomic uint32_t over, forked, ended;
static uint32_t children;
static int output[2]; /* what children would print */

/* Which heartbeat, and what the parent does to it. */
enum {
	NOBODY, /* nothing: starting */
	RESTS,  /* says once that it is idle */
	ONCE,   /* beats once, and is silent, but for what children do */
	STEADY, /* the first of those that are pulsed all the time */
	HEARTBEATS = STEADY + PULSERS,
};

static struct {
	const char *name;
	vitals_heartbeat *heartbeat;
	_Atomic uint64_t pulses;
	struct vt_hot before;
} all[HEARTBEATS] = { { .name = "nobody" },
		      { .name = "rests" },
		      { .name = "once" },
		      { .name = "steady" },
		      { .name = "steady" } };

/* Events that are no part of the plan, and those that are. */
static _Atomic uint32_t strange, silences;

static bool planned(const struct vitals_event *event)
{
	if (event->kind == VITALS_EVENT_PAUSE)
		return true;
	if (!strcmp(event->name, "once")) {
		if (event->to == VITALS_SILENT)
			atomic_fetch_add(&silences, 1);
		return event->to == VITALS_SILENT || event->to == VITALS_HEALTHY;
	}
	if (!strcmp(event->name, "rests"))
		return event->to == VITALS_IDLE;
	/* Whoever pulsed these has ended. */
	if (!strncmp(event->name, "steady", 6) && event->to == VITALS_DEAD)
		return atomic_load(&over);
	return strcmp(event->name, "nobody") && event->to == VITALS_HEALTHY;
}

static void note_event(const struct vitals_event *event, void *unused)
{
	(void)unused;
	if (planned(event))
		return;
	atomic_fetch_add(&strange, 1);
	dprintf(STDOUT_FILENO, "storm: %s turned from %d to %d\n", event->name,
		event->from, event->to);
}

static vitals_heartbeat *heartbeat_made(const char *name, uint64_t timeout_ns)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	VITALS_INIT(&options);
	options.start_ns = FOREVER;
	options.stuck_ns = 2 * FOREVER;
	child_check(vitals_heartbeat_new(registry, name, timeout_ns, &options,
					 &heartbeat) == 0);
	return heartbeat;
}

/* Children */

/* All that can be done with what was inherited. */
static void inherited_use(void)
{
	vitals_heartbeat *one;
	unsigned i;

	for (i = 0; i < 4 * HEARTBEATS; i++) {
		one = all[i % HEARTBEATS].heartbeat;
		vitals_heartbeat_touch(one);
		(vitals_heartbeat_touch)(one);
		child_check(vitals_heartbeat_pulse(one) == 0);
		if (i & 1)
			child_check(vitals_heartbeat_idle(one) == 0);
		(void)vitals_heartbeat_due(one);
		child_check(vitals_heartbeat_due_fd(one) == -ECANCELED);
		child_check(vitals_heartbeat_own(one) == -ECANCELED);
	}
	child_check(!vitals_thread_go_on(vitals_thread_self()));
	child_check(vitals_quitter_send_quit(quitter, 0, "child") == 0 ||
		    !vitals_quitter_must_quit(quitter));
	for (i = 0; i < HEARTBEATS; i++) {
		one = all[i].heartbeat;
		vitals_heartbeat_close(one);
		child_check(vitals_heartbeat_ref(one) == one);
		child_check(!vitals_heartbeat_unref(one));
		child_check(!vitals_heartbeat_unref(one));
	}
}

static void empty_and_silent(void)
{
	vitals_heartbeat *none = all[0].heartbeat;
	vitals_snapshot *empty = NULL;
	struct vitals_heartbeat_info info;

	VITALS_INIT(&info);
	child_check(vitals_heartbeat_new(registry, "none", T, NULL, &none) == -ECANCELED);
	child_check(!none);
	child_check(vitals_step(registry, vt_clock_now()) == -ECANCELED);
	if (vitals_snapshot_take(registry, &empty) == 0)
		child_check(vitals_snapshot_heartbeat(empty, 0, &info) == -ENOENT);
	(void)vitals_snapshot_free(empty);
}

/* A whole life of its own, up to being seen by its own monitor, which looks often. */
static void afresh(void)
{
	vitals_heartbeat *own;

	child_check(vitals_start(registry) == 0);
	own = heartbeat_made("own", T);
	child_check(vitals_heartbeat_pulse(own) == 0);
	while (atomic_load(&vt_heartbeat_cold(own)->state) == VITALS_STARTING)
		(void)usleep(500); /* bounded by the alarm */
	child_check(vitals_heartbeat_own(own) == 0);
	child_check(vitals_stop(registry) == 0);
	vitals_heartbeat_close(own);
	child_check(!vitals_heartbeat_unref(own));
}

static void child_lives(uint32_t number)
{
	child_alarm(CHILD_SECONDS_MAX);
	child_check(dup2(output[1], STDOUT_FILENO) >= 0);
	child_check(dup2(output[1], STDERR_FILENO) >= 0);
	if (number % 4 == 1)
		empty_and_silent();
	if (number % 8 == 1 && !SANITIZED)
		afresh();
	if (number % 2 == 0)
		inherited_use();
	/* The first life's handles in the second. */
	if (number % 16 == 0 && !SANITIZED) {
		afresh();
		inherited_use();
	}
	/* As the last thread of its process, with all destructors. */
	if (number % 8 == 2 && !SANITIZED)
		pthread_exit(NULL);
	_exit(EXIT_SUCCESS);
}

/* The parent's threads */

static void child_reaped(pid_t pid)
{
	int status;

	child_check(waitpid(pid, &status, 0) == pid);
	if (status)
		dprintf(STDOUT_FILENO, "storm: child %d ended with 0x%x\n", (int)pid,
			(unsigned)status);
	(void)worker_check(status == 0);
	atomic_fetch_add(&ended, 1);
}

/* Adopted, so that its children inherit a thread that is no thread of theirs. */
static void *forker_run(void *arg)
{
	pid_t pids[AT_ONCE] = { 0 };
	vitals_thread *self;
	uint32_t number;
	unsigned i;

	child_check(vitals_thread_adopt(quitter, "forker", FOREVER, NULL, &self) == 0);
	for (i = 0; (number = atomic_fetch_add(&forked, 1)) < children; i++) {
		pid_t *pid = &pids[i % AT_ONCE];

		if (*pid)
			child_reaped(*pid);
		(void)worker_check(vitals_thread_go_on(self) == 1);
		*pid = fork();
		if (*pid == 0)
			child_lives(number);
		child_check(*pid > 0);
	}
	for (i = 0; i < AT_ONCE; i++)
		if (pids[i])
			child_reaped(pids[i]);
	vitals_thread_leave(self, 0);
	return arg;
}

static void *pulser_run(void *arg)
{
	unsigned i, which = STEADY + (unsigned)(uintptr_t)arg;
	vitals_heartbeat *mine = all[which].heartbeat;

	child_check(vitals_heartbeat_own(mine) == 0);
	while (!atomic_load(&over)) {
		for (i = 0; i < 100; i++) {
			(void)worker_check(vitals_heartbeat_pulse(mine) == 0);
			vitals_heartbeat_touch(mine);
		}
		atomic_fetch_add(&all[which].pulses, i);
		(void)usleep(200);
	}
	return NULL;
}

static void *registrar_run(void *arg)
{
	vitals_heartbeat *passing;

	while (!atomic_load(&over)) {
		passing = heartbeat_made("passing", FOREVER);
		(void)worker_check(vitals_heartbeat_pulse(passing) == 0);
		vitals_heartbeat_close(passing);
		(void)vitals_heartbeat_unref(passing);
		(void)usleep(100);
	}
	return arg;
}

static void *looker_run(void *arg)
{
	vitals_snapshot *mine = NULL;

	while (!atomic_load(&over)) {
		(void)worker_check(vitals_snapshot_take(registry, &mine) == 0);
		(void)usleep(500);
	}
	(void)vitals_snapshot_free(mine);
	return arg;
}

/* In one write: a buffer of stdio's would go on into a child, who could flush it. */
static void progress(unsigned done, unsigned of)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "storm: %u of %u children\n", done, of);

	if (write(STDOUT_FILENO, line, (size_t)n) < 0)
		return;
}

static void *reporter_run(void *arg)
{
	uint32_t tenth = 0, n;

	while (!atomic_load(&over)) {
		n = atomic_load(&ended) * 10 / children;
		if (n != tenth && children > CHILDREN)
			progress(atomic_load(&ended), children);
		tenth = n;
		(void)usleep(100000);
	}
	return arg;
}

/* Before and after */

static void bytes_copy(struct vt_hot *to, const vitals_heartbeat *heartbeat)
{
	memcpy(to, vt_heartbeat_hot(heartbeat), sizeof(*to));
}

static uint32_t state_of(unsigned which)
{
	return atomic_load(&vt_heartbeat_cold(all[which].heartbeat)->state);
}

static void all_made(void)
{
	unsigned i;

	child_check(vitals_registry_new(0, &registry) == 0);
	child_check(vitals_quitter_new_main(registry, VITALS_S(60), NULL, &quitter) == 0);
	for (i = 0; i < HEARTBEATS; i++)
		all[i].heartbeat = heartbeat_made(all[i].name, i == ONCE ? T : FOREVER);
	child_check(vitals_on_event(registry, note_event, NULL) == 0);
	child_check(vitals_start(registry) == 0);
	child_check(vitals_heartbeat_idle(all[RESTS].heartbeat) == 0);
	child_check(vitals_heartbeat_pulse(all[ONCE].heartbeat) == 0);
	for (i = 0; i < STEADY; i++)
		bytes_copy(&all[i].before, all[i].heartbeat);
}

/* Child after child touches it, and it is as silent as if there were none. */
static void silence_is_seen(void)
{
	uint64_t until_ns = vt_clock_now() + VITALS_S(20);

	while (state_of(ONCE) != VITALS_SILENT && vt_clock_now() < until_ns)
		(void)usleep(1000);
	child_check(state_of(ONCE) == VITALS_SILENT);
}

/* Of one of ours, of which there are no more than there were. */
static uint64_t pulses_of(const vitals_heartbeat *heartbeat)
{
	uint64_t id = atomic_load(&vt_heartbeat_hot(heartbeat)->id), pulses = UINT64_MAX;
	struct vitals_heartbeat_info info;
	vitals_snapshot *now = NULL;
	uint32_t i;

	VITALS_INIT(&info);
	child_check(vitals_snapshot_take(registry, &now) == 0);
	for (i = 0; vitals_snapshot_heartbeat(now, i, &info) == 0; i++)
		if (info.id == id)
			pulses = info.pulses;
	child_check(i == HEARTBEATS);
	(void)vitals_snapshot_free(now);
	return pulses;
}

/* The fewest of several looks: the monitor has a file of /proc open for as long as it reads it. */
static int fds_kept(void)
{
	int i, n, least = fd_count();

	for (i = 0; i < 20; i++) {
		(void)usleep(1000);
		n = fd_count();
		least = n < least ? n : least;
	}
	return least;
}

static void all_as_left(int fds)
{
	struct vt_hot after;
	char said[512];
	ssize_t n;
	unsigned i;

	for (i = 0; i < STEADY; i++) {
		bytes_copy(&after, all[i].heartbeat);
		child_check(memcmp(&after, &all[i].before, sizeof(after)) == 0);
	}
	child_check(state_of(NOBODY) == VITALS_STARTING);
	child_check(state_of(RESTS) == VITALS_IDLE);
	child_check(state_of(ONCE) == VITALS_SILENT);
	child_check(atomic_load(&vt_heartbeat_rare(all[ONCE].heartbeat)->stalls) == 1);
	for (i = 0; i < STEADY; i++)
		child_check(pulses_of(all[i].heartbeat) == 0);
	/* What is counted is what ends at a pulse: not the first. */
	for (; i < HEARTBEATS; i++)
		child_check(pulses_of(all[i].heartbeat) == all[i].pulses - 1);
	child_check(atomic_load(&silences) == 1);
	child_check(atomic_load(&strange) == 0);
	child_check(!vitals_quitter_must_quit(quitter));
	child_check(vitals_quitter_wait_done(quitter, 0, NULL) == 0);
	child_check(atomic_load(&ended) == children);
	child_check(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	n = read(output[0], said, sizeof(said) - 1);
	if (n > 0)
		fprintf(stderr, "storm: a child said: %.*s\n", (int)n, said);
	child_check(n == -1 && errno == EAGAIN);
	child_check(fds_kept() == fds);
	child_check(worker_failures() == 0);
}

static void all_freed(void)
{
	unsigned i;

	for (i = 0; i < HEARTBEATS; i++) {
		vitals_heartbeat_close(all[i].heartbeat);
		(void)vitals_heartbeat_unref(all[i].heartbeat);
	}
	(void)vitals_quitter_free(quitter);
	(void)vitals_registry_free(registry);
}

static void storm(void)
{
	void *(*const runs[])(void *) = { registrar_run, looker_run, reporter_run };
	pthread_t threads[PULSERS + 3], forkers[FORKERS];
	uintptr_t i;
	int fds;

	for (i = 0; i < PULSERS; i++)
		child_check(pthread_create(&threads[i], NULL, pulser_run, (void *)i) ==
			    0);
	for (i = 0; i < 3; i++)
		child_check(pthread_create(&threads[PULSERS + i], NULL, runs[i], NULL) ==
			    0);
	fds = fds_kept();
	for (i = 0; i < FORKERS; i++)
		child_check(pthread_create(&forkers[i], NULL, forker_run, NULL) == 0);
	silence_is_seen();
	for (i = 0; i < FORKERS; i++)
		child_check(pthread_join(forkers[i], NULL) == 0);
	atomic_store(&over, 1);
	for (i = 0; i < PULSERS + 3; i++)
		child_check(pthread_join(threads[i], NULL) == 0);
	all_as_left(fds);
}

int main(int argc, char **argv)
{
	const char *number = argc > 1 ? argv[1] : getenv("VITALS_STORM_CHILDREN");
	uint64_t began_ns = vt_clock_now(), took_ns;

	children = number && *number ? (uint32_t)strtoul(number, NULL, 10) : CHILDREN;
	child_check(children > 0);
	child_check(pipe2(output, O_CLOEXEC | O_NONBLOCK) == 0);
	all_made();
	storm();
	all_freed();
	took_ns = vt_clock_now() - began_ns;
	printf("storm: %u children in %.1f s: the parent's own pulses, states and events "
	       "only\n",
	       children, (double)took_ns / 1e9);
	return EXIT_SUCCESS;
}
