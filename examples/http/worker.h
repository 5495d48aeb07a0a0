/* SPDX-License-Identifier: MIT */

/*
 * Worker
 *
 * A thread that answers the requests of its own connections, which nobody else touches. Each
 * request is a hold in the workers' quitter. Once the quitter in front was told an answer is a
 * connection's last.
 */

#ifndef HTTP_WORKER_H
#define HTTP_WORKER_H

#include <stdatomic.h>
#include <vitals.h>

struct connection;

struct worker {
	vitals_quitter *front;
	vitals_quitter *workers;
	unsigned work_us; /* of each request */
	int epoll_fd;
	int handover[2]; /* descriptors of new connections */
	struct connection *first;
	vitals_snapshot *snapshot;
};

/* Of all workers: connections that are open or handed over, requests with an answer. */
extern _Atomic uint32_t worker_connections;
extern _Atomic uint64_t worker_answered;

/* Forks it, "worker" in @worker->workers. Return: 0; a negative errno. */
int worker_fork(struct worker *worker);

/* It is @worker's to close now. */
void worker_give(struct worker *worker, int fd);

#endif
