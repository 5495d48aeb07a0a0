/* SPDX-License-Identifier: MIT */

#include "series.h"

#include <stdbool.h>

static const struct vx_family quitters_by_state = { "vitals_quitters", "gauge",
						    "Living quitters by state.",
						    VX_UNIT_NUMBER };

static const struct vx_family quitter_families[] = {
	{ "vitals_quitter_threads", "gauge", "Threads and holds counted in it itself.",
	  VX_UNIT_NUMBER },
	{ "vitals_quitter_late_threads", "gauge", "Of those, late at its last wait.",
	  VX_UNIT_NUMBER },
	{ "vitals_quitter_abandoned_threads", "gauge", "Threads no longer waited for.",
	  VX_UNIT_NUMBER },
	{ "vitals_quitter_quit_requested", "gauge", "1 once told to quit.",
	  VX_UNIT_NUMBER },
	{ "vitals_quitter_quit_requested_timestamp_seconds", "gauge",
	  "When it was told to quit; 0 before.", VX_UNIT_SECONDS },
	{ "vitals_quitter_timeout_seconds", "gauge", "Its time to leave.",
	  VX_UNIT_SECONDS },
	{ "vitals_quitter_shutdowns_total", "counter",
	  "Waits after it was told to quit that have ended.", VX_UNIT_NUMBER },
	{ "vitals_quitter_timeouts_total", "counter", "Of those, with somebody late.",
	  VX_UNIT_NUMBER },
	{ "vitals_quitter_timed_out_threads_total", "counter",
	  "Threads and holds late in those, in all.", VX_UNIT_NUMBER },
	{ "vitals_quitter_last_shutdown_duration_seconds", "gauge",
	  "How long its last shutdown took from the request on.", VX_UNIT_SECONDS },
};

static_assert(VX_LENGTH(quitter_families) == VX_QUITTER_SERIES, "in the budget");

static const struct vx_family durations_family = {
	"vitals_quitter_shutdown_duration_seconds", "histogram",
	"From the request to quit to the end of the wait, of all quitters.",
	VX_UNIT_SECONDS
};

static const char *const states[] = { "running", "quitting", "done", "timed_out" };

static unsigned quitter_state(const struct vitals_quitter_info *quitter)
{
	if (quitter->timed_out)
		return 3;
	if (!quitter->told)
		return 0;
	return quitter->threads ? 1 : 2;
}

/* Who was told or was late before is of interest when not all can be in. */
static bool quitter_matters(const struct vitals_quitter_info *quitter)
{
	return quitter->told || quitter->timed_out || quitter->timeouts;
}

static void quitter_label(struct vx_buffer *labels,
			  const struct vitals_quitter_info *quitter)
{
	vx_buffer_string(labels, "quitter=");
	vx_buffer_label(labels, quitter->path);
	/* Paths that were cut may be equal, and equal series are an error: the id
	 * differs. */
	if (strlen(quitter->path) < VITALS_PATH_MAX - 8)
		return;
	vx_buffer_string(labels, ",id=\"");
	vx_buffer_u64(labels, quitter->id);
	vx_buffer_string(labels, "\"");
}

static void quitter_add(const struct vx_look *look, struct vx_table *table,
			const struct vitals_quitter_info *quitter)
{
	struct vx_row *row = vx_table_add(table);
	uint64_t *value;

	if (!row)
		return;
	quitter_label(&table->labels, quitter);
	vx_table_add_done(table, row);

	value = row->values;
	*value++ = quitter->threads;
	*value++ = quitter->late;
	*value++ = quitter->abandoned;
	*value++ = quitter->told;
	*value++ = quitter->told_ns ? vx_look_realtime(look, quitter->told_ns) : 0;
	*value++ = quitter->timeout_ns;
	*value++ = quitter->shutdowns;
	*value++ = quitter->timeouts;
	*value++ = quitter->timed_out_threads;
	*value = quitter->last_shutdown_ns;
}

/* One walk counts all and takes those that matter, another fills up with the others. */
static void quitters_gather(const struct vx_look *look, uint64_t limit,
			    struct vx_table *table, uint64_t *counts)
{
	bool all = look->process.quitters <= limit;
	struct vitals_quitter_info quitter;
	uint32_t i;

	VITALS_INIT(&quitter);
	for (i = 0; !vitals_snapshot_quitter(look->snapshot, i, &quitter); i++) {
		counts[quitter_state(&quitter)]++;
		if (table->n < limit && (all || quitter_matters(&quitter)))
			quitter_add(look, table, &quitter);
	}
	for (i = 0; !all && table->n < limit && !table->labels.error &&
		    !vitals_snapshot_quitter(look->snapshot, i, &quitter);
	     i++)
		if (!quitter_matters(&quitter))
			quitter_add(look, table, &quitter);
}

const char *vx_quitter_state(const struct vitals_quitter_info *quitter)
{
	return states[quitter_state(quitter)];
}

static void durations_write(const struct vx_look *look, struct vx_exposition *to)
{
	static const struct vx_labels none = { "", 0 };
	uint64_t counts[VITALS_BUCKETS_COARSE];

	if (vitals_snapshot_shutdown_buckets(look->snapshot, counts))
		return;
	vx_exposition_head(to, &durations_family);
	vx_exposition_histogram(to, &durations_family, none, counts,
				look->process.shutdown_sum_ns);
}

uint64_t vx_series_quitters(const struct vx_look *look, const struct vx_budget *budget,
			    struct vx_table *table, struct vx_exposition *to)
{
	static const struct vx_labels none = { "", 0 };
	uint64_t counts[VX_LENGTH(states)] = { 0 };
	unsigned i;

	quitters_gather(look, budget->quitters, table, counts);
	vx_exposition_head(to, &quitters_by_state);
	for (i = 0; i < VX_LENGTH(states); i++)
		vx_exposition_sample_with(to, &quitters_by_state, none, "state",
					  states[i], counts[i]);
	vx_table_write(table, to, quitter_families, 0, VX_LENGTH(quitter_families));
	durations_write(look, to);
	return look->process.quitters > table->n
		       ? (look->process.quitters - table->n) * VX_QUITTER_SERIES
		       : 0;
}
