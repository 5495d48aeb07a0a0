/* SPDX-License-Identifier: MIT */

#include "frames.h"

#include "text.h"

/* A frame that changes while it is copied was left just now: it is no reason for anything. */
#define TRIES 3

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)
#define STORE(slot, field, value)                                                        \
	atomic_store_explicit(&(slot)->field, value, memory_order_release)

static struct vt_scopes *scopes_of(const struct vt_view *view, uint32_t index)
{
	const struct vt_hot *hot = vt_view_slot(view, VT_KIND_HOT, index);
	const struct vt_rare *rare;
	uint32_t at;

	if (!(LOAD(hot, flags) & VT_HB_SCOPES))
		return NULL;
	rare = vt_view_slot(view, VT_KIND_RARE, index);
	at = rare ? LOAD(rare, scopes) : 0;
	return at ? vt_view_slot(view, VT_KIND_SCOPES, at - 1) : NULL;
}

void vt_frames_begin(struct vt_scopes *scopes)
{
	STORE(scopes, shortest_ns, UINT64_MAX);
	STORE(scopes, blamed[0], 0);
	vt_frames_leave(scopes, 0);
}

uint32_t vt_frames_enter(struct vt_scopes *scopes, const uint64_t *name, unsigned n,
			 uint64_t budget_ns, uint64_t paused_ns, uint64_t now_ns)
{
	uint32_t depth = vt_frames_depth(scopes);
	unsigned i;

	if (depth < VT_FRAMES) {
		struct vt_frame *frame = &scopes->frames[depth];
		/* Relaxed: one's own. */
		uint64_t turn = atomic_load_explicit(&frame->turn, memory_order_relaxed);

		STORE(frame, entered_ns, now_ns);
		STORE(frame, paused_ns, paused_ns);
		STORE(frame, budget_ns, budget_ns);
		for (i = 0; i < n; i++)
			STORE(frame, name[i], name[i]);
		/* Odd, too, after one that was cut off here, and never the same again. */
		STORE(frame, turn, (turn + 1) | 1u);
	}
	STORE(scopes, depth, depth + 1);
	return depth + 1;
}

void vt_frames_leave(struct vt_scopes *scopes, uint32_t depth)
{
	uint32_t i = vt_frames_known(vt_frames_depth(scopes));

	while (i-- > depth) {
		struct vt_frame *frame = &scopes->frames[i];

		STORE(frame, turn,
		      (atomic_load_explicit(&frame->turn, memory_order_relaxed) | 1u) +
			      1);
	}
	STORE(scopes, depth, depth);
}

uint64_t vt_frame_overrun(const struct vt_frame *frame, const struct vt_tick *tick,
			  uint64_t now_ns)
{
	struct vt_framed framed = { .entered_ns = LOAD(frame, entered_ns),
				    .paused_ns = LOAD(frame, paused_ns),
				    .budget_ns = LOAD(frame, budget_ns) };
	struct vt_tick all = *tick;
	uint64_t age_ns;

	/* What was before the start is not judged, and yet is time in it. */
	all.started_ns = 0;
	/* Two ticks behind it is about to find that this was a pause. */
	if (tick->flags & VT_TICK_RUNNING && now_ns > tick->at_ns &&
	    now_ns - tick->at_ns > 2 * tick->tick_ns)
		now_ns = tick->at_ns;
	age_ns = vt_framed_age(&framed, &all, now_ns);
	return framed.budget_ns && age_ns > framed.budget_ns ? age_ns - framed.budget_ns
							     : 0;
}

/* Return: whether the frame was open, and is still what was copied. */
static bool frame_load(const struct vt_frame *frame, struct vt_framed *framed, bool named)
{
	unsigned tries;

	for (tries = 0; tries < TRIES; tries++) {
		uint64_t turn = LOAD(frame, turn);

		if (!(turn & 1u))
			return false;
		framed->entered_ns = LOAD(frame, entered_ns);
		framed->paused_ns = LOAD(frame, paused_ns);
		framed->budget_ns = LOAD(frame, budget_ns);
		if (named)
			vt_name_unpack(frame->name, framed->name);
		if (LOAD(frame, turn) == turn)
			return true;
	}
	return false;
}

/* Is the time of @a up before that of @b, which is further out? */
static bool sooner(const struct vt_framed *a, const struct vt_framed *b,
		   const struct vt_tick *tick)
{
	if (!a->budget_ns || !b->budget_ns)
		return !b->budget_ns;
	return vt_framed_deadline(a, tick) < vt_framed_deadline(b, tick);
}

/* Return: which of the first @n decides, + 1, its numbers in @ret; 0: none is open. */
static uint32_t frames_decide(const struct vt_scopes *scopes, uint32_t n,
			      const struct vt_tick *tick, struct vt_framed *ret)
{
	struct vt_framed framed = { 0 };
	uint32_t i, least = 0;

	/* One that was left takes those inside of it along: what is there now is newer. */
	for (i = 0; i < n && frame_load(&scopes->frames[i], &framed, false); i++)
		if (!least || sooner(&framed, ret, tick)) {
			*ret = framed;
			least = i + 1;
		}
	return least;
}

void vt_frames_load(const struct vt_view *view, uint32_t index,
		    const struct vt_tick *tick, struct vt_framed *ret)
{
	const struct vt_scopes *scopes = scopes_of(view, index);
	uint32_t depth, n;

	ret->depth = 0;
	if (!scopes)
		return;
	depth = LOAD(scopes, depth);
	for (n = vt_frames_known(depth); n; n--) {
		n = frames_decide(scopes, n, tick, ret);
		if (!n)
			return;
		if (frame_load(&scopes->frames[n - 1], ret, true)) {
			ret->depth = depth;
			return;
		}
		/* It was left meanwhile: those around it may still stand. */
	}
}

uint64_t vt_frames_shortest(const struct vt_view *view, uint32_t index)
{
	const struct vt_scopes *scopes = scopes_of(view, index);

	return scopes ? LOAD(scopes, shortest_ns) : UINT64_MAX;
}

void vt_frames_blame(const struct vt_view *view, uint32_t index, const char *name)
{
	struct vt_scopes *scopes = scopes_of(view, index);

	if (scopes)
		vt_name_store(scopes->blamed, name ? name : "");
}

void vt_frames_blamed(const struct vt_view *view, uint32_t index, char *ret)
{
	const struct vt_scopes *scopes = scopes_of(view, index);

	*ret = 0;
	if (scopes)
		vt_name_load(scopes->blamed, ret);
}
