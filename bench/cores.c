/* SPDX-License-Identifier: MIT */

/*
 * Two threads on two heartbeats, each on a core of its own: do they get twice as far as one? A
 * slice counts from when the first begins to when the last is done, so that two that ran one after
 * the other have lost.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define TWICE 0.95
#define FLAT 1.15

struct bare {
	_Alignas(128) _Atomic uint64_t word;
};

static void bare_store(void *arg, uint64_t n)
{
	struct bare *bare = arg;

	for (; n; n--) {
		atomic_store_explicit(&bare->word, n, memory_order_relaxed);
		KEEP(bare);
	}
}

static void bare_add(void *arg, uint64_t n)
{
	struct bare *bare = arg;

	for (; n; n--)
		atomic_fetch_add_explicit(&bare->word, 1, memory_order_relaxed);
}

static void bare_loads(void *arg, uint64_t n)
{
	const struct bare *bares = arg;

	for (; n; n--)
		KEEP(atomic_load_explicit(&bares[0].word, memory_order_acquire) |
		     atomic_load_explicit(&bares[1].word, memory_order_acquire));
}

static void must_quit(void *arg, uint64_t n)
{
	for (; n; n--)
		KEEP(vitals_quitter_must_quit(arg));
}

static void touch(void *arg, uint64_t n)
{
	for (; n; n--) {
		vitals_heartbeat_touch(arg);
		KEEP(arg);
	}
}

static void pulse(void *arg, uint64_t n)
{
	for (; n; n--)
		(void)vitals_heartbeat_pulse(arg);
}

/* What both threads do, each to its own, or both to the same. */
struct job {
	void (*fn)(void *arg, uint64_t n);
	void *args[2];
	uint64_t n;
	double alone_ns[2];
	double together_ns;
};

struct runner {
	const struct job *job;
	int which;
	unsigned wanted;
	atomic_uint *ready;
	uint64_t began_ns;
	uint64_t ended_ns;
};

static void *runner_run(void *arg)
{
	struct runner *runner = arg;
	const struct job *job = runner->job;

	atomic_fetch_add(runner->ready, 1);
	while (atomic_load(runner->ready) < runner->wanted)
		continue;
	runner->began_ns = vt_clock_now();
	job->fn(job->args[runner->which], job->n);
	runner->ended_ns = vt_clock_now();
	return NULL;
}

static void runner_start(struct runner *runner, const cpu_set_t *cpu, pthread_t *ret)
{
	pthread_attr_t attr;

	must(pthread_attr_init(&attr) == 0);
	must(pthread_attr_setaffinity_np(&attr, sizeof(*cpu), cpu) == 0);
	must(pthread_create(ret, &attr, runner_run, runner) == 0);
	(void)pthread_attr_destroy(&attr);
}

/* How long the threads first … last of the two take for a slice. */
static double run(const struct job *job, const cpu_set_t *cpus, int first, int last)
{
	struct runner runners[2];
	pthread_t threads[2];
	atomic_uint ready = 0;
	uint64_t began_ns = UINT64_MAX, ended_ns = 0;
	int i;

	for (i = first; i <= last; i++) {
		runners[i] = (struct runner){ .job = job,
					      .which = i,
					      .wanted = (unsigned)(last - first) + 1,
					      .ready = &ready };
		runner_start(&runners[i], &cpus[i], &threads[i]);
	}
	for (i = first; i <= last; i++) {
		must(pthread_join(threads[i], NULL) == 0);
		if (runners[i].began_ns < began_ns)
			began_ns = runners[i].began_ns;
		if (runners[i].ended_ns > ended_ns)
			ended_ns = runners[i].ended_ns;
	}
	return (double)(ended_ns - began_ns);
}

static void job_round(struct job *job, const cpu_set_t *cpus)
{
	keep_least(&job->alone_ns[0], run(job, cpus, 0, 0));
	keep_least(&job->alone_ns[1], run(job, cpus, 1, 1));
	keep_least(&job->together_ns, run(job, cpus, 0, 1));
}

/* Of twice one thread: 1 is all. The slower core's is what two can do. */
static double scaling(const struct job *job)
{
	double alone_ns = job->alone_ns[0] > job->alone_ns[1] ? job->alone_ns[0]
							      : job->alone_ns[1];

	return alone_ns / job->together_ns;
}

