/* SPDX-License-Identifier: MIT */

#include "rows.h"

#include "frames.h"
#include "histogram.h"
#include "text.h"
#include "witness.h"

#include <errno.h>
#include <string.h>

/* A slot that changes hands while it is copied is tried again, but not for ever. */
#define TRIES 8

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

static const struct vt_intervals *histogram_of(const struct vt_view *view,
					       const struct vt_hot *hot,
					       const struct vt_cold *cold,
					       uint32_t *ret_n)
{
	bool coarse = LOAD(hot, flags) & VITALS_COARSE_HISTOGRAM;
	uint32_t at = LOAD(cold, histogram);

	*ret_n = coarse ? VT_COARSE : VT_FINE;
	return at ? vt_view_slot(view, coarse ? VT_KIND_COARSE : VT_KIND_FINE, at - 1)
		  : NULL;
}

/* The counts as they stand; both kinds have them behind their intervals. */
static void counts_load(const struct vt_intervals *intervals, uint32_t n,
			uint64_t *counts)
{
	const _Atomic uint64_t *from =
		(const _Atomic uint64_t *)(const void *)(intervals + 1);
	uint32_t i;

	for (i = 0; i < n; i++)
		counts[i] = atomic_load_explicit(&from[i], memory_order_acquire);
}

static void heartbeat_intervals(const struct vt_view *view, const struct vt_hot *hot,
				const struct vt_cold *cold,
				struct vitals_heartbeat_info *info)
{
	const struct vt_intervals *intervals;
	uint64_t counts[VT_FINE];
	uint32_t i, n;

	info->schema = -1;
	intervals = histogram_of(view, hot, cold, &n);
	if (!intervals)
		return;
	counts_load(intervals, n, counts);
	for (i = 0; i < n; i++)
		info->pulses += counts[i];
	info->schema = n == VT_FINE ? 2 : 0;
	info->sum_ns = vt_intervals_sum(intervals, &hot->pulse);
	info->max_ns = LOAD(intervals, max_ns);
	info->missed = LOAD(intervals, missed);
	info->p50_ns = vt_histogram_quantile(counts, n, 500, info->max_ns);
	info->p90_ns = vt_histogram_quantile(counts, n, 900, info->max_ns);
	info->p99_ns = vt_histogram_quantile(counts, n, 990, info->max_ns);
}

/* What the monitor remembers of it, if it has looked at this one already. */
static void heartbeat_memory(const struct vt_view *view, uint32_t index,
			     const struct vt_hot *hot, const struct vt_cold *cold,
			     struct vitals_heartbeat_info *info)
{
	const struct vt_rare *rare;
	uint32_t marks;

	info->changed_ns = info->beat_ns;
	if (LOAD(cold, gen) != LOAD(hot, gen))
		return;
	marks = LOAD(cold, marks);
	/* Its own event, if there was one. */
	if (!(marks & VT_COLD_STALE) && LOAD(cold, told)) {
		info->changed_ns = LOAD(cold, changed_ns);
		info->change = LOAD(cold, change);
	}
	if (!(marks & VT_COLD_RARE))
		return;
	rare = vt_view_slot(view, VT_KIND_RARE, index);
	if (!rare)
		return;
	info->stalls = LOAD(rare, stalls);
	info->stalled_ns = LOAD(rare, stalled_ns);
}

static void heartbeat_scope(const struct vt_framed *framed, uint64_t now_ns,
			    struct vitals_heartbeat_info *info)
{
	if (!framed->depth)
		return;
	info->scope_depth = framed->depth;
	info->scope_budget_ns = framed->budget_ns;
	info->scope_age_ns = now_ns > framed->entered_ns ? now_ns - framed->entered_ns
							 : 0;
	memcpy(info->scope, framed->name, sizeof(info->scope));
}

/* What its thread is doing, if it is not well. */
static void heartbeat_doing(const struct vt_view *view, uint32_t index, uint32_t gen,
			    struct vitals_heartbeat_info *info)
{
	struct vitals_evidence evidence;

	if (VITALS_STATE_IS_GOOD(info->state) || info->state == VITALS_STARTING ||
	    !vt_witness_heartbeat(view, index, gen, &evidence))
		return;
	info->thread_class = evidence.thread_class;
	info->reason = evidence.reason;
	memcpy(info->doing, evidence.doing, sizeof(info->doing));
}

