/* SPDX-License-Identifier: MIT */

/*
 * Group
 *
 * A heartbeat's class, found by name; what it keeps of members that are gone.
 */

#ifndef VT_GROUP_H
#define VT_GROUP_H

#include "registry.h"

/* Return: the index of the group called @name, made if it is new; -ENOSPC. */
int vt_group_find(vitals_registry *registry, const char *name)
	VT_REQUIRES(registry->lock);

/*
 * A member closes, and its counts go over to what the gone have left. Readers add up the living and
 * the gone, and so does the monitor: nobody may be in both or in neither.
 */
void vt_group_fold(struct vt_group_slot *group, struct vt_hot *hot,
		   struct vt_intervals *intervals, unsigned n);

#endif
