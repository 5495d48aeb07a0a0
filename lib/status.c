/* SPDX-License-Identifier: MIT */

#include "status.h"

#include "clock.h"
#include "missing.h"

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

static bool stage_told(const struct vt_root *root, uint32_t stage)
{
	return LOAD(root, stages[stage]) & VT_QUIT;
}

static uint32_t bad(const struct vitals_process_info *process)
{
	return process->critical[VITALS_SILENT] + process->critical[VITALS_STUCK] +
	       process->critical[VITALS_DEAD];
}

static enum vt_act act_of(const struct vt_status *status)
{
	const struct vitals_process_info *process = &status->process;
	const struct vt_root *root = vt_view_root(status->view);

	/* A signal handler stores the stage before anybody has turned readiness off. */
	if (stage_told(root, VITALS_STAGE_QUIT))
		return VT_ACT_QUITTING;
	if (process->flags & VITALS_PROCESS_QUITTING)
		return stage_told(root, VITALS_STAGE_DRAIN) ? VT_ACT_DRAINING
							    : VT_ACT_STOPPING;
	if (bad(process))
		return VT_ACT_NOT_WELL;
	if (status->reloading)
		return VT_ACT_RELOADING;
	if (process->ready)
		return VT_ACT_READY;
	return process->flags & VITALS_PROCESS_STARTED_UP ? VT_ACT_NOT_READY
							  : VT_ACT_STARTING;
}

static void see_shutdown(struct vt_status *status)
{
	const struct vt_view *view = status->view;
	uint32_t at = LOAD(vt_view_root(view), main_quitter);
	const struct vt_quitter_slot *main =
		at ? vt_view_slot(view, VT_KIND_QUITTER, at - 1) : NULL;
	const struct vt_shutdown_slot *own = NULL;
	const struct vt_cause_slot *cause = NULL;
	uint64_t at_ns = 0, timeout_ns = 0;

	if (!status->begun_ns)
		status->begun_ns = status->moment.now_ns;
	if (!main)
		return;
	at = LOAD(main, cause);
	if (at)
		cause = vt_view_slot(view, VT_KIND_CAUSE, at - 1);
	if (cause)
		at_ns = LOAD(cause, at_ns);
	if (at_ns)
		status->begun_ns = at_ns;
	at = LOAD(main, shutdown);
	if (at)
		own = vt_view_slot(view, VT_KIND_SHUTDOWN, at - 1);
	if (own)
		timeout_ns = LOAD(own, timeout_ns);
	if (timeout_ns)
		status->deadline_ns = vt_clock_after(status->begun_ns, timeout_ns);
	if (status->act == VT_ACT_QUITTING && timeout_ns &&
	    status->moment.now_ns >= status->deadline_ns)
		status->act = VT_ACT_LATE;
}

void vt_status_see(const struct vt_view *view, uint64_t now_ns, struct vt_status *status)
{
	status->view = view;
	status->deadline_ns = 0;
	status->missing = 0;
	vt_tick_load(&vt_view_root(view)->tick, &status->moment.tick);
	/* The tick may be newer than the caller's look at the clock. */
	if (now_ns < status->moment.tick.at_ns)
		now_ns = status->moment.tick.at_ns;
	status->moment.now_ns = now_ns;
	vt_row_process(view, &status->moment, &status->process);
	status->act = act_of(status);
	if (status->act >= VT_ACT_STOPPING)
		see_shutdown(status);
}

void vt_status_count(struct vt_status *status)
{
	uint32_t root = LOAD(vt_view_root(status->view), main_quitter);

	status->missing = root ? vt_missing_count(status->view, root - 1) : 0;
}

/* "2.5s": nobody reads more of it. */
static void add_seconds(struct vt_text *text, uint64_t ns)
{
	vt_text_add_u64(text, ns / VITALS_S(1));
	if (ns % VITALS_S(1) >= VITALS_MS(100)) {
		vt_text_add(text, ".");
		vt_text_add_u64(text, ns % VITALS_S(1) / VITALS_MS(100));
	}
	vt_text_add(text, "s");
}

static void add_more(struct vt_text *text, uint32_t n)
{
	if (!n)
		return;
	vt_text_add(text, " and ");
	vt_text_add_u64(text, n);
	vt_text_add(text, " more");
}

/* As many as were counted, or fewer: who has left meanwhile is not named. */
static void add_missing(const struct vt_status *status, const char *before,
			struct vt_text *text)
{
	const struct vt_view *view = status->view;
	uint32_t root = LOAD(vt_view_root(view), main_quitter), at = 0, named = 0;
	struct vitals_thread_info info;
	int64_t member;