static void heartbeat_copy(const struct vt_view *view, const struct vt_moment *moment,
			   uint32_t index, const struct vt_hot *hot,
			   const struct vt_cold *cold, struct vitals_heartbeat_info *info)
{
	const struct vt_group_slot *group;
	struct vt_verdict verdict;
	struct vt_sign sign;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	vt_frames_load(view, index, &moment->tick, &sign.framed);
	vt_sign_load(hot, cold, &sign);
	verdict = vt_judge(&sign, &moment->tick, moment->now_ns);
	info->state = verdict.state;
	info->flags = sign.flags & VT_HB_PUBLIC;
	info->id = LOAD(hot, id);
	info->timeout_ns = sign.timeout_ns;
	info->stuck_ns = sign.stuck_ns;
	info->start_ns = sign.start_ns;
	info->interval_ns = LOAD(hot, interval_ns);
	info->beat_ns = verdict.beat_ns;
	info->silence_ns =
		moment->now_ns > verdict.beat_ns ? moment->now_ns - verdict.beat_ns : 0;
	heartbeat_memory(view, index, hot, cold, info);
	info->group = VT_HB_GROUP(sign.flags);
	vt_owner_load(view, cold, &info->tid, &info->thread_id);
	heartbeat_scope(&sign.framed, moment->now_ns, info);
	heartbeat_intervals(view, hot, cold, info);
	heartbeat_doing(view, index, LOAD(hot, gen), info);
	vt_shown_load(info->name, hot->name, LOAD(cold, number));
	group = vt_view_slot(view, VT_KIND_GROUP, info->group);
	if (group)
		vt_name_load(group->name, info->group_name);
}

bool vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment,
		      uint32_t index, struct vitals_heartbeat_info *info)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);
	unsigned tries;

	for (tries = 0; hot && cold && tries < TRIES; tries++) {
		uint32_t gen = LOAD(hot, gen), sequence = LOAD(cold, sequence);

		if (!(gen & 1u) || LOAD(hot, flags) & VT_HB_CLOSED)
			return false;
		heartbeat_copy(view, moment, index, hot, cold, info);
		if (LOAD(hot, gen) == gen &&
		    ((!(sequence & 1u) && LOAD(cold, sequence) == sequence) ||
		     tries == TRIES - 1))
			return info->state != VITALS_CLOSED;
	}
	return false;
}

int vt_row_buckets(const struct vt_view *view, uint32_t index, uint32_t gen,
		   uint64_t *counts, uint32_t n)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);
	const struct vt_intervals *intervals;
	uint64_t fine[VT_FINE];
	uint32_t i, has;

	if (!hot || !cold || !(gen & 1u) || LOAD(hot, gen) != gen ||
	    LOAD(hot, flags) & VT_HB_CLOSED)
		return -ENOENT;
	intervals = histogram_of(view, hot, cold, &has);
	if (!intervals)
		return -ENODATA;
	counts_load(intervals, has, fine);
	if (LOAD(hot, gen) != gen)
		return -ENOENT;
	if (has <= n) {
		memcpy(counts, fine, has * sizeof(*counts));
		return has == VT_FINE ? 2 : 0;
	}
	memset(counts, 0, n * sizeof(*counts));
	for (i = 0; i < has; i++)
		counts[vt_histogram_coarse_of(i)] += fine[i];
	return 0;
}

bool vt_row_part(const struct vt_view *view, uint32_t index,
		 struct vitals_part_info *info)
{
	const struct vt_part_slot *slot = vt_view_slot(view, VT_KIND_PART, index);

	if (!slot || index >= vt_view_used(view, VT_KIND_PART))
		return false;
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->ready = LOAD(slot, ready);
	vt_name_load(slot->name, info->name);
	return true;
}

bool vt_row_finding(const struct vt_view *view, uint32_t index,
		    struct vitals_finding_info *info)
{
	uint32_t i;

	for (i = 0; i < VT_FINDINGS; i++)
		if (vt_witness_finding(view, i, info) && index-- == 0)
			return true;
	return false;
}

bool vt_row_scope(const struct vt_view *view, uint32_t index,
		  struct vitals_scope_info *info)
{
	const struct vt_scope_name *slot = vt_view_slot(view, VT_KIND_SCOPE_NAME, index);

	if (!slot || index >= vt_view_used(view, VT_KIND_SCOPE_NAME))
		return false;
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->overruns = LOAD(slot, overruns);
	info->overrun_ns = LOAD(slot, overrun_ns);
	vt_name_load(slot->name, info->name);
	return true;
}

