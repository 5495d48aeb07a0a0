/* SPDX-License-Identifier: MIT */

/*
 * A hundred thousand quitters: what one costs to make and to keep, how long it takes to tell them
 * all, and what a thread's record costs. And a wait for all of them, of whom one is stuck: it is
 * over when its time is, and names just that one.
 */

#include "topics.h"

#include "clock.h"
#include "forest.h"
#include "measure.h"
#include "member.h"
#include "table.h"
#include "unblock.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N 100000u
#define QUIT_WIDE_NS VITALS_MS(3)
#define QUIT_DEEP_NS VITALS_MS(5)
#define NEW_NS 300.0
#define AGAIN_NS 50.0
#define QUITTER_BYTES 192.0
#define THREAD_BYTES 256.0
#define WAIT_NS VITALS_MS(100)
#define WAIT_LATE_NS VITALS_MS(5)

static const uint64_t quit_bounds_ns[SHAPES] = { QUIT_WIDE_NS, QUIT_DEEP_NS,
						 QUIT_DEEP_NS };

struct costs {
	double new_ns;
	double bytes;
	double quit_ns;
	double again_ns;
	double bare_ns; /* two stores for each, of a line of its own */
	double wait_ns;
	double nap_ns; /* the bare wait */
	unsigned waits;
	unsigned named; /* so many of them named just the one that was stuck */
};

/* What the process holds. */
struct held {
	unsigned fds;
	unsigned region_fds; /* of the region, which grows by doubling */
	unsigned threads;
};

/* What the tree holds at most, and the process did not before. */
static struct held more;

static void fds_count(struct held *held)
{
	DIR *directory = opendir("/proc/self/fd");
	char path[64], target[64];
	const struct dirent *entry;

	must(directory != NULL);
	while ((entry = readdir(directory))) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (strncmp(target, "/memfd:vitals", 13) == 0)
			held->region_fds++;
		else
			held->fds++;
	}
	(void)closedir(directory);
}

static struct held held_now(void)
{
	DIR *directory = opendir("/proc/self/task");
	struct held held = { 0 };

	must(directory != NULL);
	while (readdir(directory))
		held.threads++;
	(void)closedir(directory);
	fds_count(&held);
	return held;
}

static void keep_most(unsigned *most, unsigned before, unsigned after)
{
	if (after > before && after - before > *most)
		*most = after - before;
}

static void held_note(const struct held *before)
{
	struct held now = held_now();

	keep_most(&more.fds, before->fds, now.fds);
	keep_most(&more.region_fds, before->region_fds, now.region_fds);
	keep_most(&more.threads, before->threads, now.threads);
}

static double quit_all(const struct forest *forest)
{
	uint64_t before = vt_clock_now();

	must(vitals_quitter_send_quit(forest->nodes[0], 0, NULL) == 0);
	before = vt_clock_now() - before;
	must(vitals_quitter_must_quit(forest->nodes[forest->n - 1]));
	return (double)before;
}

static void quit_again(void *arg, uint64_t n)
{
	for (; n; n--)
		(void)vitals_quitter_send_quit(arg, 0, NULL);
}

/* As far apart as the nodes are, nothing more: what memory itself takes. */
static double bare_quit(void)
{
	static struct {
		_Alignas(128) _Atomic uint64_t word;
		_Atomic uint64_t live;
	} bares[N];
	uint64_t before = vt_clock_now();
	uint32_t i;

	for (i = 0; i < N; i++) {
		atomic_store(&bares[i].word, before);
		atomic_store(&bares[i].live, before);
	}
	return (double)(vt_clock_now() - before);
}

/* In a registry of its own, whose first quitter is there before anything is measured. */
static void round_of(struct costs *costs, enum shape shape)
{
	struct loop again = { .fn = quit_again };
	struct forest forest;
	struct held held;
	uint64_t began_ns;
	double before;

	forest_make(&forest, N);
	held = held_now();
	before = resident();
	began_ns = vt_clock_now();
	forest_grow(&forest, shape);
	keep_least(&costs->new_ns, (double)(vt_clock_now() - began_ns) / N);
	keep_least(&costs->bytes, (resident() - before) / N);
	keep_least(&costs->bare_ns, bare_quit());
	keep_least(&costs->quit_ns, quit_all(&forest));
	held_note(&held);
	again.arg = forest.nodes[0];
	loops_measure(&again, 1, 10);
	keep_least(&costs->again_ns, again.ns);
	forest_fell(&forest);
	forest_free(&forest);
}

