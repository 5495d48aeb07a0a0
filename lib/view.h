/* SPDX-License-Identifier: MIT */

/*
 * View
 *
 * Segments as seen by a reader: this process's own, or another's mapped read-only. Finds a slot by
 * kind and index. Spans are only ever added; whoever finds one may keep its address.
 */

#ifndef VT_VIEW_H
#define VT_VIEW_H

#include "layout.h"

#include <stdbool.h>
#include <stddef.h>

/* Spans of a kind double in size, so that 24 hold more than 10^9 slots. */
#define VT_SPANS 24

struct vt_span {
	unsigned char *base;
	uint32_t first;
	uint32_t count;
	uint32_t stride;
};

struct vt_view {
	const struct vt_segment *head;
	_Atomic uint32_t n_spans[VT_KINDS];
	struct vt_span spans[VT_KINDS][VT_SPANS];
};

/*
 * Takes in what the head of @segment describes. @size: what is mapped of it.
 * Return: 0; -EINVAL if it is not a segment of this layout, or lies about itself; -ENOSPC. After an
 * error the view is as before.
 */
int vt_view_add(struct vt_view *view, struct vt_segment *segment, size_t size);

/* Return: the slot; NULL past the last span. */
void *vt_view_slot(const struct vt_view *view, enum vt_kind kind, uint32_t index);

/* Whose a heartbeat is: the kernel's number of the thread and its id, each 0 where there is none. */
void vt_owner_load(const struct vt_view *view, const struct vt_cold *cold,
		   uint32_t *ret_tid, uint64_t *ret_thread_id);

/* Return: the root; NULL in a view without one. */
struct vt_root *vt_view_root(const struct vt_view *view);

/* Return: the head of the segment that holds the root. */
const struct vt_segment *vt_view_head(const struct vt_view *view);

/* Slots ever used of a kind are below this, and have an address. */
uint32_t vt_view_used(const struct vt_view *view, enum vt_kind kind);

#endif
