/* SPDX-License-Identifier: MIT */

/*
 * Inbox
 *
 * Which heartbeats the monitor has to look at now, whatever its wheel says: those that came, went or
 * died. A bit for each slot, and two levels of bits above that say where to look. Whoever sets one
 * waits for nobody.
 */

#ifndef VT_INBOX_H
#define VT_INBOX_H

#include "registry.h"

/* All that the caller did to it before is seen by the look that follows. Async-signal-safe. */
void vt_inbox_post(struct vt_span_head *span, uint32_t place);

/* Everybody that there is. */
void vt_inbox_post_all(vitals_registry *registry);

/*
 * In a turn: calls @look for each that was posted, which says by its answer whether to go on. Some
 * more may follow. Return: false if there are more left.
 */
bool vt_inbox_drain(vitals_registry *registry, bool (*look)(void *user, uint32_t index),
		    void *user);

#endif