/* A wait with one that is stuck */

struct stuck {
	_Atomic uint64_t id;
	_Atomic uint32_t over;
};

static int stuck_run(vitals_thread *self, void *arg)
{
	struct stuck *stuck = arg;

	atomic_store(&stuck->id, vitals_thread_id(self));
	while (!atomic_load(&stuck->over))
		(void)vt_futex_wait(&stuck->over, 0, UINT64_MAX);
	return 0;
}

static bool names_just(vitals_snapshot *late, uint64_t id)
{
	struct vitals_thread_info info;

	VITALS_INIT(&info);
	return late && vitals_snapshot_thread(late, 1, &info) == -ENOENT &&
	       vitals_snapshot_thread(late, 0, &info) == 0 && info.id == id;
}

static double bare_nap(void)
{
	uint64_t before = vt_clock_now();
	struct timespec until = vt_clock_timespec(before + WAIT_NS);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		continue;
	return (double)(vt_clock_now() - before);
}

static void wait_round(struct costs *costs, const struct forest *forest, uint64_t id)
{
	vitals_snapshot *late;
	uint64_t before = vt_clock_now();

	must(vitals_quitter_wait_done(forest->nodes[0], WAIT_NS, &late) == -ETIMEDOUT);
	keep_least(&costs->wait_ns, (double)(vt_clock_now() - before));
	costs->waits++;
	costs->named += names_just(late, id);
	vitals_snapshot_free(late);
	keep_least(&costs->nap_ns, bare_nap());
}

static void waits_measure(struct costs *costs, enum shape shape, unsigned rounds)
{
	struct stuck stuck = { 0 };
	struct forest forest;

	forest_make(&forest, N);
	forest_grow(&forest, shape);
	must(vitals_thread_fork(forest.nodes[N - 1], "stuck", 0, stuck_run, &stuck,
				NULL) == 0);
	while (!atomic_load(&stuck.id))
		bare_quit();
	must(vitals_quitter_send_quit(forest.nodes[0], 0, NULL) == 0);
	while (rounds--)
		wait_round(costs, &forest, stuck.id);
	atomic_store(&stuck.over, 1);
	vt_futex_wake(&stuck.over, 1);
	must(vitals_quitter_wait_done(forest.nodes[0], VITALS_S(10), NULL) == 0);
	forest_fell(&forest);
	forest_free(&forest);
}

/* Records of threads, without the threads: what each adds. */
static double record_bytes(void)
{
	struct vt_member_spec spec = { .name = "worker", .state = VITALS_THREAD_RUNNING };
	static vitals_thread *members[N];
	struct vt_told told = { 0 };
	struct forest forest;
	double before, bytes;
	uint32_t i;

	memset(members, 0, sizeof(members));
	forest_make(&forest, 1);
	before = resident();
	vt_lock(&forest.registry->lock);
	for (i = 0; i < N; i++)
		must(vt_member_join(forest.registry, forest.main, &spec, &members[i]) ==
		     0);
	vt_unlock(&forest.registry->lock);
	bytes = (resident() - before) / N;
	vt_lock(&forest.registry->lock);
	while (i--) {
		vt_member_uncount(forest.registry, members[i], 0, &told);
		vt_member_remove(forest.registry, members[i], &told);
	}
	vt_unlock(&forest.registry->lock);
	vt_told_done(forest.registry, &told);
	forest_free(&forest);
	return bytes;
}

/* Rows */

static struct row *row_of(const char *what, enum shape shape)
{
	char figure[64];

	(void)snprintf(figure, sizeof(figure), "%s, %s", what, shape_names[shape]);
	return table_row(figure);
}

