/* SPDX-License-Identifier: MIT */

/*
 * Gather
 *
 * Makes news of events: waits a moment for more of the same kind, tells of many in one lock, or very
 * many at once, as one, and of what lasts again and again. In time that is an argument; whoever has
 * it takes turns.
 */

#ifndef VT_GATHER_H
#define VT_GATHER_H

#include "episodes.h"
#include "news.h"

/* So many kinds of stall are gathered at once; more cut the first one's time short. */
#define VT_BATCHES 16u
/* As many without a lock in common are told one by one; of more, as one. */
#define VT_BATCH_ALONE 8u

/* A change of a heartbeat, and what else is known of it. */
struct vt_change_seen {
	uint32_t index;
	uint64_t lock; /* that its thread waits for; 0: none, or not known */
	uint64_t timeout_ns;
	struct vitals_event event;
};

enum vt_batch_kind {
	VT_BATCH_NONE, /* not in use */
	VT_BATCH_SILENT,
	VT_BATCH_STUCK,
	VT_BATCH_DEAD,
	VT_BATCH_BACK,
};

struct vt_batch {
	enum vt_batch_kind kind;
	uint32_t n;
	uint64_t key;
	uint64_t lock;
	uint64_t until_ns;
	uint64_t longest_ns; /* silence, or stall */
	bool bad;
	struct vt_episode *episode; /* of all that are silent in it; NULL: none */
	struct vt_change_seen first[VT_BATCH_ALONE];
};

struct vt_gather_to {
	/* It is written, or suppressed. */
	void (*tell)(void *user, struct vt_news *news, uint64_t now_ns);
	/* So many reports are not written. */
	void (*suppress)(void *user, uint64_t reports);
	/* A heartbeat as it is now. Return: whether it is there. */
	bool (*row)(void *user, uint32_t index, uint64_t now_ns,
		    struct vitals_heartbeat_info *info);
	void *user;
};

struct vt_gather {
	struct vt_gather_to to;
	uint64_t gather_ns;
	struct vt_batch batches[VT_BATCHES];
	struct vt_episodes episodes;
};

/* Forgets everything. */
void vt_gather_clear(struct vt_gather *gather);

/* Return: what was found by it: 1; 0: it is not news. */
unsigned vt_gather_note(struct vt_gather *gather, const struct vt_change_seen *seen,
			uint64_t now_ns);

/* Tells what has been gathered for long enough, and what lasts. Return: what was found by that. */
uint64_t vt_gather_turn(struct vt_gather *gather, uint64_t now_ns);

/* Tells all that has been gathered. */
void vt_gather_flush(struct vt_gather *gather, uint64_t now_ns);

/* When a turn has something to tell next; UINT64_MAX: nothing by the time alone. */
uint64_t vt_gather_next(const struct vt_gather *gather);

#endif
