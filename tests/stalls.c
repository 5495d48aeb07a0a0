/* SPDX-License-Identifier: MIT */

/*
 * Random stalls, many at once, with a real clock: none is told early, and how soon each is. Half
 * of the heartbeats pulse, half are touched.
 *
 * usage: stalls [STALLS [SEED]]; or VITALS_STALLS, VITALS_STALLS_SEED
 *
 * How late a bare loop wakes up in the same run says whether the machine was idle: if it was not,
 * how soon is only printed.
 */

#include "chance.h"

#include "vitals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define T VITALS_MS(200)
#define BEAT_NS VITALS_MS(50)
#define RUN_MIN_NS VITALS_MS(150)
#define RUN_MAX_NS VITALS_MS(850)
#define LOOK_NS VITALS_MS(5)
#define P999_MAX_NS VITALS_MS(260)
#define IDLE_P999_NS VITALS_MS(5)
#define NEVER_NS VITALS_S(10)

#define DRIVERS 4
#define EACH 25
#define ITEMS (DRIVERS * EACH)
#define BEATS 64
#define STALLS_MAX 1000000
#define BARE_MAX (1 << 20)

enum phase {
	BEATING,
	HUNG,
	FOUND,
};

/* A beat came at some moment between two looks at the clock. */
struct beat {
	_Atomic uint64_t before_ns;
	_Atomic uint64_t after_ns;
};

struct item {
	vitals_heartbeat *heartbeat;
	bool touches;
	uint64_t next_ns; /* these two: the driver's */
	uint64_t hang_ns;
	_Atomic uint32_t phase;
	_Atomic uint32_t n_beats;
	struct beat beats[BEATS];
};

static struct item items[ITEMS];
static uint32_t n_wanted;
static uint64_t seed;
static _Atomic uint32_t n_begun, n_ended, over;
static _Atomic uint32_t n_early, n_missed, n_starved;

/* How long each took, by kind; the reader's. */
static uint64_t took[2][STALLS_MAX];
static uint32_t n_took[2];

static uint64_t bare[BARE_MAX];
static uint32_t n_bare;

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = { .tv_sec = (time_t)(at_ns / VITALS_S(1)),
			       .tv_nsec = (long)(at_ns % VITALS_S(1)) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
		continue;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* Drivers */

static void item_beat(struct item *item, uint64_t now_ns)
{
	uint32_t n = atomic_load(&item->n_beats);
	struct beat *beat = &item->beats[n % BEATS];

	/* Until the other look it may not have come yet. */
	atomic_store(&beat->after_ns, UINT64_MAX);
	atomic_store(&beat->before_ns, now_ns);
	atomic_store(&item->n_beats, n + 1);
	if (item->touches)
		vitals_heartbeat_touch(item->heartbeat);
	else
		(void)vitals_heartbeat_pulse(item->heartbeat);
	atomic_store(&beat->after_ns, clock_now());
}

static void item_run(struct item *item, uint64_t now_ns, struct chance *chance)
{
	/* Not in step with the monitor nor with each other. */
	item->hang_ns =
		now_ns + RUN_MIN_NS + chance_below(chance, RUN_MAX_NS - RUN_MIN_NS);
}

static void item_hung(struct item *item, uint64_t now_ns)
{
	uint32_t last = (atomic_load(&item->n_beats) - 1) % BEATS, hung = HUNG;

	item->next_ns = now_ns + LOOK_NS;
	if (now_ns - atomic_load(&item->beats[last].before_ns) > NEVER_NS &&
	    atomic_compare_exchange_strong(&item->phase, &hung, FOUND)) {
		printf("MISSED: %s-%d\n", item->touches ? "touch" : "pulse",
		       (int)(item - items));
		atomic_fetch_add(&n_missed, 1);
		atomic_fetch_add(&n_ended, 1);
	}
}

static void item_step(struct item *item, uint64_t now_ns, struct chance *chance)
{
	switch (atomic_load(&item->phase)) {
	case HUNG:
		item_hung(item, now_ns);
		return;
	case FOUND:
		atomic_store(&item->phase, BEATING);
		item_run(item, now_ns, chance);
	}
	item_beat(item, now_ns);
	item->next_ns = now_ns + BEAT_NS - LOOK_NS + chance_below(chance, 2 * LOOK_NS);
	if (now_ns < item->hang_ns || atomic_load(&n_begun) >= n_wanted)
		return;
	if (atomic_fetch_add(&n_begun, 1) < n_wanted)
		atomic_store(&item->phase, HUNG);
}

static void *driver_run(void *arg)
{
	struct item *mine = arg;
	struct chance chance = { seed + (uint64_t)(mine - items) };
	uint64_t now_ns = clock_now(), next_ns;
	int i;

	for (i = 0; i < EACH; i++) {
		mine[i].next_ns = now_ns + chance_below(&chance, BEAT_NS);
		item_run(&mine[i], now_ns, &chance);
	}
	while (!atomic_load(&over)) {
		next_ns = UINT64_MAX;
		for (i = 0; i < EACH; i++) {
			now_ns = clock_now();
			if (now_ns >= mine[i].next_ns)
				item_step(&mine[i], now_ns, &chance);
			if (mine[i].next_ns < next_ns)
				next_ns = mine[i].next_ns;
		}
		sleep_until(next_ns);
	}
	return NULL;
}

/* On a grid, so that a second's standstill counts for a second. */
static void *bare_run(void *arg)
{
	uint64_t at_ns = clock_now();

	while (!atomic_load(&over) && n_bare < BARE_MAX) {
		at_ns += LOOK_NS;
		sleep_until(at_ns);
		bare[n_bare++] = clock_now() - at_ns;
	}
	return arg;
}

/* The reader */

/* Told silent at a moment: was there a beat, surely by then, that is younger than T? */
static bool told_early(const struct item *item, uint64_t at_ns, uint64_t *ret_ns)
{
	uint32_t i;

	for (i = 0; i < BEATS && i < atomic_load(&item->n_beats); i++) {
		uint64_t before_ns = atomic_load(&item->beats[i].before_ns);

		if (atomic_load(&item->beats[i].after_ns) <= at_ns &&
		    before_ns + T > at_ns) {
			*ret_ns = at_ns - before_ns;
			return true;
		}
	}
	return false;
}

static void silent_judge(struct item *item, const struct vitals_event *event)
{
	uint32_t last = (atomic_load(&item->n_beats) - 1) % BEATS;
	struct beat *beat = &item->beats[last];
	uint64_t ns;

	if (told_early(item, event->at_ns, &ns)) {
		printf("EARLY: %s after %.6f ms\n", event->name, ms(ns));
		atomic_fetch_add(&n_early, 1);
	}
	if (atomic_load(&item->phase) != HUNG ||
	    event->at_ns < atomic_load(&beat->after_ns)) {
		/* Its driver did not get to run for so long. */
		atomic_fetch_add(&n_starved, 1);
		return;
	}
	ns = event->at_ns - atomic_load(&beat->before_ns);
	took[item->touches][n_took[item->touches]++] = ns;
	atomic_store(&item->phase, FOUND);
	atomic_fetch_add(&n_ended, 1);
}

static void events_read(vitals_events *events)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	while (atomic_load(&n_ended) < n_wanted)
		if (vitals_events_next(events, VITALS_MS(100), &event) == 0 &&
		    event.kind == VITALS_EVENT_HEARTBEAT && event.to == VITALS_SILENT)
			silent_judge(&items[atoi(strchr(event.name, '-') + 1)], &event);
}

