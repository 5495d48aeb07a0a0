/* SPDX-License-Identifier: MIT */

/*
 * The live word of a node: members it waits for + children that are not empty, times 2, +
 * 1 once it was told. Only its changes between empty and not climb, so that a fork
 * touches its own node and seldom the root. Written under the registry's lock; waited on
 * without.
 */

#include "quitter.h"

/* Told, and somebody still there: what "quitting" in the totals counts. */
static bool quitting(uint64_t live)
{
	return (live & VT_LIVE_CLOSED) && live >= VT_LIVE_ONE;
}

static void live_set(vitals_registry *registry, vitals_quitter *quitter, uint64_t live)
	VT_REQUIRES(registry->lock)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
	/* Relaxed: written under the lock that is held. */
	uint64_t before = atomic_load_explicit(&slot->live, memory_order_relaxed);
	struct vt_totals *totals = &registry->root->totals;

	if (quitting(live) != quitting(before))
		vt_slot_add(&totals->quitting, quitting(live) ? 1 : UINT32_MAX);
	/*
	 * Release to vt_quitter_live(); sequentially consistent, with the look at waiters
	 * that follows: a waiter counts itself before it looks at live.
	 */
	atomic_store_explicit(&slot->live, live, memory_order_seq_cst);
}

void vt_quitter_enter(vitals_registry *registry, vitals_quitter *quitter)
{
	for (;;) {
		struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
		uint64_t live = vt_quitter_live(quitter);
		uint32_t parent = vt_slot_get(&slot->parent);

		/*
		 * A parent may be closed, as main is while its flush children go on: it
		 * counts.
		 */
		live_set(registry, quitter, live + VT_LIVE_ONE);
		if (live >= VT_LIVE_ONE || !parent)
			return;
		quitter = vt_quitter_at(registry, parent - 1);
	}
}

static void root_changed(vitals_registry *registry, bool empty)
	VT_REQUIRES(registry->lock)
{
	struct vt_tree *tree = registry->tree;

	if (!empty && !tree->watched)
		return;
	vt_tree_news(tree);
	/*
	 * Stages are under way: what has left may have been what the next one waits for.
	 */
	if (tree->watched)
		vt_registry_wake(registry);
}

vitals_quitter *vt_quitter_exit(vitals_registry *registry, vitals_quitter *quitter,
				struct vt_told *told)
{
	vitals_quitter *emptied = NULL;

	for (;;) {
		struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
		uint64_t live = vt_quitter_live(quitter) - VT_LIVE_ONE;
		uint32_t parent = vt_slot_get(&slot->parent);

		live_set(registry, quitter, live);
		if (!parent)
			root_changed(registry, live < VT_LIVE_ONE);
		if (live >= VT_LIVE_ONE)
			return emptied;
		emptied = quitter;
		/* Sequentially consistent: see live_set(). */
		if (atomic_load_explicit(&quitter->waiters, memory_order_seq_cst) &
		    ~VT_NODE_FD)
			vt_told_word(told, vt_futex_low(&slot->live));
		if (!parent)
			return emptied;
		quitter = vt_quitter_at(registry, parent - 1);
	}
}

void vt_quitter_mark(vitals_registry *registry, vitals_quitter *quitter, uint32_t cause,
		     uint64_t now_ns)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);
	/* Relaxed: written under the lock that is held. */
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

	vt_slot_put(&slot->cause, cause);
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&slot->told_ns, now_ns, memory_order_release);
	live_set(registry, quitter, vt_quitter_live(quitter) | VT_LIVE_CLOSED);
	/*
	 * Release: whoever obeys sees the cause. Sequentially consistent, with the look
	 * at what members are waiting in: they say what, then look at this word.
	 */
	atomic_store_explicit(&slot->word, word | VT_QUIT, memory_order_seq_cst);
}

void vt_quitter_bump(vitals_registry *registry, vitals_quitter *quitter,
		     struct vt_told *told)
{
	struct vt_quitter_slot *slot = vt_quitter_slot(quitter);

	(void)registry; /* whose lock it is */
	/*
	 * Another value in the low half, whose bit 0 stays: a sleeper about to sleep does
	 * not.
	 */
	atomic_fetch_add_explicit(&slot->word, 2, memory_order_seq_cst);
	vt_told_word(told, vt_futex_low(&slot->word));
}
