/* SPDX-License-Identifier: MIT */

#include "rows.h"

#include "histogram.h"
#include "text.h"

#include <errno.h>
#include <string.h>

/* A slot that changes hands while it is copied is tried again, but not for ever. */
#define TRIES 8
/* Deeper than this a path is cut anyway. */
#define DEPTH 64

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

static void shown_name(char *to, const _Atomic uint64_t *words, uint32_t number)
{
	char name[VITALS_NAME_MAX];
	struct vt_text text;

	vt_name_load(words, name);
	vt_text_init(&text, to, VITALS_SHOWN_MAX);
	vt_text_add_shown(&text, name, number);
}

static const struct vt_intervals *histogram_of(const struct vt_view *view,
					       const struct vt_hot *hot,
					       const struct vt_cold *cold, uint32_t *ret_n)
{
	bool coarse = LOAD(hot, flags) & VITALS_COARSE_HISTOGRAM;
	uint32_t at = LOAD(cold, histogram);

	*ret_n = coarse ? VT_COARSE : VT_FINE;
	return at ? vt_view_slot(view, coarse ? VT_KIND_COARSE : VT_KIND_FINE, at - 1) : NULL;
}

/* The counts as they stand; both kinds have them behind their intervals. */
static void counts_load(const struct vt_intervals *intervals, uint32_t n, uint64_t *counts)
{
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)(const void *)(intervals + 1);
	uint32_t i;

	for (i = 0; i < n; i++)
		counts[i] = atomic_load_explicit(&from[i], memory_order_acquire);
}

static void heartbeat_intervals(const struct vt_view *view, const struct vt_hot *hot,
				const struct vt_cold *cold, struct vitals_heartbeat_info *info)
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

static void heartbeat_owner(const struct vt_view *view, const struct vt_cold *cold,
			    struct vitals_heartbeat_info *info)
{
	const struct vt_member_slot *member;
	uint32_t owner = LOAD(cold, member);

	info->tid = LOAD(cold, tid);
	member = owner ? vt_view_slot(view, VT_KIND_MEMBER, owner - 1) : NULL;
	if (member && LOAD(member, gen) & 1u)
		info->thread_id = LOAD(member, id);
}

static void heartbeat_copy(const struct vt_view *view, const struct vt_moment *moment,
			   const struct vt_hot *hot, const struct vt_cold *cold,
			   struct vitals_heartbeat_info *info)
{
	const struct vt_group_slot *group;
	struct vt_verdict verdict;
	struct vt_sign sign;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
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
	info->silence_ns = moment->now_ns > verdict.beat_ns ?
				   moment->now_ns - verdict.beat_ns :
				   0;
	info->changed_ns = LOAD(cold, changed_ns);
	info->change = LOAD(cold, change);
	info->stalls = LOAD(cold, stalls);
	info->stalled_ns = LOAD(cold, stalled_ns);
	info->group = LOAD(cold, group);
	heartbeat_owner(view, cold, info);
	heartbeat_intervals(view, hot, cold, info);
	shown_name(info->name, hot->name, LOAD(cold, number));
	group = vt_view_slot(view, VT_KIND_GROUP, info->group);
	if (group)
		vt_name_load(group->name, info->group_name);
}

bool vt_row_heartbeat(const struct vt_view *view, const struct vt_moment *moment, uint32_t index,
		      struct vitals_heartbeat_info *info)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);
	unsigned tries;

	for (tries = 0; hot && cold && tries < TRIES; tries++) {
		uint32_t gen = LOAD(hot, gen), sequence = LOAD(cold, sequence);

		if (!(gen & 1u) || LOAD(hot, flags) & VT_HB_CLOSED)
			return false;
		heartbeat_copy(view, moment, hot, cold, info);
		if (LOAD(hot, gen) == gen && (LOAD(cold, sequence) == sequence ||
					      tries == TRIES - 1))
			return info->state != VITALS_CLOSED;
	}
	return false;
}

int vt_row_buckets(const struct vt_view *view, uint32_t index, uint32_t gen, uint64_t *counts,
		   uint32_t n)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);
	const struct vt_intervals *intervals;
	uint64_t fine[VT_FINE];
	uint32_t i, has;

	if (!hot || !cold || !(gen & 1u) || LOAD(hot, gen) != gen || LOAD(hot, flags) & VT_HB_CLOSED)
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

