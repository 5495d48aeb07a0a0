/* SPDX-License-Identifier: MIT */

/*
 * Circles
 *
 * Deadlocks that were found, followed again now and then until they are over: whichever of their
 * threads goes on or ends, and whether anybody watches it or not. By the monitor.
 */

#ifndef VT_CIRCLES_H
#define VT_CIRCLES_H

#include "chain.h"
#include "layout.h"

struct vt_circle {
	uint64_t key;
	uint64_t next_ns; /* when it is followed next */
	uint32_t tid;     /* one of its threads; 0: none, or over */
	uint32_t missed;  /* how often in a row it was not there */
};

struct vt_circles {
	struct vt_circle of[VT_FINDINGS]; /* each at its finding's place */
};

/* @finding: + 1. */
void vt_circles_note(struct vt_circles *circles, uint32_t finding,
		     const struct vt_chain *chain, uint64_t now_ns);

/* Follows one that is due. Return: the finding, + 1, if it is over by that; else 0. */
uint32_t vt_circles_follow(struct vt_circles *circles, struct vt_proc *proc,
			   uint64_t now_ns);

/* Return: whether one is due. */
bool vt_circles_due(const struct vt_circles *circles, uint64_t now_ns);

#endif
