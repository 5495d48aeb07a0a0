/* SPDX-License-Identifier: MIT */

/*
 * Queue
 *
 * The files to hash, from the walker to the pool, at most QUEUE_ROOM at a time: a walker
 * that is faster than the pool waits.
 */

#ifndef INDEXER_QUEUE_H
#define INDEXER_QUEUE_H

#include <stdint.h>
#include <vitals.h>

#define QUEUE_ROOM 64u

struct job {
	unsigned long pass;
	char path[];
};

struct queue {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct job *jobs[QUEUE_ROOM]; /* a ring */
	unsigned first;
	unsigned n;
};

void queue_open(struct queue *queue);

/* Waits, idle, for room. 0: the job is the queue's; -ECANCELED: to leave. */
int queue_put(struct queue *queue, vitals_thread *self, struct job *job);

/*
 * Waits, idle, for a job. 0: *job is the caller's, to be freed; -EAGAIN: woken for
 * nothing; -ETIMEDOUT: none within wait_ns; -ECANCELED: to leave.
 */
int queue_take(struct queue *queue, vitals_thread *self, uint64_t wait_ns,
	       struct job **job);

/* Frees what is left. */
void queue_close(struct queue *queue);

#endif