static void row_add(const char *figure, const struct job *job, const struct job *bare,
		    const char *baseline)
{
	struct row *row = table_row(figure);

	cell(row, MEASURED, "%.1f %%", 100 * scaling(job));
	cell(row, BASELINE, "%.1f %% %s", 100 * scaling(bare), baseline);
	cell(row, RATIO, "%.2f", scaling(job) / scaling(bare));
	cell(row, BOUND, ">= %g %% of twice one", 100 * TWICE);
	row_judge(row, scaling(job) >= TWICE);
}

/* What each asks costs no more because the other asks too. */
static void flat_row(const char *figure, const struct job *job, const struct job *bare)
{
	struct row *row = table_row(figure);

	cell(row, MEASURED, "%.2f x one thread's", 1 / scaling(job));
	cell(row, BASELINE, "%.2f x two bare loads", 1 / scaling(bare));
	cell(row, RATIO, "%.2f", scaling(bare) / scaling(job));
	cell(row, BOUND, "<= %g x", FLAT);
	row_judge(row, scaling(job) * FLAT >= 1);
}

/* The first two cores that we may use. Return: whether there are two. */
static bool two_cores(cpu_set_t cpus[2])
{
	cpu_set_t ours;
	size_t cpu;
	int n = 0;

	must(sched_getaffinity(0, sizeof(ours), &ours) == 0);
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++) {
		if (!CPU_ISSET(cpu, &ours))
			continue;
		CPU_ZERO(&cpus[n]);
		CPU_SET(cpu, &cpus[n]);
		n++;
	}
	return n == 2;
}

enum {
	STORE,
	ADD,
	TOUCH,
	PULSE,
	LOADS,
	MUST_QUIT,
	JOBS
};

static void jobs_measure(struct job *jobs, const cpu_set_t *cpus, unsigned rounds)
{
	unsigned round;
	size_t i;

	for (i = 0; i < JOBS; i++) {
		struct loop loop = { .fn = jobs[i].fn, .arg = jobs[i].args[0] };

		loop_calibrate(&loop);
		jobs[i].n = loop.n;
	}
	for (round = 0; round < rounds; round++)
		for (i = 0; i < JOBS; i++)
			job_round(&jobs[i], cpus);
}

void cores_bench(const struct effort *effort)
{
	static struct bare bares[2];
	struct job jobs[] = {
		[STORE] = { .fn = bare_store, .args = { &bares[0], &bares[1] } },
		[ADD] = { .fn = bare_add, .args = { &bares[0], &bares[1] } },
		[TOUCH] = { .fn = touch },
		[PULSE] = { .fn = pulse },
		[LOADS] = { .fn = bare_loads, .args = { bares, bares } },
		[MUST_QUIT] = { .fn = must_quit },
	};
	vitals_registry *registry;
	vitals_heartbeat *beats[2];
	vitals_quitter *quitter;
	cpu_set_t cpus[2];
	int i;

	if (!two_cores(cpus)) {
		row_skip(table_row("two threads, touch"), "there is one core");
		row_skip(table_row("two threads, pulse"), "there is one core");
		row_skip(table_row("must quit, by two"), "there is one core");
		return;
	}
	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_start(registry) == 0);
	must(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &quitter) == 0);
	for (i = 0; i < 2; i++) {
		jobs[MUST_QUIT].args[i] = quitter;
		must(vitals_heartbeat_new(registry, "cores", VITALS_S(10), NULL,
					  &beats[i]) == 0);
		jobs[TOUCH].args[i] = jobs[PULSE].args[i] = beats[i];
	}
	jobs_measure(jobs, cpus, effort->brief ? 200 : 1000);
	row_add("two threads, touch", &jobs[TOUCH], &jobs[STORE], "bare store");
	row_add("two threads, pulse", &jobs[PULSE], &jobs[ADD], "locked add");
	flat_row("must quit, by two", &jobs[MUST_QUIT], &jobs[LOADS]);
	vitals_quitter_free(quitter);
	for (i = 0; i < 2; i++)
		vitals_heartbeat_unref(beats[i]);
	vitals_registry_free(registry);
}
