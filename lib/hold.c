/* SPDX-License-Identifier: MIT */

/*
 * Holds: work that is not a thread. A member without a thread, one for each name in a
 * quitter, which counts how often it is held.
 */

#include "clock.h"
#include "member.h"
#include "text.h"
#include "unblock.h"

#include <errno.h>

/* A hold's name, as its slot keeps it. */
struct what {
	uint64_t words[VT_NAME_WORDS];
	unsigned n; /* the last of these has the 0 */
};

static bool is_called(const vitals_thread *hold, const struct what *what)
{
	unsigned i;

	/* Relaxed: written under the lock that is held. */
	for (i = 0; i < what->n; i++)
		if (atomic_load_explicit(&hold->slot->name[i], memory_order_relaxed) !=
		    what->words[i])
			return false;
	return true;
}

/*
 * The hold called @what, rather one that is not abandoned; NULL: none. @ret_link: what
 * points to it.
 */
static vitals_thread *hold_find(vitals_registry *registry, vitals_quitter *quitter,
				const struct what *what, bool abandoned,
				uint32_t **ret_link) VT_REQUIRES(registry->lock)
{
	uint32_t *link = &vt_quitter_seldom(quitter)->first_hold;

	while (*link) {
		vitals_thread *hold = vt_member_at(registry, *link - 1);
		bool given_up = vt_slot_get(&hold->slot->flags) & VT_MEMBER_ABANDONED;

		if (given_up == abandoned && is_called(hold, what)) {
			*ret_link = link;
			return hold;
		}
		link = &hold->over_next;
	}
	return NULL;
}

/* The first of a name. Return: as vt_member_join(). */
static int hold_join(vitals_registry *registry, vitals_quitter *quitter, const char *what)
	VT_REQUIRES(registry->lock)
{
	struct vt_member_spec spec = { .name = what,
				       .state = VITALS_THREAD_HOLD,
				       .now_ns = vt_clock_now() };
	vitals_thread *hold;
	int r;

	r = vt_member_join(registry, quitter, &spec, &hold);
	if (r)
		return r;
	hold->over_next = vt_quitter_seldom(quitter)->first_hold;
	vt_quitter_seldom(quitter)->first_hold = vt_member_index(hold) + 1;
	return 0;
}

int vitals_quitter_hold(vitals_quitter *quitter, const char *what)
{
	vitals_registry *registry;
	vitals_thread *hold;
	struct what name;
	uint32_t *link;
	int r = 0;

	name.n = quitter && what ? vt_name_pack(what, name.words) : 0;
	if (!name.n)
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	vt_lock(&registry->lock);
	hold = hold_find(registry, quitter, &name, false, &link);
	if (vt_quitter_told(quitter))
		r = -ECANCELED;
	else if (hold)
		vt_slot_add(&hold->slot->count, 1);
	else
		r = hold_join(registry, quitter, what);
	vt_unlock(&registry->lock);
	return r;
}

/* The last of a name; unlocks. @link: what points to it. */
static void hold_leave(vitals_registry *registry, vitals_thread *hold, uint32_t *link)
	VT_RELEASE(registry->lock)
{
	struct vt_told told = { 0 };

	vt_slot_put(&hold->slot->count, 0);
	*link = hold->over_next;
	registry->tree->departed++;
	vt_member_uncount(registry, hold, vt_clock_now(), &told);
	vt_member_remove(registry, hold, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
}

int vitals_quitter_release(vitals_quitter *quitter, const char *what)
{
	vitals_registry *registry;
	vitals_thread *hold;
	struct what name;
	uint32_t *link;

	name.n = quitter && what ? vt_name_pack(what, name.words) : 0;
	if (!name.n)
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return 0;
	vt_lock(&registry->lock);
	hold = hold_find(registry, quitter, &name, false, &link);
	if (!hold)
		hold = hold_find(registry, quitter, &name, true, &link);
	if (hold && vt_slot_get(&hold->slot->count) == 1) {
		hold_leave(registry, hold, link);
		return 0;
	}
	if (hold)
		vt_slot_add(&hold->slot->count, UINT32_MAX);
	vt_unlock(&registry->lock);
	return hold ? 0 : -EINVAL;
}
