/* SPDX-License-Identifier: MIT */

#include "rows.h"

#include "doing.h"
#include "series.h"

/* Any sentence, but for names that are all escapes. */
#define FINDING_MAX 768u

#define AT(noun, field) offsetof(struct vitals_##noun##_info, field)

static const struct vx_member worst_members[] = {
	{ "group", AT(heartbeat, group_name), VX_TEXT },
	{ "age_seconds", AT(heartbeat, silence_ns), VX_SECONDS },
	{ "timeout_seconds", AT(heartbeat, timeout_ns), VX_SECONDS },
};

static const struct vx_member heartbeat_members[] = {
	{ "id", AT(heartbeat, id), VX_U64 },
	{ "thread_id", AT(heartbeat, thread_id), VX_U64 },
	{ "tid", AT(heartbeat, tid), VX_U32 },
	{ "stuck_seconds", AT(heartbeat, stuck_ns), VX_SECONDS },
	{ "start_seconds", AT(heartbeat, start_ns), VX_SECONDS },
	{ "interval_seconds", AT(heartbeat, interval_ns), VX_SECONDS },
	{ "pulses", AT(heartbeat, pulses), VX_U64 },
	{ "missed", AT(heartbeat, missed), VX_U64 },
	{ "stalls", AT(heartbeat, stalls), VX_U64 },
	{ "stalled_seconds", AT(heartbeat, stalled_ns), VX_SECONDS },
};

static const struct vx_member interval_members[] = {
	{ "interval_p50_seconds", AT(heartbeat, p50_ns), VX_SECONDS },
	{ "interval_p90_seconds", AT(heartbeat, p90_ns), VX_SECONDS },
	{ "interval_p99_seconds", AT(heartbeat, p99_ns), VX_SECONDS },
	{ "interval_max_seconds", AT(heartbeat, max_ns), VX_SECONDS },
};

static const struct vx_member quitter_members[] = {
	{ "id", AT(quitter, id), VX_U64 },
	{ "depth", AT(quitter, depth), VX_U32 },
	{ "threads", AT(quitter, threads), VX_U32 },
	{ "children", AT(quitter, children), VX_U32 },
	{ "late", AT(quitter, late), VX_U32 },
	{ "abandoned", AT(quitter, abandoned), VX_U32 },
	{ "timeout_seconds", AT(quitter, timeout_ns), VX_SECONDS },
	{ "shutdowns", AT(quitter, shutdowns), VX_U64 },
	{ "timeouts", AT(quitter, timeouts), VX_U64 },
	{ "last_shutdown_seconds", AT(quitter, last_shutdown_ns), VX_SECONDS },
};

static const struct vx_member thread_members[] = {
	{ "path", AT(thread, path), VX_TEXT },
	{ "quitter", AT(thread, quitter_path), VX_TEXT },
	{ "id", AT(thread, id), VX_U64 },
	{ "quitter_id", AT(thread, quitter_id), VX_U64 },
	{ "heartbeat_id", AT(thread, heartbeat_id), VX_U64 },
	{ "tid", AT(thread, tid), VX_U32 },
	{ "adopted", AT(thread, adopted), VX_FLAG },
	{ "abandoned", AT(thread, abandoned), VX_FLAG },
	{ "late", AT(thread, late), VX_FLAG },
	{ "count", AT(thread, count), VX_U32 },
	{ "age_seconds", AT(thread, age_ns), VX_SECONDS },
	{ "told_age_seconds", AT(thread, told_ns), VX_SECONDS },
};

static const struct vx_member part_members[] = {
	{ "name", AT(part, name), VX_TEXT },
	{ "ready", AT(part, ready), VX_FLAG },
};

static const char *const stages[] = { "quit", "drain", "flush" };
static const char *const causes[] = { NULL,           "call",          "signal",  "fd",
				      "thread_ended", "thread_failed", "all_done" };
static const char *const thread_states[] = { "not_started", "running", "returned", "hold",
					     "dead" };

/* A row of a newer library may hold a word that is not known here. */
#define WORD(words, i) ((i) < VX_LENGTH(words) ? (words)[i] : "unknown")

static void scope_write(struct vx_json *json, const struct vitals_heartbeat_info *row)
{
	vx_json_text(json, "scope", row->scope);
	vx_json_u64(json, "scope_depth", row->scope_depth);
	vx_json_seconds(json, "scope_age_seconds", row->scope_age_ns);
	if (row->scope_budget_ns)
		vx_json_seconds(json, "scope_budget_seconds", row->scope_budget_ns);
	else
		vx_json_null(json, "scope_budget_seconds");
}

static void quitter_write(const struct vx_look *look, struct vx_json *json,
			  const struct vitals_quitter_info *row)
{
	vx_json_begin(json);
	vx_json_text(json, "path", row->path);
	vx_json_text(json, "state", vx_quitter_state(row));
	if (row->parent_id)
		vx_json_u64(json, "parent_id", row->parent_id);
	else
		vx_json_null(json, "parent_id");
	vx_json_text(json, "stage", WORD(stages, row->stage));
	vx_json_members(json, row, quitter_members, VX_LENGTH(quitter_members));
	if (row->told) {
		vx_json_text(json, "cause", WORD(causes, row->cause_kind));
		vx_json_text(json, "cause_text", row->cause_text);
		vx_json_seconds(json, "told_age_seconds",
				look->process.from_ns > row->told_ns
					? look->process.from_ns - row->told_ns
					: 0);
	}
	vx_json_end(json);
}

