/* SPDX-License-Identifier: MIT */

/*
 * Places
 *
 * Where in the kernel a thread waits, by wchan: for when its call is not to be had, since a setuid say,
 * or is the continuation of one that a signal interrupted.
 */

#ifndef VT_PLACES_H
#define VT_PLACES_H

#include "vitals.h"

struct vt_place {
	const char *wchan;
	enum vitals_class thread_class;
	const char *words;
};

/* Return: NULL if it says nothing to us. */
const struct vt_place *vt_place_of(const char *wchan);

#endif