/* The counts by state, as the monitor gathered them. */
static void process_states(const struct vt_summary *summary,
			   struct vitals_process_info *info)
{
	unsigned i, tries;

	for (tries = 0; tries < TRIES; tries++) {
		uint64_t sequence = LOAD(summary, sequence);

		for (i = 0; i < VT_STATES; i++) {
			info->critical[i] = LOAD(summary, critical[i]);
			info->informative[i] = LOAD(summary, informative[i]);
		}
		if (!(sequence & 1u) && LOAD(summary, sequence) == sequence)
			break;
	}
}

static void process_tick(const struct vt_moment *moment, struct vitals_process_info *info)
{
	const struct vt_tick *tick = &moment->tick;

	info->real_ns = tick->real_ns + (moment->now_ns - tick->at_ns);
	info->started_ns = tick->started_ns;
	info->tick_at_ns = tick->at_ns;
	info->tick_ns = tick->tick_ns;
	info->lag_ns = tick->lag_ns;
	info->lag_max_ns = tick->lag_max_ns;
	info->turns = tick->turns;
	info->pauses = tick->pauses;
	info->paused_ns = tick->paused_ns;
	info->not_watched_ns = vt_not_watched(tick, moment->now_ns);
}

static void process_totals(const struct vt_totals *totals,
			   struct vitals_process_info *info)
{
	info->quitters = LOAD(totals, quitters);
	info->quitters_quitting = LOAD(totals, quitting);
	info->quitters_timed_out = LOAD(totals, timed_out);
	info->threads = LOAD(totals, threads);
	info->abandoned = LOAD(totals, abandoned);
	info->shutdowns = LOAD(totals, shutdowns);
	info->shutdown_timeouts = LOAD(totals, shutdown_timeouts);
	info->late_threads = LOAD(totals, late_threads);
	info->shutdown_sum_ns = LOAD(totals, took.sum_ns);
}

static uint32_t process_flags(uint32_t root, const struct vt_tick *tick,
			      uint64_t not_watched)
{
	uint32_t flags = 0;

	flags |= root & VT_ROOT_STARTED_UP ? VITALS_PROCESS_STARTED_UP : 0;
	flags |= root & VT_ROOT_QUITTING ? VITALS_PROCESS_QUITTING : 0;
	flags |= root & VT_ROOT_OFF ? VITALS_PROCESS_OFF : 0;
	flags |= root & VT_ROOT_HAS_MAIN ? VITALS_PROCESS_HAS_MAIN : 0;
	if (!(tick->flags & VT_TICK_RUNNING))
		flags |= VITALS_PROCESS_STOPPED;
	else if (!not_watched)
		flags |= VITALS_PROCESS_WATCHED;
	return flags;
}

void vt_row_process(const struct vt_view *view, const struct vt_moment *moment,
		    struct vitals_process_info *info)
{
	const struct vt_root *root = vt_view_root(view);
	const struct vt_segment *head = vt_view_head(view);
	struct vt_standing standing = { 0 };
	struct vitals_finding_info finding;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->pid = head->pid;
	info->registry_id = head->registry_id;
	process_tick(moment, info);
	process_states(&root->summary, info);
	process_totals(&root->totals, info);
	info->threads = vt_rows_held(view, UINT32_MAX, info->threads);
	info->timeout_scale = LOAD(root, timeout_scale);
	info->changes = LOAD(root, changes);
	info->groups = vt_view_used(view, VT_KIND_GROUP);
	info->scopes = vt_view_used(view, VT_KIND_SCOPE_NAME);
	info->deadlocks = LOAD(root, deadlocks);
	info->asleep = vt_witness_finding(view, VT_FINDING_ASLEEP, &finding) &&
		       !finding.over;
	info->flags =
		process_flags(LOAD(root, flags), &moment->tick, info->not_watched_ns);

	vt_standing_of(view, &standing);
	memcpy(standing.critical, info->critical, sizeof(standing.critical));
	memcpy(standing.informative, info->informative, sizeof(standing.informative));
	standing.not_watched_ns = info->not_watched_ns;
	info->parts = standing.parts;
	info->parts_ready = standing.parts_ready;
	info->health = vt_standing_health(&standing);
	info->live = vt_standing_live(&standing);
	info->ready = vt_standing_ready(&standing);
}
