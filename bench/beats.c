/* SPDX-License-Identifier: MIT */

/*
 * A touch, a pulse, and what of a pulse is its own accounting, beside what they are made of.
 */

#include "topics.h"

#include "clock.h"
#include "heartbeat.h"
#include "measure.h"
#include "table.h"

#include <stdatomic.h>

#define TOUCH_NS 2.0
#define TOUCH_STORES 2.0
#define PULSE_CLOCKS 1.5
#define ACCOUNTING_NS 6.0
#define ACCOUNTING_BARE 1.5

/* Each on lines of its own, as a heartbeat is. */
static struct {
	_Alignas(128) _Atomic uint64_t from;
	_Alignas(128) _Atomic uint64_t to;
} bare;

static void bare_store(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--) {
		atomic_store_explicit(
			&bare.to, atomic_load_explicit(&bare.from, memory_order_relaxed),
			memory_order_relaxed);
		KEEP(&bare);
	}
}

static void bare_clock(void *arg, uint64_t n)
{
	struct timespec ts;

	(void)arg;
	for (; n; n--) {
		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		KEEP(&ts);
	}
}

static void bare_add(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--)
		atomic_fetch_add_explicit(&bare.to, 1, memory_order_relaxed);
}

static void bare_exchange_and_add(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--) {
		KEEP(atomic_exchange_explicit(&bare.from, n, memory_order_relaxed));
		atomic_fetch_add_explicit(&bare.to, 1, memory_order_relaxed);
	}
}

static void touch_inline(void *arg, uint64_t n)
{
	for (; n; n--) {
		vitals_heartbeat_touch(arg);
		KEEP(arg);
	}
}

/* As from another library: by an address that is not known here. */
static void touch_called(void *arg, uint64_t n)
{
	void (*volatile touch)(vitals_heartbeat *) = (vitals_heartbeat_touch);

	for (; n; n--)
		touch(arg);
}

static void pulse(void *arg, uint64_t n)
{
	int (*volatile fn)(vitals_heartbeat *) = vitals_heartbeat_pulse;

	for (; n; n--)
		(void)fn(arg);
}

/* A pulse a millisecond, of times that are made up. */
static void accounting(void *arg, uint64_t n)
{
	static uint64_t now_ns;

	if (!now_ns)
		now_ns = vt_clock_now();
	for (; n; n--)
		(void)vt_heartbeat_pulse_at(arg, now_ns += VITALS_MS(1));
}

static const struct {
	const char *pulse;
	const char *accounting;
	uint32_t flags;
} kinds[] = {
	{ "pulse, fine histogram", "pulse's accounting, fine", 0 },
	{ "pulse, coarse histogram", "pulse's accounting, coarse",
	  VITALS_COARSE_HISTOGRAM },
	{ "pulse, no histogram", "pulse's accounting, none", VITALS_NO_HISTOGRAM },
};

enum {
	STORE,
	CLOCK,
	ADD,
	EXCHANGE_AND_ADD,
	TOUCH,
	TOUCH_CALLED,
	PULSE,
	ACCOUNTING = PULSE + COUNT(kinds),
	LOOPS = ACCOUNTING + COUNT(kinds),
};

static vitals_heartbeat *heartbeat_of(vitals_registry *registry, uint32_t flags)
{
	struct vitals_heartbeat_options options;
	vitals_heartbeat *heartbeat;

	VITALS_INIT(&options);
	options.flags = flags;
	must(vitals_heartbeat_new(registry, "beats", VITALS_S(10), &options,
				  &heartbeat) == 0);
	return heartbeat;
}

static void rows_add(const struct loop *loops)
{
	double store = loops[STORE].ns, clock = loops[CLOCK].ns, touch = loops[TOUCH].ns,
	       both = loops[EXCHANGE_AND_ADD].ns;
	struct row *row;
	size_t i;

	row = row_ns("touch, inline", touch, "bare load + store", store);
	cell(row, BOUND, "<= %g ns or %g x", TOUCH_NS, TOUCH_STORES);
	row_judge(row, touch <= TOUCH_NS || touch <= TOUCH_STORES * store);
	(void)row_ns("touch, called", loops[TOUCH_CALLED].ns, "bare load + store", store);
	for (i = 0; i < COUNT(kinds); i++) {
		row = row_ns(kinds[i].pulse, loops[PULSE + i].ns, "clock read", clock);
		cell(row, BOUND, "<= %g x", PULSE_CLOCKS);
		row_judge(row, loops[PULSE + i].ns <= PULSE_CLOCKS * clock);
	}
	(void)row_ns("both: exchange + locked add", both, "locked add", loops[ADD].ns);
	for (i = 0; i < COUNT(kinds); i++) {
		row = row_ns(kinds[i].accounting, loops[ACCOUNTING + i].ns, "locked add",
			     loops[ADD].ns);
		cell(row, BOUND, "<= %g ns or %g x both", ACCOUNTING_NS, ACCOUNTING_BARE);
		row_judge(row,
			  loops[ACCOUNTING + i].ns <= ACCOUNTING_NS ||
				  loops[ACCOUNTING + i].ns <= ACCOUNTING_BARE * both);
	}
}

void beats_bench(const struct effort *effort)
{
	struct loop loops[LOOPS] = {
		[STORE] = { .fn = bare_store },
		[CLOCK] = { .fn = bare_clock },
		[ADD] = { .fn = bare_add },
		[EXCHANGE_AND_ADD] = { .fn = bare_exchange_and_add },
		[TOUCH] = { .fn = touch_inline },
		[TOUCH_CALLED] = { .fn = touch_called },
	};
	vitals_registry *registry;
	size_t i;

	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_start(registry) == 0);
	loops[TOUCH].arg = heartbeat_of(registry, 0);
	loops[TOUCH_CALLED].arg = loops[TOUCH].arg;
	for (i = 0; i < COUNT(kinds); i++) {
		loops[PULSE + i].fn = pulse;
		loops[PULSE + i].arg = heartbeat_of(registry, kinds[i].flags);
		loops[ACCOUNTING + i].fn = accounting;
		loops[ACCOUNTING + i].arg = heartbeat_of(registry, kinds[i].flags);
	}
	loops_measure(loops, LOOPS, effort->brief ? 100 : 500);
	rows_add(loops);
	for (i = TOUCH_CALLED; i < LOOPS; i++)
		vitals_heartbeat_unref(loops[i].arg);
	vitals_registry_free(registry);
}
