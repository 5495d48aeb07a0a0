/* SPDX-License-Identifier: MIT */

#include "onlookers.h"

#include "key.h"
#include "task.h"
#include "vitals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

/*
 * Each a process and a thread, so that a forked child finds none of its parent's; 0: free. Of the
 * process rather than of a registry: who wakes nobody wakes nobody.
 */
static _Atomic uint64_t onlookers[VT_ONLOOKERS];

static void thread_ended(void *armed);
static struct vt_key onlooker_key = { .ended = thread_ended };

static uint64_t here(void)
{
	return (uint64_t)getpid() << 32 | vt_task_self();
}

/* Before the kernel can give its id to another thread. */
static void thread_ended(void *armed)
{
	uint64_t self = here();
	_Atomic uint64_t *mine;
	void *slot;

	if (!vt_key_ended(&onlooker_key, armed, &slot) || !slot)
		return;
	mine = slot;
	/* In a forked child it may be another's by now. Relaxed, all: a fact of its own. */
	(void)atomic_compare_exchange_strong_explicit(
		mine, &self, 0, memory_order_relaxed, memory_order_relaxed);
}

static bool of_this_process(uint64_t onlooker)
{
	return onlooker >> 32 == (uint64_t)getpid();
}

int vitals_thread_looks_on(void)
{
	uint64_t self = here();
	unsigned i;

	for (i = 0; i < VT_ONLOOKERS; i++)
		if (atomic_load_explicit(&onlookers[i], memory_order_relaxed) == self)
			return 0;
	for (i = 0; i < VT_ONLOOKERS; i++) {
		uint64_t old = atomic_load_explicit(&onlookers[i], memory_order_relaxed);

		/* One of a process that this one was forked from is free. */
		if (old && of_this_process(old))
			continue;
		/* The key first: without it the slot would outlive the thread. */
		if (!vt_key_keep(&onlooker_key, (void *)(uintptr_t)&onlookers[i]))
			return -ENOMEM;
		if (atomic_compare_exchange_strong_explicit(&onlookers[i], &old, self,
							    memory_order_relaxed,
							    memory_order_relaxed))
			return 0;
		(void)vt_key_keep(&onlooker_key, NULL);
	}
	return -ENOSPC;
}

unsigned vt_onlookers(uint32_t ret_tids[VT_ONLOOKERS])
{
	unsigned i, n = 0;

	for (i = 0; i < VT_ONLOOKERS; i++) {
		uint64_t onlooker =
			atomic_load_explicit(&onlookers[i], memory_order_relaxed);

		if (onlooker && of_this_process(onlooker))
			ret_tids[n++] = (uint32_t)onlooker;
	}
	return n;
}
