/* SPDX-License-Identifier: MIT */

/*
 * Fork
 *
 * Which registries there are, and what becomes of them in a forked child: one that nobody has looked
 * at yet is carried over whole (daemon after init); one that was started is empty and silent there,
 * its region mapped over, so that a stray touch reaches nobody.
 */

#ifndef VT_FORK_H
#define VT_FORK_H

#include "registry.h"

/* Puts the handlers in place. Return: 0; -ENOMEM. */
int vt_fork_watch(void);

void vt_fork_add(vitals_registry *registry);
void vt_fork_remove(vitals_registry *registry);

#endif
