/* SPDX-License-Identifier: MIT */

/*
 * How soon somebody is told. By a signal, while main is busy: from before kill() until a thread of a
 * child of a child sees it, beside a bare handler that stores a word. And a weak thread by the end of
 * the last other one, beside a bare thread that wakes a sleeper.
 */

#include "topics.h"

#include "clock.h"
#include "futex.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define SIGNAL_NS 100000.0
#define WEAK_NS 1000000.0
/* On a machine that is busy the bare ones are late as well. */
#define AS_BARE 2.0
#define ROUNDS 20u
#define SAMPLES 50u

/* One request: who has asked, when, and when it was seen. */
static struct {
	const vitals_quitter *quitter;
	_Atomic uint32_t go;
	_Atomic uint32_t seen;
	_Atomic uint32_t word;
	_Atomic uint64_t from_ns;
	_Atomic uint64_t to_ns;
} one;

static void on_bare(int signo)
{
	(void)signo;
	atomic_store(&one.word, 1);
}

static void one_seen(void)
{
	atomic_store(&one.to_ns, vt_clock_now());
	atomic_store(&one.seen, 1);
}

/* Sends it to the process, whose first thread is busy and takes it, and polls. */
static void *sends_and_polls(void *arg)
{
	int signo = *(int *)arg;

	while (!atomic_load(&one.go))
		continue;
	atomic_store(&one.from_ns, vt_clock_now());
	must(kill(getpid(), signo) == 0);
	if (signo == SIGTERM)
		while (!vitals_quitter_must_quit(one.quitter))
			continue;
	else
		while (!atomic_load_explicit(&one.word, memory_order_acquire))
			continue;
	one_seen();
	return NULL;
}

static uint64_t signal_round(int signo)
{
	pthread_t thread;

	atomic_store(&one.go, 0);
	atomic_store(&one.seen, 0);
	atomic_store(&one.word, 0);
	must(pthread_create(&thread, NULL, sends_and_polls, &signo) == 0);
	atomic_store(&one.go, 1);
	while (!atomic_load_explicit(&one.seen, memory_order_relaxed))
		KEEP(&one);
	must(pthread_join(thread, NULL) == 0);
	return atomic_load(&one.to_ns) - atomic_load(&one.from_ns);
}

static uint64_t bare_signal(void)
{
	return signal_round(SIGUSR1);
}

static uint64_t our_signal(void *registry)
{
	vitals_quitter *top, *child, *below;
	uint64_t ns;

	must(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) == 0);
	must(vitals_quitter_on_signal(top, SIGTERM, NULL) == 0);
	must(vitals_quitter_new(top, "child", NULL, &child) == 0);
	must(vitals_quitter_new(child, "below", NULL, &below) == 0);
	one.quitter = below;
	ns = signal_round(SIGTERM);
	vitals_quitter_free(below);
	vitals_quitter_free(child);
	vitals_quitter_free(top);
	return ns;
}

static int weak_run(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&one.go, 1);
	(void)vitals_thread_sleep(self, VITALS_FOREVER);
	one_seen();
	return 0;
}

static int last_run(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&one.go, 1);
	(void)vitals_thread_sleep(self, VITALS_MS(1));
	atomic_store(&one.from_ns, vt_clock_now());
	return 0;
}

static uint64_t our_weak(void *top)
{
	struct vitals_thread_options options;

	VITALS_INIT(&options);
	options.flags = VITALS_THREAD_WEAK;
	atomic_store(&one.go, 0);
	atomic_store(&one.seen, 0);
	must(vitals_thread_fork(top, "weak", 0, weak_run, NULL, &options) == 0);
	must(vitals_thread_fork(top, "last", 0, last_run, NULL, NULL) == 0);
	must(vitals_quitter_wait_done(top, VITALS_S(60), NULL) == 0);
	while (!atomic_load(&one.seen))
		(void)usleep(100);
	return atomic_load(&one.to_ns) - atomic_load(&one.from_ns);
}

static void *bare_sleeper(void *arg)
{
	(void)arg;
	while (!atomic_load(&one.word))
		(void)vt_futex_wait(&one.word, 0, UINT64_MAX);
	one_seen();
	return NULL;
}

static void *bare_last(void *arg)
{
	(void)arg;
	(void)usleep(1000);
	atomic_store(&one.from_ns, vt_clock_now());
	atomic_store(&one.word, 1);
	vt_futex_wake(&one.word, 1);
	return NULL;
}

static uint64_t bare_weak(void)
{
	pthread_t threads[2];

	atomic_store(&one.word, 0);
	must(pthread_create(&threads[0], NULL, bare_sleeper, NULL) == 0);
	must(pthread_create(&threads[1], NULL, bare_last, NULL) == 0);
	must(pthread_join(threads[1], NULL) == 0);
	must(pthread_join(threads[0], NULL) == 0);
	return atomic_load(&one.to_ns) - atomic_load(&one.from_ns);
}

/* The rounds in turn; of each the best counts, for others may have the processors meanwhile. */
struct pair {
	uint64_t (*ours)(void *arg);
	uint64_t (*bare)(void);
	void *arg;
	double p99_ns;
	double p50_ns;
	double bare_ns;
};

static void pair_round(struct pair *pair)
{
	struct samples ours, bare;
	unsigned i;

	samples_make(&ours, SAMPLES);
	samples_make(&bare, SAMPLES);
	for (i = 0; i < SAMPLES; i++) {
		samples_add(&bare, pair->bare());
		samples_add(&ours, pair->ours(pair->arg));
	}
	samples_sort(&ours);
	samples_sort(&bare);
	keep_least(&pair->p99_ns, (double)samples_quantile(&ours, 0.99));
	keep_least(&pair->p50_ns, (double)samples_quantile(&ours, 0.5));
	keep_least(&pair->bare_ns, (double)samples_quantile(&bare, 0.99));
	samples_free(&ours);
	samples_free(&bare);
}

static void pair_measure(struct pair *pair, unsigned rounds, const char *figure,
			 const char *baseline, double bound_ns)
{
	struct row *row = table_row(figure);

	while (rounds--)
		pair_round(pair);
	cell(row, MEASURED, "%.1f us, half in %.1f us", pair->p99_ns / 1e3,
	     pair->p50_ns / 1e3);
	cell(row, BASELINE, "%.1f us %s", pair->bare_ns / 1e3, baseline);
	cell(row, RATIO, "%.2f", pair->p99_ns / pair->bare_ns);
	cell(row, BOUND, "<= %g us or %g x", bound_ns / 1e3, AS_BARE);
	row_judge(row,
		  pair->p99_ns <= bound_ns || pair->p99_ns <= AS_BARE * pair->bare_ns);
}

void tells_bench(const struct effort *effort)
{
	unsigned rounds = effort->brief ? ROUNDS : 3 * ROUNDS;
	struct sigaction action = { .sa_handler = on_bare, .sa_flags = SA_RESTART };
	struct pair signals = { .ours = our_signal, .bare = bare_signal };
	struct pair weak = { .ours = our_weak, .bare = bare_weak };
	vitals_registry *registry;
	vitals_quitter *top;

	must(sigaction(SIGUSR1, &action, NULL) == 0);
	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_start(registry) == 0);
	signals.arg = registry;
	pair_measure(&signals, rounds, "SIGTERM until it is seen, main busy, p99",
		     "bare handler", SIGNAL_NS);
	must(vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) == 0);
	weak.arg = top;
	pair_measure(&weak, rounds, "weak, told after the last other's end, p99",
		     "bare wake-up", WEAK_NS);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
}
