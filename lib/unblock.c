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

static uint32_t armed_load(const vitals_thread *member)
{
	/*
	 * Acquire pairs with the member's release when it has left: then nothing is
	 * touched.
	 */
	return atomic_load_explicit(&member->armed, memory_order_acquire);
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

void vt_told_deliver(vitals_registry *registry, struct vt_told *told)
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

		if (armed & VT_ARMED_POLL)
			vt_wakefd_set(atomic_load_explicit(&member->poll_fd,
							   memory_order_acquire));
		if (armed & VT_ARMED_COND)
			cond_kick(member);
		at = member->told_next;
	}
}

void vt_told_settle(vitals_registry *registry, struct vt_told *told)
{
	struct vt_tree *tree = registry->tree;

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
		if (armed & VT_ARMED_COND) {
			vt_member_ref(registry, member); /* until it has left */
			vt_member_seldom(member)->kick_next = tree->kick_first;
			tree->kick_first = vt_member_index(member) + 1;
		}
		if (armed & VT_ARMED_CALL) {
			vt_member_ref(registry, member); /* until it was called */
			vt_member_seldom(member)->call_next = tree->call_first;
			tree->call_first = vt_member_index(member) + 1;
		}
		vt_member_unref(registry, member, told);
	}
}

void vt_told_done(vitals_registry *registry, struct vt_told *told)
{
	if (!told->first_quitter && !told->first_member && !told->n_words) {
		vt_told_drop(registry, told);
		return;
	}
	/* The registry is there until the calls are over, whoever frees it meanwhile. */
	(void)vt_registry_ref(registry);
	vt_told_deliver(registry, told);
	vt_lock(&registry->lock);
	vt_told_settle(registry, told);
	vt_tree_unlock(registry, told);
	(void)vt_unblock_calls(registry);
	(void)vt_registry_unref(registry);
}

bool vt_unblock_kick(vitals_registry *registry, struct vt_told *told)
{
	struct vt_tree *tree = registry->tree;
	uint32_t at = tree->kick_first;

	tree->kick_first = 0;
	while (at) {
		vitals_thread *member = vt_member_at(registry, at - 1);

		at = vt_member_seldom(member)->kick_next;
		if (!(armed_load(member) & VT_ARMED_COND)) {
			vt_member_unref(registry, member, told);
			continue;
		}
		vt_member_seldom(member)->kick_next = tree->kick_first;
		tree->kick_first = vt_member_index(member) + 1;
		if (!vt_trylock(&member->wait))
			continue;
		if (vt_member_seldom(member)->cond)
			(void)pthread_cond_broadcast(vt_member_seldom(member)->cond);
		vt_unlock(&member->wait);
	}
	return tree->kick_first != 0;
}

void vt_unblock_call(vitals_thread *member)
{
	void (*unblock)(void *user);
	void *user;

	vt_lock(&member->wait);
	unblock = vt_member_seldom(member)->unblock;
	user = vt_member_seldom(member)->user;
	vt_member_seldom(member)->unblock = NULL; /* claimed: it is called once */
	/* Relaxed: armed is a hint, the claim is under the lock. */
	atomic_fetch_and_explicit(&member->armed, ~VT_ARMED_CALL, memory_order_relaxed);
	if (unblock)
		atomic_store_explicit(&vt_member_seldom(member)->calling,
				      (uint32_t)gettid(), memory_order_relaxed);
	vt_unlock(&member->wait);
	if (!unblock)
		return;
	unblock(user);
	/*
	 * Release pairs with the acquire in vt_unblock_set(): what it did is seen there.
	 */
	atomic_store_explicit(&vt_member_seldom(member)->calling, 0,
			      memory_order_release);
	vt_futex_wake(&vt_member_seldom(member)->calling, INT_MAX);
}

bool vt_unblock_calls(vitals_registry *registry)
{
	struct vt_tree *tree = registry->tree;
	bool any = false;

	for (;;) {
		struct vt_told told = { 0 };
		vitals_thread *member;

		vt_lock(&registry->lock);
		if (!tree->call_first) {
			vt_unlock(&registry->lock);
			return any;
		}
		member = vt_member_at(registry, tree->call_first - 1);
		tree->call_first = vt_member_seldom(member)->call_next;
		vt_unlock(&registry->lock);
		vt_unblock_call(member);
		any = true;
		vt_lock(&registry->lock);
		vt_member_unref(registry, member, &told);
		vt_tree_unlock(registry, &told);
	}
}

int vt_unblock_set(vitals_thread *self, void (*unblock)(void *user), void *user)
{
	uint32_t calling;

	for (;;) {
		vt_lock(&self->wait);
		/* Acquire: see vt_unblock_call(). */
		calling = atomic_load_explicit(&vt_member_seldom(self)->calling,
					       memory_order_acquire);
		if (!calling)
			break;
		vt_unlock(&self->wait);
		if (calling == (uint32_t)gettid())
			return -EDEADLK;
		(void)vt_futex_wait(&vt_member_seldom(self)->calling, calling,
				    UINT64_MAX);
	}
	/* Most never had any: their page stays untouched. */
	if (unblock || vt_member_seldom(self)->unblock) {
		vt_member_seldom(self)->unblock = unblock;
		vt_member_seldom(self)->user = user;
	}
	/* Sequentially consistent: see vt_member_told_armed(). */
	if (unblock)
		atomic_fetch_or_explicit(&self->armed, VT_ARMED_CALL,
					 memory_order_seq_cst);
	else
		atomic_fetch_and_explicit(&self->armed, ~VT_ARMED_CALL,
					  memory_order_seq_cst);
	vt_unlock(&self->wait);
	return 0;
}
