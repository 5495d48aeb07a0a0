/* SPDX-License-Identifier: MIT */

#include "series.h"

static const struct vx_family heartbeats_by_state = { "vitals_heartbeats", "gauge",
						      "Heartbeats by group and state.",
						      VX_UNIT_NUMBER };

static const struct vx_family group_families[] = {
	{ "vitals_heartbeat_oldest_pulse_timestamp_seconds", "gauge",
	  "The oldest last sign of life in the group; idle and unbounded heartbeats do "
	  "not "
	  "count, and if that leaves none it is the time of the scrape.",
	  VX_UNIT_SECONDS },
	{ "vitals_heartbeat_group_pulses_total", "counter",
	  "Intervals between pulses, closed heartbeats included.", VX_UNIT_NUMBER },
	{ "vitals_heartbeat_group_missed_pulses_total", "counter",
	  "Pulses that did not come, closed heartbeats included.", VX_UNIT_NUMBER },
	{ "vitals_heartbeat_group_stalls_total", "counter",
	  "Times a heartbeat turned silent, closed heartbeats included.",
	  VX_UNIT_NUMBER },
};

/* Columns of a group's row: one a state a living one can be in, then group_families. */
static const int states[] = { VITALS_STARTING, VITALS_HEALTHY, VITALS_IDLE,
			      VITALS_SILENT,   VITALS_STUCK,   VITALS_DEAD,
			      VITALS_UNBOUNDED };
#define GROUP_STATES VX_LENGTH(states)
static_assert(GROUP_STATES == VITALS_STATES - 1, "all but closed");
static_assert(GROUP_STATES + VX_LENGTH(group_families) == VX_GROUP_SERIES,
	      "in the budget");

static const struct vx_family intervals_family = {
	"vitals_heartbeat_pulse_interval_seconds", "histogram",
	"Time between two pulses of a heartbeat.", VX_UNIT_SECONDS
};

static const struct vx_family lateness_family = {
	"vitals_heartbeat_pulse_lateness_seconds", "histogram",
	"Of pulses that came after their interval: how long after.", VX_UNIT_SECONDS
};

static void groups_gather(const struct vx_look *look, uint64_t limit,
			  struct vx_table *table)
{
	struct vitals_group_info group;
	struct vx_row *row;
	unsigned i;

	VITALS_INIT(&group);
	while (table->n < limit &&
	       !vitals_snapshot_group(look->snapshot, (uint32_t)table->n, &group)) {
		row = vx_table_add(table);
		if (!row)
			return;
		vx_buffer_string(&table->labels, "group=");
		vx_buffer_label(&table->labels, group.name);
		vx_table_add_done(table, row);
		for (i = 0; i < GROUP_STATES; i++)
			row->values[i] = group.states[states[i]];
		row->values[i++] = vx_look_realtime(
			look, group.oldest_beat_ns ? group.oldest_beat_ns
						   : look->process.from_ns);
		row->values[i++] = group.pulses;
		row->values[i++] = group.missed;
		row->values[i] = group.stalls;
	}
}

static void groups_histogram(const struct vx_look *look, const struct vx_table *table,
			     uint64_t n, unsigned which, struct vx_exposition *to)
{
	const struct vx_family *family =
		which == VITALS_GROUP_LATENESS ? &lateness_family : &intervals_family;
	uint64_t counts[VITALS_BUCKETS_COARSE];
	struct vitals_group_info group;
	uint32_t i;

	VITALS_INIT(&group);
	vx_exposition_head(to, family);
	for (i = 0; i < n; i++) {
		if (vitals_snapshot_group(look->snapshot, i, &group) ||
		    vitals_snapshot_group_buckets(look->snapshot, i, which, counts))
			continue;
		vx_exposition_histogram(to, family,
					vx_table_labels(table, &table->rows[i]), counts,
					which == VITALS_GROUP_LATENESS ? group.late_sum_ns
								       : group.sum_ns);
	}
}

uint64_t vx_series_groups(const struct vx_look *look, const struct vx_budget *budget,
			  struct vx_table *table, struct vx_exposition *to)
{
	uint64_t histograms;
	size_t k;
	unsigned i;

	groups_gather(look, budget->groups, table);
	histograms = budget->histograms < table->n ? budget->histograms : table->n;

	vx_exposition_head(to, &heartbeats_by_state);
	for (k = 0; k < table->n; k++)
		for (i = 0; i < GROUP_STATES; i++)
			vx_exposition_sample_with(to, &heartbeats_by_state,
						  vx_table_labels(table, &table->rows[k]),
						  "state", vitals_state_name(states[i]),
						  table->rows[k].values[i]);
	vx_table_write(table, to, group_families, GROUP_STATES,
		       VX_LENGTH(group_families));
	groups_histogram(look, table, histograms, VITALS_GROUP_INTERVALS, to);
	groups_histogram(look, table, histograms, VITALS_GROUP_LATENESS, to);

	if (look->process.groups <= histograms)
		return 0;
	return (look->process.groups - table->n) * VX_GROUP_SERIES +
	       (look->process.groups - histograms) * VX_HISTOGRAM_SERIES;
}
