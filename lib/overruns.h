/* SPDX-License-Identifier: MIT */

/*
 * Overruns
 *
 * The names of scopes that were left too late, how often and by how much: counted by whoever left
 * them, for the monitor may not have looked meanwhile.
 */

#ifndef VT_OVERRUNS_H
#define VT_OVERRUNS_H

#include "registry.h"

/* One more; past 256 names it counts for "other". Takes the lock for a new name. */
void vt_overrun_count(vitals_registry *registry, const char *name, uint64_t ns);

#endif
