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

int vitals_quitter_hold(vitals_quitter *quitter, const char *what)
{
	struct vt_member_spec spec = { .name = what, .state = VITALS_THREAD_HOLD };
	vitals_registry *registry;
	vitals_thread *hold;
	uint32_t *link;
	int r = 0;

	if (!quitter || !vt_name_good(what))
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	spec.now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	hold = hold_find(registry, quitter, what, false, &link);
	if (vt_quitter_told(quitter)) {
		r = -ECANCELED;
	} else if (hold) {
		vt_slot_add(&hold->slot->count, 1);
	} else {
		r = vt_member_join(registry, quitter, &spec, &hold);
		if (!r) {
			hold->over_next = vt_quitter_seldom(quitter)->first_hold;
			vt_quitter_seldom(quitter)->first_hold =
				vt_member_index(hold) + 1;
		}
	}
	vt_unlock(&registry->lock);
	return r;
}

int vitals_quitter_release(vitals_quitter *quitter, const char *what)
{
	struct vt_told told = { 0 };
	vitals_registry *registry;
	vitals_thread *hold;
	uint32_t *link;
	uint64_t now_ns;

	if (!quitter || !vt_name_good(what))
		return -EINVAL;
	registry = vt_quitter_registry(quitter);
	if (!vt_quitter_current(quitter))
		return 0;
	now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	hold = hold_find(registry, quitter, what, false, &link);
	if (!hold)
		hold = hold_find(registry, quitter, what, true, &link);
	if (!hold) {
		vt_unlock(&registry->lock);
		return -EINVAL;
	}
	vt_slot_add(&hold->slot->count, UINT32_MAX);
	if (!vt_slot_get(&hold->slot->count)) {
		*link = hold->over_next;
		registry->tree->departed++;
		vt_member_uncount(registry, hold, now_ns, &told);
		vt_member_remove(registry, hold, &told);
	}
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	return 0;
}
