/* SPDX-License-Identifier: MIT */

/*
 * Seeded
 *
 * Faults on purpose: a thread that hangs in a way that is known. Also a helper process that may do
 * what the tested one, once it is nobody, may not.
 */

#ifndef SEEDED_H
#define SEEDED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum fault_kind {
	FAULT_SPIN,
	FAULT_MUTEX,
	FAULT_CONDVAR,
	FAULT_READ,
	FAULT_SLEEP,
	FAULT_STARVED, /* of the idle class, beside one that spins on the same processor */
	FAULT_QUOTA,   /* in a control group with a tenth of a processor */
	FAULT_STOPPED, /* by a debugger */
	FAULT_GONE,
	FAULTS,
};

extern const char *const fault_names[FAULTS];

struct fault {
	enum fault_kind kind;
	pthread_t thread;
	pthread_t other; /* who keeps the processor */
	_Atomic uint32_t tid;
	_Atomic uint32_t other_tid;
	_Atomic uint32_t over;
	pthread_mutex_t mutex;
	pthread_mutex_t guard;
	pthread_cond_t condition;
	int sockets[2]; /* from before: there may be no descriptors left */
};

/* Traces, moves to the control group, raises the priority. -1: there is none. */
struct fault_helper {
	pid_t pid;
	int socket;
	bool quota; /* there is such a group */
};

/* Before the process gives anything up. */
void fault_helper_begin(struct fault_helper *helper);
void fault_helper_end(struct fault_helper *helper);

void fault_prepare(struct fault *fault);
void fault_discard(struct fault *fault);

/* Return: whether it hangs now; false: that cannot be had here. */
bool fault_begin(struct fault *fault, enum fault_kind kind,
		 const struct fault_helper *helper);
void fault_end(struct fault *fault, const struct fault_helper *helper);

#endif
