/* SPDX-License-Identifier: MIT */

/*
 * Lock
 *
 * Which lock a thread waits for in a futex call, and who holds it, by what glibc writes into its
 * locks. Everything is checked: the owner is a living thread of the process, the words fit each other,
 * and a second reading says the same. Where that cannot be said, no owner is.
 */

#ifndef VT_LOCK_H
#define VT_LOCK_H

#include "calls.h"

struct vt_wait {
	uint64_t lock;       /* address of the lock, not of the word in it; 0: none */
	uint32_t kind;       /* enum vitals_lock_kind */
	uint32_t holder_tid; /* 0: not known */
	uint32_t reason;     /* enum vitals_reason: why its memory could not be read */
	bool timed;          /* it gives up after a while */
	bool writer;         /* of a rwlock: it is a writer that holds it */
};

/* What the thread waits for, by a sample of it that has its call. Return: whether that is a futex. */
bool vt_lock_of(struct vt_proc *proc, const struct vt_sample *sample,
		struct vt_wait *wait);

/*
 * The same by one reading of the words, whoever waits there: of use where they are made up. Return: 0;
 * the negative errno of reading them, with @wait a futex without an owner.
 */
int vt_lock_read(struct vt_proc *proc, const struct vt_futex_call *futex,
		 struct vt_wait *wait);

#endif
