/* SPDX-License-Identifier: MIT */

/*
 * Exporter fixture
 *
 * An exporter that serves a made-up process on a port of its own, for the tests that see
 * it as its callers and their clients do.
 */

#ifndef EXPORTER_FIXTURE_H
#define EXPORTER_FIXTURE_H

#include "vitals-exporter.h"

#include <stdbool.h>

#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
#define HALF "GET /health HTTP/1.1\r\nHost: x\r\n"

/* Descriptors are looked for below this. */
#define FDS 256

extern vitals_exporter *exporter;
extern char exporter_at[128]; /* its address; outlives it */

/* A healthy service in the fake, no switch in the environment; and the end of it all. */
void exporter_setup(void);
void exporter_teardown(void);

void exporter_run(const struct vitals_exporter_options *options);
void exporter_end(void);

bool fd_is_open(int fd);

/* What start has opened; the numbers of it. */
unsigned fds_of_exporter(int ret[FDS]);

uint64_t wall_ns(void);

/* What the process uses while the caller does nothing for @ms. */
uint64_t cpu_ns_during(int ms);

#endif
