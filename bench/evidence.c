/* SPDX-License-Identifier: MIT */

/*
 * What it takes to say what a thread is doing: one that waits for a condition, for a socket, or for
 * a lock in a circle of two and of three threads, beside three of the kernel's files about it.
 */

#include "topics.h"

#include "clock.h"
#include "evidence.h"
#include "measure.h"
#include "table.h"
#include "task.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKE_NS 250000.0
#define CYCLE_NS 1000000.0
#define ROUNDS 10u
#define SAMPLES 50u
#define CIRCLE 3

static pthread_mutex_t locks[2][CIRCLE];
static pthread_barrier_t barriers[2];
static int ends[2];

/* A thread that never ends; the process does. */
struct stuck {
	void (*wait)(unsigned circle, unsigned place);
	unsigned circle;
	unsigned place;
	_Atomic uint32_t tid;
};

static void on_condition(unsigned circle, unsigned place)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	(void)circle;
	(void)place;
	must(pthread_mutex_lock(&mutex) == 0);
	for (;;)
		(void)pthread_cond_wait(&never, &mutex);
}

static void on_socket(unsigned circle, unsigned place)
{
	char byte;

	(void)circle;
	(void)place;
	must(recv(ends[0], &byte, 1, 0) == 1);
}

/* Circles of two and of three. */
static void in_circle(unsigned circle, unsigned place)
{
	must(pthread_mutex_lock(&locks[circle][place]) == 0);
	(void)pthread_barrier_wait(&barriers[circle]);
	must(pthread_mutex_lock(&locks[circle][(place + 1) % (circle + 2)]) == 0);
}

static void *stuck_run(void *arg)
{
	struct stuck *stuck = arg;

	atomic_store(&stuck->tid, vt_task_self());
	stuck->wait(stuck->circle, stuck->place);
	return NULL;
}

static void stuck_begin(struct stuck *stuck)
{
	pthread_t thread;

	must(pthread_create(&thread, NULL, stuck_run, stuck) == 0);
	must(pthread_detach(thread) == 0);
	while (!atomic_load(&stuck->tid))
		(void)usleep(100);
}

static uint64_t bare(uint32_t tid)
{
	static const char *const files[] = { "stat", "status", "syscall" };
	uint64_t from_ns = vt_clock_now();
	char path[64], text[4096];
	unsigned i;
	int fd;

	for (i = 0; i < COUNT(files); i++) {
		(void)snprintf(path, sizeof(path), "/proc/self/task/%u/%s", tid,
			       files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		must(fd >= 0 && read(fd, text, sizeof(text)) > 0 && close(fd) == 0);
	}
	return vt_clock_now() - from_ns;
}

static uint64_t take(struct vt_proc *proc, uint32_t tid, bool deadlock)
{
	struct vitals_evidence evidence = { .size = sizeof(evidence) };
	struct vt_window window;
	struct vt_chain chain;

	vt_window_begin(&window);
	vt_evidence_take(proc, NULL, tid, vt_clock_now(), &window, &evidence, &chain);
	must(evidence.deadlock == deadlock && evidence.doing[0]);
	return evidence.took_ns;
}

/* Medians, and of the rounds the best: others have the processors, too. */
static void measured(const char *figure, struct vt_proc *proc, uint32_t tid,
		     bool deadlock, unsigned rounds, double bound_ns)
{
	struct row *row = table_row(figure);
	double ours_ns = 0, bare_ns = 0;
	struct samples ours, other;
	unsigned i;

	while (rounds--) {
		samples_make(&ours, SAMPLES);
		samples_make(&other, SAMPLES);
		for (i = 0; i < SAMPLES; i++) {
			samples_add(&other, bare(tid));
			samples_add(&ours, take(proc, tid, deadlock));
		}
		samples_sort(&ours);
		samples_sort(&other);
		keep_least(&ours_ns, (double)samples_quantile(&ours, 0.5));
		keep_least(&bare_ns, (double)samples_quantile(&other, 0.5));
		samples_free(&ours);
		samples_free(&other);
	}
	cell(row, MEASURED, "%.1f us", ours_ns / 1e3);
	cell(row, BASELINE, "%.1f us three files of /proc", bare_ns / 1e3);
	cell(row, RATIO, "%.2f", ours_ns / bare_ns);
	cell(row, BOUND, "<= %g us", bound_ns / 1e3);
	row_judge(row, ours_ns <= bound_ns);
}

static struct stuck stuck[] = {
	{ .wait = on_condition },
	{ .wait = on_socket },
	{ .wait = in_circle, .circle = 0, .place = 0 },
	{ .wait = in_circle, .circle = 0, .place = 1 },
	{ .wait = in_circle, .circle = 1, .place = 0 },
	{ .wait = in_circle, .circle = 1, .place = 1 },
	{ .wait = in_circle, .circle = 1, .place = 2 },
};

static void all_begin(void)
{
	unsigned i, k;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	for (i = 0; i < 2; i++) {
		must(pthread_barrier_init(&barriers[i], NULL, i + 2) == 0);
		for (k = 0; k < CIRCLE; k++)
			must(pthread_mutex_init(&locks[i][k], NULL) == 0);
	}
	for (i = 0; i < COUNT(stuck); i++)
		stuck_begin(&stuck[i]);
	/* Until the last has got to where it waits. */
	(void)usleep(50000);
}

void evidence_bench(const struct effort *effort)
{
	unsigned rounds = effort->brief ? ROUNDS : 5 * ROUNDS;
	struct vt_proc proc;

	/* They are stuck for good, and this may be asked for again. */
	if (!atomic_load(&stuck[0].tid))
		all_begin();
	vt_proc_begin(&proc, 0);
	vt_proc_keep(&proc);
	measured("evidence, a condition", &proc, stuck[0].tid, false, rounds, TAKE_NS);
	measured("evidence, a socket", &proc, stuck[1].tid, false, rounds, TAKE_NS);
	measured("evidence, a deadlock of two", &proc, stuck[2].tid, true, rounds,
		 CYCLE_NS);
	measured("evidence, a deadlock of three", &proc, stuck[4].tid, true, rounds,
		 CYCLE_NS);
	vt_proc_end(&proc);
}
