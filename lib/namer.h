/* SPDX-License-Identifier: MIT */

/*
 * Namer
 *
 * What the registry calls a thread, and the service its locks.
 */

#ifndef VT_NAMER_H
#define VT_NAMER_H

#include "chain.h"
#include "view.h"

/* By the members of a view and, of threads in no quitter, their heartbeats. */
struct vt_namer vt_namer_of(const struct vt_view *view);

#endif
