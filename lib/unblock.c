/* SPDX-License-Identifier: MIT */

#include "unblock.h"

#include "clock.h"
#include "wakefd.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

/*
 * A member holds its own lock for a few instructions; a teller never waits longer for it.
 */
#define PATIENCE_NS 1000000u

/* After so long without a kick the notifier is kept from it. */
#define KEPT_NS VITALS_MS(20)

static uint32_t armed_load(const vitals_thread *member)
{
	/*
	 * Acquire pairs with the member's release when it has left: then nothing is
	 * touched.
	 */
	return atomic_load_explicit(&member->armed, memory_order_acquire);
}

bool vt_unblock_helped(const vitals_registry *registry)
{
	/* Relaxed: facts of their own. */
	return registry->tree &&
	       atomic_load_explicit(&registry->tree->called, memory_order_relaxed) &&
	       atomic_load_explicit(&registry->run, memory_order_relaxed) ==
		       VT_RUN_RUNNING;
}

static void cond_kick(vitals_thread *member)
{
	if (!vt_lock_until(&member->wait, vt_clock_now() + PATIENCE_NS))
		return; /* it stays armed, so it is kicked again */
	/*
	 * Without the host's mutex, which may be held, robust, or gone with a process: so
	 * a member between its look at the word and its wait misses this one, and needs
	 * the next.
	 */
	if (vt_member_seldom(member)->cond)
		(void)pthread_cond_broadcast(vt_member_seldom(member)->cond);
	vt_unlock(&member->wait);
}

void vt_told_deliver(vitals_registry *registry, struct vt_told *told, bool kicks)
{
	uint32_t at;

	vt_told_wake(told);
	for (at = told->first_quitter; at;) {
		vitals_quitter *quitter = vt_quitter_at(registry, at - 1);

		vt_futex_wake(vt_futex_low(&vt_quitter_slot(quitter)->word), INT_MAX);
		vt_wakefd_set(vt_quitter_descriptor(quitter));
		at = quitter->told_next;
	}
	for (at = told->first_member; at;) {
		vitals_thread *member = vt_member_at(registry, at - 1);
		uint32_t armed = armed_load(member);

		/* Acquire pairs with the release of whoever made it. */
		if (armed & VT_ARMED_POLL)
			vt_wakefd_set(atomic_load_explicit(&member->poll_fd,
							   memory_order_acquire));
		if (kicks && (armed & VT_ARMED_COND))
			cond_kick(member);
		at = member->told_next;
	}
}

static void kick_add(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	vt_member_seldom(member)->kick_next = registry->tree->kick_first;
	registry->tree->kick_first = vt_member_index(member) + 1;
}

void vt_told_settle(vitals_registry *registry, struct vt_told *told)
{
	while (told->first_quitter) {
		vitals_quitter *quitter =
			vt_quitter_at(registry, told->first_quitter - 1);

		told->first_quitter = quitter->told_next;
		vt_quitter_unref(registry, quitter, told);
	}
	while (told->first_member) {
		vitals_thread *member = vt_member_at(registry, told->first_member - 1);
		uint32_t armed = armed_load(member);

		told->first_member = member->told_next;
		/* Without a notifier it looks by itself, see wait.c. */
		if ((armed & VT_ARMED_COND) && vt_unblock_helped(registry)) {
			/* Relaxed: a hint. The notifier has its time, from the first on. */
			if (!registry->tree->kick_first)
				atomic_store_explicit(&registry->tree->kicked_ns,
						      vt_clock_now(),
						      memory_order_relaxed);
			vt_member_ref(registry, member); /* until it has left */
			kick_add(registry, member);
		}
		if ((armed & VT_ARMED_CALL) && !(member->bits & VT_MEMBER_CALL)) {
			vt_member_ref(registry, member); /* until it needs no call */
			member->bits |= VT_MEMBER_CALL;
			vt_unblock_call_add(registry, member);
		}
		vt_member_unref(registry, member, told);
	}
}

bool vt_unblock_waits(vitals_registry *registry)
{
	return registry->tree->call_first || registry->tree->kick_first ||
	       atomic_load_explicit(&registry->tree->n_over, memory_order_relaxed);
}

void vt_told_done(vitals_registry *registry, struct vt_told *told)
{
	bool helped = vt_unblock_helped(registry), kicks;

	if (!told->first_quitter && !told->first_member && !told->n_words) {
		vt_told_drop(registry, told);
		return;
	}
	/* The registry is there until the calls are over, whoever frees it meanwhile. */
	(void)vt_registry_ref(registry);
	vt_told_deliver(registry, told, !helped);
	vt_lock(&registry->lock);
	vt_told_settle(registry, told);
	kicks = registry->tree->kick_first;
	vt_tree_unlock(registry, told);
	if (kicks)
		registry->tree->poke(registry);
	(void)vt_unblock_calls(registry);
	(void)vt_registry_unref(registry);
}

/* Who has left its wait is forgotten, the others stay to be kicked again. */
static bool kicks_sort(vitals_registry *registry, uint32_t at)
{
	struct vt_told told = { 0 };
	bool any = false;

	vt_lock(&registry->lock);
	while (at) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		at = vt_member_seldom(member)->kick_next;
		if (armed_load(member) & VT_ARMED_COND) {
			kick_add(registry, member);
			any = true;
		} else {
			vt_member_unref(registry, member, &told);
		}
	}
	vt_tree_unlock(registry, &told);
	return any;
}

bool vt_unblock_kicks(vitals_registry *registry)
{
	uint32_t first, at;

	vt_lock(&registry->lock);
	first = registry->tree->kick_first;
	registry->tree->kick_first = 0; /* the caller's, until they are sorted */
	vt_unlock(&registry->lock);
	if (!first)
		return false;
	atomic_store_explicit(&registry->tree->kicked_ns, vt_clock_now(),
			      memory_order_relaxed);
	atomic_fetch_add_explicit(&registry->tree->kicking, 1, memory_order_relaxed);
	for (at = first; at;) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		at = vt_member_seldom(member)->kick_next;
		cond_kick(member);
	}
	atomic_fetch_sub_explicit(&registry->tree->kicking, 1, memory_order_relaxed);
	return kicks_sort(registry, first);
}

bool vt_unblock_kicks_for(vitals_registry *registry, uint64_t now_ns)
{
	bool any;

	vt_lock(&registry->lock);
	any = registry->tree->kick_first;
	vt_unlock(&registry->lock);
	if (!any)
		return false;
	registry->tree->poke(registry);
	/*
	 * Relaxed, all: hints. Whoever is kept by a broadcast is kept for ever: not this thread
	 * too, nor only because the notifier did not get to run.
	 */
	if (now_ns > atomic_load_explicit(&registry->tree->kicked_ns,
					  memory_order_relaxed) +
			     KEPT_NS &&
	    atomic_load_explicit(&registry->tree->away, memory_order_relaxed) &&
	    !atomic_load_explicit(&registry->tree->kicking, memory_order_relaxed))
		any = vt_unblock_kicks(registry);
	return any;
}