/* "main/http/worker": the shown names from the root down to @index. */
static uint32_t quitter_path(const struct vt_view *view, uint32_t index, char *path)
{
	const struct vt_quitter_slot *chain[DEPTH];
	char shown[VITALS_SHOWN_MAX];
	uint32_t at = index + 1, n = 0;

	while (at && n < DEPTH) {
		chain[n] = vt_view_slot(view, VT_KIND_QUITTER, at - 1);
		if (!chain[n])
			break;
		at = LOAD(chain[n], parent);
		n++;
	}
	path[0] = 0;
	if (at)
		vt_path_append(path, VITALS_PATH_MAX, "...");
	for (at = n; at--;) {
		shown_name(shown, chain[at]->name, LOAD(chain[at], number));
		vt_path_append(path, VITALS_PATH_MAX, shown);
	}
	return n ? n - 1 : 0;
}

static void quitter_cause(const struct vt_view *view, const struct vt_quitter_slot *slot,
			  struct vitals_quitter_info *info)
{
	uint32_t at = LOAD(slot, cause);
	const struct vt_cause_slot *cause;

	info->cause_index = -1;
	cause = at ? vt_view_slot(view, VT_KIND_CAUSE, at - 1) : NULL;
	if (!cause)
		return;
	info->cause_kind = LOAD(cause, kind);
	info->cause_index = (int32_t)(LOAD(cause, index) - 1);
	info->cause_signo = (int32_t)LOAD(cause, signo);
	info->cause_status = (int32_t)LOAD(cause, status);
	vt_name_load(cause->text, info->cause_text);
}

static void quitter_shutdown(const struct vt_view *view, const struct vt_quitter_slot *slot,
			     struct vitals_quitter_info *info)
{
	uint32_t at = LOAD(slot, shutdown);
	const struct vt_shutdown_slot *shutdown;

	shutdown = at ? vt_view_slot(view, VT_KIND_SHUTDOWN, at - 1) : NULL;
	if (!shutdown)
		return;
	info->shutdowns = LOAD(shutdown, shutdowns);
	info->timeouts = LOAD(shutdown, timeouts);
	info->timed_out_threads = LOAD(shutdown, timed_out_threads);
	info->late = LOAD(shutdown, late);
	info->timed_out = LOAD(shutdown, timed_out);
	info->last_shutdown_ns = LOAD(shutdown, last_ns);
}

/* Children are counted along their list, which may change meanwhile: no more than there can be. */
static uint32_t quitter_children(const struct vt_view *view, const struct vt_quitter_slot *slot)
{
	uint32_t n = 0, most = vt_view_used(view, VT_KIND_QUITTER);
	uint32_t at = LOAD(slot, first_child);

	while (at && n < most) {
		const struct vt_quitter_slot *child =
			vt_view_slot(view, VT_KIND_QUITTER, at - 1);

		if (!child)
			break;
		n++;
		at = LOAD(child, next);
	}
	return n;
}

static void quitter_copy(const struct vt_view *view, const struct vt_quitter_slot *slot,
			 uint32_t index, struct vitals_quitter_info *info)
{
	const struct vt_quitter_slot *parent;
	uint32_t up = LOAD(slot, parent);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->id = LOAD(slot, id);
	info->stage = LOAD(slot, stage);
	/* Who may write to the region may write anything; callers may index by it. */
	if (info->stage >= VT_STAGES)
		info->stage = VITALS_STAGE_QUIT;
	info->told = LOAD(slot, word) & VT_QUIT ? 1 : 0;
	info->threads = LOAD(slot, threads);
	info->abandoned = LOAD(slot, abandoned);
	info->timeout_ns = LOAD(slot, timeout_ns);
	info->told_ns = LOAD(slot, told_ns);
	info->children = quitter_children(view, slot);
	parent = up ? vt_view_slot(view, VT_KIND_QUITTER, up - 1) : NULL;
	info->parent_id = parent ? LOAD(parent, id) : 0;
	quitter_cause(view, slot, info);
	quitter_shutdown(view, slot, info);
	shown_name(info->name, slot->name, LOAD(slot, number));
	info->depth = quitter_path(view, index, info->path);
}

