/* SPDX-License-Identifier: MIT */

/*
 * A scope: entered, nested in nothing, and left, beside a pulse of the same heartbeat.
 */

#include "topics.h"

#include "measure.h"
#include "table.h"
#include "vitals.h"

#define SCOPE_PULSES 2.5

static void pulse(void *arg, uint64_t n)
{
	int (*volatile fn)(vitals_heartbeat *) = vitals_heartbeat_pulse;

	for (; n; n--)
		(void)fn(arg);
}

static void scope(void *arg, uint64_t n)
{
	for (; n; n--)
		vitals_heartbeat_leave(arg,
				       vitals_heartbeat_enter(arg, "query", VITALS_S(1)));
}

enum {
	PULSE,
	SCOPE,
	LOOPS
};

void scopes_bench(const struct effort *effort)
{
	struct loop loops[] = { [PULSE] = { .fn = pulse }, [SCOPE] = { .fn = scope } };
	vitals_registry *registry;
	vitals_heartbeat *heartbeat;
	struct row *row;

	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_start(registry) == 0);
	must(vitals_heartbeat_new(registry, "scopes", VITALS_S(10), NULL, &heartbeat) ==
	     0);
	must(vitals_heartbeat_own(heartbeat) == 0);
	loops[PULSE].arg = heartbeat;
	loops[SCOPE].arg = heartbeat;
	loops_measure(loops, LOOPS, effort->brief ? 100 : 500);
	row = row_ns("scope, enter + leave", loops[SCOPE].ns, "pulse", loops[PULSE].ns);
	cell(row, BOUND, "<= %g x", SCOPE_PULSES);
	row_judge(row, loops[SCOPE].ns <= SCOPE_PULSES * loops[PULSE].ns);
	vitals_heartbeat_unref(heartbeat);
	vitals_registry_free(registry);
}
