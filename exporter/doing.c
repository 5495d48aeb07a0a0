/* SPDX-License-Identifier: MIT */

#include "doing.h"

#include "series.h"

#include <inttypes.h>
#include <stdio.h>

#define AT(field) offsetof(struct vitals_evidence, field)

#define CALL_NONE -1

static const struct vx_member look_members[] = {
	{ "tid", AT(tid), VX_U32 },
	{ "comm", AT(comm), VX_TEXT },
	{ "looks", AT(looks), VX_U32 },
	{ "window_seconds", AT(window_ns), VX_SECONDS },
	{ "took_seconds", AT(took_ns), VX_SECONDS },
	{ "moved", AT(moved), VX_FLAG },
};

static const struct vx_member count_members[] = {
	{ "cpu_seconds", AT(cpu_ns), VX_SECONDS },
	{ "user_seconds", AT(user_ns), VX_SECONDS },
	{ "system_seconds", AT(system_ns), VX_SECONDS },
	{ "run_delay_seconds", AT(run_delay_ns), VX_SECONDS },
	{ "voluntary_switches", AT(voluntary), VX_U64 },
	{ "involuntary_switches", AT(involuntary), VX_U64 },
	{ "minor_faults", AT(minor_faults), VX_U64 },
	{ "major_faults", AT(major_faults), VX_U64 },
	{ "throttled_seconds", AT(throttled_ns), VX_SECONDS },
};

static const char *const lock_kinds[] = { "none", "mutex", "rwlock", "thread", "futex" };

/* A number that is 0 where it is not known. */
static void number_write(struct vx_json *json, const char *name, uint64_t value)
{
	if (value)
		vx_json_u64(json, name, value);
	else
		vx_json_null(json, name);
}

static void call_write(struct vx_json *json, const struct vitals_evidence *evidence)
{
	char text[160];
	size_t n = 0;
	unsigned i;

	if (evidence->call < 0) {
		if (evidence->call == CALL_NONE)
			vx_json_raw(json, "call", "-1");
		else
			vx_json_null(json, "call");
		return;
	}
	vx_json_u64(json, "call", (uint64_t)evidence->call);
	for (i = 0; i < VX_LENGTH(evidence->args); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"0x%" PRIx64 "\"",
				      i ? "," : "[", evidence->args[i]);
	(void)snprintf(text + n, sizeof(text) - n, "]");
	vx_json_raw(json, "args", text);
}

static void state_write(struct vx_json *json, const struct vitals_evidence *evidence)
{
	char letter[] = { (char)evidence->state, '\0' };

	if (evidence->state)
		vx_json_text(json, "state", letter);
	else
		vx_json_null(json, "state");
	call_write(json, evidence);
	if (evidence->wchan[0])
		vx_json_text(json, "wchan", evidence->wchan);
}

/* To three places: the clock of a thread is no finer over so short a time. */
static void share_write(struct vx_json *json, const struct vitals_evidence *evidence)
{
	uint64_t window_us = evidence->window_ns / 1000;

	if (window_us)
		vx_json_seconds(json, "cpu_share",
				evidence->cpu_ns / window_us * VITALS_MS(1));
	else
		vx_json_null(json, "cpu_share");
}

static void lock_write(struct vx_json *json, const struct vitals_evidence *evidence)
{
	char text[24];

	if (!evidence->lock && !evidence->lock_kind)
		return;
	vx_json_text(json, "lock_kind",
		     evidence->lock_kind < VX_LENGTH(lock_kinds)
			     ? lock_kinds[evidence->lock_kind]
			     : "unknown");
	/* A string: 64 bits are more than most readers of JSON keep. */
	(void)snprintf(text, sizeof(text), "0x%" PRIx64, evidence->lock);
	if (evidence->lock)
		vx_json_text(json, "lock", text);
	else
		vx_json_null(json, "lock");
	number_write(json, "holder_tid", evidence->holder_tid);
	vx_json_u64(json, "hops", evidence->hops);
	vx_json_flag(json, "deadlock", evidence->deadlock != 0);
}

/* Hundredths of a percent, as percent. */
static void pressure_write(struct vx_json *json, const char *name, uint32_t pressure)
{
	if (pressure == UINT32_MAX)
		vx_json_null(json, name);
	else
		vx_json_seconds(json, name, pressure * VITALS_MS(10));
}

void vx_doing_write(struct vx_json *json, const struct vx_doing *doing)
{
	const char *why = vitals_reason_text((int)doing->reason);

	if (!doing->thread_class && !doing->reason)
		return;
	vx_json_text(json, "class", vitals_class_name((int)doing->thread_class));
	if (doing->text[0])
		vx_json_text_cut(json, "doing", doing->text, doing->room);
	/* One of them, where there is little room. */
	if (*why && (doing->room == SIZE_MAX || !doing->text[0]))
		vx_json_text_cut(json, "reason", why, doing->room);
}

void vx_doing_figures(const struct vx_look *look, struct vx_json *json, uint32_t index)
{
	uint64_t from_ns = look->process.from_ns;
	struct vitals_evidence evidence;
	struct vx_buffer *out = json->out;

	VITALS_INIT(&evidence);
	if (out->error || vitals_snapshot_evidence(look->snapshot, index, &evidence))
		return;
	out->length--;
	vx_buffer_string(out, ",\"evidence\":");
	vx_json_begin(json);
	vx_json_text(json, "class", vitals_class_name((int)evidence.thread_class));
	vx_json_seconds(json, "age_seconds",
			from_ns > evidence.at_ns ? from_ns - evidence.at_ns : 0);
	vx_json_members(json, &evidence, look_members, VX_LENGTH(look_members));
	state_write(json, &evidence);
	share_write(json, &evidence);
	vx_json_members(json, &evidence, count_members, VX_LENGTH(count_members));
	lock_write(json, &evidence);
	pressure_write(json, "pressure_cpu_percent", evidence.pressure_cpu);
	pressure_write(json, "pressure_io_percent", evidence.pressure_io);
	pressure_write(json, "pressure_memory_percent", evidence.pressure_memory);
	vx_json_end(json);
	vx_buffer_string(out, "}");
}
