/* SPDX-License-Identifier: MIT */

/*
 * Joining a quitter and leaving it: as a hold, as a record without its thread, as a thread, beside
 * a thread that is nobody's. And a report of ten late among ten thousand.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "member.h"
#include "table.h"
#include "unblock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define HOLD_NS 12.0
#define FORK_NS 1000.0
#define FORK_MORE 0.05
#define BATCH 16u
#define RECORDS 10000u
#define LATE 10u
#define REPORT_NS VITALS_MS(5)

static vitals_registry *registry;
static vitals_quitter *top, *pool;

static void bare_pair(void *arg, uint64_t n)
{
	static _Atomic uint64_t word;

	(void)arg;
	for (; n; n--) {
		atomic_fetch_add(&word, 1);
		atomic_fetch_sub(&word, 1);
	}
}

static void hold_pair(void *arg, uint64_t n)
{
	for (; n; n--) {
		must(vitals_quitter_hold(pool, arg) == 0);
		must(vitals_quitter_release(pool, arg) == 0);
	}
}

/* The least that is waited for: a number, under the lock. */
static void enter_pair(void *arg, uint64_t n)
{
	struct vt_told told = { 0 };

	(void)arg;
	for (; n; n--) {
		vt_lock(&registry->lock);
		vt_quitter_enter(registry, pool);
		vt_unlock(&registry->lock);
		vt_lock(&registry->lock);
		(void)vt_quitter_exit(registry, pool, &told);
		vt_unlock(&registry->lock);
	}
	vt_told_done(registry, &told);
}

static void member_pair(void *arg, uint64_t n)
{
	struct vt_member_spec spec = { .name = arg, .state = VITALS_THREAD_RUNNING };
	vitals_thread *member;

	for (; n; n--) {
		struct vt_told told = { 0 };

		vt_lock(&registry->lock);
		must(vt_member_join(registry, pool, &spec, &member) == 0);
		vt_unlock(&registry->lock);
		vt_lock(&registry->lock);
		vt_member_uncount(registry, member, 0, &told);
		vt_member_remove(registry, member, &told);
		vt_unlock(&registry->lock);
		vt_told_done(registry, &told);
	}
}

enum {
	PAIR,
	COUNTED,
	FIRST,
	ENTER,
	MEMBER,
	PAIRS
};

static void pairs_measure(unsigned rounds)
{
	static char held[] = "held", request[] = "request", worker[] = "worker";
	struct loop loops[PAIRS] = {
		[PAIR] = { .fn = bare_pair },
		[COUNTED] = { .fn = hold_pair, .arg = held },
		[FIRST] = { .fn = hold_pair, .arg = request },
		[ENTER] = { .fn = enter_pair },
		[MEMBER] = { .fn = member_pair, .arg = worker },
	};
	static const char *const figures[PAIRS] = {
		[COUNTED] = "hold + release, held by others too",
		[FIRST] = "hold + release, by nobody else",
		[ENTER] = "enter + exit, of the count alone",
		[MEMBER] = "join + leave, of a record",
	};
	struct row *row;
	size_t i;

	must(vitals_quitter_hold(pool, held) == 0);
	loops_measure(loops, PAIRS, rounds);
	must(vitals_quitter_release(pool, held) == 0);
	for (i = COUNTED; i < PAIRS; i++) {
		row = row_ns(figures[i], loops[i].ns, "atomic pair", loops[PAIR].ns);
		if (i == COUNTED)
			cell(row, BOUND, "(<= %g ns)", HOLD_NS);
	}
}

/* Threads */

static void *bare_run(void *arg)
{
	return arg;
}

static int our_run(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 0;
}

/* @arg: how many at a time. */
static void bare_threads(void *arg, uint64_t n)
{
	pthread_t threads[BATCH];
	uint64_t i, batch;

	for (; n; n -= batch) {
		batch = n < *(unsigned *)arg ? n : *(unsigned *)arg;
		for (i = 0; i < batch; i++)
			must(pthread_create(&threads[i], NULL, bare_run, NULL) == 0);
		for (i = 0; i < batch; i++)
			must(pthread_join(threads[i], NULL) == 0);
	}
}

static void our_threads(void *arg, uint64_t n)
{
	uint64_t i, batch;

	for (; n; n -= batch) {
		batch = n < *(unsigned *)arg ? n : *(unsigned *)arg;
		for (i = 0; i < batch; i++)
			must(vitals_thread_fork(pool, "worker", 0, our_run, NULL, NULL) ==
			     0);
		must(vitals_quitter_wait_done(pool, VITALS_S(60), NULL) == 0);
	}
}

/* How long the calls alone take, of threads that end at once. */
static void calls_measure(unsigned rounds, double *bare_ns, double *our_ns)
{
	pthread_t threads[BATCH];
	uint64_t before;
	unsigned i;

	while (rounds--) {
		before = vt_clock_now();
		for (i = 0; i < BATCH; i++)
			must(pthread_create(&threads[i], NULL, bare_run, NULL) == 0);
		keep_least(bare_ns, (double)(vt_clock_now() - before) / BATCH);
		for (i = 0; i < BATCH; i++)
			must(pthread_join(threads[i], NULL) == 0);
		before = vt_clock_now();
		for (i = 0; i < BATCH; i++)
			must(vitals_thread_fork(pool, "worker", 0, our_run, NULL, NULL) ==
			     0);
		keep_least(our_ns, (double)(vt_clock_now() - before) / BATCH);
		must(vitals_quitter_wait_done(pool, VITALS_S(60), NULL) == 0);
	}
}

