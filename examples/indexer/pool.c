/* SPDX-License-Identifier: MIT */

#include "pool.h"

#include "hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void work(struct pool *pool, vitals_thread *self, const struct job *job)
{
	uint64_t bytes, hash;
	int r = hash_file(self, job->path, &bytes, &hash);

	if (r != -ECANCELED)
		report_add(pool->report, job->pass, r == 0, bytes, hash);
}

/* In good health, and deaf: what a shutdown has to cope with. */
static void linger(vitals_thread *self)
{
	struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	for (;;) {
		vitals_heartbeat_pulse(vitals_thread_heartbeat(self));
		nanosleep(&pause, NULL);
	}
}

static int worker_run(vitals_thread *self, void *arg)
{
	struct worker *worker = arg;
	struct pool *pool = worker->pool;
	uint64_t wait_ns = VITALS_FOREVER;
	struct job *job;

	while (vitals_thread_go_on(self)) {
		if (worker->breaks) {
			breakage_strike(pool->breakage);
			wait_ns = breakage_in_ns(pool->breakage);
		}
		if (queue_take(pool->queue, self, wait_ns, &job) == 0) {
			work(pool, self, job);
			free(job);
		}
	}
	if (worker->lingers)
		linger(self);
	return 0;
}

int pool_fork(struct pool *pool, vitals_quitter *parent, unsigned n, int linger_one,
	      uint64_t timeout_ns)
{
	struct vitals_thread_options options;
	vitals_quitter *quitter;
	char name[VITALS_NAME_MAX];
	unsigned i;
	int r;

	VITALS_INIT(&options);
	options.group = "workers";
	r = vitals_quitter_new(parent, "pool", NULL, &quitter);
	for (i = 0; i < n && r == 0; i++) {
		struct worker *worker = &pool->workers[i];

		worker->pool = pool;
		worker->breaks = i == 0;
		worker->lingers = linger_one && i == n - 1;
		snprintf(name, sizeof(name), "worker-%u", i + 1);
		r = vitals_thread_fork(quitter, name, timeout_ns, worker_run, worker,
				       &options);
	}
	vitals_quitter_free(quitter); /* lives on until its threads have left */
	return r;
}
