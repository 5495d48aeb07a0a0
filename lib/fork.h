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

/*
 * Before a fork: registries that go over into the child must be whole. Waits for their locks, until
 * @until_ns and no longer. And after it, in the parent.
 */
void vt_fork_prepare(uint64_t until_ns);
void vt_fork_parent(void);

/*
 * Calls @fn for every registry of the process, under its lock, until it returns false; waits for no
 * lock. Return: whether it was called for all and said true each time.
 */
bool vt_fork_each(bool (*fn)(vitals_registry *registry, void *user), void *user);

/* Before it is laid out, so that no fork misses it; once is enough, more do nothing. */
void vt_fork_add(vitals_registry *registry);
void vt_fork_remove(vitals_registry *registry);

#endif
