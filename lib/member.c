/* SPDX-License-Identifier: MIT */

#include "member.h"

#include "names.h"
#include "text.h"
#include "wakefd.h"

#include <errno.h>

static struct vt_member_slot *slot_at(const vitals_registry *registry, uint32_t index)
{
	return (struct vt_member_slot *)vt_slot(registry, VT_KIND_MEMBER, index - 1);
}

bool vt_member_told(const vitals_thread *member)
{
	/* Acquire: what was written before it was told is seen by whoever obeys. */
	return vt_quitter_told(member->quitter) ||
	       (atomic_load_explicit(&member->slot->word, memory_order_acquire) &
		VT_QUIT);
}

bool vt_member_told_armed(const vitals_thread *member)
{
	const struct vt_quitter_slot *slot = vt_quitter_slot(member->quitter);

	/*
	 * Sequentially consistent: the caller stored armed before; whoever tells stores
	 * the word before it loads armed. So one of the two sees the other.
	 */
	if ((atomic_load_explicit(&slot->word, memory_order_seq_cst) |
	     atomic_load_explicit(&member->slot->word, memory_order_seq_cst)) &
	    VT_QUIT)
		return true;
	return vt_member_told(member);
}

static void slot_fill(vitals_registry *registry, struct vt_member_slot *slot,
		      const vitals_quitter *quitter, const struct vt_member_spec *spec)
{
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&slot->word, 0, memory_order_release);
	atomic_store_explicit(&slot->id, vt_registry_id(registry), memory_order_release);
	atomic_store_explicit(&slot->since_ns, spec->now_ns, memory_order_release);
	atomic_store_explicit(&slot->told_ns, 0, memory_order_release);
	vt_slot_put(&slot->state, spec->state);
	vt_slot_put(&slot->flags, spec->flags);
	vt_slot_put(&slot->tid, 0);
	vt_slot_put(&slot->quitter, vt_quitter_index(quitter) + 1);
	vt_slot_put(&slot->next, 0);
	vt_slot_put(&slot->prev, 0);
	vt_slot_put(&slot->heartbeat, spec->heartbeat_slot);
	vt_slot_put(&slot->number, spec->number);
	vt_slot_put(&slot->count, 1);
	vt_name_store(slot->name, spec->name);
}

static void record_fill(vitals_thread *member, vitals_registry *registry, uint32_t index,
			vitals_quitter *quitter, const struct vt_member_spec *spec)
{
	struct vt_member_seldom *seldom;

	memset(member, 0, sizeof(*member));
	member->place = index - vt_span_with(registry, VT_POOL_MEMBER, index)->first;
	seldom = vt_member_seldom(member);
	/* A page that was never written to stays that way. Relaxed: nobody else's yet. */
	if (seldom->cond || seldom->unblock ||
	    atomic_load_explicit(&seldom->calling, memory_order_relaxed))
		memset(seldom, 0, sizeof(*seldom));
	member->quitter = quitter;
	member->heartbeat = spec->heartbeat; /* consumed */
	member->slot = slot_at(registry, index + 1);
	/* Relaxed: it is nobody else's yet. */
	atomic_store_explicit(&member->poll_fd, -1, memory_order_relaxed);
	member->refs = 1;
}

static void member_link(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	struct vt_quitter_slot *above = vt_quitter_slot(member->quitter);
	uint32_t first = vt_slot_get(&above->first_member);

	vt_slot_put(&member->slot->next, first);
	if (first)
		vt_slot_put(&slot_at(registry, first)->prev, vt_member_index(member) + 1);
	vt_slot_put(&above->first_member, vt_member_index(member) + 1);
	vt_quitter_ref(registry, member->quitter);
}

static void member_unlink(vitals_registry *registry, const vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	uint32_t next = vt_slot_get(&member->slot->next);
	uint32_t prev = vt_slot_get(&member->slot->prev);

	if (next)
		vt_slot_put(&slot_at(registry, next)->prev, prev);
	if (prev)
		vt_slot_put(&slot_at(registry, prev)->next, next);
	else
		vt_slot_put(&vt_quitter_slot(member->quitter)->first_member, next);
}

/* Counted, unless weak. */
static void member_count(vitals_registry *registry, vitals_thread *member)
	VT_REQUIRES(registry->lock)
{
	if (vt_slot_get(&member->slot->flags) & VITALS_THREAD_WEAK) {
		vt_holds_settle(registry);
		member->quitter->has_weak = 1;
		return;
	}
	vt_quitter_enter(registry, member->quitter);
	member->bits |= VT_MEMBER_COUNTED;
	vt_slot_add(&vt_quitter_slot(member->quitter)->threads, 1);
	vt_slot_add(&registry->root->totals.threads, 1);
}

int vt_member_join(vitals_registry *registry, vitals_quitter *quitter,
		   const struct vt_member_spec *spec, vitals_thread **ret)
{
	vitals_thread *member;
	uint32_t index, number = spec->number;

	/* Or its stage was, by a signal that nobody has looked at yet. */
	if (vt_quitter_told(quitter))
		return -ECANCELED;
	if (vt_slot_new(registry, VT_POOL_MEMBER, &index))
		return -ENOMEM;
	member = vt_member_at(registry, index);
	record_fill(member, registry, index, quitter, spec);
	vt_slot_take(&member->slot->gen);
	slot_fill(registry, member->slot, quitter, spec);
	if (!number) {
		number = vt_names_take(registry,
				       (struct vt_named){ VT_POOL_MEMBER, index });
		if (!number) {
			vt_slot_free(registry, VT_POOL_MEMBER, index);
			return -ENOMEM;
		}
		member->bits |= VT_MEMBER_NAMED;
		vt_slot_put(&member->slot->number, number);
	}
	member_count(registry, member);
	member_link(registry, member);
	(void)vt_registry_ref(registry);
	vt_slot_open(&member->slot->gen);
	*ret = member;
	return 0;
}