static void thread_write(struct vx_json *json, const struct vitals_thread_info *row)
{
	vx_json_begin(json);
	vx_json_text(json, "name", row->name);
	vx_json_text(json, "state", WORD(thread_states, row->state));
	vx_json_members(json, row, thread_members, VX_LENGTH(thread_members));
	if (row->scope[0])
		vx_json_text(json, "scope", row->scope);
	vx_doing_write(json, &(struct vx_doing){ row->thread_class, row->reason,
						 row->doing, SIZE_MAX });
	vx_json_end(json);
}

static void finding_write(const struct vx_look *look, struct vx_json *json,
			  const struct vitals_finding_info *row, size_t room)
{
	uint64_t from_ns = look->process.from_ns;

	vx_json_begin(json);
	vx_json_text(json, "kind",
		     row->kind == VITALS_EVENT_DEADLOCK ? "deadlock"
		     : row->kind == VITALS_EVENT_ASLEEP ? "asleep"
							: "unknown");
	vx_json_u64(json, "event", row->number);
	vx_json_seconds(json, "age_seconds",
			from_ns > row->at_ns ? from_ns - row->at_ns : 0);
	vx_json_flag(json, "over", row->over != 0);
	vx_json_u64(json, "threads", row->threads);
	vx_json_text_cut(json, "doing", row->doing, room);
	vx_json_end(json);
}

static void list_begin(struct vx_buffer *out, const char *key)
{
	vx_rows_key(out, key);
	vx_buffer_string(out, "[");
}

static void parts_write(const struct vx_look *look, struct vx_json *json)
{
	struct vitals_part_info row;
	uint32_t i;

	list_begin(json->out, "parts");
	VITALS_INIT(&row);
	for (i = 0; !vitals_snapshot_part(look->snapshot, i, &row); i++) {
		vx_rows_separate(json->out, i);
		vx_json_begin(json);
		vx_json_members(json, &row, part_members, VX_LENGTH(part_members));
		vx_json_end(json);
	}
	vx_buffer_string(json->out, "]");
}

/* An error ends a walk that may be long: what is rendered after it is thrown away. */
static void heartbeats_write(const struct vx_look *look, struct vx_json *json)
{
	struct vitals_heartbeat_info row;
	uint32_t i;

	list_begin(json->out, "heartbeats");
	VITALS_INIT(&row);
	for (i = 0; !vitals_snapshot_heartbeat(look->snapshot, i, &row); i++) {
		vx_rows_separate(json->out, i);
		vx_rows_heartbeat(json, &row, true, SIZE_MAX);
		if (vx_doing_of(&row))
			vx_doing_figures(look, json, i);
		if (json->out->error)
			return;
	}
	vx_buffer_string(json->out, "]");
}

static void quitters_write(const struct vx_look *look, struct vx_json *json)
{
	struct vitals_quitter_info row;
	uint32_t i;

	list_begin(json->out, "quitters");
	VITALS_INIT(&row);
	for (i = 0; !vitals_snapshot_quitter(look->snapshot, i, &row); i++) {
		vx_rows_separate(json->out, i);
		quitter_write(look, json, &row);
		if (json->out->error)
			return;
	}
	vx_buffer_string(json->out, "]");
}

static void threads_write(const struct vx_look *look, struct vx_json *json)
{
	struct vitals_thread_info row;
	uint32_t i;

	list_begin(json->out, "threads");
	VITALS_INIT(&row);
	for (i = 0; !vitals_snapshot_thread(look->snapshot, i, &row); i++) {
		vx_rows_separate(json->out, i);
		thread_write(json, &row);
		if (json->out->error)
			return;
	}
	vx_buffer_string(json->out, "]");
}

void vx_rows_key(struct vx_buffer *out, const char *key)
{
	vx_buffer_string(out, ",\n\"");
	vx_buffer_string(out, key);
	vx_buffer_string(out, "\":");
}

void vx_rows_separate(struct vx_buffer *out, uint64_t i)
{
	vx_buffer_string(out, i ? ",\n" : "\n");
}

void vx_rows_findings(const struct vx_look *look, struct vx_json *json, bool all,
		      size_t limit)
{
	struct vx_buffer *out = json->out;
	struct vitals_finding_info row;
	uint32_t i, shown = 0;
	size_t before;

	list_begin(out, "findings");
	VITALS_INIT(&row);
	for (i = 0; !vitals_snapshot_finding(look->snapshot, i, &row); i++) {
		if (row.over && !all)
			continue;
		before = out->length;
		vx_rows_separate(out, shown);
		finding_write(look, json, &row, FINDING_MAX);
		if (out->length > limit) {
			out->length = before;
			break;
		}
		shown++;
	}
	vx_buffer_string(out, "]");
}

void vx_rows_heartbeat(struct vx_json *json, const struct vitals_heartbeat_info *row,
		       bool whole, size_t room)
{
	vx_json_begin(json);
	vx_json_text(json, "name", row->name);
	vx_json_text(json, "state", vitals_state_name((int)row->state));
	vx_json_flag(json, "critical", !(row->flags & VITALS_INFORMATIVE));
	vx_json_members(json, row, worst_members, VX_LENGTH(worst_members));
	if (row->scope_depth)
		scope_write(json, row);
	vx_doing_write(json, &(struct vx_doing){ row->thread_class, row->reason,
						 row->doing, room });
	if (whole)
		vx_json_members(json, row, heartbeat_members,
				VX_LENGTH(heartbeat_members));
	if (whole && row->schema >= 0)
		vx_json_members(json, row, interval_members, VX_LENGTH(interval_members));
	vx_json_end(json);
}

void vx_rows_write(const struct vx_look *look, struct vx_json *json)
{
	parts_write(look, json);
	heartbeats_write(look, json);
	quitters_write(look, json);
	threads_write(look, json);
}
