/* SPDX-License-Identifier: MIT */

/*
 * Report
 *
 * What a pass found. The workers add to it, the walker says when a pass begins and how
 * many files it has; the reporter prints what has changed since the pass before. A pass
 * ends with its last file, or unfinished when the next one begins, so that one stuck
 * worker holds up nobody.
 */

#ifndef INDEXER_REPORT_H
#define INDEXER_REPORT_H

#include <stdint.h>
#include <vitals.h>

struct tally {
	unsigned long pass; /* 0: none */
	unsigned long files;
	unsigned long unreadable;
	uint64_t bytes;
	uint64_t digest;        /* of all names and contents, in any order */
	unsigned long expected; /* files, once walked */
	int walked;
};

struct report {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct tally now;  /* under way */
	struct tally done; /* to be printed */
};

void report_open(struct report *report);
void report_close(struct report *report);

void report_begin(struct report *report, unsigned long pass);
void report_walked(struct report *report, unsigned long expected,
		   unsigned long unreadable);

/* Of a pass that has ended already it is too late, and forgotten. */
void report_add(struct report *report, unsigned long pass, int readable, uint64_t bytes,
		uint64_t hash);

/* The thread that prints; its argument is the report. */
int report_run(vitals_thread *self, void *report);

#endif
