/* SPDX-License-Identifier: MIT */

#include "missing.h"

#include "task.h"
#include "vitals.h"

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

/* By its own word, its quitter's, or its stage's. */
static bool told(const struct vt_view *view, const struct vt_member_slot *slot,
		 const struct vt_quitter_slot *quitter)
{
	uint32_t stage = LOAD(quitter, stage) & VT_STAGE_MASK;

	return ((LOAD(slot, word) | LOAD(quitter, word)) & VT_QUIT) ||
	       (stage < VT_STAGES && (LOAD(vt_view_root(view), stages[stage]) & VT_QUIT));
}

/* A quick one's word says it: without the lock nobody has settled it. */
static bool held(const struct vt_member_slot *slot)
{
	uint64_t word = LOAD(slot, word);

	return word & VT_HOLD_QUICK ? vt_hold_count(word) : LOAD(slot, count);
}

/* Is there still something of it? What exited raw is not, nor what nobody has joined yet. */
static bool there(const struct vt_member_slot *slot)
{
	uint32_t tid = LOAD(slot, tid);

	switch (LOAD(slot, state)) {
	case VITALS_THREAD_NOT_STARTED:
		return true;
	case VITALS_THREAD_RUNNING:
		return !tid || vt_task_exists(tid);
	case VITALS_THREAD_RETURNED:
		return tid && vt_task_exists(tid);
	case VITALS_THREAD_HOLD:
		return held(slot);
	default:
		return false;
	}
}

/* The same of all that one main quitter has. */
static uint32_t kin_of(const struct vt_quitter_slot *quitter)
{
	return quitter ? LOAD(quitter, stage) & ~VT_STAGE_MASK : 0;
}

static bool missing(const struct vt_view *view, uint32_t kin,
		    const struct vt_member_slot *slot)
{
	uint32_t gen = LOAD(slot, gen), in = LOAD(slot, quitter);
	const struct vt_quitter_slot *quitter =
		in ? vt_view_slot(view, VT_KIND_QUITTER, in - 1) : NULL;

	return (gen & 1u) && quitter &&
	       !(LOAD(slot, flags) & (VT_MEMBER_ABANDONED | VITALS_THREAD_WEAK)) &&
	       kin == kin_of(quitter) && told(view, slot, quitter) && there(slot) &&
	       LOAD(slot, gen) == gen;
}

int64_t vt_missing_next(const struct vt_view *view, uint32_t root, uint32_t *index)
{
	uint32_t kin = kin_of(vt_view_slot(view, VT_KIND_QUITTER, root));
	uint32_t n = vt_view_used(view, VT_KIND_MEMBER);

	while (*index < n) {
		uint32_t at = (*index)++;
		const struct vt_member_slot *slot =
			vt_view_slot(view, VT_KIND_MEMBER, at);

		if (slot && missing(view, kin, slot))
			return at;
	}
	return -1;
}

uint32_t vt_missing_count(const struct vt_view *view, uint32_t root)
{
	uint32_t n = 0, at = 0;

	while (vt_missing_next(view, root, &at) >= 0)
		n++;
	return n;
}

uint32_t vt_missing_abandoned(const struct vt_view *view, uint32_t root)
{
	uint32_t kin = kin_of(vt_view_slot(view, VT_KIND_QUITTER, root));
	uint32_t i, n = vt_view_used(view, VT_KIND_QUITTER), abandoned = 0;

	for (i = 0; i < n; i++) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, i);

		if (slot && (LOAD(slot, gen) & 1u) && kin == kin_of(slot))
			abandoned += LOAD(slot, abandoned);
	}
	return abandoned;
}