void vt_member_note(vitals_registry *registry, vitals_thread *member,
		    struct vt_told *told)
{
	/* Sequentially consistent: see vt_member_told_armed(). */
	uint32_t armed = atomic_load_explicit(&member->armed, memory_order_seq_cst);

	if ((member->bits & VT_MEMBER_TOLD) || !armed)
		return;
	member->bits |= VT_MEMBER_TOLD;
	member->told_next = told->first_member;
	told->first_member = vt_member_index(member) + 1;
	vt_member_ref(registry, member); /* until vt_told_settle() */
}

void vt_member_tell(vitals_registry *registry, vitals_thread *member, uint64_t now_ns,
		    struct vt_told *told)
{
	if (atomic_load_explicit(&member->slot->word, memory_order_relaxed) & VT_QUIT)
		return;
	/* Release, as vt_slot_put(). */
	atomic_store_explicit(&member->slot->told_ns, now_ns, memory_order_release);
	/* Sequentially consistent: see vt_member_told_armed(). */
	atomic_fetch_or_explicit(&member->slot->word, VT_QUIT, memory_order_seq_cst);
	vt_quitter_bump(registry, member->quitter, told);
	vt_member_note(registry, member, told);
}

/* The last that its quitter waited for has gone. */
static void weak_tell(vitals_registry *registry, const vitals_quitter *quitter,
		      uint64_t now_ns, struct vt_told *told) VT_REQUIRES(registry->lock)
{
	uint32_t at = vt_slot_get(&vt_quitter_slot(quitter)->first_member);

	for (; at; at = vt_slot_get(&slot_at(registry, at)->next))
		if (vt_slot_get(&slot_at(registry, at)->flags) & VITALS_THREAD_WEAK)
			vt_member_tell(registry, vt_member_at(registry, at - 1), now_ns,
				       told);
}

/* Return: as vt_quitter_exit(). */
static const vitals_quitter *member_exit(vitals_registry *registry, vitals_thread *member,
					 struct vt_told *told) VT_REQUIRES(registry->lock)
{
	if (!(member->bits & VT_MEMBER_COUNTED))
		return NULL;
	member->bits &= ~VT_MEMBER_COUNTED;
	vt_slot_add(&vt_quitter_slot(member->quitter)->threads, UINT32_MAX);
	vt_slot_add(&registry->root->totals.threads, UINT32_MAX);
	/* Whether that was the last, only they can say. */
	if (vt_slot_get(&registry->root->totals.threads) <= registry->tree->n_quick)
		vt_holds_settle(registry);
	return vt_quitter_exit(registry, member->quitter, told);
}

void vt_member_lose(vitals_registry *registry, vitals_thread *member)
{
	/* Who waits for words waits in the parent. */
	struct vt_told nobody = { 0 };

	(void)member_exit(registry, member, &nobody);
}

void vt_member_uncount(vitals_registry *registry, vitals_thread *member, uint64_t now_ns,
		       struct vt_told *told)
{
	const vitals_quitter *node = member->quitter, *top;

	top = member_exit(registry, member, told);
	for (; top; node = vt_quitter_at(
			    registry, vt_slot_get(&vt_quitter_slot(node)->parent) - 1)) {
		if (node->has_weak)
			weak_tell(registry, node, now_ns, told);
		if (node == top)
			return;
	}
}

void vt_member_unname(vitals_registry *registry, vitals_thread *member)
{
	if (member->bits & VT_MEMBER_NAMED)
		vt_names_give(registry, (struct vt_named){ VT_POOL_MEMBER,
							   vt_member_index(member) });
	member->bits &= ~VT_MEMBER_NAMED;
}

void vt_member_remove(vitals_registry *registry, vitals_thread *member,
		      struct vt_told *told)
{
	vt_member_unname(registry, member);
	member_unlink(registry, member);
	vt_slot_close(&member->slot->gen);
	if (vt_slot_get(&member->slot->flags) & VT_MEMBER_ABANDONED) {
		vt_slot_add(&vt_quitter_slot(member->quitter)->abandoned, UINT32_MAX);
		vt_slot_add(&registry->root->totals.abandoned, UINT32_MAX);
	}
	vt_member_unref(registry, member, told);
}

void vt_member_unref(vitals_registry *registry, vitals_thread *member,
		     struct vt_told *told)
{
	if (--member->refs)
		return;
	/* Relaxed: with the last reference gone nobody else reads it. */
	vt_wakefd_close(atomic_load_explicit(&member->poll_fd, memory_order_relaxed));
	vt_quitter_unref(registry, member->quitter, told);
	vt_slot_free(registry, VT_POOL_MEMBER, vt_member_index(member));
	told->registry_refs++;
}

vitals_thread *vt_member_find(vitals_registry *registry, const vitals_quitter *quitter,
			      uint64_t id)
{
	uint32_t i, used = vt_view_used(&registry->view, VT_KIND_MEMBER);

	for (i = 0; i < used; i++) {
		const struct vt_member_slot *slot = slot_at(registry, i + 1);

		/* Relaxed: written under the lock that is held. */
		if (atomic_load_explicit(&slot->id, memory_order_relaxed) == id &&
		    (vt_slot_get(&slot->gen) & 1u)) {
			vitals_thread *member = vt_member_at(registry, i);

			return vt_quitter_inside(registry, member->quitter, quitter)
				       ? member
				       : NULL;
		}
	}
	return NULL;
}
