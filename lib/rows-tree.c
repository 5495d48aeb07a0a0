/* SPDX-License-Identifier: MIT */

/*
 * The rows of the tree: quitters, and who is in them.
 */

#include "rows.h"

#include "frames.h"
#include "text.h"
#include "witness.h"

#include <string.h>

/* A slot that changes hands while it is copied is tried again, but not for ever. */
#define TRIES 8
/* Deeper than this a path is cut anyway. */
#define DEPTH 64

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

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
		vt_shown_load(shown, chain[at]->name, LOAD(chain[at], number));
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

static void quitter_shutdown(const struct vt_view *view,
			     const struct vt_quitter_slot *slot,
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

/* Its own, or that of the nearest around it that has one. */
static uint64_t quitter_timeout(const struct vt_view *view,
				const struct vt_quitter_slot *slot)
{
	uint32_t n, most = vt_view_used(view, VT_KIND_QUITTER);

	for (n = 0; slot && n <= most; n++) {
		uint32_t at = LOAD(slot, shutdown);
		const struct vt_shutdown_slot *own =
			at ? vt_view_slot(view, VT_KIND_SHUTDOWN, at - 1) : NULL;
		uint64_t timeout_ns = own ? LOAD(own, timeout_ns) : 0;

		if (timeout_ns)
			return timeout_ns;
		at = LOAD(slot, parent);
		slot = at ? vt_view_slot(view, VT_KIND_QUITTER, at - 1) : NULL;
	}
	return 0;
}

/* Children are counted along their list, which may change meanwhile: no more than there can be. */
static uint32_t quitter_children(const struct vt_view *view,
				 const struct vt_quitter_slot *slot)
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

uint32_t vt_rows_held(const struct vt_view *view, uint32_t quitter, uint32_t threads)
{
	const struct vt_root *root = vt_view_root(view);
	unsigned i;

	for (i = 0; i < VT_HOLDS; i++) {
		/* Relaxed: mostly there are none; what the slot says is what counts. */
		uint32_t at = atomic_load_explicit(&root->quick[i], memory_order_relaxed);
		const struct vt_member_slot *slot =
			at ? vt_view_slot(view, VT_KIND_MEMBER, at - 1) : NULL;
		uint64_t word;

		if (!slot)
			continue;
		word = LOAD(slot, word);
		if ((word & VT_HOLD_QUICK) && !vt_hold_count(word) && threads &&
		    (quitter == UINT32_MAX || LOAD(slot, quitter) == quitter + 1))
			threads--;
	}
	return threads;
}

static void quitter_copy(const struct vt_view *view, const struct vt_quitter_slot *slot,
			 uint32_t index, struct vitals_quitter_info *info)
{
	const struct vt_quitter_slot *parent;
	uint32_t up = LOAD(slot, parent);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->id = LOAD(slot, id);
	info->stage = LOAD(slot, stage) & VT_STAGE_MASK;
	/* Who may write to the region may write anything; callers may index by it. */
	if (info->stage >= VT_STAGES)
		info->stage = VITALS_STAGE_QUIT;
	info->told = LOAD(slot, word) & VT_QUIT ? 1 : 0;
	info->threads = vt_rows_held(view, index, LOAD(slot, threads));
	info->abandoned = LOAD(slot, abandoned);
	info->timeout_ns = quitter_timeout(view, slot);
	info->told_ns = LOAD(slot, told_ns);
	info->children = quitter_children(view, slot);
	parent = up ? vt_view_slot(view, VT_KIND_QUITTER, up - 1) : NULL;
	info->parent_id = parent ? LOAD(parent, id) : 0;
	quitter_cause(view, slot, info);
	quitter_shutdown(view, slot, info);
	vt_shown_load(info->name, slot->name, LOAD(slot, number));
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

/* Its heartbeat's, while it is a heartbeat. */
static void thread_scope(const struct vt_view *view, const struct vt_moment *moment,
			 uint32_t index, struct vitals_thread_info *info)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	struct vt_framed framed;

	if (!hot)
		return;
	info->heartbeat_id = LOAD(hot, id);
	if (LOAD(hot, flags) & VT_HB_CLOSED)
		return;
	vt_frames_load(view, index, &moment->tick, &framed);
	if (framed.depth)
		memcpy(info->scope, framed.name, sizeof(info->scope));
}

/* Of a quick hold its word says it. */
static uint32_t hold_count(const struct vt_member_slot *slot)
{
	uint64_t word = LOAD(slot, word);

	return word & VT_HOLD_QUICK ? vt_hold_count(word) : LOAD(slot, count);
}

/* What is known of it by its heartbeat, where that is still its own. */
static bool heartbeat_doing(const struct vt_view *view, uint32_t index, uint32_t tid,
			    uint64_t *ret_beat_ns, struct vitals_evidence *evidence)
{
	const struct vt_cold *cold = vt_view_slot(view, VT_KIND_COLD, index);
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);

	*ret_beat_ns = 0;
	if (!cold || !hot || LOAD(hot, flags) & VT_HB_CLOSED)
		return false;
	*ret_beat_ns = VT_BEAT_NS(LOAD(hot, beat));
	return vt_witness_heartbeat(view, index, LOAD(cold, gen), evidence) &&
	       evidence->tid == tid && evidence->at_ns >= *ret_beat_ns;
}

