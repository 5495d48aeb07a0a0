/* SPDX-License-Identifier: MIT */

/*
 * Notifier
 *
 * The thread that calls out: event callbacks, and the unblock callbacks of threads that the monitor
 * told to leave. It may be stuck in one of them for ever; nobody waits for it but stop.
 */

#ifndef VT_NOTIFIER_H
#define VT_NOTIFIER_H

#include "registry.h"

#include <stdbool.h>

/* Starts it if it does not run. Return: 0; -EAGAIN, -EPERM, -ENOMEM. */
int vt_notifier_start(vitals_registry *registry);

/* Starts it again, after a stop or in a forked child, if there is a callback, or messages. Return: as start. */
int vt_notifier_resume(vitals_registry *registry);

/* Waits for the running callback. Return: 0, also if it did not run; -EDEADLK from itself. */
int vt_notifier_stop(vitals_registry *registry);

/* Is this thread it? */
bool vt_notifier_is_here(const vitals_registry *registry) VT_REQUIRES(registry->lock);

/* How it stands, for who wants to know whether anybody is left to wake a thread of the host's. */
struct vt_calling {
	uint32_t tid;  /* of its thread; 0: there is none */
	bool away;     /* that thread is in a callback of the host's */
	bool expected; /* there is a callback, to be called for every event */
};
void vt_notifier_calling(vitals_registry *registry, struct vt_calling *ret)
	VT_REQUIRES(registry->lock);

/* It has something to do. Async-signal-safe. */
void vt_notifier_wake(vitals_registry *registry);

#endif
