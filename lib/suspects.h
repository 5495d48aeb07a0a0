/* SPDX-License-Identifier: MIT */

/*
 * Suspects
 *
 * Threads that may be about to be called silent, or late, and those that were: looked at a few times
 * before, so that what they do can be said the moment they are, and again when it gets worse. By the
 * monitor alone, in its own memory, and in bounded time: what there is no time for in one turn is done
 * in the next, and nobody is told later for it.
 */

#ifndef VT_SUSPECTS_H
#define VT_SUSPECTS_H

#include "circles.h"
#include "evidence.h"
#include "findings.h"
#include "registry.h"
#include "verdict.h"

/* So many at once are looked at more than once; of a power of two. */
#define VT_SUSPECTS 256u
/* A look that took longer than this was kept by others. */
#define VT_SUSPECT_NS VITALS_MS(2)

/* Who: a heartbeat's thread, or a member's. */
struct vt_suspect_key {
	enum vt_kind kind; /* VT_KIND_HOT or VT_KIND_MEMBER */
	uint32_t index;
	uint32_t gen;
	uint32_t tid;
	uint64_t since; /* the sign of life, or the request, that it began after */
};

struct vt_suspect {
	struct vt_suspect_key key; /* gen 0: free */
	uint64_t used_ns;          /* looked at last */
	uint32_t finding;          /* + 1: the deadlock it is part of */
	struct vt_window window;
};

struct vt_suspects {
	struct vt_circles circles;
	struct vt_suspect *pool; /* pages; NULL: none yet */
	uint64_t credit_ns; /* time that may be spent on looks that are not needed yet */
	uint64_t credited_ns; /* when some was added last */
	uint64_t until_ns;    /* no more looks in this turn; 0: as many as it takes */
	uint64_t spent_ns;    /* on all looks, so far */
	uint32_t off; /* enum vitals_reason: why nobody is looked at; 0: they are */
	bool begun;
	bool asked; /* in this turn, whether anybody may be looked at */
};

/* In the thread that looks, before its first turn; and after its last; @closes: descriptors, too. */
void vt_suspects_begin(vitals_registry *registry, struct vt_suspects *suspects);
void vt_suspects_end(vitals_registry *registry, struct vt_suspects *suspects,
		     bool closes);

/* A turn begins. */
void vt_suspects_turn(struct vt_suspects *suspects, uint64_t until_ns);

/* Deadlocks that were found, and are no more. */
void vt_suspects_settle(vitals_registry *registry, struct vt_suspects *suspects);

/* One more cheap look, if there is time. */
void vt_suspects_look(vitals_registry *registry, struct vt_suspects *suspects,
		      const struct vt_suspect_key *key);

enum vt_taken {
	VT_TAKEN_NOT, /* there was no time: @slot says that, or what was found before */
	VT_TAKEN_UNSURE, /* it could not be told yet whether it spins or starves */
	VT_TAKEN,
};

/*
 * What it is doing goes into @slot; if that is not all there is to say, once more in a while. @dead: it
 * has ended, as is known.
 */
enum vt_taken vt_suspects_take(vitals_registry *registry, struct vt_suspects *suspects,
			       const struct vt_suspect_key *key, bool dead,
			       struct vt_evidence_slot *slot, const struct vt_tick *tick);

/* It beats again, or has left. */
void vt_suspects_clear(vitals_registry *registry, struct vt_suspects *suspects,
		       const struct vt_suspect_key *key);

#endif
