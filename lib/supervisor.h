/* SPDX-License-Identifier: MIT */

/*
 * Supervisor
 *
 * What a service asks for where something else supervises it, and who does it.
 */

#ifndef VT_SUPERVISOR_H
#define VT_SUPERVISOR_H

#include "registry.h"

/* Whoever looks, and whoever sends, unless turns are made by hand. Return: as vitals_start(). */
int vt_threads_start(vitals_registry *registry);

#endif
