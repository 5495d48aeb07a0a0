/* SPDX-License-Identifier: MIT */

/*
 * Events
 *
 * Readers of the list of changes: the service's own, the notifier's and the log's.
 */

#ifndef VT_EVENTS_H
#define VT_EVENTS_H

#include "changes.h"

/* The notifier's reader. Return: 0; -EAGAIN: nothing; -ECANCELED: nothing, and nothing will come. */
int vt_changes_notify(vitals_registry *registry, struct vitals_event *event);
/* It starts at the end of the list. */
void vt_changes_notify_from_now(vitals_registry *registry);

/*
 * The log's, which waits for nobody: returns as the notifier's, and -EBUSY while another reader is
 * held up. @ret_index, @ret_gen: of an event of a heartbeat.
 */
int vt_changes_log(vitals_registry *registry, struct vitals_event *event,
		   uint32_t *ret_index, uint32_t *ret_gen);
void vt_changes_log_from_now(vitals_registry *registry);

#endif
