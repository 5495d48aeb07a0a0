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

/* A member's counts, @n buckets of them, go over to the closed ones. */
void vt_group_fold(struct vt_group_slot *group, const struct vt_hot *hot,
		   struct vt_intervals *intervals, unsigned n);

#endif