static void new_row(enum shape shape, const struct costs *costs)
{
	struct row *row = row_of("quitter, new", shape);

	cell(row, MEASURED, "%.1f ns", costs->new_ns);
	/* Its name's number is looked for where no cache has it. */
	cell(row, BOUND, "(<= %g ns)", NEW_NS);
}

static void quit_rows(enum shape shape, const struct costs *costs)
{
	struct row *row = row_of("send quit, 100 000", shape);

	cell(row, MEASURED, "%.2f ms", costs->quit_ns / 1e6);
	cell(row, BASELINE, "%.2f ms two stores each", costs->bare_ns / 1e6);
	cell(row, RATIO, "%.2f", costs->quit_ns / costs->bare_ns);
	cell(row, BOUND, "<= %g ms", (double)quit_bounds_ns[shape] / 1e6);
	row_judge(row, costs->quit_ns <= (double)quit_bounds_ns[shape]);
	row = row_of("send quit, again", shape);
	cell(row, MEASURED, "%.2f ns", costs->again_ns);
	cell(row, BOUND, "<= %g ns", AGAIN_NS);
	row_judge(row, costs->again_ns <= AGAIN_NS);
}

static void bytes_rows(const struct costs *costs, double thread)
{
	enum shape shape;
	struct row *row;

	for (shape = 0; shape < SHAPES; shape++) {
		row = row_of("memory of a quitter", shape);
		cell(row, MEASURED, "%.0f B", costs[shape].bytes);
		cell(row, BOUND, "<= %g B", QUITTER_BYTES);
		row_judge(row, costs[shape].bytes <= QUITTER_BYTES);
	}
	row = table_row("memory of a thread's record");
	cell(row, MEASURED, "%.0f B", thread);
	cell(row, BASELINE, "%zu B slot and record",
	     sizeof(struct vt_member_slot) + VT_RECORD_STRIDE(VT_RECORD_MEMBER));
	cell(row, BOUND, "<= %g B", THREAD_BYTES);
	row_judge(row, thread <= THREAD_BYTES);
	row = table_row("100 000 quitters, descriptors / threads");
	cell(row, MEASURED, "%u / %u", more.fds, more.threads);
	cell(row, BASELINE, "%u of the region", more.region_fds);
	cell(row, BOUND, "none");
	row_judge(row, !more.fds && !more.threads);
}

static void wait_rows(enum shape shape, const struct costs *costs)
{
	struct row *row = row_of("wait, 100 ms, one stuck", shape);

	cell(row, MEASURED, "%.2f ms", costs->wait_ns / 1e6);
	cell(row, BASELINE, "%.2f ms bare sleep", costs->nap_ns / 1e6);
	cell(row, RATIO, "%.2f", costs->wait_ns / costs->nap_ns);
	cell(row, BOUND, "100 to %g ms", (double)(WAIT_NS + WAIT_LATE_NS) / 1e6);
	row_judge(row, costs->wait_ns >= (double)WAIT_NS &&
			       costs->wait_ns <= (double)(WAIT_NS + WAIT_LATE_NS));
	row = row_of("wait, names just that one", shape);
	cell(row, MEASURED, "%u of %u", costs->named, costs->waits);
	cell(row, BOUND, "all");
	row_judge(row, costs->named == costs->waits);
}

void tree_bench(const struct effort *effort)
{
	unsigned rounds = effort->brief ? 8 : 24, round;
	struct costs costs[SHAPES] = { { 0 } };
	enum shape shape;

	for (round = 0; round < rounds; round++)
		for (shape = 0; shape < SHAPES; shape++)
			round_of(&costs[shape], shape);
	for (shape = 0; shape < SHAPES; shape++)
		waits_measure(&costs[shape], shape, rounds / 2);
	for (shape = 0; shape < SHAPES; shape++)
		new_row(shape, &costs[shape]);
	for (shape = 0; shape < SHAPES; shape++)
		quit_rows(shape, &costs[shape]);
	bytes_rows(costs, record_bytes());
	for (shape = 0; shape < SHAPES; shape++)
		wait_rows(shape, &costs[shape]);
}
