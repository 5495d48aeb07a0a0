/* SPDX-License-Identifier: MIT */

/*
 * Heartbeat
 *
 * Registered and closed under the registry's lock, beaten by anybody without one.
 */

#ifndef VT_HEARTBEAT_H
#define VT_HEARTBEAT_H

#include "registry.h"

struct vitals_heartbeat {
	struct vitals_heartbeat_head head;
	vitals_registry *registry;
	struct vt_intervals *intervals; /* followed by the counts; NULL: no histogram */
	_Atomic uint32_t refs;
	uint32_t index;
	uint32_t epoch;
	_Atomic int due_fd; /* -1: none */
	uint32_t hint;      /* of the first of a name: no number below it is free (names.c) */
	uint32_t named;     /* 1 while it has its number */
};

int vt_heartbeat_new_at(vitals_registry *registry, const char *name, uint64_t timeout_ns,
			const struct vitals_heartbeat_options *options, uint64_t now_ns,
			vitals_heartbeat **ret);

int vt_heartbeat_pulse_at(vitals_heartbeat *heartbeat, uint64_t now_ns);
int vt_heartbeat_idle_at(vitals_heartbeat *heartbeat, uint64_t now_ns);
int vt_heartbeat_due_at(vitals_heartbeat *heartbeat, uint64_t now_ns);

/* Its number among the living of its name, for the thread that shares it. */
uint32_t vt_heartbeat_number(const vitals_heartbeat *heartbeat);

/* From now on it is the life of a thread: its tid, and its member's index + 1, 0: none. */
void vt_heartbeat_belong(vitals_heartbeat *heartbeat, uint32_t tid, uint32_t member);

/* The thread it belongs to has ended without closing it. Async-signal-safe. */
void vt_heartbeat_die(vitals_heartbeat *heartbeat);

#endif
