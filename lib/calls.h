/* SPDX-License-Identifier: MIT */

/*
 * Calls
 *
 * System calls by number: what a thread in one waits for, in a class and in words.
 */

#ifndef VT_CALLS_H
#define VT_CALLS_H

#include "sample.h"
#include "text.h"
#include "vitals.h"

/*
 * A futex call that waits: what is needed to tell what it waits for. The word that holds an owner
 * follows from @op and @val, never from the address alone.
 */
struct vt_futex_call {
	uint64_t address;
	uint32_t op;  /* without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME */
	uint32_t val; /* that the word was expected to have */
	bool private;
	bool timed;
};

/* Return: false if the thread is in no futex call, or in one that does not wait. */
bool vt_call_futex(const struct vt_sample *sample, struct vt_futex_call *futex);

/* The class of a thread that is blocked in the call; VITALS_ON_LOCK is for the caller to say. */
enum vitals_class vt_call_class(const struct vt_sample *sample);

/* "reads from descriptor 7, a socket": what it does in the call. */
void vt_call_describe(struct vt_proc *proc, const struct vt_sample *sample,
		      struct vt_text *text);

#endif
