/* SPDX-License-Identifier: MIT */

/*
 * Host
 *
 * A process in which something hangs that is to end all the same: its threads, what they hold, and
 * what its main thread does meanwhile.
 */

#ifndef ENDS_HOST_H
#define ENDS_HOST_H

#include "ends.h"

enum host_main {
	MAIN_FINISHES, /* and leaves with 42, if that comes back */
	MAIN_EXITS,
	MAIN_ALLOCATES, /* which hangs if it is told to */
	MAIN_IS_AWAY,   /* for twice the time, and leaves with 42 */
};

struct host {
	const char *what;
	uint32_t hangs; /* enum hang */
	enum host_main main;
	bool waits; /* who flushes: on a condition, rather than asleep */
	bool first; /* it hangs before main is where it is to be, rather than after that */
	enum vitals_at_deadline at_deadline;
	enum output output;
	uint64_t timeout_ns;
};

#define HOST_LATE 7 /* its status when somebody is late */
#define HOST_BACK 42

/* What ends_begin() runs; @arg is a host. Says that it is ready once, when all hangs. */
void ends_host(const void *arg);

/* Asks it to quit. Return: false if it was not there. */
bool ends_host_ask(pid_t pid);

/* Does @text name who does leave, if it gets to run? The machine was busy, or it was not woken. */
bool ends_host_starved(const char *text);

/* Is each of those that have to be late named in @text, once, and nobody else? */
bool ends_host_named(const struct host *host, const char *text);

#endif
