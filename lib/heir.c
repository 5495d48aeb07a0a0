/* SPDX-License-Identifier: MIT */

/*
 * A forked child that keeps the registry inherits its members, but no thread except the one that
 * forked. That one goes on under its new tid; the others are not waited for, and dead if they have a
 * heartbeat, so that whoever expected to find them here is told. Nothing is called and nobody asked
 * to quit: in the parent all of them live on.
 *
 * In the handler of a fork, after the hook of the tree, whose descriptors are the child's own then.
 */

#include "heartbeat.h"
#include "task.h"
#include "thread.h"
#include "wakefd.h"

static void heartbeat_belongs(const vitals_thread *member, uint32_t tid)
{
	if (member->heartbeat)
		vt_heartbeat_belong(member->heartbeat, tid, vt_member_index(member) + 1);
}

/* Itself: nobody tells it anything just now. */
static void heir_goes_on(vitals_thread *self)
{
	uint32_t tid = vt_task_self();

	vt_slot_put(&self->slot->tid, tid);
	heartbeat_belongs(self, tid);
	/* Relaxed, here and below: the child has one thread. */
	vt_wakefd_renew(atomic_load_explicit(&self->poll_fd, memory_order_relaxed));
}

/* It waits in nothing, for it is not here: no condition of the host's is touched for it. */
static void member_disarm(vitals_thread *member)
{
	atomic_store_explicit(&member->armed, 0, memory_order_relaxed);
	vt_member_seldom(member)->cond = NULL;
	vt_member_seldom(member)->unblock = NULL;
}

static bool member_is_over(const vitals_registry *registry, const vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	uint32_t at = registry->tree->over_first;

	while (at && at != vt_member_index(member) + 1)
		at = vt_member_at(registry, at - 1)->over_next;
	return at != 0;
}

/* Return: whether it is to be put away: there is nothing to be seen of it. */
static bool member_lost(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	bool over = member_is_over(registry, member);

	member_disarm(member);
	member->bits &= ~VT_MEMBER_CLAIMED;
	if (member->bits & VT_MEMBER_JOINED)
		return false;
	member->bits |= VT_MEMBER_JOINED;
	if (!over) {
		member->over_next = registry->tree->over_first;
		registry->tree->over_first = vt_member_index(member) + 1;
		vt_member_lose(registry, member);
		if (member->heartbeat && !vt_member_abandoned(member)) {
			member->bits |= VT_MEMBER_DEAD;
			heartbeat_belongs(member, 0);
			vt_heartbeat_die(member->heartbeat);
		}
	}
	if (!(member->bits & VT_MEMBER_DEAD))
		return true;
	vt_slot_put(&member->slot->tid, 0);
	vt_slot_put(&member->slot->state, VITALS_THREAD_DEAD);
	return false;
}

/* The first from @index on that is to be put away; index + 1, 0: none. */
static uint32_t next_lost(vitals_registry *registry, uint32_t index)
	VT_REQUIRES(registry->lock)
{
	uint32_t n = vt_view_used(&registry->view, VT_KIND_MEMBER);
	const vitals_thread *self = vitals_thread_self();

	for (; index < n; index++) {
		vitals_thread *member = vt_member_at(registry, index);
		const struct vt_member_slot *slot =
			vt_slot(registry, VT_KIND_MEMBER, index);

		if (!(vt_slot_get(&slot->gen) & 1u) ||
		    vt_slot_get(&slot->state) == VITALS_THREAD_HOLD)
			continue;
		/* Whoever held it, or was calling what unblocks, is not here. */
		vt_lock_reset(&member->wait);
		atomic_store_explicit(&vt_member_seldom(member)->calling, 0,
				      memory_order_relaxed);
		if (member == self)
			heir_goes_on(member);
		else if (member_lost(registry, member))
			return index + 1;
	}
	return 0;
}

static void members_carried(vitals_registry *registry) VT_UNCHECKED
{
	uint32_t at = 0;

	/* Held by the fork; what is put away needs it for itself, and no other thread is here. */
	while ((at = next_lost(registry, at))) {
		vt_unlock(&registry->lock);
		vt_reap_away(registry, vt_member_at(registry, at - 1));
		vt_lock(&registry->lock);
	}
	atomic_store_explicit(&registry->tree->n_over, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->tree->kicking, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->tree->away, 0, memory_order_relaxed);
}

const struct vt_hooks vt_heir_hooks = { .carried = members_carried };
