/* SPDX-License-Identifier: MIT */

/*
 * Snapshot
 *
 * Copies rows out of a view, this process's or another's; knows nothing but the layout.
 */

#ifndef VT_SNAPSHOT_H
#define VT_SNAPSHOT_H

#include "registry.h"
#include "text.h"

/* Looks at @view, which outlives the snapshot; @registry is NULL for another process's. */
int vt_snapshot_take_at(const struct vt_view *view, vitals_registry *registry,
			uint64_t now_ns, vitals_snapshot **snapshot);

/*
 * A snapshot of just the thread rows that are added to it, at most @room. Not from the heap.
 * Return: 0; -ENOMEM.
 */
int vt_snapshot_late_new(vitals_registry *registry, uint32_t room, uint64_t now_ns,
			 vitals_snapshot **ret);

/*
 * Copies the row of a member, marked late, if it still is the one with @gen.
 * Return: whether it was added.
 */
bool vt_snapshot_late_add(vitals_snapshot *snapshot, uint32_t member, uint32_t gen);

/* "main/pool/worker-2 (thread 7, tid 1234, running in fsync, told 10.0s ago)" */
void vt_print_thread(const struct vitals_thread_info *info, struct vt_text *line);

/* Does it hold just late rows? */
bool vt_snapshot_is_late(const vitals_snapshot *snapshot);

#endif
