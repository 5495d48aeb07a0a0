/* SPDX-License-Identifier: MIT */

/*
 * Names
 *
 * Names need not be unique; shown names are. The living of one name in one scope are name, name#2,
 * …, lowest free number first. Heartbeats and threads share a scope, a thread and its own heartbeat
 * the number; quitters are numbered among their siblings.
 */

#ifndef VT_NAMES_H
#define VT_NAMES_H

#include "registry.h"

/* What has the name: its pool and index. */
struct vt_named {
	enum vt_pool pool; /* HEARTBEAT, MEMBER or QUITTER */
	uint32_t index;
};

/* The scope of heartbeats and threads; of a quitter: its parent's index + 1, a main's is UINT32_MAX. */
#define VT_SCOPE_SIGNS 0u

/*
 * Gives what is @named a number, from its name words and scope as they stand in its slot.
 * Return: the number, 1 or more; 0: no memory.
 */
uint32_t vt_names_take(vitals_registry *registry, struct vt_named named)
	VT_REQUIRES(registry->lock);

/* The number is free again. */
void vt_names_give(vitals_registry *registry, struct vt_named named)
	VT_REQUIRES(registry->lock);

#endif
