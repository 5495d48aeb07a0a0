/* SPDX-License-Identifier: MIT */

/*
 * Breakage
 *
 * Breaks the thread that it strikes, for real and on demand, in one of eight ways:
 *
 *	deadlock   two mutexes, taken in opposite order by it and a second thread
 *	cycle3     three mutexes and three threads, each with one and waiting for the next
 *	condvar    a condition that nobody signals
 *	io         a socket that nobody sends to
 *	spin       a loop that does nothing, as fast as it can
 *	starve     the same, with another thread that always goes first
 *	sleep      a blocking read that nobody answers
 *	die        an end without leaving
 *
 * Spin, starve and sleep can heal.
 */

#ifndef INDEXER_BREAKAGE_H
#define INDEXER_BREAKAGE_H

#include <stdint.h>
#include <vitals.h>

enum breakage_kind {
	BREAKAGE_NONE,
	BREAKAGE_DEADLOCK,
	BREAKAGE_CYCLE3,
	BREAKAGE_CONDVAR,
	BREAKAGE_IO,
	BREAKAGE_SPIN,
	BREAKAGE_STARVE,
	BREAKAGE_SLEEP,
	BREAKAGE_DIE,
};

struct breakage {
	enum breakage_kind kind;
	uint64_t after_ns; /* the opening */
	uint64_t heal_ns;  /* after the strike; 0: never */
	uint64_t at_ns;
	int struck; /* read and written by the thread it strikes only */
	int healed; /* atomic */
	int pipe[2];
	int told[2]; /* readable once it has struck */
};

/* The kind; -1 if there is none of that name. */
int breakage_kind(const char *name);

/* Does it ever end? */
int breakage_heals(enum breakage_kind kind);

/* Its time runs from here on. 0 or a negative errno. */
int breakage_open(struct breakage *breakage);

/* How long until it strikes; VITALS_FOREVER if it never will, or has. */
uint64_t breakage_in_ns(const struct breakage *breakage);

/* Breaks the calling thread, once, when the time has come. */
void breakage_strike(struct breakage *breakage);

/* The thread that heals; its argument is the breakage. */
int breakage_heal(vitals_thread *self, void *breakage);

#endif
