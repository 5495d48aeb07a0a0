/* SPDX-License-Identifier: MIT */

/*
 * Holds: work that is not a thread. A member without a thread, one for each name in a
 * quitter, which counts how often it is held.
 *
 * A hold is *quick* while nobody needs to know whether anybody is left: then it counts in its
 * slot's word, by one compare-and-swap and without the lock, and its quitter waits for it whatever
 * it counts to. Before whoever needs to know looks, under the lock, all of them are settled: those
 * that nobody has are gone, the others count under the lock as everything does. Needs to know who
 * waits; who tells somebody, for from then on holds are refused; the last that leaves, for whom
 * finish may wait, and each turn of finish; whoever joins weakly, or lets go of a quitter.
 */

#include "clock.h"
#include "member.h"
#include "text.h"
#include "unblock.h"

#include <errno.h>

/* Where in a word its byte @b is, in memory's order. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_SHIFT(b) (8 * (b))
#else
#define BYTE_SHIFT(b) (56 - 8 * (b))
#endif

/* As vt_name_equals(), but a word at a time: most names have one. */
static inline bool name_is(const _Atomic uint64_t *words, const char *what)
{
	unsigned i, b;

	for (i = 0; i < VT_NAME_WORDS; i++, what += 8) {
		/* Relaxed: whoever uses the name finds out whether it was that slot's. */
		uint64_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
		uint64_t mine = 0;

#pragma GCC unroll 8
		for (b = 0; b < 8; b++) {
			mine |= (uint64_t)(unsigned char)what[b] << BYTE_SHIFT(b);
			if (!what[b])
				return mine == word;
		}
		if (mine != word)
			return false;
	}
	return false;
}

/* A quick hold and its word; slot NULL: there is none. */
struct quick {
	struct vt_member_slot *slot;
	uint64_t word;
};

static inline struct quick quick_find(const vitals_quitter *quitter, const char *what)
{
	struct vt_quitter_seldom *seldom = vt_quitter_seldom(quitter);
	struct quick quick;
	unsigned i;

	for (i = 0; i < VT_QUICK_HERE; i++) {
		/* Acquire pairs with quick_begin(): the name is there. */
		quick.slot =
			atomic_load_explicit(&seldom->quick[i], memory_order_acquire);
		if (!quick.slot)
			continue;
		/* Acquire: what follows is looked at after it. */
		quick.word =
			atomic_load_explicit(&quick.slot->word, memory_order_acquire);
		/*
		 * Still ours after its word was read, and the word is its use's alone: so
		 * if it is what the swap finds, it was ours all the time.
		 */
		if ((quick.word & VT_HOLD_QUICK) && name_is(quick.slot->name, what) &&
		    atomic_load_explicit(&seldom->quick[i], memory_order_relaxed) ==
			    quick.slot)
			return quick;
	}
	quick.slot = NULL;
	quick.word = 0;
	return quick;
}

/*
 * Release: what was done while it was held is seen by whoever finds that nobody has it; acquire,
 * for the next that has it.
 */
static inline bool quick_swap(struct quick quick, uint64_t wanted)
{
	return atomic_compare_exchange_strong_explicit(&quick.slot->word, &quick.word,
						       wanted, memory_order_acq_rel,
						       memory_order_relaxed);
}

/* Is nobody there who needs to know? */
static bool quick_allowed(vitals_registry *registry, const vitals_quitter *quitter)
	VT_REQUIRES(registry->lock)
{
	const struct vt_tree *tree = registry->tree;
	const struct vt_root *root = registry->root;
	uint32_t at;

	/* Relaxed: it is set under the lock, or by a signal, which somebody then handles. */
	if (tree->n_waits || tree->watched || tree->n_quick == VT_HOLDS ||
	    (atomic_load_explicit(&root->flags, memory_order_relaxed) & VT_ROOT_QUITTING))
		return false;
	/* Itself is one of them. */
	if (atomic_load_explicit(&tree->n_finishes, memory_order_relaxed) &&
	    vt_slot_get(&root->totals.threads) <= tree->n_quick + 1)
		return false;
	for (at = vt_quitter_index(quitter) + 1; at;
	     at = vt_slot_get(&vt_quitter_slot(quitter)->parent)) {
		quitter = vt_quitter_at(registry, at - 1);
		if (quitter->has_weak)
			return false;
	}
	return true;
}

