/* SPDX-License-Identifier: MIT */

/*
 * Index
 *
 * Which slots of a view are rows, and in which order: what a snapshot walks by.
 */

#ifndef VT_INDEX_H
#define VT_INDEX_H

#include "view.h"

/* Which slots are rows, in order; with the gen under which each was found. Not from the heap. */
struct vt_index {
	uint64_t *entries; /* slot << 32 | gen */
	uint32_t n;
	uint32_t room;
	bool built;
};

/* The slot of the @at-th row. */
static inline uint32_t vt_index_slot(const struct vt_index *index, uint32_t at)
{
	return (uint32_t)(index->entries[at] >> 32);
}

/* Return: the gen of a slot, where its kind has it; 0 for a heartbeat that is closed. */
uint32_t vt_index_gen(const struct vt_view *view, enum vt_kind kind, uint32_t slot);

/* These fill an index that is not built. Return: 0; -ENOMEM. */
int vt_index_build(const struct vt_view *view, enum vt_kind kind, struct vt_index *index);
int vt_index_quitters(const struct vt_view *view, struct vt_index *index);
int vt_index_worst(const struct vt_view *view, struct vt_index *index);

/* The @at-th row is gone: those behind it move up. */
void vt_index_remove(struct vt_index *index, uint32_t at);

void vt_index_free(struct vt_index *index);

#endif
