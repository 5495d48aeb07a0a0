/* SPDX-License-Identifier: MIT */

/*
 * Snapshot
 *
 * Copies rows out of a view, this process's or another's; knows nothing but the layout.
 */

#ifndef VT_SNAPSHOT_H
#define VT_SNAPSHOT_H

#include "registry.h"

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

/* A line for each thread row, by write(2) alone. Return: 0; the errno of write(2). */
int vt_print_threads(vitals_snapshot *snapshot, int fd, const char *prefix);

/* How many late rows it holds. */
uint32_t vt_snapshot_late_count(const vitals_snapshot *snapshot);

/* Does it hold just late rows? */
bool vt_snapshot_is_late(const vitals_snapshot *snapshot);

#endif
