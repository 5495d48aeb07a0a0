/* SPDX-License-Identifier: MIT */

/*
 * Unblock
 *
 * How a member that was told gets out of what it waits in: its descriptor turns readable,
 * its condition is broadcast, again until it has left, its callback is called, and once more
 * when half its time is gone. Each by whoever told it, after all words are set; but for
 * conditions: a broadcast waits for ever for a waiter of the host's that is stuck in it, so it
 * is the notifier's, if there is one.
 */

#ifndef VT_UNBLOCK_H
#define VT_UNBLOCK_H

#include "member.h"

/*
 * Wakes all that @told remembers; no lock is held. @kicks: conditions too. May be done once,
 * before vt_told_settle().
 */
void vt_told_deliver(vitals_registry *registry, struct vt_told *told, bool kicks);

/* Lets go of what @told pinned; who is still inside is put on the lists below. */
void vt_told_settle(vitals_registry *registry, struct vt_told *told)
	VT_REQUIRES(registry->lock);

/* Both, and the callbacks, in a thread of the host's. */
void vt_told_done(vitals_registry *registry, struct vt_told *told);

/* Is there a notifier that sees to conditions? */
bool vt_unblock_helped(const vitals_registry *registry);

/* Is there anything for the notifier on the lists? */
bool vt_unblock_waits(vitals_registry *registry) VT_REQUIRES(registry->lock);

/*
 * Broadcasts once more to those who are still in a condition wait; no lock is held. Return:
 * whether any was.
 */
bool vt_unblock_kicks(vitals_registry *registry);

/* The same for whoever waits, if the notifier is kept from it. Return: whether any is left. */
bool vt_unblock_kicks_for(vitals_registry *registry, uint64_t now_ns);

/* Its callback is to be called; the caller has pinned it. */
void vt_unblock_call_add(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock);

/*
 * Calls the callbacks of members that were told; no lock is held. Return: whether there
 * were any.
 */
bool vt_unblock_calls(vitals_registry *registry);

/* Those whose time is half gone at @now_ns are to be called again. Return: when the next is. */
uint64_t vt_unblock_again_at(vitals_registry *registry, uint64_t now_ns,
			     struct vt_told *told) VT_REQUIRES(registry->lock);

/* Calls @self's own, if nobody has: it was told before it said what to call. */
void vt_unblock_call(vitals_thread *self);

/* It has ended: it is not called again. */
void vt_unblock_forget(vitals_registry *registry, vitals_thread *self,
		       struct vt_told *told) VT_REQUIRES(registry->lock);

/*
 * Replaces what is called for the calling thread, NULL: nothing, and waits until what was
 * called before is over. Return: 0; -EDEADLK in the callback itself.
 */
int vt_unblock_set(vitals_thread *self, void (*unblock)(void *user), void *user);

#endif
