/* SPDX-License-Identifier: MIT */

/*
 * Worst
 *
 * The list of those that fare worst, kept as the looks go on: whoever falls out of it because others
 * are worse comes back with the next look, when there is room.
 */

#ifndef VT_WORST_H
#define VT_WORST_H

#include "verdict.h"

/* The worst first. */
struct vt_worst_list {
	uint32_t n;
	struct vt_worse {
		uint64_t rank;
		uint32_t index; /* of the heartbeat */
		uint32_t gen;
	} entries[VT_WORST];
};

/* Is it a state that may get a heartbeat into the list? */
bool vt_worst_bad(uint32_t state);

/* How one fares now. Return: whether the list has changed. */
bool vt_worst_note(struct vt_worst_list *list, uint32_t index, uint32_t gen,
		   const struct vt_verdict *verdict);

/* It is gone. Return: as above. */
bool vt_worst_remove(struct vt_worst_list *list, uint32_t index);

#endif
