/* SPDX-License-Identifier: MIT */

/*
 * Unblock
 *
 * How a member that was told gets out of what it waits in: its descriptor turns readable,
 * its condition is broadcast, again until it has left, its callback is called. Each by
 * whoever told it, after all words are set.
 */

#ifndef VT_UNBLOCK_H
#define VT_UNBLOCK_H

#include "member.h"

/*
 * Wakes all that @told remembers; no lock is held. May be done once, before
 * vt_told_settle().
 */
void vt_told_deliver(vitals_registry *registry, struct vt_told *told);

/* Lets go of what @told pinned; who is still inside is put on the lists below. */
void vt_told_settle(vitals_registry *registry, struct vt_told *told)
	VT_REQUIRES(registry->lock);

/* Both, and the callbacks, in a thread of the host's. */
void vt_told_done(vitals_registry *registry, struct vt_told *told);

/*
 * Broadcasts once more to those who are still in a condition wait. Return: whether any
 * is.
 */
bool vt_unblock_kick(vitals_registry *registry, struct vt_told *told)
	VT_REQUIRES(registry->lock);

/*
 * Calls the callbacks of members that were told; no lock is held. Return: whether there
 * were any.
 */
bool vt_unblock_calls(vitals_registry *registry);

/* Calls @member's own, if nobody has: the member was told before it said what to call. */
void vt_unblock_call(vitals_thread *member);

/*
 * Replaces what is called for the calling thread, NULL: nothing, and waits until what was
 * called before is over. Return: 0; -EDEADLK in the callback itself.
 */
int vt_unblock_set(vitals_thread *self, void (*unblock)(void *user), void *user);

#endif