static void fork_row(const char *figure, double ns, double bare_ns, const char *baseline,
		     double more_ns)
{
	struct row *row = row_ns(figure, ns, baseline, bare_ns);

	cell(row, BOUND, "<= %.2f us more", more_ns / 1e3);
	row_judge(row, ns <= bare_ns + more_ns);
}

static void threads_measure(unsigned rounds)
{
	unsigned one = 1, many = BATCH;
	struct loop loops[] = { { .fn = bare_threads, .arg = &one },
				{ .fn = our_threads, .arg = &one },
				{ .fn = bare_threads, .arg = &many },
				{ .fn = our_threads, .arg = &many } };
	double bare_ns = 0, our_ns = 0, more_ns;

	loops_measure(loops, COUNT(loops), rounds);
	calls_measure(rounds, &bare_ns, &our_ns);
	more_ns = FORK_MORE * loops[2].ns < FORK_NS ? FORK_MORE * loops[2].ns : FORK_NS;
	fork_row("fork, the call", our_ns, bare_ns, "pthread_create", more_ns);
	fork_row("fork + end, sixteen at a time", loops[3].ns, loops[2].ns,
		 "create + join", more_ns);
	/* How soon a wait notices that the only thread is gone. */
	(void)row_ns("fork + end, one by one", loops[1].ns, "create + join", loops[0].ns);
}

/* A report */

/* One that lives: whoever looks whether its tid does is answered. */
struct living {
	_Atomic uint32_t tid;
	_Atomic uint32_t over;
};

static void *living_run(void *arg)
{
	struct living *living = arg;

	atomic_store(&living->tid, (uint32_t)gettid());
	while (!atomic_load(&living->over))
		(void)vt_futex_wait(&living->over, 0, UINT64_MAX);
	return NULL;
}

static void living_start(struct living *living, pthread_t *ret)
{
	must(pthread_create(ret, NULL, living_run, living) == 0);
	while (!atomic_load(&living->tid))
		KEEP(living);
}

static void living_end(struct living *living, pthread_t thread)
{
	atomic_store(&living->over, 1);
	vt_futex_wake(&living->over, 1);
	must(pthread_join(thread, NULL) == 0);
}

/* So many of them in the pool, all others elsewhere. */
static void records_join(vitals_thread **members, uint32_t late, uint32_t tid)
{
	struct vt_member_spec spec = { .name = "worker", .state = VITALS_THREAD_RUNNING };
	uint32_t i;

	vt_lock(&registry->lock);
	for (i = 0; i < RECORDS; i++) {
		must(vt_member_join(registry, i % (RECORDS / late) ? top : pool, &spec,
				    &members[i]) == 0);
		vt_slot_put(&members[i]->slot->tid, tid);
	}
	vt_unlock(&registry->lock);
}

static void records_leave(vitals_thread **members)
{
	struct vt_told told = { 0 };
	uint32_t i;

	vt_lock(&registry->lock);
	for (i = 0; i < RECORDS; i++) {
		vt_member_uncount(registry, members[i], 0, &told);
		vt_member_remove(registry, members[i], &told);
	}
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
}

static uint32_t rows_of(vitals_snapshot *late)
{
	struct vitals_thread_info info;
	uint32_t n = 0;

	VITALS_INIT(&info);
	while (late && vitals_snapshot_thread(late, n, &info) == 0)
		n++;
	return n;
}

/* Return: how long the best of the reports of so many took, their rows read. */
static double report_ns(uint32_t n, unsigned rounds)
{
	static vitals_thread *members[RECORDS];
	struct living living = { 0 };
	vitals_snapshot *late;
	double best_ns = 0;
	pthread_t thread;
	uint64_t before;

	living_start(&living, &thread);
	records_join(members, n, living.tid);
	while (rounds--) {
		before = vt_clock_now();
		must(vitals_quitter_wait_done(pool, 0, &late) == -ETIMEDOUT);
		must(rows_of(late) == n);
		keep_least(&best_ns, (double)(vt_clock_now() - before));
		vitals_snapshot_free(late);
	}
	records_leave(members);
	living_end(&living, thread);
	return best_ns;
}

static void report_measure(unsigned rounds)
{
	double ns = report_ns(LATE, rounds), all_ns = report_ns(RECORDS, rounds);
	struct row *row;

	row = table_row("report, 10 late of 10 000");
	cell(row, MEASURED, "%.3f ms", ns / 1e6);
	cell(row, BOUND, "<= %g ms", (double)REPORT_NS / 1e6);
	row_judge(row, ns <= (double)REPORT_NS);
	row = table_row("report, all of 10 000 late");
	cell(row, MEASURED, "%.3f ms", all_ns / 1e6);
}

void joins_bench(const struct effort *effort)
{
	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) == 0);
	must(vitals_quitter_new(top, "pool", NULL, &pool) == 0);
	/* Else the first fork does. */
	must(vitals_start(registry) == 0);
	pairs_measure(effort->brief ? 100 : 500);
	threads_measure(effort->brief ? 500 : 2000);
	report_measure(effort->brief ? 20 : 100);
	vitals_quitter_free(pool);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
}
