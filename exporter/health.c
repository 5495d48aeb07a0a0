/* SPDX-License-Identifier: MIT */

#include "health.h"

#include "json.h"
#include "rows.h"
#include "series.h"
#include "verdict.h"

#define WORST_SHOWN 16u
/* Kept free in the short body for what follows the worst: the summary names one of them. */
#define TAIL_MAX 1400u
/* And this for the worst themselves, whatever was found of several threads at once. */
#define WORST_MIN 1160u
/* What is in such a row beside the sentence. */
#define ROW_TYPICAL 180u
/* So much of a sentence at least: of the worst one, of another. */
#define SENTENCE_FIRST 256u
#define SENTENCE_NEXT 64u

#define AT(field) offsetof(struct vitals_process_info, field)

static const struct vx_member monitor_members[] = {
	{ "tick_seconds", AT(tick_ns), VX_SECONDS },
	{ "lag_seconds", AT(lag_ns), VX_SECONDS },
	{ "lag_max_seconds", AT(lag_max_ns), VX_SECONDS },
	{ "not_watched_seconds", AT(not_watched_ns), VX_SECONDS },
	{ "ticks", AT(turns), VX_U64 },
	{ "pauses", AT(pauses), VX_U64 },
	{ "paused_seconds", AT(paused_ns), VX_SECONDS },
	{ "events", AT(changes), VX_U64 },
};

static const char *const healths[] = { "pass", "warn", "fail" };

/* The object stays open for more. */
static void head_write(const struct vx_look *look, struct vx_json *json)
{
	const struct vitals_process_info *process = &look->process;
	unsigned i;

	vx_json_begin(json);
	vx_json_text(json, "status",
		     process->health < VX_LENGTH(healths) ? healths[process->health]
							  : "fail");
	vx_json_flag(json, "live", process->live);
	vx_json_flag(json, "ready", process->ready);
	vx_json_flag(json, "started", process->flags & VITALS_PROCESS_STARTED_UP);
	vx_json_flag(json, "quitting", process->flags & VITALS_PROCESS_QUITTING);
	vx_json_flag(json, "asleep", process->asleep);
	vx_json_u64(json, "deadlocks", process->deadlocks);
	vx_json_text(json, "version", vitals_version());
	vx_json_u64(json, "pid", process->pid);
	vx_json_seconds(json, "time_seconds", process->real_ns);
	vx_json_end(json);
	if (!json->out->error)
		json->out->length--;

	vx_rows_key(json->out, "counts");
	vx_json_begin(json);
	for (i = 0; i < VITALS_STATES; i++)
		if (i != VITALS_CLOSED)
			vx_json_u64(json, vitals_state_name((int)i),
				    (uint64_t)process->critical[i] +
					    process->informative[i]);
	vx_json_end(json);
}

/* A fair share of what is left, for @rows of which this is the first. */
static size_t sentence_room(size_t length, size_t limit, uint64_t rows, bool first)
{
	size_t least = first ? SENTENCE_FIRST : SENTENCE_NEXT;
	size_t share = limit > length && rows ? (limit - length) / rows : 0;

	return share > least + ROW_TYPICAL ? share - ROW_TYPICAL : least;
}

static void worst_write(const struct vx_look *look, struct vx_json *json, size_t limit)
{
	const struct vitals_process_info *process = &look->process;
	struct vitals_heartbeat_info row;
	struct vx_buffer *out = json->out;
	uint64_t bad = 0, rows;
	size_t before;
	uint32_t i;

	for (i = 0; i < VITALS_STATES; i++)
		if (i != VITALS_CLOSED && !VITALS_STATE_IS_GOOD(i))
			bad += (uint64_t)process->critical[i] + process->informative[i];
	rows = bad < WORST_SHOWN ? bad : WORST_SHOWN;
	vx_rows_key(out, "worst");
	vx_buffer_string(out, "[");
	VITALS_INIT(&row);
	for (i = 0; i < WORST_SHOWN; i++) {
		if (vitals_snapshot_worst(look->snapshot, i, &row))
			break;
		before = out->length;
		vx_rows_separate(out, i);
		vx_rows_heartbeat(json, &row, false,
				  limit == SIZE_MAX
					  ? limit
					  : sentence_room(before, limit, rows - i, !i));
		if (out->length > limit) {
			out->length = before;
			break;
		}
	}
	vx_buffer_string(out, "]");
	vx_rows_key(out, "worst_hidden");
	vx_buffer_u64(out, bad > i ? bad - i : 0);
}

