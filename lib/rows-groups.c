/* SPDX-License-Identifier: MIT */

#include "rows.h"

#include "histogram.h"
#include "text.h"

#include <string.h>

/* A member that closes during the walk is in both sums or in neither: then once more. */
#define WALKS 8
/* A sum that is being published is there in a moment. */
#define TRIES 1000

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

static void tally_add(const struct vt_tally *tally, uint64_t *counts, uint64_t *sum_ns,
		      uint64_t *total)
{
	unsigned i;

	for (i = 0; i < VT_COARSE; i++) {
		uint64_t count = LOAD(tally, counts[i]);

		counts[i] += count;
		*total += count;
	}
	*sum_ns += LOAD(tally, sum_ns);
}

static void gone_add(const struct vt_gone *gone, struct vt_group_row *row)
{
	tally_add(&gone->intervals, row->intervals, &row->info.sum_ns, &row->info.pulses);
	row->info.missed += LOAD(gone, missed);
}

/* What the group itself keeps: its name, its late pulses. */
static void group_begin(const struct vt_group_slot *slot, uint32_t index,
			struct vt_group_row *row)
{
	memset(row, 0, sizeof(*row));
	row->info.size = sizeof(row->info);
	row->info.index = index;
	row->info.missed = LOAD(slot, missed);
	row->info.stalls = LOAD(slot, stalls);
	vt_name_load(slot->name, row->info.name);
	tally_add(&slot->lateness, row->lateness, &row->info.late_sum_ns,
		  &row->info.late_pulses);
}

/* One that the monitor sums: as of its last round. */
static void group_summed(const struct vt_group_slot *slot, uint32_t index,
			 struct vt_group_row *row)
{
	unsigned i, tries;

	for (tries = 0; tries < TRIES; tries++) {
		uint32_t sequence = LOAD(slot, sequence);

		group_begin(slot, index, row);
		gone_add(&slot->summed, row);
		row->info.oldest_beat_ns = LOAD(slot, oldest_ns);
		if (!(sequence & 1u) && LOAD(slot, sequence) == sequence)
			break;
	}
	for (i = 0; i < VT_STATES; i++)
		row->info.states[i] = LOAD(slot, states[i]);
}

static void group_add(const struct vt_view *view, uint32_t index,
		      const struct vitals_heartbeat_info *member,
		      struct vt_group_row *row)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	uint64_t counts[VT_COARSE];
	unsigned i;

	row->info.states[member->state]++;
	if (member->state != VITALS_IDLE && member->state != VITALS_UNBOUNDED &&
	    (!row->info.oldest_beat_ns || member->beat_ns < row->info.oldest_beat_ns))
		row->info.oldest_beat_ns = member->beat_ns;
	/* One that was closed since is folded: then the walk is done again. */
	if (member->schema < 0 ||
	    vt_row_buckets(view, index, LOAD(hot, gen), counts, VT_COARSE) < 0)
		return;
	for (i = 0; i < VT_COARSE; i++) {
		row->intervals[i] += counts[i];
		row->info.pulses += counts[i];
	}
	row->info.sum_ns += member->sum_ns;
	row->info.missed += member->missed;
}

/* What a walk over the heartbeats gathers. */
struct gathered {
	struct vt_group_row *rows;
	uint32_t n;
	uint32_t folds[VT_GROUPS]; /* as the groups' were before the walk */
	bool done[VT_GROUPS];      /* held still in an earlier one */
};

/* One walk, for the groups that are not done. */
static void groups_walk(const struct vt_view *view, const struct vt_moment *moment,
			struct gathered *g)
{
	struct vitals_heartbeat_info member;
	uint32_t i, used;

	for (i = 0; i < g->n; i++) {
		const struct vt_group_slot *slot = vt_view_slot(view, VT_KIND_GROUP, i);

		if (g->done[i])
			continue;
		g->folds[i] = LOAD(slot, folds);
		group_begin(slot, i, &g->rows[i]);
		gone_add(&slot->closed, &g->rows[i]);
		gone_add(&slot->gone[0], &g->rows[i]);
		gone_add(&slot->gone[1], &g->rows[i]);
	}
	used = vt_view_used(view, VT_KIND_HOT);
	for (i = 0; i < used; i++)
		if (vt_row_heartbeat(view, moment, i, &member) && member.group < g->n &&
		    !g->done[member.group])
			group_add(view, i, &member, &g->rows[member.group]);
}

/* Return: how many groups no walk so far has found holding still. */
static uint32_t groups_left(const struct vt_view *view, struct gathered *g, bool walked)
{
	uint32_t i, left = 0;

	for (i = 0; i < g->n; i++) {
		const struct vt_group_slot *slot = vt_view_slot(view, VT_KIND_GROUP, i);
		uint32_t round = LOAD(slot, round);

		/* From its first sum on no other way of counting agrees. */
		if (round > 1) {
			group_summed(slot, i, &g->rows[i]);
			g->done[i] = true;
		}
		/* One whose members come and go all the time spoils no other. */
		g->done[i] |= walked && !round && !(g->folds[i] & 1u) &&
			      LOAD(slot, folds) == g->folds[i];
		left += !g->done[i];
	}
	return left;
}

uint32_t vt_rows_groups(const struct vt_view *view, const struct vt_moment *moment,
			struct vt_group_row *rows)
{
	struct gathered g = { .rows = rows, .n = vt_view_used(view, VT_KIND_GROUP) };
	unsigned walks;

	g.n = g.n < VT_GROUPS ? g.n : VT_GROUPS;
	for (walks = 0; walks < WALKS && groups_left(view, &g, walks > 0); walks++)
		groups_walk(view, moment, &g);
	return g.n;
}
