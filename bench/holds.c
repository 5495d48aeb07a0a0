/* SPDX-License-Identifier: MIT */

/*
 * A hold and its release, of a name that is held all the time or just now, beside an atomic pair:
 * alone, and by sixteen threads at once.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PAIR_NS 12.0
#define CROWD 16
#define CROWD_TIMES 3.0
#define CROWD_EACH 20000u

static _Atomic uint64_t word;

static void bare_pair(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--) {
		atomic_fetch_add_explicit(&word, 1, memory_order_acq_rel);
		atomic_fetch_sub_explicit(&word, 1, memory_order_acq_rel);
	}
}

static void pair(void *arg, uint64_t n)
{
	for (; n; n--) {
		must(vitals_quitter_hold(arg, "request") == 0);
		(void)vitals_quitter_release(arg, "request");
	}
}

struct crowd {
	void (*fn)(void *arg, uint64_t n);
	void *arg;
	atomic_uint ready;
	double ns; /* of one pair, all together */
};

static void *crowd_run(void *arg)
{
	struct crowd *crowd = arg;

	atomic_fetch_add(&crowd->ready, 1);
	while (atomic_load(&crowd->ready) < CROWD)
		sched_yield();
	crowd->fn(crowd->arg, CROWD_EACH);
	return NULL;
}

static void crowd_round(struct crowd *crowd)
{
	pthread_t threads[CROWD];
	uint64_t from_ns = vt_clock_now();
	unsigned i;

	atomic_store(&crowd->ready, 0);
	for (i = 0; i < CROWD; i++)
		must(pthread_create(&threads[i], NULL, crowd_run, crowd) == 0);
	for (i = 0; i < CROWD; i++)
		must(pthread_join(threads[i], NULL) == 0);
	keep_least(&crowd->ns,
		   (double)(vt_clock_now() - from_ns) / ((double)CROWD * CROWD_EACH));
}

static void crowds_bench(vitals_quitter *quitter, unsigned rounds)
{
	struct crowd crowds[] = { { .fn = bare_pair }, { .fn = pair, .arg = quitter } };
	struct row *row;

	for (; rounds; rounds--) {
		crowd_round(&crowds[0]);
		crowd_round(&crowds[1]);
	}
	row = row_ns("hold and release, 16 threads", crowds[1].ns, "atomic pair",
		     crowds[0].ns);
	cell(row, BOUND, "<= %g of it", CROWD_TIMES);
	row_judge(row, crowds[1].ns <= CROWD_TIMES * crowds[0].ns);
}

void holds_bench(const struct effort *effort)
{
	struct loop loops[] = { { .fn = bare_pair }, { .fn = pair } };
	vitals_registry *registry;
	vitals_quitter *top, *quitter;
	struct row *row;

	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &top) == 0);
	must(vitals_quitter_new(top, "workers", NULL, &quitter) == 0);
	loops[1].arg = quitter;
	loops_measure(loops, COUNT(loops), effort->brief ? 100 : 500);
	row = row_ns("hold and release", loops[1].ns, "atomic pair", loops[0].ns);
	/* Where the pair itself takes longer, as on a machine that is shared, so may it. */
	cell(row, BOUND, "<= %g ns or %g of it", PAIR_NS, CROWD_TIMES);
	row_judge(row,
		  loops[1].ns <= PAIR_NS || loops[1].ns <= CROWD_TIMES * loops[0].ns);
	crowds_bench(quitter, effort->brief ? 20 : 50);
	vitals_quitter_free(quitter);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
}
