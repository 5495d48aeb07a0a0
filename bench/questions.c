/* SPDX-License-Identifier: MIT */

/*
 * "Must I quit?", in the inline form and as a call.
 */

#include "topics.h"

#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <stdatomic.h>

#define INLINE_NS 1.2
#define INLINE_TIMES 2.0
#define CALLED_NS 2.5
#define CALLED_TIMES 5.0

static _Atomic uint64_t words[2];

static void bare_loads(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--)
		KEEP(atomic_load_explicit(&words[0], memory_order_acquire) |
		     atomic_load_explicit(&words[1], memory_order_acquire));
}

static void inlined(void *arg, uint64_t n)
{
	for (; n; n--)
		KEEP(vitals_quitter_must_quit(arg));
}

/* As from another library: by an address that is not known here. */
static void called(void *arg, uint64_t n)
{
	int (*volatile must_quit)(const vitals_quitter *) = (vitals_quitter_must_quit);

	for (; n; n--)
		KEEP(must_quit(arg));
}

enum {
	BARE,
	INLINE,
	CALLED,
	LOOPS
};

/* A slow machine loads slowly. */
static void row_add(const char *figure, double ns, double bare_ns, double bound_ns,
		    double times)
{
	struct row *row = row_ns(figure, ns, "two bare loads", bare_ns);

	cell(row, BOUND, "<= %g ns or %g x", bound_ns, times);
	row_judge(row, ns <= bound_ns || ns <= times * bare_ns);
}

void questions_bench(const struct effort *effort)
{
	struct loop loops[] = { [BARE] = { .fn = bare_loads },
				[INLINE] = { .fn = inlined },
				[CALLED] = { .fn = called } };
	vitals_registry *registry;
	vitals_quitter *top, *quitter;

	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &top) == 0);
	must(vitals_quitter_new(top, "questions", NULL, &quitter) == 0);
	loops[INLINE].arg = quitter;
	loops[CALLED].arg = quitter;
	loops_measure(loops, LOOPS, effort->brief ? 100 : 500);
	row_add("must quit, inline", loops[INLINE].ns, loops[BARE].ns, INLINE_NS,
		INLINE_TIMES);
	row_add("must quit, called", loops[CALLED].ns, loops[BARE].ns, CALLED_NS,
		CALLED_TIMES);
	vitals_quitter_free(quitter);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
}
