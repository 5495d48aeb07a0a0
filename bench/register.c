/* SPDX-License-Identifier: MIT */

/*
 * Registering and closing while a callback sleeps, which nobody may have to wait for; sample by
 * sample beside clock reads and a mutex of our own, which show how noisy the machine is.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define P99_NS 10000u
#define P999_NS 100000u
/* Where the machine itself is noisier than that. */
#define NOISE 4
/* A sample of the machine's noise is to be about as long as one of ours. */
#define BARE_TURNS 12
#define SAMPLES_MAX 4000000u

static struct {
	uint64_t sleep_ns;
	atomic_uint state; /* 1: asleep, 2: awake again */
} callback;

static void sleeps(const struct vitals_event *event, void *user)
{
	struct timespec ts = vt_clock_timespec(callback.sleep_ns);

	(void)event;
	(void)user;
	if (atomic_load(&callback.state))
		return;
	atomic_store(&callback.state, 1);
	(void)nanosleep(&ts, NULL);
	atomic_store(&callback.state, 2);
}

static void pause_ms(void)
{
	struct timespec ts = vt_clock_timespec(VITALS_MS(1));

	(void)nanosleep(&ts, NULL);
}

static uint64_t ours_ns(vitals_registry *registry)
{
	vitals_heartbeat *heartbeat;
	uint64_t before = vt_clock_now();

	must(vitals_heartbeat_new(registry, "register", VITALS_S(10), NULL, &heartbeat) ==
	     0);
	vitals_heartbeat_unref(heartbeat);
	return vt_clock_now() - before;
}

static uint64_t bare_ns(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	uint64_t before = vt_clock_now();
	int i;

	for (i = 0; i < BARE_TURNS; i++) {
		KEEP(vt_clock_now());
		(void)pthread_mutex_lock(&mutex);
		(void)pthread_mutex_unlock(&mutex);
	}
	return vt_clock_now() - before;
}

static void row_add(const struct samples *ours, const struct samples *bare,
		    double fraction, const char *figure, uint64_t bound_ns)
{
	uint64_t our_ns = samples_quantile(ours, fraction),
		 noise_ns = samples_quantile(bare, fraction);
	struct row *row = table_row(figure);

	cell(row, MEASURED, "%.2f us", (double)our_ns / 1e3);
	cell(row, BASELINE, "%.2f us clocks and mutexes", (double)noise_ns / 1e3);
	cell(row, RATIO, "%.2f", (double)our_ns / (double)noise_ns);
	if (!bound_ns)
		return;
	cell(row, BOUND, "<= %g us or %d x", (double)bound_ns / 1e3, NOISE);
	row_judge(row, our_ns <= bound_ns || our_ns <= NOISE * noise_ns);
}

void register_bench(const struct effort *effort)
{
	struct samples ours, bare;
	vitals_registry *registry;
	vitals_heartbeat *heartbeat;

	callback.sleep_ns = effort->brief ? VITALS_S(1) : VITALS_S(5);
	samples_make(&ours, SAMPLES_MAX);
	samples_make(&bare, SAMPLES_MAX);
	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_on_event(registry, sleeps, NULL) == 0);
	must(vitals_start(registry) == 0);
	must(vitals_heartbeat_new(registry, "first", VITALS_S(10), NULL, &heartbeat) ==
	     0);
	/* Its first beat is an event. */
	while (!atomic_load(&callback.state)) {
		(void)vitals_heartbeat_pulse(heartbeat);
		pause_ms();
	}
	while (atomic_load(&callback.state) == 1) {
		samples_add(&ours, ours_ns(registry));
		samples_add(&bare, bare_ns());
	}
	samples_sort(&ours);
	samples_sort(&bare);
	row_add(&ours, &bare, 0.5, "register + close, p50", 0);
	row_add(&ours, &bare, 0.99, "register + close, p99", P99_NS);
	row_add(&ours, &bare, 0.999, "register + close, p99.9", P999_NS);
	vitals_heartbeat_unref(heartbeat);
	vitals_registry_free(registry);
	samples_free(&ours);
	samples_free(&bare);
}
