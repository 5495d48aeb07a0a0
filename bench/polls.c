/* SPDX-License-Identifier: MIT */

/*
 * "Must I quit?", call by call, while another thread tells a million quitters, the one that is
 * asked first of all. Between two calls the same thread does bare loads for as long: what the
 * machine takes of them it would have taken of the calls. A sample in which the kernel took the
 * processor away is left out of both.
 */

#include "topics.h"

#include "clock.h"
#include "forest.h"
#include "measure.h"
#include "table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define N 1000000u
#define WORST_NS 50000u
/* One that took so long is looked at: was it taken from the processor? */
#define SUSPECT_NS 10000u
/* It polls for so long before anybody is told. */
#define BEFORE_NS VITALS_MS(5)

struct poller {
	const vitals_quitter *quitter;
	_Atomic uint32_t polling;
	_Atomic uint32_t over;
	uint64_t calls;
	uint64_t worst_ns;
	uint64_t bare_worst_ns;
	uint32_t preempted; /* calls that were left out */
};

static struct rusage usage_now(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage) == 0);
	return usage;
}

/* It was taken from the processor since @before; one that went to sleep was not. */
static bool preempted(const struct rusage *before)
{
	struct rusage now = usage_now();

	return now.ru_nivcsw != before->ru_nivcsw && now.ru_nvcsw == before->ru_nvcsw;
}

/* Return: whether it counts. */
static bool keep_worst(uint64_t *worst_ns, uint64_t ns, const struct rusage *before)
{
	if (ns <= *worst_ns)
		return true;
	if (ns > SUSPECT_NS && preempted(before))
		return false;
	*worst_ns = ns;
	return true;
}

static void *poller_run(void *arg)
{
	static _Atomic uint64_t words[2];
	struct poller *poller = arg;

	while (!atomic_load_explicit(&poller->over, memory_order_relaxed)) {
		struct rusage before = usage_now();
		uint64_t from_ns = vt_clock_now(), between_ns, to_ns;

		KEEP(vitals_quitter_must_quit(poller->quitter));
		between_ns = vt_clock_now();
		KEEP(atomic_load_explicit(&words[0], memory_order_acquire) |
		     atomic_load_explicit(&words[1], memory_order_acquire));
		to_ns = vt_clock_now();
		if (!keep_worst(&poller->worst_ns, between_ns - from_ns, &before))
			poller->preempted++;
		(void)keep_worst(&poller->bare_worst_ns, to_ns - between_ns, &before);
		poller->calls++;
		if (poller->calls == 1)
			atomic_store(&poller->polling, 1);
	}
	return NULL;
}

/* Return: how long the quit took. */
static uint64_t round_of(struct poller *poller, struct forest *forest)
{
	uint64_t before;
	pthread_t thread;

	forest_grow(forest, WIDE);
	memset(poller, 0, sizeof(*poller));
	poller->quitter = forest->nodes[0];
	must(pthread_create(&thread, NULL, poller_run, poller) == 0);
	while (!atomic_load(&poller->polling))
		continue;
	for (before = vt_clock_now(); vt_clock_now() < before + BEFORE_NS;)
		continue;
	before = vt_clock_now();
	must(vitals_quitter_send_quit(forest->nodes[0], 0, NULL) == 0);
	before = vt_clock_now() - before;
	atomic_store(&poller->over, 1);
	must(pthread_join(thread, NULL) == 0);
	forest_fell(forest);
	return before;
}

void polls_bench(const struct effort *effort)
{
	unsigned rounds = effort->brief ? 3 : 9, round;
	struct poller poller, best = { 0 };
	struct forest forest;
	uint64_t took_ns = 0;
	struct row *row;

	forest_make(&forest, N);
	for (round = 0; round < rounds; round++) {
		uint64_t ns = round_of(&poller, &forest);

		if (best.calls && poller.worst_ns >= best.worst_ns)
			continue;
		best = poller;
		took_ns = ns;
	}
	forest_free(&forest);
	row = table_row("must quit while 1 000 000 are told, worst");
	cell(row, MEASURED, "%.2f us, of %llu in %.0f ms", (double)best.worst_ns / 1e3,
	     (unsigned long long)best.calls, (double)took_ns / 1e6);
	cell(row, BASELINE, "%.2f us bare loads, %u preempted",
	     (double)best.bare_worst_ns / 1e3, best.preempted);
	cell(row, RATIO, "%.2f", (double)best.worst_ns / (double)best.bare_worst_ns);
	cell(row, BOUND, "<= %g us", (double)WORST_NS / 1e3);
	row_judge(row, best.worst_ns <= WORST_NS);
}
