/* SPDX-License-Identifier: MIT */

/*
 * Chain
 *
 * From a thread that waits for a lock to who holds it, to what that one waits for, and so on: to
 * somebody who does not wait for a lock, or back to one it came by, which is a deadlock.
 */

#ifndef VT_CHAIN_H
#define VT_CHAIN_H

#include "lock.h"

#define VT_HOPS 16

struct vt_hop {
	uint32_t tid;
	struct vt_wait wait; /* of the last: kind 0 if it waits for no lock */
};

struct vt_chain {
	struct vt_hop hops[VT_HOPS]; /* the first is the thread itself */
	uint32_t n;
	bool deadlock; /* the last waits for what hops[back] holds */
	bool timed; /* … and one of the cycle gives up after a while: it is not for ever */
	bool longer;   /* than there is room for */
	uint32_t back; /* 0: the first is part of it; else it waits for one that is */
	uint64_t
		key; /* of the cycle: the same from whichever of its threads it is found */
	/* What the last one, who waits for no lock, is doing. */
	struct vt_sample last;
};

/*
 * @first: of the thread it begins with, with its call. A cycle is a deadlock when all of it was so at
 * one moment: two readings say so, and none of its threads was let run from the one to the other.
 */
void vt_chain_follow(struct vt_proc *proc, const struct vt_sample *first, uint64_t now_ns,
		     struct vt_chain *chain);

/* Names for what is found: "worker-2", and what vitals_lock_name() was told. Each may be NULL. */
struct vt_namer {
	/* Return: whether there is a name; VITALS_SHOWN_MAX bytes. */
	bool (*thread)(void *user, uint32_t tid, char *name);
	bool (*lock)(void *user, uint64_t address, char *name);
	void *user;
};

/*
 * "waits for mutex journal (0x5581), held by flusher (tid 71), which reads from descriptor 7". Who has
 * no name is "thread pool-1 (tid 71)", by what the kernel calls it. What does not fit is cut between
 * two characters; nothing is added for one that waits for no lock.
 */
void vt_chain_describe(struct vt_proc *proc, const struct vt_namer *namer,
		       const struct vt_chain *chain, struct vt_text *text);

/*
 * A deadlock alone, beginning with the lowest tid of the cycle: "worker-2 waits for mutex 0x55d0
 * held by worker-3 waits for mutex 0x55f8 held by worker-2".
 */
void vt_chain_describe_cycle(struct vt_proc *proc, const struct vt_namer *namer,
			     const struct vt_chain *chain, struct vt_text *text);

#endif
