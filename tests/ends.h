/* SPDX-License-Identifier: MIT */

/*
 * Ends
 *
 * What the cases of tests/ends.c share: a process of its own for each, which ends by itself or is
 * ended by an alarm; what it has written; how long it took, seen from outside.
 */

#ifndef ENDS_H
#define ENDS_H

#include "chance.h"
#include "main.h"
#include "vitals.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* What this process and the one it looks at both see. */
struct board {
	_Atomic uint32_t ready;    /* all hang that are to hang */
	_Atomic uint32_t heard;    /* signals that were handled */
	_Atomic uint32_t told;     /* whether anybody was */
	_Atomic uint32_t flushed;  /* those who flush that were told */
	_Atomic uint32_t step;     /* a case's own */
	_Atomic int pid;           /* a grandchild's */
	_Atomic uint64_t asked_ns; /* before the request */
	_Atomic uint64_t done_ns;  /* finish was back */
};

extern struct board *board;

/* Ways to hang; a set of them. */
enum hang {
	HANG_MALLOC =
		1 << 0, /* the allocator's lock is held for ever, as the others below */
	HANG_STDIO = 1 << 1,
	HANG_REGISTRY = 1 << 2,
	HANG_JUDGE = 1 << 3,
	HANG_EVENTS = 1 << 4,
	HANG_MONITOR = 1 << 5,
	HANG_NOTIFIER = 1 << 6,
	HANG_CALLS = 1 << 7, /* what the notifier calls */
	HANG_LOCKS = 0xfc,
	HANG_HELD = 0xff,       /* any of them */
	HANG_CALLBACK = 1 << 8, /* somebody's on_quit never returns */
	HANG_COND =
		1 << 9, /* a condition has a waiter that is stuck in a signal handler */
	HANG_DRAIN = 1 << 10,   /* one that drains does not leave */
	HANG_WAY_OUT = 1 << 11, /* a destructor of one that has returned does not */
};

/* Where its stderr goes. */
enum output {
	OUTPUT_READ,
	OUTPUT_FULL,   /* a pipe that takes no more, and nobody reads */
	OUTPUT_CLOSED, /* to nobody */
};

/* How a process has ended. */
struct end {
	int status;       /* as waitpid gives it */
	uint64_t over_ns; /* when it was seen */
	char text[16384]; /* what came out at stderr */
};

/* How many and how late. */
struct tally {
	const char *what;
	uint32_t n;
	uint32_t wrong; /* ended otherwise than it should */
	uint64_t *took; /* each, in ns */
};

uint64_t ends_now(void);
void ends_sleep(uint64_t ns);

/* Takes the locks in @hangs that one thread can hold, for good. */
void ends_hold(vitals_registry *registry, uint32_t hangs);

/* Runs @run in a process of its own. Return: its pid. */
pid_t ends_begin(void (*run)(const void *arg), const void *arg, enum output output);

/* Waits until what it says of itself is @n. Return: false after very long. */
bool ends_await(_Atomic uint32_t *word, uint32_t n);

/* Waits for its end. */
void ends_wait(pid_t pid, struct end *end);

bool ends_exited(const struct end *end, int status);

/* Room for @n. */
struct tally ends_tally(const char *what, uint32_t n);
void ends_took(struct tally *tally, uint64_t ns);

/*
 * Prints it. @limit_ns: 99 of 100 are to take no longer, if the machine is idle; one of many, however
 * busy it is; 0: whatever. Return: whether all is well.
 */
bool ends_judge(struct tally *tally, uint64_t limit_ns);

/* How late a process is that leaves at its own time: after each case, as its baseline. */
void ends_bare(void);

/* Is the machine idle enough for how soon to count? */
bool ends_idle(void);

/* Prints the baseline. */
void ends_bare_print(void);

/* What went wrong, in so many words; not more than some of it. */
void ends_complain(const char *what, const struct end *end, const char *why);

/* Each returns whether all is well. */
bool ends_signals(uint32_t n);
bool ends_forks(uint32_t n);
bool ends_deadlines(uint32_t n);
bool ends_flushes(uint32_t n, struct chance *chance);
bool ends_stages(uint32_t n, struct chance *chance);

#endif
