/* SPDX-License-Identifier: MIT */

#include "series.h"

#include <stdbool.h>

static const struct vx_family heartbeat_families[] = {
	{ "vitals_heartbeat_last_pulse_timestamp_seconds", "gauge",
	  "The last sign of life; before the first the registration.", VX_UNIT_SECONDS },
	{ "vitals_heartbeat_timeout_seconds", "gauge", "Longest silence allowed.",
	  VX_UNIT_SECONDS },
	{ "vitals_heartbeat_expected_interval_seconds", "gauge",
	  "How often it should pulse.", VX_UNIT_SECONDS },
	{ "vitals_heartbeat_healthy", "gauge", "0 if silent, stuck or dead, else 1.",
	  VX_UNIT_NUMBER },
	{ "vitals_heartbeat_pulses_total", "counter", "Intervals between pulses.",
	  VX_UNIT_NUMBER },
	{ "vitals_heartbeat_missed_pulses_total", "counter", "Pulses that did not come.",
	  VX_UNIT_NUMBER },
	{ "vitals_heartbeat_stalls_total", "counter", "Times it turned silent.",
	  VX_UNIT_NUMBER },
	{ "vitals_heartbeat_stalled_seconds_total", "counter",
	  "Time in silence past its timeout, of stalls that have ended.",
	  VX_UNIT_SECONDS },
};

static const struct vx_family class_family = {
	"vitals_heartbeat_class", "gauge",
	"1 with the class of what its thread is doing, if it is silent, stuck or dead.",
	VX_UNIT_NUMBER
};

/* The column behind those families': the class, and one more, or 0 of one that is well. */
#define CLASS_COLUMN VX_LENGTH(heartbeat_families)
static_assert(CLASS_COLUMN == VX_HEARTBEAT_SERIES, "in the budget");
static_assert(CLASS_COLUMN < VX_COLUMNS, "in the table");

static bool is_well(const struct vitals_heartbeat_info *heartbeat)
{
	return heartbeat->state < VITALS_SILENT || heartbeat->state == VITALS_UNBOUNDED;
}

static void heartbeat_add(const struct vx_look *look, struct vx_table *table,
			  const struct vitals_heartbeat_info *heartbeat)
{
	struct vx_row *row = vx_table_add(table);
	uint64_t *value;

	if (!row)
		return;
	vx_buffer_string(&table->labels, "group=");
	vx_buffer_label(&table->labels, heartbeat->group_name);
	vx_buffer_string(&table->labels, ",heartbeat=");
	vx_buffer_label(&table->labels, heartbeat->name);
	vx_table_add_done(table, row);

	value = row->values;
	*value++ = vx_look_realtime(look, heartbeat->beat_ns);
	*value++ = heartbeat->timeout_ns;
	*value++ = heartbeat->interval_ns;
	*value++ = is_well(heartbeat);
	*value++ = heartbeat->pulses;
	*value++ = heartbeat->missed;
	*value++ = heartbeat->stalls;
	*value++ = heartbeat->stalled_ns;
	*value = is_well(heartbeat) ? 0 : 1 + (uint64_t)heartbeat->thread_class;
}

/* How many are not well, by what the monitor saw. */
static uint64_t not_well(const struct vx_look *look)
{
	const struct vitals_process_info *process = &look->process;

	return (uint64_t)process->critical[VITALS_SILENT] +
	       process->critical[VITALS_STUCK] + process->critical[VITALS_DEAD] +
	       process->informative[VITALS_SILENT] + process->informative[VITALS_STUCK] +
	       process->informative[VITALS_DEAD];
}

/* Answers how many there are. */
static uint64_t classes_write(const struct vx_table *table, struct vx_exposition *to)
{
	uint64_t value, n = 0;
	size_t k;

	vx_exposition_head(to, &class_family);
	for (k = 0; k < table->n; k++) {
		value = table->rows[k].values[CLASS_COLUMN];
		if (!value)
			continue;
		vx_exposition_sample_with(to, &class_family,
					  vx_table_labels(table, &table->rows[k]),
					  "class", vitals_class_name((int)(value - 1)),
					  1);
		n++;
	}
	return n;
}

uint64_t vx_series_heartbeats(const struct vx_look *look, const struct vx_budget *budget,
			      struct vx_table *table, struct vx_exposition *to)
{
	uint64_t alive = vx_series_alive(look), classes, dropped;
	struct vitals_heartbeat_info heartbeat;
	uint32_t i;
	int r;

	VITALS_INIT(&heartbeat);
	for (i = 0; i < budget->heartbeats && !table->labels.error; i++) {
		r = budget->worst
			    ? vitals_snapshot_worst(look->snapshot, i, &heartbeat)
			    : vitals_snapshot_heartbeat(look->snapshot, i, &heartbeat);
		if (r)
			break;
		heartbeat_add(look, table, &heartbeat);
	}
	vx_table_write(table, to, heartbeat_families, 0, VX_LENGTH(heartbeat_families));
	classes = classes_write(table, to);
	dropped = alive > table->n ? (alive - table->n) * VX_LENGTH(heartbeat_families)
				   : 0;
	/* The rows may be newer than the counts. */
	if (dropped && not_well(look) > classes)
		dropped += not_well(look) - classes;
	return dropped;
}