	vt_text_add(text, before);
	while (root && named < VT_STATUS_NAMES) {
		member = vt_missing_next(view, root - 1, &at);
		if (member < 0)
			break;
		if (!vt_row_thread(view, &status->moment, (uint32_t)member, &info))
			continue;
		vt_text_add(text, named++ ? ", " : "");
		vt_text_add(text, info.path);
	}
	add_more(text, status->missing > named ? status->missing - named : 0);
}

static void add_parts(const struct vt_status *status, struct vt_text *text)
{
	const struct vitals_process_info *process = &status->process;
	struct vitals_part_info part;
	uint32_t i, waits = process->parts - process->parts_ready;

	for (i = 0; waits && vt_row_part(status->view, i, &part); i++) {
		if (part.ready == 1)
			continue;
		vt_text_add(text, ", waiting for ");
		vt_text_add(text, part.name);
		add_more(text, waits - 1);
		return;
	}
}

/* In one line: the kernel lets a thread call itself anything. */
static void add_clean(struct vt_text *text, const char *string)
{
	char line[VITALS_DOING_MAX];
	size_t i;

	for (i = 0; string[i] && i < sizeof(line) - 1; i++)
		line[i] = (unsigned char)string[i] < ' ' || string[i] == 0x7f ? '?'
									      : string[i];
	line[i] = '\0';
	vt_text_add(text, line);
}

/* What its thread is doing, or why nobody knows. */
static void add_doing(struct vt_text *text, const struct vitals_heartbeat_info *row)
{
	const char *doing = row->doing[0] ? row->doing
					  : vitals_reason_text((int)row->reason);

	if (!*doing)
		return;
	vt_text_add(text, ": ");
	add_clean(text, doing);
}

/* The worst one that is critical, by name. */
static void add_culprit(const struct vt_status *status, struct vt_text *text)
{
	const struct vt_summary *summary = &vt_view_root(status->view)->summary;
	uint32_t i, n = LOAD(summary, n_worst), all = bad(&status->process);
	struct vitals_heartbeat_info row;

	n = n < VT_WORST ? n : VT_WORST;
	for (i = 0; i < n; i++) {
		if (!vt_row_heartbeat(status->view, &status->moment,
				      LOAD(&summary->worst[i], index), &row) ||
		    row.flags & VITALS_INFORMATIVE)
			continue;
		vt_text_add(text, row.name);
		vt_text_add(text, " is ");
		vt_text_add(text, vitals_state_name((int)row.state));
		if (row.thread_class) {
			vt_text_add(text, " (");
			vt_text_add(text, vitals_class_name((int)row.thread_class));
			vt_text_add(text, ")");
		}
		add_more(text, all - 1);
		add_doing(text, &row);
		return;
	}
	vt_text_add_u64(text, all);
	vt_text_add(text, " heartbeats");
}

static void add_rest(const struct vt_status *status, struct vt_text *text)
{
	uint64_t now_ns = status->moment.now_ns;

	if (!status->deadline_ns || status->deadline_ns == UINT64_MAX)
		return;
	vt_text_add(text, ", ");
	if (status->act == VT_ACT_LATE) {
		add_seconds(text, now_ns - status->begun_ns);
		vt_text_add(text, ", allowed ");
		add_seconds(text, status->deadline_ns - status->begun_ns);
		return;
	}
	add_seconds(text,
		    status->deadline_ns > now_ns ? status->deadline_ns - now_ns : 0);
	vt_text_add(text, " of ");
	add_seconds(text, status->deadline_ns - status->begun_ns);
	vt_text_add(text, " left");
}

static void add_shutdown(const struct vt_status *status, struct vt_text *text)
{
	if (status->act == VT_ACT_DRAINING)
		vt_text_add(text, "draining");
	else
		vt_text_add(text, status->act == VT_ACT_LATE && status->missing
					  ? "late"
					  : "quitting");
	if (!status->missing) {
		vt_text_add(text, ", all have left");
		return;
	}
	add_missing(status, status->act == VT_ACT_LATE ? ": " : ", waiting for ", text);
	add_rest(status, text);
}

void vt_status_write(const struct vt_status *status, struct vt_text *text)
{
	switch (status->act) {
	case VT_ACT_READY:
		vt_text_add(text, "ready");
		return;
	case VT_ACT_RELOADING:
		vt_text_add(text, "reloading");
		return;
	case VT_ACT_NOT_READY:
		vt_text_add(text, "not ready");
		add_parts(status, text);
		return;
	case VT_ACT_NOT_WELL:
		vt_text_add(text, "not well: ");
		add_culprit(status, text);
		return;
	case VT_ACT_STOPPING:
		vt_text_add(text, "stopping, nobody was told yet");
		add_rest(status, text);
		return;
	case VT_ACT_DRAINING:
	case VT_ACT_QUITTING:
	case VT_ACT_LATE:
		add_shutdown(status, text);
		return;
	default:
		vt_text_add(text, "starting");
		add_parts(status, text);
		return;
	}
}
