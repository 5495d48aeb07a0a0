/* SPDX-License-Identifier: MIT */

#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void queue_open(struct queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->changed, NULL);
}

int queue_put(struct queue *queue, vitals_thread *self, struct job *job)
{
	int r = 0;

	pthread_mutex_lock(&queue->mutex);
	while (queue->n == QUEUE_ROOM && r == 0)
		r = vitals_thread_cond_wait(self, &queue->changed, &queue->mutex,
					    VITALS_FOREVER);
	if (r == 0) {
		queue->jobs[(queue->first + queue->n++) % QUEUE_ROOM] = job;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->mutex);
	return r;
}

int queue_take(struct queue *queue, vitals_thread *self, uint64_t wait_ns,
	       struct job **job)
{
	int r = 0;

	pthread_mutex_lock(&queue->mutex);
	if (queue->n == 0)
		r = vitals_thread_cond_wait(self, &queue->changed, &queue->mutex,
					    wait_ns);
	if (r == 0 && queue->n == 0)
		r = -EAGAIN;
	if (r == 0) {
		*job = queue->jobs[queue->first];
		queue->first = (queue->first + 1) % QUEUE_ROOM;
		queue->n--;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->mutex);
	return r;
}

void queue_close(struct queue *queue)
{
	while (queue->n)
		free(queue->jobs[(queue->first + --queue->n) % QUEUE_ROOM]);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->mutex);
}
