/* SPDX-License-Identifier: MIT */

#include "group.h"

#include "histogram.h"
#include "text.h"

#include <errno.h>

int vt_group_find(vitals_registry *registry, const char *name)
{
	/* Relaxed: changed under the lock only. */
	uint32_t i, n = atomic_load_explicit(&registry->root->used[VT_KIND_GROUP],
					     memory_order_relaxed);
	struct vt_group_slot *group;

	for (i = 0; i < n; i++) {
		group = vt_slot(registry, VT_KIND_GROUP, i);
		if (vt_name_equals(group->name, name))
			return (int)i;
	}
	if (n == VT_GROUPS)
		return -ENOSPC;
	group = vt_slot(registry, VT_KIND_GROUP, n);
	vt_name_store(group->name, name);
	/* Release: whoever sees the group sees its name; pairs with vt_view_used(). */
	atomic_store_explicit(&registry->root->used[VT_KIND_GROUP], n + 1,
			      memory_order_release);
	return (int)n;
}

static void gone_add(struct vt_gone *gone, const struct vt_hot *hot,
		     struct vt_intervals *intervals, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		vt_tally_add(&gone->intervals,
			     n == VT_FINE ? vt_histogram_coarse_of(i) : i,
			     atomic_load_explicit(&vt_counts(intervals)[i],
						  memory_order_relaxed),
			     0);
	vt_tally_add(&gone->intervals, 0, 0, vt_intervals_sum(intervals, &hot->pulse));
	/* Release: folds says when it belongs to the rest. */
	atomic_fetch_add_explicit(&gone->missed,
				  atomic_load_explicit(&intervals->missed,
						       memory_order_relaxed),
				  memory_order_release);
}

void vt_group_fold(struct vt_group_slot *group, struct vt_hot *hot,
		   struct vt_intervals *intervals, unsigned n)
{
	struct vt_gone *gone = &group->closed;
	uint32_t flags, round;

	/* Sequentially consistent, both: see group_end() in sums.c. */
	atomic_fetch_add_explicit(&group->folds, 1, memory_order_seq_cst);
	flags = atomic_fetch_or_explicit(&hot->flags, VT_HB_CLOSED, memory_order_acq_rel);
	round = atomic_load_explicit(&group->round, memory_order_seq_cst);
	if (round)
		/* One that is in the sum under way is missed by the next one only. */
		gone = &group->gone[(round + !!(flags & VT_HB_SUMMED_IN(round))) & 1u];
	if (intervals)
		gone_add(gone, hot, intervals, n);
	atomic_fetch_add_explicit(&group->folds, 1, memory_order_seq_cst);
}
