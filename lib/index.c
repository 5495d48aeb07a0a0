/* SPDX-License-Identifier: MIT */

#include "index.h"

#include "region.h"

#include <errno.h>
#include <string.h>

static uint64_t entry_of(uint32_t slot, uint32_t gen)
{
	return (uint64_t)slot << 32 | gen;
}

/* Room for all slots of a kind that were ever used. Return: 0; -ENOMEM. */
static int index_make_room(struct vt_index *index, uint32_t most)
{
	index->n = 0;
	if (most <= index->room)
		return 0;
	vt_pages_free(index->entries, index->room * sizeof(*index->entries));
	index->room = 0;
	index->entries = vt_pages_new(most * sizeof(*index->entries));
	if (!index->entries)
		return -ENOMEM;
	index->room = most;
	return 0;
}

void vt_index_free(struct vt_index *index)
{
	vt_pages_free(index->entries, index->room * sizeof(*index->entries));
}

/* The @at-th row is gone: those behind it move up. */
void vt_index_remove(struct vt_index *index, uint32_t at)
{
	index->n--;
	memmove(&index->entries[at], &index->entries[at + 1],
		(index->n - at) * sizeof(*index->entries));
}

/* Return: the gen of a slot, where its kind has it; 0 for a heartbeat that is closed. */
uint32_t vt_index_gen(const struct vt_view *view, enum vt_kind kind, uint32_t slot)
{
	const void *at = vt_view_slot(view, kind, slot);
	const struct vt_hot *hot = at;
	const _Atomic uint32_t *gen;

	if (!at)
		return 0;
	if (kind == VT_KIND_HOT)
		gen = atomic_load_explicit(&hot->flags, memory_order_acquire) &
				      VT_HB_CLOSED
			      ? NULL
			      : &hot->gen;
	else if (kind == VT_KIND_QUITTER)
		gen = &((const struct vt_quitter_slot *)at)->gen;
	else
		gen = &((const struct vt_member_slot *)at)->gen;
	return gen ? atomic_load_explicit(gen, memory_order_acquire) : 0;
}

/* All slots of a kind that are in use. */
int vt_index_build(const struct vt_view *view, enum vt_kind kind, struct vt_index *index)
{
	uint32_t i, gen, used = vt_view_used(view, kind);
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, used);
	if (r < 0)
		return r;
	for (i = 0; i < used; i++) {
		gen = vt_index_gen(view, kind, i);
		if (gen & 1u)
			index->entries[index->n++] = entry_of(i, gen);
	}
	index->built = true;
	return 0;
}

/* Where to go on in the tree from a quitter without (more) children. */
static uint32_t tree_next(const struct vt_view *view, uint32_t at, uint64_t *steps)
{
	uint32_t next;

	while (at && *steps) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, at - 1);

		if (!slot)
			return 0;
		--*steps;
		next = atomic_load_explicit(&slot->next, memory_order_acquire);
		if (next)
			return next;
		at = atomic_load_explicit(&slot->parent, memory_order_acquire);
	}
	return 0;
}

/* As a tree is printed. What the walk misses because it moved meanwhile, the next snapshot has. */
int vt_index_quitters(const struct vt_view *view, struct vt_index *index)
{
	const struct vt_root *root = vt_view_root(view);
	uint32_t at, used = vt_view_used(view, VT_KIND_QUITTER);
	/* A tree that changes under the walk may lead round: each quitter once down, once up. */
	uint64_t steps = 2 * (uint64_t)used;
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, used);
	if (r < 0)
		return r;
	at = atomic_load_explicit(&root->main_quitter, memory_order_acquire);
	while (at && steps && index->n < used) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, at - 1);
		uint32_t gen, child;

		if (!slot)
			break;
		steps--;
		gen = atomic_load_explicit(&slot->gen, memory_order_acquire);
		if (gen & 1u)
			index->entries[index->n++] = entry_of(at - 1, gen);
		child = atomic_load_explicit(&slot->first_child, memory_order_acquire);
		at = child ? child : tree_next(view, at, &steps);
	}
	index->built = true;
	return 0;
}

/* The monitor's list, copied while it holds still. */
int vt_index_worst(const struct vt_view *view, struct vt_index *index)
{
	const struct vt_summary *summary = &vt_view_root(view)->summary;
	unsigned tries;
	uint32_t i, n;
	int r;

	if (index->built)
		return 0;
	r = index_make_room(index, VT_WORST);
	if (r < 0)
		return r;
	for (tries = 0; tries < 8; tries++) {
		uint64_t sequence =
			atomic_load_explicit(&summary->sequence, memory_order_acquire);

		n = atomic_load_explicit(&summary->n_worst, memory_order_acquire);
		n = n < VT_WORST ? n : VT_WORST;
		for (i = 0; i < n; i++)
			index->entries[i] =
				entry_of(atomic_load_explicit(&summary->worst[i].index,
							      memory_order_acquire),
					 atomic_load_explicit(&summary->worst[i].gen,
							      memory_order_acquire));
		index->n = n;
		if (!(sequence & 1u) &&
		    atomic_load_explicit(&summary->sequence, memory_order_acquire) ==
			    sequence)
			break;
	}
	index->built = true;
	return 0;
}
