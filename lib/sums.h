/* SPDX-License-Identifier: MIT */

/*
 * Sums
 *
 * The histogram of a group with many members is summed by the sweep as it comes by them, and
 * published when a round is over, so that a scrape need not walk. Nothing is counted twice or lost,
 * and no total steps back: a member that closes is counted from that round's sum on in which it
 * would have been missed. Groups and rounds only: when the sweep comes by whom is its own matter.
 */

#ifndef VT_SUMS_H
#define VT_SUMS_H

#include "group.h"

/* Members from which on a group is summed here; it remains so, however many there are later. */
#define VT_SUMS_MANY 1000u

struct vt_sums {
	uint32_t n_many; /* groups that are summed here */
	bool many[VT_GROUPS];
	bool kept[VT_GROUPS]; /* its sum waits for somebody who is closing */
	bool done[VT_GROUPS]; /* made at once: nothing is added before the next round */
	struct vt_sum {
		uint64_t counts[VT_COARSE];
		uint64_t sum_ns;
		uint64_t missed;
		uint64_t oldest_ns;
	} sums[VT_GROUPS];
};

/* In a turn: a round begins, or is over. */
void vt_sums_begin(struct vt_sums *sums);
void vt_sums_end(vitals_registry *registry, struct vt_sums *sums);

/* In a turn, between the two, once for each living heartbeat. */
void vt_sums_visit(vitals_registry *registry, struct vt_sums *sums, uint32_t index);

/*
 * In a turn, after a group's counts have changed: from now on it is summed here, if it has become so
 * many. Its first sum is made at once. Return: whether that was now.
 */
bool vt_sums_consider(vitals_registry *registry, struct vt_sums *sums, uint32_t group);

#endif
