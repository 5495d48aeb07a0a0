/* SPDX-License-Identifier: MIT */

/*
 * Frames
 *
 * The scopes a thread is in: entered and left by that thread, read by anybody at any moment. Each
 * frame is a fact of its own, so that one that is left and entered all the time hides none around it.
 */

#ifndef VT_FRAMES_H
#define VT_FRAMES_H

#include "verdict.h"
#include "view.h"

/* In none yet. Release, all: see layout.h. */
void vt_frames_begin(struct vt_scopes *scopes);

/*
 * One more, by the owner. @name: @n words of vt_name_pack(). @paused_ns: the paused total as read
 * before the clock. Return: the depth.
 */
uint32_t vt_frames_enter(struct vt_scopes *scopes, const uint64_t *name, unsigned n,
			 uint64_t budget_ns, uint64_t paused_ns, uint64_t now_ns);

/* Down to @depth of them, by the owner. */
void vt_frames_leave(struct vt_scopes *scopes, uint32_t depth);

/* How many are open, and of these how many are known. By the owner. */
static inline uint32_t vt_frames_depth(const struct vt_scopes *scopes)
{
	/* Relaxed, both: one's own. */
	return atomic_load_explicit(&scopes->depth, memory_order_relaxed);
}

static inline uint32_t vt_frames_known(uint32_t depth)
{
	return depth < VT_FRAMES ? depth : VT_FRAMES;
}

/* The time of a frame is up, if one counts all time. By the owner. */
static inline bool vt_frame_may_be_late(const struct vt_frame *frame, uint64_t now_ns)
{
	uint64_t budget_ns =
		atomic_load_explicit(&frame->budget_ns, memory_order_relaxed);

	return budget_ns &&
	       now_ns - atomic_load_explicit(&frame->entered_ns, memory_order_relaxed) >
		       budget_ns;
}

/* By how much it is left too late at @now_ns, pauses not counted; 0: it is not. By the owner. */
uint64_t vt_frame_overrun(const struct vt_frame *frame, const struct vt_tick *tick,
			  uint64_t now_ns);

/*
 * The scope by which the heartbeat at @index is judged: the one whose time is up first; if none is bounded the
 * innermost. To be loaded before its beat, for whoever leaves the last one beats first.
 */
void vt_frames_load(const struct vt_view *view, uint32_t index,
		    const struct vt_tick *tick, struct vt_framed *ret);

/* The shortest budget it ever had: it wants to be looked at as if that were its timeout. */
uint64_t vt_frames_shortest(const struct vt_view *view, uint32_t index);

/* The scope that its newest event blames; NULL: none. For the monitor, under events_lock. */
void vt_frames_blame(const struct vt_view *view, uint32_t index, const char *name);
void vt_frames_blamed(const struct vt_view *view, uint32_t index, char *ret);

#endif
