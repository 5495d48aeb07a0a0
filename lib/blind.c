/* SPDX-License-Identifier: MIT */

#include "blind.h"

#include "unblock.h"
#include "wakefd.h"

#include <limits.h>

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

/* Who sleeps in the quitter at @index, or polls its descriptor. */
static void quitter_wake(vitals_registry *registry, uint32_t index, uint32_t stage)
{
	struct vt_quitter_slot *slot = vt_slot(registry, VT_KIND_QUITTER, index);

	if (!(LOAD(slot, gen) & 1u) || (LOAD(slot, stage) & VT_STAGE_MASK) != stage)
		return;
	/* As vt_quitter_bump(): a sleeper about to sleep does not. */
	atomic_fetch_add_explicit(&slot->word, 2, memory_order_seq_cst);
	vt_futex_wake(vt_futex_low(&slot->word), INT_MAX);
	vt_wakefd_set(vt_quitter_descriptor(vt_quitter_at(registry, index)));
}

/*
 * Its own descriptor; of what is read here all stays mapped. Not its condition: a broadcast waits
 * for ever for a waiter that is stuck in it.
 */
static void member_wake(vitals_registry *registry, uint32_t index, uint32_t stage)
{
	const struct vt_member_slot *slot = vt_slot(registry, VT_KIND_MEMBER, index);
	uint32_t in = LOAD(slot, quitter);
	const struct vt_quitter_slot *quitter =
		in ? vt_slot(registry, VT_KIND_QUITTER, in - 1) : NULL;
	vitals_thread *member = vt_member_at(registry, index);

	if (!(LOAD(slot, gen) & 1u) || !quitter ||
	    (LOAD(quitter, stage) & VT_STAGE_MASK) != stage)
		return;
	/* Sequentially consistent: see vt_member_told_armed(). */
	if (atomic_load_explicit(&member->armed, memory_order_seq_cst) & VT_ARMED_POLL)
		vt_wakefd_set(LOAD(member, poll_fd));
}

static void member_kick(vitals_registry *registry, uint32_t index)
{
	const struct vt_member_slot *slot = vt_slot(registry, VT_KIND_MEMBER, index);
	vitals_thread *member = vt_member_at(registry, index);

	/* Acquire: see armed_load(). */
	if (!(LOAD(slot, gen) & 1u) || !(LOAD(member, armed) & VT_ARMED_COND) ||
	    !vt_trylock(&member->wait))
		return;
	/* For nothing, if it was not told: a wait on a condition may end so. */
	if (vt_member_seldom(member)->cond)
		(void)pthread_cond_broadcast(vt_member_seldom(member)->cond);
	vt_unlock(&member->wait);
}

void vt_blind_kick(vitals_registry *registry)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_MEMBER);

	if (!LOAD(registry->tree, asked_ns))
		return;
	for (i = 0; i < n; i++)
		member_kick(registry, i);
}

void vt_blind_tell(vitals_registry *registry, enum vitals_stage stage)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_QUITTER);

	/* Sequentially consistent, and release to must_quit's acquire. */
	atomic_fetch_or_explicit(&registry->root->stages[stage], VT_QUIT,
				 memory_order_seq_cst);
	for (i = 0; i < n; i++)
		quitter_wake(registry, i, stage);
	n = vt_view_used(&registry->view, VT_KIND_MEMBER);
	for (i = 0; i < n; i++)
		member_wake(registry, i, stage);
	/* To see to conditions; without it they are looked at by whoever waits on them. */
	if (registry->tree->poke && vt_unblock_helped(registry))
		registry->tree->poke(registry);
}
