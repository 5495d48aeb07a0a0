/* SPDX-License-Identifier: MIT */

/*
 * Sleeper
 *
 * A thread that only another thread of its process can wake: by a sample of it. What it says of
 * others is nothing: who may only be asleep is not.
 */

#ifndef VT_SLEEPER_H
#define VT_SLEEPER_H

#include "calls.h"
#include "chain.h"

/* What a sample of a thread must have to be judged. */
#define VT_SLEEPER_SAMPLE (VT_SAMPLE_STATE | VT_SAMPLE_CALL | VT_SAMPLE_SWITCHES)

enum vt_sleep {
	VT_SLEEP_NOT, /* it runs, or something else may wake it */
	VT_SLEEP_WORD, /* it waits, without a time-out, on a futex that no other process sees */
	VT_SLEEP_JOIN, /* it may join a thread: see vt_sleeper_joins() */
	VT_SLEEP_GONE, /* it has ended, and is a number only */
};

/* @ret: of one that waits. */
enum vt_sleep vt_sleeper_judge(const struct vt_sample *sample, struct vt_futex_call *ret);

/*
 * What looks like a join is one, of the thread that it names: a word that several processes share
 * may have any value, the id of a thread of this one too. Only of this process. Return: the thread
 * joined, which lives; 0: none.
 */
uint32_t vt_sleeper_joins(const struct vt_futex_call *futex);

/* A number that is another one after the thread has run, or waits for something else. */
uint64_t vt_sleeper_print(const struct vt_sample *sample);

/* "main (tid 70) joins worker (tid 71)"; @pid: of the process. @namer may be NULL. */
void vt_sleeper_describe(struct vt_proc *proc, const struct vt_namer *namer, uint32_t pid,
			 const struct vt_sample *sample, struct vt_text *text);

#endif
