/* SPDX-License-Identifier: MIT */

#include "verdict.h"

/* The summary closes a body that may be short; the rows before it have more. */
#define DOING_ROOM 256u

static const char *const probes[] = { "livez", "readyz", "startupz" };

/* What people read needs no nanoseconds. */
static void short_seconds(struct vx_buffer *out, uint64_t ns)
{
	vx_buffer_seconds(out, ns - ns % 1000000u);
	vx_buffer_string(out, " s");
}

static bool look_is_watched(const struct vx_look *look)
{
	return look->process.flags & (VITALS_PROCESS_WATCHED | VITALS_PROCESS_STOPPED);
}

static void allowed_describe(struct vx_buffer *out, uint64_t age_ns, uint64_t allowed_ns)
{
	short_seconds(out, age_ns);
	vx_buffer_string(out, ", allowed ");
	short_seconds(out, allowed_ns);
}

/* "worker-2 is stuck, silent for 12.3 s, allowed 1 s", or "... stuck in fsync for 12.3 s, ..." */
static void heartbeat_describe(const struct vitals_heartbeat_info *heartbeat,
			       struct vx_buffer *out)
{
	vx_buffer_text(out, heartbeat->name);
	vx_buffer_string(out, " is ");
	vx_buffer_string(out, vitals_state_name((int)heartbeat->state));
	if (heartbeat->scope_depth) {
		vx_buffer_string(out, " in ");
		vx_buffer_text(out, heartbeat->scope);
	}
	/* The dead are in it for ever: how long they are gone says more. */
	if (heartbeat->scope_budget_ns && heartbeat->state != VITALS_DEAD) {
		vx_buffer_string(out, " for ");
		allowed_describe(out, heartbeat->scope_age_ns,
				 heartbeat->scope_budget_ns);
		return;
	}
	vx_buffer_string(out,
			 heartbeat->state == VITALS_SILENT ? " for " : ", silent for ");
	allowed_describe(out, heartbeat->silence_ns,
			 heartbeat->state == VITALS_STARTING ? heartbeat->start_ns
							     : heartbeat->timeout_ns);
}

/* What its thread is doing, or why nobody knows. */
static void doing_describe(const struct vitals_heartbeat_info *heartbeat, size_t room,
			   struct vx_buffer *out)
{
	const char *doing = heartbeat->doing[0]
				    ? heartbeat->doing
				    : vitals_reason_text((int)heartbeat->reason);

	if (!*doing)
		return;
	vx_buffer_string(out, ": ");
	vx_buffer_text_cut(out, doing, room);
}

static void findings_describe(const struct vx_look *look, struct vx_buffer *out)
{
	struct vitals_finding_info finding;
	uint32_t i, n = 0;

	VITALS_INIT(&finding);
	for (i = 0; !vitals_snapshot_finding(look->snapshot, i, &finding); i++)
		n += finding.kind == VITALS_EVENT_DEADLOCK && !finding.over;
	if (n) {
		vx_buffer_string(out, "; ");
		vx_buffer_u64(out, n);
		vx_buffer_string(out, n == 1 ? " deadlock" : " deadlocks");
	}
	if (look->process.asleep)
		vx_buffer_string(out, "; all threads are asleep");
}

/* The worst that is critical, or just the worst. */
static bool worst_find(const struct vx_look *look, bool critical,
		       struct vitals_heartbeat_info *ret)
{
	uint32_t i;

	VITALS_INIT(ret);
	for (i = 0; !vitals_snapshot_worst(look->snapshot, i, ret); i++)
		if (!critical || !(ret->flags & VITALS_INFORMATIVE))
			return true;
	return false;
}

static void check_passed(struct vx_buffer *out, const char *name)
{
	vx_buffer_string(out, "[+]");
	vx_buffer_text(out, name);
	vx_buffer_string(out, " ok\n");
}

static void check_failed(struct vx_buffer *out, const char *name)
{
	vx_buffer_string(out, "[-]");
	vx_buffer_text(out, name);
	vx_buffer_string(out, " failed: ");
}

static void monitor_explain(const struct vx_look *look, struct vx_buffer *out)
{
	if (look_is_watched(look)) {
		check_passed(out, "monitor");
		return;
	}
	check_failed(out, "monitor");
	vx_buffer_string(out, "it has not looked for ");
	short_seconds(out, look->process.not_watched_ns);
	vx_buffer_string(out, "\n");
}

/* Those that are critical and in a state that this probe minds. */
static void heartbeats_explain(const struct vx_look *look, enum vx_probe probe,
			       struct vx_buffer *out)
{
	const uint32_t *critical = look->process.critical;
	uint64_t bad = (uint64_t)critical[VITALS_STUCK] + critical[VITALS_DEAD];
	struct vitals_heartbeat_info worst;

