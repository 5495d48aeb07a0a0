/* SPDX-License-Identifier: MIT */

/*
 * Asleep
 *
 * All threads of the process sleep, and nobody is left to wake one. What Go's runtime says of
 * goroutines; said here only where it is certain, for most programs that do nothing are alive.
 *
 * All but ours wait, in two looks between which none of them has run, for another thread of the
 * process: on a futex without a time-out that no other process sees and that is none of ours, or to
 * join one. No signal has a handler but for ours, no timer runs, no io_uring is open, and nothing of
 * ours is still to come.
 */

#ifndef VT_ASLEEP_H
#define VT_ASLEEP_H

#include "chain.h"

/* A look at the threads: the same numbers mean that none has run between two. */
struct vt_asleep_look {
	uint64_t print;
	uint32_t listed;  /* all threads */
	uint32_t threads; /* of the host's, that have not ended */
};

enum vt_asleep_step {
	VT_ASLEEP_NEW,    /* nobody has looked yet */
	VT_ASLEEP_STILL,  /* if nobody has run since, it is time to look */
	VT_ASLEEP_FIRST,  /* the first look goes on */
	VT_ASLEEP_WAIT,   /* for the second */
	VT_ASLEEP_SECOND, /* it goes on */
	VT_ASLEEP_RINGS,  /* and over the descriptors */
	VT_ASLEEP_TOLD,
	VT_ASLEEP_AGAIN, /* somebody has run; a look says whether it was one of them */
};

/* The rule's memory; zero at first. One for each process that is looked at, one thread at a time. */
struct vt_asleep {
	uint64_t interval_ns; /* between two looks; 0: a second */
	uint64_t next_ns;     /* nothing is done before */
	uint64_t ran_ns; /* how long the host's threads had run at most, when it began */
	uint64_t ours;   /* which threads were not the host's then */
	enum vt_asleep_step step;
	uint32_t witness; /* who was awake last; 0: nobody yet */
	int64_t position; /* in the listing that goes on */
	struct vt_asleep_look first;
	struct vt_asleep_look second; /* as it was told */
};

struct vt_asleep_news {
	bool changed; /* it is one: an episode has begun, or is over; else the rest says nothing */
	bool asleep;
	bool until_signal; /* a signal that a main quitter waits for would wake them */
	uint32_t threads;
	char doing
		[VITALS_DOING_MAX]; /* "all 2 threads are asleep: main (tid 70) joins …" */
};

/*
 * In every turn of the monitor, by its thread. Almost free while somebody runs: the process's clock
 * is compared once a second. Else a look goes over a few threads a turn. @namer may be NULL. Return:
 * when it wants the next turn.
 */
uint64_t vt_asleep_turn_at(struct vt_asleep *asleep, struct vt_proc *proc,
			   const struct vt_namer *namer, uint64_t now_ns,
			   struct vt_asleep_news *news);

/*
 * The rule of one thread's part in a look. Return: whether it is, or may be for all it says, asleep;
 * then it is in @look. @ours: it is one of ours.
 */
bool vt_asleep_count(struct vt_asleep_look *look, const struct vt_sample *sample,
		     bool ours);

/* And of the whole. @threads: that the process has. */
bool vt_asleep_same(const struct vt_asleep_look *first,
		    const struct vt_asleep_look *second, uint32_t threads);

#endif
