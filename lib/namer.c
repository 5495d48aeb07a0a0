/* SPDX-License-Identifier: MIT */

#include "namer.h"

#include "locknames.h"
#include "text.h"

/* So many are gone through for a name, and no more: it is not worth a millisecond. */
#define MOST 16384u

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

static bool member_name(const struct vt_view *view, uint32_t tid, char *name)
{
	uint32_t i, n = vt_view_used(view, VT_KIND_MEMBER);

	for (i = 0; i < n && i < MOST; i++) {
		const struct vt_member_slot *slot = vt_view_slot(view, VT_KIND_MEMBER, i);
		uint32_t gen = slot ? LOAD(slot, gen) : 0;

		if (!(gen & 1u) || LOAD(slot, tid) != tid ||
		    LOAD(slot, state) == VITALS_THREAD_DEAD)
			continue;
		vt_shown_load(name, slot->name, LOAD(slot, number));
		if (LOAD(slot, gen) == gen)
			return true;
	}
	return false;
}

/* The first of those it owns: most own one. */
static bool heartbeat_name(const struct vt_view *view, uint32_t tid, char *name)
{
	uint32_t i, n = vt_view_used(view, VT_KIND_HOT);

	for (i = 0; i < n && i < MOST; i++) {
		const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, i);
		const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, i);
		uint32_t gen;

		if (!cold || !hot || LOAD(cold, owner) != (VT_OWNER_TID | tid))
			continue;
		gen = LOAD(hot, gen);
		if (!(gen & 1u) || LOAD(hot, flags) & (VT_HB_CLOSED | VT_HB_DEAD))
			continue;
		vt_shown_load(name, hot->name, LOAD(cold, number));
		if (LOAD(hot, gen) == gen)
			return true;
	}
	return false;
}

static bool thread_name(void *user, uint32_t tid, char *name)
{
	const struct vt_view *view = user;

	return member_name(view, tid, name) || heartbeat_name(view, tid, name);
}

static bool lock_name(void *user, uint64_t address, char *name)
{
	(void)user;
	return vt_lock_name_of(address, name);
}

struct vt_namer vt_namer_of(const struct vt_view *view)
{
	return (struct vt_namer){ thread_name, lock_name, (void *)(uintptr_t)view };
}