static void quick_begin(vitals_registry *registry, vitals_thread *hold)
	VT_REQUIRES(registry->lock)
{
	struct vt_quitter_seldom *seldom = vt_quitter_seldom(hold->quitter);
	struct vt_member_slot *slot = hold->slot;
	uint32_t count = vt_slot_get(&slot->count);
	unsigned here = 0, at = 0;

	/* Relaxed, both: they change under the lock. */
	while (here < VT_QUICK_HERE &&
	       atomic_load_explicit(&seldom->quick[here], memory_order_relaxed))
		here++;
	if (here == VT_QUICK_HERE || count >= VT_HOLD_MAX ||
	    !quick_allowed(registry, hold->quitter))
		return;
	while (vt_slot_get(&registry->root->quick[at]))
		at++;
	vt_slot_put(&registry->root->quick[at], vt_member_index(hold) + 1);
	registry->tree->n_quick++;
	/* Release, both: pairs with quick_find(). */
	atomic_store_explicit(&slot->word,
			      (uint64_t)vt_slot_get(&slot->gen) << 32 |
				      count * VT_HOLD_ONE | VT_HOLD_QUICK,
			      memory_order_release);
	atomic_store_explicit(&seldom->quick[here], slot, memory_order_release);
}

/* @link: what points to it. */
static void hold_remove(vitals_registry *registry, vitals_thread *hold, uint32_t *link,
			uint64_t now_ns, struct vt_told *told) VT_REQUIRES(registry->lock)
{
	*link = hold->over_next;
	registry->tree->departed++;
	vt_member_uncount(registry, hold, now_ns, told);
	vt_member_remove(registry, hold, told);
}

/* What points to @hold. */
static uint32_t *hold_link(vitals_registry *registry, const vitals_thread *hold)
	VT_REQUIRES(registry->lock)
{
	uint32_t *link = &vt_quitter_seldom(hold->quitter)->first_hold;

	while (*link != vt_member_index(hold) + 1)
		link = &vt_member_at(registry, *link - 1)->over_next;
	return link;
}

/* @hold counts under the lock from here on; it is gone if nobody has it. */
static void quick_end(vitals_registry *registry, vitals_thread *hold,
		      struct vt_told *told) VT_REQUIRES(registry->lock)
{
	struct vt_quitter_seldom *seldom = vt_quitter_seldom(hold->quitter);
	struct vt_member_slot *slot = hold->slot;
	struct quick quick = { .slot = slot };
	unsigned i;

	/* In this order, for those who copy slots: they find either. */
	do {
		quick.word = atomic_load_explicit(&slot->word, memory_order_relaxed);
		vt_slot_put(&slot->count, vt_hold_count(quick.word));
	} while (!quick_swap(quick, 0));
	for (i = 0; i < VT_QUICK_HERE; i++)
		if (atomic_load_explicit(&seldom->quick[i], memory_order_relaxed) == slot)
			/* Release, before the slot is somebody else's. */
			atomic_store_explicit(&seldom->quick[i], NULL,
					      memory_order_release);
	if (!vt_hold_count(quick.word))
		hold_remove(registry, hold, hold_link(registry, hold), vt_clock_now(),
			    told);
}

void vt_holds_settle(vitals_registry *registry)
{
	_Atomic uint32_t *quick = registry->root->quick;
	struct vt_told told = { 0 };
	unsigned i;

	for (i = 0; i < VT_HOLDS && registry->tree->n_quick; i++) {
		uint32_t at = vt_slot_get(&quick[i]);

		if (!at)
			continue;
		vt_slot_put(&quick[i], 0);
		registry->tree->n_quick--;
		quick_end(registry, vt_member_at(registry, at - 1), &told);
	}
	/* Nobody waited, or none had been quick; and who calls has a reference of its own. */
	vt_told_wake(&told);
	vt_told_drop(registry, &told);
}

/*
 * The hold called @what, rather one that is not abandoned; NULL: none. @ret_link: what
 * points to it.
 */
static vitals_thread *hold_find(vitals_registry *registry, vitals_quitter *quitter,
				const char *what, bool abandoned, uint32_t **ret_link)
	VT_REQUIRES(registry->lock)
{
	uint32_t *link = &vt_quitter_seldom(quitter)->first_hold;

	while (*link) {
		vitals_thread *hold = vt_member_at(registry, *link - 1);
		bool given_up = vt_slot_get(&hold->slot->flags) & VT_MEMBER_ABANDONED;

		if (given_up == abandoned && vt_name_equals(hold->slot->name, what)) {
			*ret_link = link;
			return hold;
		}
		link = &hold->over_next;
	}
	return NULL;
}

