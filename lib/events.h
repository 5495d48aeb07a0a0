/* SPDX-License-Identifier: MIT */

/*
 * Events
 *
 * Readers of the list of changes: the service's own, and the notifier's.
 */

#ifndef VT_EVENTS_H
#define VT_EVENTS_H

#include "changes.h"

/* The notifier's reader. Return: 0; -EAGAIN: nothing; -ECANCELED: nothing, and nothing will come. */
int vt_changes_notify(vitals_registry *registry, struct vitals_event *event);
/* It starts at the end of the list. */
void vt_changes_notify_from_now(vitals_registry *registry);

#endif