bool vt_row_quitter(const struct vt_view *view, uint32_t index,
		    struct vitals_quitter_info *info)
{
	const struct vt_quitter_slot *slot = vt_view_slot(view, VT_KIND_QUITTER, index);
	unsigned tries;

	for (tries = 0; slot && tries < TRIES; tries++) {
		uint32_t gen = LOAD(slot, gen);

		if (!(gen & 1u))
			return false;
		quitter_copy(view, slot, index, info);
		if (LOAD(slot, gen) == gen)
			return true;
	}
	return false;
}

static void thread_copy(const struct vt_view *view, const struct vt_moment *moment,
			const struct vt_member_slot *slot, struct vitals_thread_info *info)
{
	uint32_t flags = LOAD(slot, flags), in = LOAD(slot, quitter), has = LOAD(slot, heartbeat);
	const struct vt_quitter_slot *quitter;
	const struct vt_hot *hot;
	uint64_t told = LOAD(slot, told_ns);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->state = LOAD(slot, state);
	if (info->state > VITALS_THREAD_HOLD)
		info->state = VITALS_THREAD_NOT_STARTED;
	info->id = LOAD(slot, id);
	info->tid = LOAD(slot, tid);
	info->flags = flags & VT_MEMBER_PUBLIC;
	info->abandoned = flags & VT_MEMBER_ABANDONED ? 1 : 0;
	info->adopted = flags & VT_MEMBER_ADOPTED ? 1 : 0;
	info->late = flags & VT_MEMBER_LATE ? 1 : 0;
	info->count = LOAD(slot, count);
	info->since_ns = LOAD(slot, since_ns);
	info->age_ns = moment->now_ns > info->since_ns ? moment->now_ns - info->since_ns : 0;
	quitter = in ? vt_view_slot(view, VT_KIND_QUITTER, in - 1) : NULL;
	if (quitter) {
		info->quitter_id = LOAD(quitter, id);
		told = told ? told : LOAD(quitter, told_ns);
		(void)quitter_path(view, in - 1, info->quitter_path);
	}
	info->told_ns = told && moment->now_ns > told ? moment->now_ns - told : 0;
	hot = has ? vt_view_slot(view, VT_KIND_HOT, has - 1) : NULL;
	info->heartbeat_id = hot ? LOAD(hot, id) : 0;
	shown_name(info->name, slot->name, LOAD(slot, number));
	memcpy(info->path, info->quitter_path, sizeof(info->path));
	vt_path_append(info->path, sizeof(info->path), info->name);
}

bool vt_row_thread(const struct vt_view *view, const struct vt_moment *moment, uint32_t index,
		   struct vitals_thread_info *info)
{
	const struct vt_member_slot *slot = vt_view_slot(view, VT_KIND_MEMBER, index);
	unsigned tries;

	for (tries = 0; slot && tries < TRIES; tries++) {
		uint32_t gen = LOAD(slot, gen);

		if (!(gen & 1u))
			return false;
		thread_copy(view, moment, slot, info);
		if (LOAD(slot, gen) == gen)
			return true;
	}
	return false;
}

bool vt_row_part(const struct vt_view *view, uint32_t index, struct vitals_part_info *info)
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

/* The counts by state, as the monitor gathered them. */
static void process_states(const struct vt_summary *summary, struct vitals_process_info *info)
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

static void process_totals(const struct vt_totals *totals, struct vitals_process_info *info)
{
	info->quitters = LOAD(totals, quitters);
	info->quitters_quitting = LOAD(totals, quitting);
	info->quitters_timed_out = LOAD(totals, timed_out);
	info->threads = LOAD(totals, threads);
	info->abandoned = LOAD(totals, abandoned);
	info->shutdowns = LOAD(totals, shutdowns);
	info->shutdown_timeouts = LOAD(totals, shutdown_timeouts);
	info->late_threads = LOAD(totals, late_threads);
}

static uint32_t process_flags(uint32_t root, const struct vt_tick *tick, uint64_t not_watched)
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

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->pid = head->pid;
	info->registry_id = head->registry_id;
	process_tick(moment, info);
	process_states(&root->summary, info);
	process_totals(&root->totals, info);
	info->timeout_scale = LOAD(root, timeout_scale);
	info->changes = LOAD(root, changes);
	info->groups = vt_view_used(view, VT_KIND_GROUP);
	info->flags = process_flags(LOAD(root, flags), &moment->tick, info->not_watched_ns);

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
