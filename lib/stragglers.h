/* SPDX-License-Identifier: MIT */

/*
 * Stragglers
 *
 * Who was told to leave and has not, when half the time to leave is gone: looked at from then on, so
 * that the lists and the report can say what each is doing.
 */

#ifndef VT_STRAGGLERS_H
#define VT_STRAGGLERS_H

#include "ladder.h"
#include "suspects.h"

/* @ladder: of main's shutdown. By whoever judges. Return: when next, UINT64_MAX: no wish. */
uint64_t vt_stragglers_turn_at(vitals_registry *registry, struct vt_suspects *suspects,
			       const struct vt_ladder *ladder, uint64_t now_ns);

#endif
