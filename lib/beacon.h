/* SPDX-License-Identifier: MIT */

/*
 * Beacon
 *
 * A file that is touched while the process is live. The notifier does; the monitor only where the
 * file lies in memory, for any other file system may keep it.
 */

#ifndef VT_BEACON_H
#define VT_BEACON_H

#include "registry.h"

#include <unistd.h>

#define VT_BEACON_PATH 4096

struct vt_beacon_terms {
	const char *path; /* NULL: none */
	uint64_t every_ns;
	/* Starts a turn in the thread that calls out. */
	void (*wake)(vitals_registry *registry);
};

struct vt_beacon {
	_Atomic int32_t pid; /* of the process that asked: no child of it touches */
	_Atomic uint32_t busy;

	/* guarded by busy */
	uint64_t every_ns; /* 0: nothing is touched */
	uint64_t touched_ns;
	bool in_memory;
	void (*wake)(vitals_registry *registry);
	char path[VT_BEACON_PATH];
};

/* NULL: nobody in this process has asked. */
static inline struct vt_beacon *vt_beacon_of(vitals_registry *registry)
{
	/* Acquire pairs with the release in vt_beacon_ask(), both. */
	struct vt_beacon *beacon =
		atomic_load_explicit(&registry->beacon, memory_order_acquire);

	if (!beacon ||
	    atomic_load_explicit(&beacon->pid, memory_order_acquire) != getpid())
		return NULL;
	return beacon;
}

/* Touches it, and does so from now on; or no longer. Return: 0; -ENOMEM; what open(2) says. */
int vt_beacon_ask(vitals_registry *registry, const struct vt_beacon_terms *terms,
		  uint64_t now_ns);

bool vt_beacon_asked(vitals_registry *registry);

/*
 * In each turn of the monitor: sees to it that it is touched. Return: when to look again at the
 * latest, UINT64_MAX: any time.
 */
uint64_t vt_beacon_look_at(vitals_registry *registry, uint64_t now_ns);

/* Touches it if it is time to. */
void vt_beacon_turn_at(vitals_registry *registry, uint64_t now_ns);

#endif
