/* SPDX-License-Identifier: MIT */

/*
 * Sleepers that are told to quit: how long until the last of them runs, beside one wake-up of as
 * many raw futex sleepers, and one broadcast to as many waiting for a condition. All of the three
 * in turn. Nobody ends before the last one runs, which would be in its way.
 */

#include "topics.h"

#include "clock.h"
#include "futex.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_MAX 1000u
#define ROUNDS 7
#define RAW 1.25
#define COND 0.9
#define STACK (128 * 1024)

/*
 * A round is the median of so many trials, for one wake-up of few takes three microseconds, or
 * twelve, by whether the processor was just about to sleep. The best of the rounds counts.
 */
static const struct {
	uint32_t n;
	unsigned trials;
} sizes[] = {
	{ 1, 31 },
	{ 100, 3 },
	{ N_MAX, 1 },
};

#define SIZES COUNT(sizes)

enum way {
	RAW_FUTEX,
	CONDITION,
	OURS,
	OURS_EACH, /* everybody in a quitter of its own */
	WAYS
};

/* In one round all sleep, are woken, and wait for each other before they end. */
static struct {
	uint32_t n;
	_Atomic uint32_t asleep;
	_Atomic uint32_t awake;
	_Atomic uint32_t gate;
	_Atomic uint32_t word;
	_Atomic uint64_t last_ns;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool told;
} room = { .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void sleeper_awake(void)
{
	uint64_t now_ns = vt_clock_now(),
		 last_ns = atomic_load_explicit(&room.last_ns, memory_order_relaxed);

	while (now_ns > last_ns &&
	       !atomic_compare_exchange_weak(&room.last_ns, &last_ns, now_ns))
		continue;
	if (atomic_fetch_add(&room.awake, 1) + 1 == room.n) {
		atomic_store(&room.gate, 1);
		vt_futex_wake(&room.gate, INT_MAX);
	}
	while (!atomic_load(&room.gate))
		(void)vt_futex_wait(&room.gate, 0, UINT64_MAX);
}

static void *raw_run(void *arg)
{
	(void)arg;
	atomic_fetch_add(&room.asleep, 1);
	while (!atomic_load(&room.word))
		(void)vt_futex_wait(&room.word, 0, UINT64_MAX);
	sleeper_awake();
	return NULL;
}

static void *cond_run(void *arg)
{
	(void)arg;
	atomic_fetch_add(&room.asleep, 1);
	(void)pthread_mutex_lock(&room.mutex);
	while (!room.told)
		(void)pthread_cond_wait(&room.cond, &room.mutex);
	(void)pthread_mutex_unlock(&room.mutex);
	sleeper_awake();
	return NULL;
}

static int our_run(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&room.asleep, 1);
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	sleeper_awake();
	return 0;
}

static void pause_ms(void)
{
	struct timespec ts = vt_clock_timespec(VITALS_MS(1));

	(void)nanosleep(&ts, NULL);
}

static bool task_sleeps(const char *tid)
{
	char path[64], line[256];
	const char *at;
	FILE *file;
	bool asleep;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return true; /* gone */
	at = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	asleep = !at || at[2] == 'S';
	fclose(file);
	return asleep;
}

/* All threads but this one. */
static bool all_sleep(void)
{
	DIR *directory = opendir("/proc/self/task");
	const struct dirent *entry;
	bool asleep = true;

	must(directory != NULL);
	while (asleep && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != (int)gettid())
			asleep = task_sleeps(entry->d_name);
	(void)closedir(directory);
	return asleep;
}

static void settle(void)
{
	while (atomic_load(&room.asleep) < room.n)
		pause_ms();
	while (!all_sleep())
		pause_ms();
}

static void room_clear(uint32_t n)
{
	room.n = n;
	room.told = false;
	atomic_store(&room.asleep, 0);
	atomic_store(&room.awake, 0);
	atomic_store(&room.gate, 0);
	atomic_store(&room.word, 0);
	atomic_store(&room.last_ns, 0);
}

static double until_last(uint64_t from_ns)
{
	while (!atomic_load(&room.gate))
		(void)vt_futex_wait(&room.gate, 0, UINT64_MAX);
	return (double)(atomic_load(&room.last_ns) - from_ns);
}

static double raw_round(void *(*run)(void *), const pthread_attr_t *attr)
{
	static pthread_t threads[N_MAX];
	uint64_t from_ns;
	uint32_t i;
	double ns;

	for (i = 0; i < room.n; i++)
		must(pthread_create(&threads[i], attr, run, NULL) == 0);
	settle();
	from_ns = vt_clock_now();
	if (run == raw_run) {
		atomic_store(&room.word, 1);
		vt_futex_wake(&room.word, INT_MAX);
	} else {
		(void)pthread_mutex_lock(&room.mutex);
		room.told = true;
		(void)pthread_cond_broadcast(&room.cond);
		(void)pthread_mutex_unlock(&room.mutex);
	}
	ns = until_last(from_ns);
	for (i = 0; i < room.n; i++)
		must(pthread_join(threads[i], NULL) == 0);
	return ns;
}

