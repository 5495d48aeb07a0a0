/* SPDX-License-Identifier: MIT */

/*
 * What a quitter leaves behind: nothing, however often. Quitters made, filled, told, waited for and
 * freed; threads that nobody waits for; threads that end in each way there is; many who wait for
 * the same. Memory, descriptors and threads of the process stay as they are after the first few.
 *
 * usage: hygiene [CYCLES]; or VITALS_CYCLES
 */

#include "chance.h"

#include "vitals.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A wait that nobody wakes finds out at its end, and all is well: but for the time. */
#define PATIENCE_NS VITALS_S(20)
#define PROMPT_NS VITALS_S(10)
#define GROWTH_KIB 1024u
/* Threads on their way: asked for, or ended and not joined yet. */
#define ON_THE_WAY 64u
#define SPARE_MAPS 8u
#define BATCH 16u
#define WAITERS 64u
#define LOOK_EVERY 1000u

static vitals_registry *registry;
static vitals_quitter *top;
static unsigned wrongs;

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list args;

	if (++wrongs > 20)
		return;
	printf("WRONG: ");
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	printf("\n");
}

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void nap(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* The process */

struct process {
	unsigned long kib;
	unsigned fds;
	unsigned threads;
	unsigned maps;
};

static unsigned entries(const char *path)
{
	DIR *directory = opendir(path);
	unsigned n = 0;

	while (directory && readdir(directory))
		n++;
	if (directory)
		(void)closedir(directory);
	return n;
}

static unsigned long status_of(const char *path, const char *key, unsigned *lines)
{
	FILE *file = fopen(path, "re");
	unsigned long value = 0;
	char line[512];

	for (*lines = 0; file && fgets(line, sizeof(line), file); ++*lines)
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoul(line + strlen(key), NULL, 10);
	if (file)
		(void)fclose(file);
	return value;
}

static struct process process_now(void)
{
	struct process now;
	unsigned lines;

	now.kib = status_of("/proc/self/status", "VmRSS:", &lines);
	now.fds = entries("/proc/self/fd");
	now.threads = entries("/proc/self/task");
	(void)status_of("/proc/self/maps", "-", &now.maps);
	return now;
}

/* How it has grown since the beginning of a part. */
static void process_judge(const char *part, const struct process *before)
{
	struct process now = process_now();
	int tries;

	/* Who has been joined may still be on the kernel's list. */
	for (tries = 0; tries < 1000 && now.threads > before->threads; tries++) {
		nap();
		now = process_now();
	}
	printf("%s: %lu KiB, %u descriptors, %u threads, %u maps; before %lu, %u, %u, "
	       "%u\n",
	       part, now.kib, now.fds - 3, now.threads - 2, now.maps, before->kib,
	       before->fds - 3, before->threads - 2, before->maps);
	if (now.kib > before->kib + GROWTH_KIB)
		wrong("%s: memory has grown by %lu KiB", part, now.kib - before->kib);
	if (now.fds != before->fds)
		wrong("%s: %u descriptors rather than %u", part, now.fds - 3,
		      before->fds - 3);
	if (now.threads > before->threads)
		wrong("%s: %u threads rather than %u", part, now.threads - 2,
		      before->threads - 2);
	if (now.maps > before->maps + SPARE_MAPS)
		wrong("%s: %u maps rather than %u", part, now.maps, before->maps);
}

/* The tree, as a snapshot shows it. */
static void tree_judge(const char *part, uint32_t threads, uint32_t quitters)
{
	struct vitals_process_info info;
	vitals_snapshot *all = NULL;

	VITALS_INIT(&info);
	if (vitals_snapshot_take(registry, &all) < 0 ||
	    vitals_snapshot_process(all, &info) < 0)
		wrong("%s: no snapshot", part);
	else if (info.threads != threads || info.quitters != quitters)
		wrong("%s: %u threads and %u quitters rather than %u and %u", part,
		      info.threads, info.quitters, threads, quitters);
	vitals_snapshot_free(all);
}

static void wait_for(vitals_quitter *quitter, const char *part)
{
	uint64_t from_ns = clock_now();
	int r = vitals_quitter_wait_done(quitter, PATIENCE_NS, NULL);

	if (r || clock_now() > from_ns + PROMPT_NS)
		wrong("%s: wait: %d after %.1f s", part, r,
		      (double)(clock_now() - from_ns) / 1e9);
}

/* Some are told before they run, and some as they begin to wait. */
static _Atomic uint32_t there;

static int obeys(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_store(&there, 1);
	return vitals_thread_sleep(self, VITALS_FOREVER) != -ECANCELED;
}

static int polls(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_store(&there, 1);
	return vitals_thread_poll(self, NULL, 0, VITALS_FOREVER) != -ECANCELED;
}

/* Cycles: one child after the other, of the same name. */

static void path_judge(const char *path)
{
	struct vitals_quitter_info info;
	vitals_snapshot *all = NULL;
	bool found = false;
	uint32_t i;

	VITALS_INIT(&info);
	if (vitals_snapshot_take(registry, &all) == 0)
		for (i = 0; vitals_snapshot_quitter(all, i, &info) == 0; i++)
			found = found || strcmp(info.path, path) == 0;
	if (!found)
		wrong("cycles: no quitter %s", path);
	vitals_snapshot_free(all);
}

static void cycle_run(uint64_t i)
{
	vitals_quitter *child;
	int r;

	if (vitals_quitter_new(top, "child", NULL, &child) < 0) {
		wrong("cycle %llu: no child", (unsigned long long)i);
		return;
	}
	atomic_store(&there, 0);
	/* With a heartbeat, without one, and nobody; now and then there are descriptors. */
	r = i % 4 ? vitals_thread_fork(child, "worker", i % 2 ? VITALS_S(10) : 0,
				       i % 4 == 3 ? polls : obeys, NULL, NULL)
		  : 0;
	if (i % 8 == 0 && vitals_quitter_fd(child) < 0)
		wrong("cycle %llu: no descriptor", (unsigned long long)i);
	if (r)
		wrong("cycle %llu: fork: %d", (unsigned long long)i, r);
	if (i % LOOK_EVERY == 0)
		path_judge("main/child");
	while (!r && i % 8 > 4 && !atomic_load(&there))
		sched_yield();
	if (vitals_quitter_send_quit(child, 0, NULL) < 0)
		wrong("cycle %llu: quit", (unsigned long long)i);
	wait_for(child, "cycles");
	vitals_quitter_free(child);
}

static void cycles_run(uint64_t cycles)
{
	uint64_t warm = cycles < 10000 ? cycles / 10 : 1000, i, began_ns;
	struct process before;

	for (i = 0; i < warm && !wrongs; i++)
		cycle_run(i);
	before = process_now();
	began_ns = clock_now();
	for (i = 0; i < cycles && !wrongs; i++) {
		cycle_run(i);
		if ((i + 1) % 100000 == 0)
			process_judge("cycles, so far", &before);
	}
	printf("cycles: %llu, %.0f a second\n", (unsigned long long)i,
	       (double)i * 1e9 / (double)(clock_now() - began_ns));
	process_judge("cycles", &before);
	tree_judge("cycles", 0, 1);
}

/* Threads of one quitter that nobody waits for. */

static _Atomic uint32_t running;

static int counts_down(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	atomic_fetch_sub(&running, 1);
	return 0;
}

static void forks_run(vitals_quitter *pool, uint64_t n, unsigned *most)
{
	uint64_t i;
	unsigned threads;

	for (i = 0; i < n && !wrongs; i++) {
		/* No more at once than it can start. */
		while (atomic_load(&running) > ON_THE_WAY / 4)
			sched_yield();
		atomic_fetch_add(&running, 1);
		if (vitals_thread_fork(pool, "worker", 0, counts_down, NULL, NULL) < 0)
			wrong("long life: fork %llu", (unsigned long long)i);
		if (i % LOOK_EVERY == 0) {
			threads = entries("/proc/self/task");
			*most = threads > *most ? threads : *most;
		}
	}
}

static uint32_t thread_rows(void)
{
	struct vitals_thread_info info;
	vitals_snapshot *all = NULL;
	uint32_t n = 0;

	VITALS_INIT(&info);
	if (vitals_snapshot_take(registry, &all) == 0)
		while (vitals_snapshot_thread(all, n, &info) == 0)
			n++;
	vitals_snapshot_free(all);
	return n;
}

static void long_life_run(uint64_t n)
{
	struct process before;
	vitals_quitter *pool;
	unsigned most = 0;
	uint64_t began_ns;

	if (vitals_quitter_new(top, "pool", NULL, &pool) < 0) {
		wrong("long life: no quitter");
		return;
	}
	forks_run(pool, n / 10, &most);
	wait_for(pool, "long life");
	before = process_now();
	began_ns = clock_now();
	forks_run(pool, n, &most);
	printf("long life: %llu threads, %.0f a second, %u at most at once\n",
	       (unsigned long long)n, (double)n * 1e9 / (double)(clock_now() - began_ns),
	       most - 2);
	if (most > before.threads + ON_THE_WAY)
		wrong("long life: %u threads at once", most - 2);
	while (atomic_load(&running))
		nap();
	/* Each is joined by one that ends, or is forked, after it: the last ones by nobody. */
	if (thread_rows() > ON_THE_WAY)
		wrong("long life: %u threads are listed still", thread_rows());
	wait_for(pool, "long life");
	process_judge("long life", &before);
	vitals_quitter_free(pool);
	tree_judge("long life", 0, 1);
}

/* Each way of ending */

enum way {
	RETURNS,
	EXITS,
	IS_CANCELED,
	WAYS
};

static const char *const ways[WAYS] = { "return", "pthread_exit", "cancel" };

struct ender {
	enum way way;
	pthread_t thread;
	_Atomic uint32_t there;
};

static int ends(vitals_thread *self, void *arg)
{
	struct ender *ender = arg;

	(void)self;
	if (ender->way == RETURNS)
		return 3;
	if (ender->way == EXITS)
		pthread_exit(NULL);
	ender->thread = pthread_self();
	atomic_store(&ender->there, 1);
	for (;;)
		pause();
	return 0;
}

static void batch_run(vitals_quitter *pool, enum way way)
{
	struct ender enders[BATCH];
	unsigned i;

	memset(enders, 0, sizeof(enders));
	for (i = 0; i < BATCH; i++) {
		enders[i].way = way;
		if (vitals_thread_fork(pool, "ender", 0, ends, &enders[i], NULL) < 0)
			wrong("%s: fork", ways[way]);
	}
	for (i = 0; way == IS_CANCELED && i < BATCH; i++) {
		while (!atomic_load(&enders[i].there))
			sched_yield();
		if (pthread_cancel(enders[i].thread))
			wrong("cancel: no thread");
	}
	wait_for(pool, ways[way]);
	tree_judge(ways[way], 0, 2);
}

static void ways_run(uint64_t n)
{
	vitals_quitter *pool;
	struct process before;
	enum way way;
	uint64_t i;

	if (vitals_quitter_new(top, "pool", NULL, &pool) < 0) {
		wrong("ways: no quitter");
		return;
	}
	for (way = 0; way < WAYS; way++)
		for (i = 0; i < n / 10 && !wrongs; i += BATCH)
			batch_run(pool, way);
	before = process_now();
	for (way = 0; way < WAYS; way++) {
		for (i = 0; i < n && !wrongs; i += BATCH)
			batch_run(pool, way);
		printf("%s: %llu threads, 0 are left\n", ways[way],
		       (unsigned long long)i);
	}
	process_judge("ways", &before);
	vitals_quitter_free(pool);
}

/* Many who wait for the same, at different places above it. */

struct waiter {
	vitals_quitter *quitter;
	pthread_t thread;
	int answer;
};

static _Atomic uint32_t waiting, woken, gate;

static void *waits(void *arg)
{
	struct waiter *waiter = arg;

	atomic_fetch_add(&waiting, 1);
	waiter->answer = vitals_quitter_wait_done(waiter->quitter, PATIENCE_NS, NULL);
	atomic_fetch_add(&woken, 1);
	return NULL;
}

static int passes_gate(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	while (!atomic_load(&gate))
		nap();
	return 0;
}

static void waiters_round(vitals_quitter *pool)
{
	struct waiter waiters[WAITERS];
	uint32_t i, started = 0;

	atomic_store(&waiting, 0);
	atomic_store(&woken, 0);
	atomic_store(&gate, 0);
	if (vitals_thread_fork(pool, "last", 0, passes_gate, NULL, NULL) < 0)
		wrong("waiters: fork");
	for (i = 0; i < WAITERS; i++) {
		waiters[i] = (struct waiter){ .quitter = i % 2 ? pool : top };
		if (pthread_create(&waiters[i].thread, NULL, waits, &waiters[i]))
			break;
		started++;
	}
	while (atomic_load(&waiting) < started)
		nap();
	nap();
	if (atomic_load(&woken))
		wrong("waiters: %u woken early", atomic_load(&woken));
	atomic_store(&gate, 1);
	for (i = 0; i < started; i++) {
		(void)pthread_join(waiters[i].thread, NULL);
		if (waiters[i].answer)
			wrong("waiters: answer %d", waiters[i].answer);
	}
	if (started != WAITERS || atomic_load(&woken) != WAITERS)
		wrong("waiters: %u of %u woken", atomic_load(&woken), WAITERS);
}

static void waiters_run(uint64_t rounds)
{
	struct process before = { 0 };
	vitals_quitter *pool;
	uint64_t i, worst_ns = 0;

	if (vitals_quitter_new(top, "pool", NULL, &pool) < 0) {
		wrong("waiters: no quitter");
		return;
	}
	for (i = 0; i < rounds + 3 && !wrongs; i++) {
		uint64_t from_ns = clock_now();

		if (i == 3)
			before = process_now();
		waiters_round(pool);
		from_ns = clock_now() - from_ns;
		worst_ns = from_ns > worst_ns ? from_ns : worst_ns;
		if (from_ns > PROMPT_NS)
			wrong("waiters: somebody was not woken");
	}
	printf("waiters: %llu rounds of %u, the longest %.1f ms\n",
	       (unsigned long long)rounds, WAITERS, (double)worst_ns / 1e6);
	if (!wrongs)
		process_judge("waiters", &before);
	vitals_quitter_free(pool);
}

int main(int argc, char **argv)
{
	uint64_t cycles = number_from("VITALS_CYCLES", 1000000);

	if (argc > 1)
		cycles = strtoull(argv[1], NULL, 0);
	if (cycles < 1000) {
		printf("1000 cycles or more\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("hygiene: %llu cycles\n", (unsigned long long)cycles);
	if (vitals_registry_new(0, &registry) < 0 ||
	    vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) < 0 ||
	    vitals_start(registry) < 0)
		return 2;
	cycles_run(cycles);
	if (!wrongs)
		long_life_run(cycles / 10);
	if (!wrongs)
		ways_run(cycles / 10);
	if (!wrongs)
		waiters_run(cycles / 10000 + 3);
	printf("hygiene: %llu cycles, %u wrong\n", (unsigned long long)cycles, wrongs);
	vitals_quitter_free(top);
	vitals_registry_free(registry);
	return wrongs != 0;
}
