/* SPDX-License-Identifier: MIT */

/*
 * Walker
 *
 * Goes through a directory tree, pass after pass, and queues its files. Follows no link,
 * leaves no file system, rests as long as it worked, a second at least.
 */

#ifndef INDEXER_WALKER_H
#define INDEXER_WALKER_H

#include "queue.h"
#include "report.h"

struct walker {
	const char *root;
	struct queue *queue;
	struct report *report;
};

/* The thread; its argument is the walker. */
int walker_run(vitals_thread *self, void *walker);

#endif
