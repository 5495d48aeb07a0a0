/* SPDX-License-Identifier: MIT */

/*
 * Outside
 *
 * The region of another process, found and mapped as a tool does that has never heard of it.
 */

#ifndef OUTSIDE_H
#define OUTSIDE_H

#include "view.h"

/* Child-safe. Maps the registry's segments, for good. Return: how many there are. */
unsigned outside_map(int pid, uint64_t registry_id, struct vt_view *view);

#endif