/* By its own record, made when it did not leave; or its heartbeat's: the newer, if neither is old. */
static void thread_doing(const struct vt_view *view, uint32_t index, uint32_t heartbeat,
			 const struct vt_member_slot *slot,
			 struct vitals_thread_info *info)
{
	struct vitals_evidence own, its;
	uint64_t beat_ns = 0;
	bool has_its = heartbeat &&
		       heartbeat_doing(view, heartbeat - 1, info->tid, &beat_ns, &its);
	/* It has gone on since. */
	bool has_own = vt_witness_member(view, index, LOAD(slot, gen), &own) &&
		       own.at_ns >= beat_ns;
	const struct vitals_evidence *newer =
		has_own && !(has_its && its.at_ns > own.at_ns) ? &own : &its;

	if (!has_own && !has_its)
		return;
	info->thread_class = newer->thread_class;
	info->reason = newer->reason;
	memcpy(info->doing, newer->doing, sizeof(info->doing));
}

static void thread_copy(const struct vt_view *view, const struct vt_moment *moment,
			uint32_t index, const struct vt_member_slot *slot,
			struct vitals_thread_info *info)
{
	uint32_t flags = LOAD(slot, flags), in = LOAD(slot, quitter),
		 has = LOAD(slot, heartbeat);
	const struct vt_quitter_slot *quitter;
	uint64_t told = LOAD(slot, told_ns);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->state = LOAD(slot, state);
	if (info->state > VITALS_THREAD_DEAD)
		info->state = VITALS_THREAD_NOT_STARTED;
	info->id = LOAD(slot, id);
	info->tid = LOAD(slot, tid);
	info->flags = flags & VT_MEMBER_PUBLIC;
	info->abandoned = flags & VT_MEMBER_ABANDONED ? 1 : 0;
	info->adopted = flags & VT_MEMBER_ADOPTED ? 1 : 0;
	info->late = flags & VT_MEMBER_LATE ? 1 : 0;
	info->count = hold_count(slot);
	info->since_ns = LOAD(slot, since_ns);
	info->age_ns = moment->now_ns > info->since_ns ? moment->now_ns - info->since_ns
						       : 0;
	quitter = in ? vt_view_slot(view, VT_KIND_QUITTER, in - 1) : NULL;
	if (quitter) {
		info->quitter_id = LOAD(quitter, id);
		told = told ? told : LOAD(quitter, told_ns);
		(void)quitter_path(view, in - 1, info->quitter_path);
	}
	info->told_ns = told && moment->now_ns > told ? moment->now_ns - told : 0;
	if (has)
		thread_scope(view, moment, has - 1, info);
	thread_doing(view, index, has, slot, info);
	vt_shown_load(info->name, slot->name, LOAD(slot, number));
	memcpy(info->path, info->quitter_path, sizeof(info->path));
	vt_path_append(info->path, sizeof(info->path), info->name);
}

bool vt_row_thread(const struct vt_view *view, const struct vt_moment *moment,
		   uint32_t index, struct vitals_thread_info *info)
{
	const struct vt_member_slot *slot = vt_view_slot(view, VT_KIND_MEMBER, index);
	unsigned tries;

	for (tries = 0; slot && tries < TRIES; tries++) {
		uint32_t gen = LOAD(slot, gen);

		if (!(gen & 1u))
			return false;
		thread_copy(view, moment, index, slot, info);
		if (LOAD(slot, gen) == gen)
			return info->count != 0;
	}
	return false;
}
