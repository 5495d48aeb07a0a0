/* SPDX-License-Identifier: MIT */

/*
 * Stuck
 *
 * Who of the critical heartbeats is stuck or dead, by the monitor's last looks: no lock, no memory.
 */

#ifndef VT_STUCK_H
#define VT_STUCK_H

#include "registry.h"

/* What there is, and the one that has been silent longest of those with a thread. */
struct vt_stuck {
	uint32_t critical; /* all critical heartbeats, however they fare */
	uint32_t bad;      /* of them, stuck or dead … */
	uint32_t counted;  /* … and not for the machine's fault alone */
	uint32_t tid;      /* of the longest silent; 0: none has a thread */
	uint64_t silence_ns;
	char name[VITALS_SHOWN_MAX];
};

/* Only critical and bad, by the monitor's summary. */
void vt_stuck_sum(const vitals_registry *registry, struct vt_stuck *stuck);

/* A walk over all, for the rest. @starved_too: those of the machine's fault are counted as well. */
void vt_stuck_find(vitals_registry *registry, uint64_t now_ns, bool starved_too,
		   struct vt_stuck *stuck);

#endif
