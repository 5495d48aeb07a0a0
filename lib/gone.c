/* SPDX-License-Identifier: MIT */

/*
 * Threads that are gone without a word: a raw exit runs no destructor, so their records say that
 * they run until somebody asks the kernel.
 */

#include "heartbeat.h"
#include "task.h"
#include "thread.h"
#include "unblock.h"

static bool marked_dead(const vitals_thread *member)
{
	/* Relaxed: a hint that its task is worth asking for. */
	return member->heartbeat &&
	       (atomic_load_explicit(&vt_heartbeat_hot(member->heartbeat)->flags,
				     memory_order_relaxed) &
		VT_HB_DEAD);
}

struct suspect {
	uint32_t index;
	uint32_t gen;
	uint32_t tid;
};

/* The first from @at on that runs, says its record. */
static bool suspect_next(vitals_registry *registry, const vitals_quitter *quitter,
			 bool marked_only, uint32_t *at, struct suspect *ret)
	VT_REQUIRES(registry->lock)
{
	uint32_t n = vt_view_used(&registry->view, VT_KIND_MEMBER);

	while (*at < n) {
		uint32_t index = (*at)++;
		const vitals_thread *member = vt_member_at(registry, index);
		const struct vt_member_slot *slot =
			vt_slot(registry, VT_KIND_MEMBER, index);

		if (!(vt_slot_get(&slot->gen) & 1u) ||
		    vt_slot_get(&slot->state) != VITALS_THREAD_RUNNING ||
		    !vt_slot_get(&slot->tid) || (member->bits & VT_MEMBER_CLAIMED) ||
		    (marked_only && !marked_dead(member)) ||
		    !vt_quitter_inside(registry, member->quitter, quitter))
			continue;
		*ret = (struct suspect){ .index = index,
					 .gen = vt_slot_get(&slot->gen),
					 .tid = vt_slot_get(&slot->tid) };
		return true;
	}
	return false;
}

/* Its task is gone: it exited raw, unless it has ended meanwhile. */
static vitals_thread *gone_claim(vitals_registry *registry, const struct suspect *suspect)
	VT_REQUIRES(registry->lock)
{
	vitals_thread *member = vt_member_at(registry, suspect->index);
	const struct vt_member_slot *slot =
		vt_slot(registry, VT_KIND_MEMBER, suspect->index);

	if (vt_slot_get(&slot->gen) != suspect->gen ||
	    vt_slot_get(&slot->state) != VITALS_THREAD_RUNNING ||
	    (member->bits & VT_MEMBER_CLAIMED))
		return NULL;
	member->bits |= VT_MEMBER_CLAIMED;
	vt_member_ref(registry, member);
	return member;
}

static bool any_dead(const vitals_registry *registry)
{
	const struct vt_summary *summary = &registry->root->summary;

	/* Relaxed: a hint, as of the monitor's last look. */
	return atomic_load_explicit(&summary->critical[VITALS_DEAD],
				    memory_order_relaxed) ||
	       atomic_load_explicit(&summary->informative[VITALS_DEAD],
				    memory_order_relaxed);
}

void vt_reap_gone(vitals_quitter *quitter, bool marked_only)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct suspect suspect;
	vitals_thread *member;
	uint32_t at = 0;
	bool found;

	if (marked_only && !any_dead(registry))
		return;
	for (;;) {
		struct vt_told told = { 0 };

		vt_lock(&registry->lock);
		found = suspect_next(registry, quitter, marked_only, &at, &suspect);
		vt_unlock(&registry->lock);
		if (!found)
			return;
		/* The kernel, of the first thread even /proc, is asked without the lock. */
		if (vt_task_exists(suspect.tid))
			continue;
		vt_lock(&registry->lock);
		member = gone_claim(registry, &suspect);
		vt_unlock(&registry->lock);
		if (!member)
			continue;
		vt_thread_over(member, false, 1);
		vt_lock(&registry->lock);
		member->bits &= ~VT_MEMBER_CLAIMED;
		vt_member_unref(registry, member, &told);
		vt_tree_unlock(registry, &told);
	}
}