	if (probe != VX_PROBE_LIVEZ)
		bad += (uint64_t)critical[VITALS_STARTING] + critical[VITALS_SILENT];
	if (bad == 0) {
		check_passed(out, "heartbeats");
		return;
	}
	check_failed(out, "heartbeats");
	vx_buffer_u64(out, bad);
	vx_buffer_string(out, " not well");
	if (worst_find(look, true, &worst)) {
		vx_buffer_string(out, ": ");
		heartbeat_describe(&worst, out);
		doing_describe(&worst, SIZE_MAX, out);
	}
	vx_buffer_string(out, "\n");
}

static void quit_explain(const struct vx_look *look, struct vx_buffer *out)
{
	struct vitals_quitter_info main_quitter;

	if (!(look->process.flags & VITALS_PROCESS_QUITTING)) {
		check_passed(out, "quit");
		return;
	}
	check_failed(out, "quit");
	vx_buffer_string(out, "told to quit");
	if (vx_verdict_cause(look, &main_quitter)) {
		vx_buffer_string(out, ": ");
		vx_buffer_text(out, main_quitter.cause_text);
	}
	vx_buffer_string(out, "\n");
}

static void parts_explain(const struct vx_look *look, struct vx_buffer *out)
{
	struct vitals_part_info part;
	uint32_t i;

	VITALS_INIT(&part);
	for (i = 0; !vitals_snapshot_part(look->snapshot, i, &part); i++) {
		if (part.ready) {
			check_passed(out, part.name);
			continue;
		}
		check_failed(out, part.name);
		vx_buffer_string(out, "not ready\n");
	}
}

bool vx_verdict_passes(const struct vx_look *look, enum vx_probe probe)
{
	switch (probe) {
	case VX_PROBE_LIVEZ:
		return look->process.live;
	case VX_PROBE_READYZ:
		return look->process.ready;
	case VX_PROBE_STARTUPZ:
		break;
	}
	return look->process.flags & VITALS_PROCESS_STARTED_UP;
}

void vx_verdict_explain(const struct vx_look *look, enum vx_probe probe,
			struct vx_buffer *out)
{
	bool passes = vx_verdict_passes(look, probe);

	if (probe == VX_PROBE_STARTUPZ && passes) {
		check_passed(out, "ready once");
	} else {
		monitor_explain(look, out);
		heartbeats_explain(look, probe, out);
		if (probe != VX_PROBE_LIVEZ) {
			quit_explain(look, out);
			parts_explain(look, out);
		}
	}
	vx_buffer_string(out, probes[probe]);
	vx_buffer_string(out, passes ? " check passed\n" : " check failed\n");
}

bool vx_verdict_cause(const struct vx_look *look, struct vitals_quitter_info *ret)
{
	VITALS_INIT(ret);
	return look->process.flags & VITALS_PROCESS_QUITTING &&
	       !vitals_snapshot_quitter(look->snapshot, 0, ret) && ret->cause_text[0];
}

void vx_verdict_summary(const struct vx_look *look, struct vx_buffer *out)
{
	const struct vitals_process_info *process = &look->process;
	struct vitals_heartbeat_info worst;
	uint64_t all = 0, bad = 0;
	unsigned i;

	for (i = 0; i < VITALS_STATES; i++) {
		if (i == VITALS_CLOSED)
			continue;
		all += (uint64_t)process->critical[i] + process->informative[i];
		if (!VITALS_STATE_IS_GOOD(i))
			bad += (uint64_t)process->critical[i] + process->informative[i];
	}
	if (!look_is_watched(look)) {
		vx_buffer_string(out, "the monitor has not looked for ");
		short_seconds(out, process->not_watched_ns);
		vx_buffer_string(out, "; ");
	}
	vx_buffer_u64(out, bad ? bad : all);
	if (bad) {
		vx_buffer_string(out, " of ");
		vx_buffer_u64(out, all);
	}
	vx_buffer_string(out, all == 1 ? " heartbeat" : " heartbeats");
	vx_buffer_string(out, bad ? " not well" : all ? ", all well" : "");
	if (bad && worst_find(look, false, &worst)) {
		vx_buffer_string(out, ": ");
		heartbeat_describe(&worst, out);
		doing_describe(&worst, DOING_ROOM, out);
	}
	findings_describe(look, out);
	if (process->flags & VITALS_PROCESS_QUITTING)
		vx_buffer_string(out, "; quitting");
}
