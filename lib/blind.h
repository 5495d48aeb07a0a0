/* SPDX-License-Identifier: MIT */

/*
 * Blind
 *
 * The request to quit without the registry's lock, for when whoever holds it is stuck: a stage's
 * one word, and everything that waits in ours is woken to look at it. Causes are not noted and
 * callbacks not called: those need the lock, and get theirs if it ever comes back.
 */

#ifndef VT_BLIND_H
#define VT_BLIND_H

#include "registry.h"

/* Tells all in @stage; once more does no harm. */
void vt_blind_tell(vitals_registry *registry, enum vitals_stage stage);

/* Broadcasts to all that wait on a condition. It may never return: only for the notifier. */
void vt_blind_kick(vitals_registry *registry);

#endif