static void monitor_write(const struct vx_look *look, struct vx_json *json)
{
	const struct vitals_process_info *process = &look->process;
	uint64_t since_ns = process->from_ns > process->tick_at_ns
				    ? process->from_ns - process->tick_at_ns
				    : 0;

	vx_rows_key(json->out, "monitor");
	vx_json_begin(json);
	vx_json_flag(json, "watched", process->flags & VITALS_PROCESS_WATCHED);
	vx_json_flag(json, "stopped", process->flags & VITALS_PROCESS_STOPPED);
	vx_json_seconds(json, "age_seconds", process->tick_at_ns ? since_ns : 0);
	vx_json_members(json, process, monitor_members, VX_LENGTH(monitor_members));
	vx_json_end(json);
}

static void exporter_write(const struct vx_look *look, struct vx_json *json)
{
	const struct vx_stats *stats = look->stats;
	uint64_t evicted = 0;
	unsigned i;

	for (i = 0; i < VX_EVICTIONS; i++)
		evicted += stats->evictions[i];
	vx_rows_key(json->out, "exporter");
	vx_json_begin(json);
	vx_json_u64(json, "connections", stats->connections);
	vx_json_u64(json, "accepted", stats->accepted);
	vx_json_u64(json, "evicted", evicted);
	vx_json_u64(json, "accept_backoffs", stats->accept_backoffs);
	vx_json_u64(json, "naps", stats->naps);
	vx_json_u64(json, "max_series", look->max_series);
	vx_json_u64(json, "dropped_series", stats->dropped_series);
	vx_json_end(json);
}

static void switch_write(struct vx_json *json, const char *name, const char *value)
{
	if (*value)
		vx_json_text(json, name, value);
	else
		vx_json_null(json, name);
}

static void environment_write(const struct vx_look *look, struct vx_json *json)
{
	const struct vx_environment *environment = look->environment;

	vx_rows_key(json->out, "environment");
	vx_json_begin(json);
	switch_write(json, "VITALS", environment->vitals);
	switch_write(json, "VITALS_LISTEN", environment->listen);
	switch_write(json, "VITALS_TIMEOUT_SCALE", environment->timeout_scale);
	switch_write(json, "VITALS_ABORT", environment->abort);
	/* What the core made of it: thousandths are as good as milliseconds. */
	vx_json_seconds(json, "timeout_scale",
			(uint64_t)look->process.timeout_scale * 1000000u);
	vx_json_end(json);
}

static void summary_write(const struct vx_look *look, struct vx_json *json,
			  struct vx_buffer *sentence)
{
	struct vx_buffer *out = json->out;
	size_t before;

	vx_verdict_summary(look, sentence);
	vx_buffer_bytes(sentence, "", 1);
	if (sentence->error) {
		out->error = sentence->error;
		return;
	}
	/* The last member closes the body: an object of its own without its brace. */
	vx_buffer_string(out, ",\n");
	before = out->length;
	vx_json_begin(json);
	vx_json_text(json, "summary", sentence->data);
	vx_json_end(json);
	if (out->error)
		return;
	memmove(out->data + before, out->data + before + 1, out->length - before - 1);
	out->data[out->length - 1] = '\n';
}

int vx_health_render(const struct vx_look *look, bool verbose, struct vx_buffer *out)
{
	struct vx_json json = { .out = out };
	struct vx_buffer sentence = { 0 };

	head_write(look, &json);
	vx_rows_findings(look, &json, verbose,
			 verbose ? SIZE_MAX : VX_HEALTH_MAX - TAIL_MAX - WORST_MIN);
	worst_write(look, &json, verbose ? SIZE_MAX : VX_HEALTH_MAX - TAIL_MAX);
	if (verbose) {
		monitor_write(look, &json);
		exporter_write(look, &json);
		environment_write(look, &json);
		vx_rows_write(look, &json);
	}
	summary_write(look, &json, &sentence);
	vx_buffer_free(&sentence);
	vx_json_free(&json);
	return out->error;
}