/* What came out */

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static uint64_t rank(const uint64_t *sorted, uint32_t n, uint32_t thousandths)
{
	uint64_t at = (uint64_t)n * thousandths / 1000;

	return n ? sorted[at < n ? at : n - 1] : 0;
}

/* Return: p99.9. */
static uint64_t line_print(const char *what, uint64_t *ns, uint32_t n)
{
	qsort(ns, n, sizeof(*ns), compare);
	printf("%-18s %7u: min %8.3f  p50 %8.3f  p99 %8.3f  p99.9 %8.3f  max %8.3f ms\n",
	       what, n, ms(rank(ns, n, 0)), ms(rank(ns, n, 500)), ms(rank(ns, n, 990)),
	       ms(rank(ns, n, 999)), ms(rank(ns, n, 1000)));
	return rank(ns, n, 999);
}

static int result_print(void)
{
	static uint64_t all[STALLS_MAX];
	uint32_t n = n_took[0] + n_took[1];
	uint64_t p999_ns;
	bool idle;

	memcpy(all, took[0], n_took[0] * sizeof(*all));
	memcpy(all + n_took[0], took[1], n_took[1] * sizeof(*all));
	idle = line_print("bare loop, late", bare, n_bare) <= IDLE_P999_NS;
	(void)line_print("pulsed, silent", took[0], n_took[0]);
	(void)line_print("touched, silent", took[1], n_took[1]);
	p999_ns = line_print("stalls, silent", all, n);
	printf("stalls: %u of %u found, %u early, p99.9 %.3f ms (allowed %.0f), %u "
	       "starved, machine %s\n",
	       n, n_wanted, n_early, ms(p999_ns), ms(P999_MAX_NS), n_starved,
	       idle ? "idle" : "busy: how soon does not count");
	return n_early || n_missed || (idle && p999_ns > P999_MAX_NS);
}

static bool items_make(void)
{
	char name[VITALS_NAME_MAX];
	int i;

	for (i = 0; i < ITEMS; i++) {
		items[i].touches = i % 2;
		(void)snprintf(name, sizeof(name), "%s-%d", i % 2 ? "touch" : "pulse", i);
		if (vitals_heartbeat_new(NULL, name, T, NULL, &items[i].heartbeat) < 0)
			return false;
	}
	return true;
}

static bool threads_run(vitals_events *events)
{
	pthread_t threads[DRIVERS + 1];
	int i;

	for (i = 0; i < DRIVERS; i++)
		if (pthread_create(&threads[i], NULL, driver_run, &items[i * EACH]))
			return false;
	if (pthread_create(&threads[DRIVERS], NULL, bare_run, NULL))
		return false;
	events_read(events);
	atomic_store(&over, 1);
	for (i = 0; i <= DRIVERS; i++)
		(void)pthread_join(threads[i], NULL);
	return true;
}

int main(int argc, char **argv)
{
	uint64_t wanted = number_from("VITALS_STALLS", 10000);
	vitals_events *events;

	seed = chance_seed("VITALS_STALLS_SEED");
	if (argc > 1)
		wanted = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (wanted < 1 || wanted > STALLS_MAX) {
		printf("1 to %d stalls\n", STALLS_MAX);
		return 2;
	}
	n_wanted = (uint32_t)wanted;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("stalls: %u, seed %llu\n", n_wanted, (unsigned long long)seed);
	if (!items_make() || vitals_events_open(NULL, NULL, &events) < 0 ||
	    vitals_start(NULL) < 0 || !threads_run(events))
		return 2;
	return result_print();
}
