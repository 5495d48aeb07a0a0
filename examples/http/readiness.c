/* SPDX-License-Identifier: MIT */

#include "readiness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int was_ready;

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

int readiness(vitals_snapshot **snapshot)
{
	struct vitals_process_info process;

	VITALS_INIT(&process);
	if (vitals_snapshot_take(NULL, snapshot) ||
	    vitals_snapshot_process(*snapshot, &process))
		return 0;
	return process.ready != 0;
}

void readiness_say(int ready)
{
	if (atomic_exchange(&was_ready, ready) && !ready)
		printf("not ready at %llu\n", (unsigned long long)clock_now());
}

void readiness_say_told(const char *name)
{
	uint64_t now_ns = clock_now();
	vitals_snapshot *snapshot = NULL;

	printf("%s told at %llu, ready %d\n", name, (unsigned long long)now_ns,
	       readiness(&snapshot));
	vitals_snapshot_free(snapshot);
}
