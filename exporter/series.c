/* SPDX-License-Identifier: MIT */

#include "series.h"

/* What is there always, the exporter's own and all parts included; rounded up. */
#define FIXED_SERIES 180u
#define WORST 100u

static const struct vx_family parts_family = { "vitals_part_ready", "gauge",
					       "1 if the part can do its work.",
					       VX_UNIT_NUMBER };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Groups come first: rules and alerts rest on totals, and a total that appears late has
 * no 0 to start from. Then quitters and scopes, a quarter at most, then histograms, half of the
 * rest at most, then heartbeats: all of them, or only the worst.
 */
struct vx_budget vx_series_budget(const struct vx_look *look)
{
	const struct vitals_process_info *process = &look->process;
	uint64_t rest = look->max_series > FIXED_SERIES ? look->max_series - FIXED_SERIES
							: 0;
	struct vx_budget budget = { 0 };

	budget.groups = least(process->groups, rest / VX_GROUP_SERIES);
	rest -= budget.groups * VX_GROUP_SERIES;
	budget.quitters = least(process->quitters, rest / 4 / VX_QUITTER_SERIES);
	rest -= budget.quitters * VX_QUITTER_SERIES;
	budget.scopes = least(process->scopes, rest / 4 / VX_SCOPE_SERIES);
	rest -= budget.scopes * VX_SCOPE_SERIES;
	budget.histograms = least(budget.groups, rest / 2 / VX_HISTOGRAM_SERIES);
	rest -= budget.histograms * VX_HISTOGRAM_SERIES;

	budget.heartbeats =
		least(look->max_series / 10, rest / (VX_HEARTBEAT_SERIES + 1));
	if (vx_series_alive(look) > budget.heartbeats) {
		budget.heartbeats = least(budget.heartbeats, WORST);
		budget.worst = 1;
	}
	return budget;
}

uint64_t vx_series_alive(const struct vx_look *look)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < VITALS_STATES; i++)
		if (i != VITALS_CLOSED)
			n += (uint64_t)look->process.critical[i] +
			     look->process.informative[i];
	return n;
}

void vx_series_parts(const struct vx_look *look, struct vx_table *table,
		     struct vx_exposition *to)
{
	struct vitals_part_info part;
	struct vx_row *row;

	VITALS_INIT(&part);
	while (!vitals_snapshot_part(look->snapshot, (uint32_t)table->n, &part)) {
		row = vx_table_add(table);
		if (!row)
			return;
		vx_buffer_string(&table->labels, "part=");
		vx_buffer_label(&table->labels, part.name);
		vx_table_add_done(table, row);
		row->values[0] = part.ready;
	}
	vx_table_write(table, to, &parts_family, 0, 1);
}