static double our_round(vitals_quitter *top, bool each, const pthread_attr_t *attr)
{
	static vitals_quitter *pools[N_MAX];
	struct vitals_thread_options options;
	uint32_t i, n = each ? room.n : 1;
	vitals_quitter *all;
	uint64_t from_ns;
	double ns;

	VITALS_INIT(&options);
	options.attr = attr;
	must(vitals_quitter_new(top, "all", NULL, &all) == 0);
	for (i = 0; i < n; i++)
		must(vitals_quitter_new(all, "pool", NULL, &pools[i]) == 0);
	for (i = 0; i < room.n; i++)
		must(vitals_thread_fork(pools[i % n], "sleeper", 0, our_run, NULL,
					&options) == 0);
	settle();
	from_ns = vt_clock_now();
	must(vitals_quitter_send_quit(each ? all : pools[0], 0, NULL) == 0);
	ns = until_last(from_ns);
	must(vitals_quitter_wait_done(all, VITALS_S(60), NULL) == 0);
	for (i = 0; i < n; i++)
		vitals_quitter_free(pools[i]);
	vitals_quitter_free(all);
	return ns;
}

static double way_round(enum way way, vitals_quitter *top, const pthread_attr_t *attr)
{
	switch (way) {
	case RAW_FUTEX:
		return raw_round(raw_run, attr);
	case CONDITION:
		return raw_round(cond_run, attr);
	default:
		return our_round(top, way == OURS_EACH, attr);
	}
}

static void wakes_rows(uint32_t n, struct samples *samples)
{
	double best[WAYS], median[WAYS];
	char figure[64];
	struct row *row;
	enum way way;

	for (way = 0; way < WAYS; way++) {
		samples_sort(&samples[way]);
		best[way] = (double)samples_quantile(&samples[way], 0);
		median[way] = (double)samples_quantile(&samples[way], 0.5);
	}
	(void)snprintf(figure, sizeof(figure), "%u asleep, until the last runs", n);
	row = table_row(figure);
	cell(row, MEASURED, "%.1f us", best[OURS] / 1e3);
	cell(row, BASELINE, "%.1f us one raw wake-up", best[RAW_FUTEX] / 1e3);
	cell(row, RATIO, "%.2f", best[OURS] / best[RAW_FUTEX]);
	/*
	 * One alone is not judged: two microseconds of code and lines that have left the caches, from
	 * the clock to the wake-up, weigh more than a quarter of what a wake-up takes where the
	 * processor has just gone idle. Waking before the books are kept, asking for the lines ahead
	 * and telling no node above change less than a round differs from the next.
	 */
	cell(row, BOUND, n > 1 ? "<= %g x" : "(<= %g x)", RAW);
	if (n > 1)
		row_judge(row, best[OURS] <= RAW * best[RAW_FUTEX]);
	(void)snprintf(figure, sizeof(figure), "%u asleep, a quitter each", n);
	row = table_row(figure);
	cell(row, MEASURED, "%.1f us", best[OURS_EACH] / 1e3);
	cell(row, BASELINE, "%.1f us one raw wake-up", best[RAW_FUTEX] / 1e3);
	cell(row, RATIO, "%.2f", best[OURS_EACH] / best[RAW_FUTEX]);
	if (n < N_MAX)
		return;
	(void)snprintf(figure, sizeof(figure), "%u asleep, the last runs, median", n);
	row = table_row(figure);
	cell(row, MEASURED, "%.1f us", median[OURS] / 1e3);
	cell(row, BASELINE, "%.1f us condition broadcast", median[CONDITION] / 1e3);
	cell(row, RATIO, "%.2f", median[OURS] / median[CONDITION]);
	/* A herd on two cores: as likely luck as not. */
	cell(row, BOUND, "(<= %g x)", COND);
}

/* All ways in turn, and of each the median of the trials. */
static void round_measure(uint32_t n, unsigned trials, vitals_quitter *top,
			  const pthread_attr_t *attr, struct samples *samples)
{
	struct samples mine[WAYS];
	unsigned trial, turn;
	enum way way;

	for (way = 0; way < WAYS; way++)
		samples_make(&mine[way], trials);
	for (trial = 0; trial < trials; trial++)
		for (turn = 0; turn < WAYS; turn++) {
			/* None always follows the same other. */
			way = (enum way)((trial + turn * (trial % 2 ? 3 : 1)) % WAYS);
			room_clear(n);
			samples_add(&mine[way], (uint64_t)way_round(way, top, attr));
		}
	for (way = 0; way < WAYS; way++) {
		samples_sort(&mine[way]);
		samples_add(&samples[way], samples_quantile(&mine[way], 0.5));
		samples_free(&mine[way]);
	}
}

static void wakes_measure(uint32_t n, unsigned trials, unsigned rounds,
			  vitals_quitter *top, const pthread_attr_t *attr)
{
	struct samples samples[WAYS];
	unsigned round;
	enum way way;

	for (way = 0; way < WAYS; way++)
		samples_make(&samples[way], rounds);
	for (round = 0; round < rounds; round++)
		round_measure(n, trials, top, attr, samples);
	wakes_rows(n, samples);
	for (way = 0; way < WAYS; way++)
		samples_free(&samples[way]);
}

void wakes_bench(const struct effort *effort)
{
	vitals_registry *registry;
	pthread_attr_t attr;
	vitals_quitter *top;
	size_t i;

	must(pthread_attr_init(&attr) == 0);
	must(pthread_attr_setstacksize(&attr, STACK) == 0);
	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) == 0);
	for (i = 0; i < SIZES; i++)
		wakes_measure(sizes[i].n, sizes[i].trials,
			      effort->brief ? ROUNDS : 3 * ROUNDS, top, &attr);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
	(void)pthread_attr_destroy(&attr);
}
