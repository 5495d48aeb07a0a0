/* SPDX-License-Identifier: MIT */

/*
 * Readiness
 *
 * Whether the process is ready, as /readyz says it, and that threads are told after that has ended.
 */

#ifndef HTTP_READINESS_H
#define HTTP_READINESS_H

#include <vitals.h>

uint64_t clock_now(void);

/* 1 or 0. @snapshot: kept from one to the next, freed by the caller. */
int readiness(vitals_snapshot **snapshot);

/* When it fell, for whoever reads what is printed; each thread also says when it was told. */
void readiness_say(int ready);
void readiness_say_told(const char *name);

#endif