/* Return: whether it counts by itself, and has counted one more. */
static bool quick_more(const vitals_thread *hold)
{
	struct quick quick = { .slot = hold->slot };

	do {
		quick.word =
			atomic_load_explicit(&quick.slot->word, memory_order_relaxed);
		if (!(quick.word & VT_HOLD_QUICK) ||
		    vt_hold_count(quick.word) == VT_HOLD_MAX)
			return false;
	} while (!quick_swap(quick, quick.word + VT_HOLD_ONE));
	return true;
}

/* Return: 0; -ENOMEM. */
static int hold_add(vitals_registry *registry, vitals_quitter *quitter, const char *what,
		    uint64_t now_ns) VT_REQUIRES(registry->lock)
{
	struct vt_member_spec spec = { .name = what,
				       .state = VITALS_THREAD_HOLD,
				       .now_ns = now_ns };
	uint32_t *link;
	vitals_thread *hold = hold_find(registry, quitter, what, false, &link);
	int r;

	if (hold && quick_more(hold))
		return 0;
	/* Relaxed: nobody else settles it while the lock is held. */
	if (hold && (atomic_load_explicit(&hold->slot->word, memory_order_relaxed) &
		     VT_HOLD_QUICK)) {
		vt_holds_settle(registry); /* full: its word has no room for more */
		hold = hold_find(registry, quitter, what, false, &link);
	}
	if (hold) {
		vt_slot_add(&hold->slot->count, 1);
	} else {
		r = vt_member_join(registry, quitter, &spec, &hold);
		if (r)
			return r;
		hold->over_next = vt_quitter_seldom(quitter)->first_hold;
		vt_quitter_seldom(quitter)->first_hold = vt_member_index(hold) + 1;
	}
	quick_begin(registry, hold);
	return 0;
}

/* These two apart, so that the others need no stack. */
__attribute__((noinline)) static int hold_slowly(vitals_quitter *quitter,
						 const char *what)
{
	vitals_registry *registry;
	uint64_t now_ns;
	int r;

	if (!vt_name_good(what))
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	if (vt_quitter_told(quitter))
		r = -ECANCELED;
	else
		r = hold_add(registry, quitter, what, now_ns);
	vt_unlock(&registry->lock);
	return r;
}

int vitals_quitter_hold(vitals_quitter *quitter, const char *what)
{
	struct quick quick;

	if (!quitter || !what)
		return -EINVAL;
	/* In a forked child the words are zeros, or as they were and nobody else's. */
	for (;;) {
		quick = quick_find(quitter, what);
		if (!quick.slot || vt_hold_count(quick.word) == VT_HOLD_MAX)
			return hold_slowly(quitter, what);
		if (vitals_quitter_must_quit_inline(quitter))
			return -ECANCELED;
		if (quick_swap(quick, quick.word + VT_HOLD_ONE))
			return 0;
	}
}

__attribute__((noinline)) static int release_slowly(vitals_quitter *quitter,
						    const char *what)
{
	struct vt_told told = { 0 };
	vitals_registry *registry;
	vitals_thread *hold;
	uint32_t *link;
	uint64_t now_ns;

	if (!vt_name_good(what))
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return 0;
	now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	vt_holds_settle(registry);
	hold = hold_find(registry, quitter, what, false, &link);
	if (!hold)
		hold = hold_find(registry, quitter, what, true, &link);
	if (!hold) {
		vt_unlock(&registry->lock);
		return -EINVAL;
	}
	vt_slot_add(&hold->slot->count, UINT32_MAX);
	if (!vt_slot_get(&hold->slot->count))
		hold_remove(registry, hold, link, now_ns, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	return 0;
}

int vitals_quitter_release(vitals_quitter *quitter, const char *what)
{
	struct quick quick;

	if (!quitter || !what)
		return -EINVAL;
	for (;;) {
		quick = quick_find(quitter, what);
		if (!quick.slot || !vt_hold_count(quick.word))
			return release_slowly(quitter, what);
		if (quick_swap(quick, quick.word - VT_HOLD_ONE))
			return 0;
	}
}
