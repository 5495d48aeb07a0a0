/* SPDX-License-Identifier: MIT */

/*
 * Vigil
 *
 * Waits for quitters that are under way, for whoever sees to it that there is something to say when
 * their time is up. Taken and given up without a lock; where there are more than places, those wait
 * as well, and less is said.
 */

#ifndef VT_VIGIL_H
#define VT_VIGIL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define VT_VIGILS 8

struct vt_vigil {
	_Atomic uint32_t quitter; /* index + 1; 0: free */
	_Atomic uint64_t begun_ns;
	_Atomic uint64_t deadline_ns;
	_Atomic uint64_t next_ns; /* when there is to be a look next; the monitor's */
};

/* Return: NULL if all places are taken. */
struct vt_vigil *vt_vigil_begin(struct vt_vigil *vigils, uint32_t quitter,
				uint64_t begun_ns, uint64_t deadline_ns);
/* @vigil NULL does nothing. */
void vt_vigil_end(struct vt_vigil *vigil);

#endif
