/* SPDX-License-Identifier: MIT */

/*
 * Pool
 *
 * The workers, in a quitter of their own: each takes a file off the queue, hashes it and
 * adds it to the report. The first is the one that breaks, the last the one that lingers.
 */

#ifndef INDEXER_POOL_H
#define INDEXER_POOL_H

#include "breakage.h"
#include "queue.h"
#include "report.h"

#define POOL_MAX 64u

struct pool;

struct worker {
	struct pool *pool;
	int breaks;
	int lingers; /* does not leave when it is told to */
};

struct pool {
	struct queue *queue;
	struct report *report;
	struct breakage *breakage;
	struct worker workers[POOL_MAX];
};

/* Forks n workers, "worker-1" and so on, in a child of the quitter, "pool". */
int pool_fork(struct pool *pool, vitals_quitter *parent, unsigned n, int linger,
	      uint64_t timeout_ns);

#endif
