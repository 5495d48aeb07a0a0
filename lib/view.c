/* SPDX-License-Identifier: MIT */

#include "view.h"

#include <errno.h>

/* The least a slot of each kind must hold for this layout. */
static const uint32_t strides[VT_KINDS] = {
	[VT_KIND_ROOT] = sizeof(struct vt_root),
	[VT_KIND_GROUP] = sizeof(struct vt_group_slot),
	[VT_KIND_PART] = sizeof(struct vt_part_slot),
	[VT_KIND_HOT] = sizeof(struct vt_hot),
	[VT_KIND_COLD] = sizeof(struct vt_cold),
	[VT_KIND_COARSE] = sizeof(struct vt_coarse),
	[VT_KIND_FINE] = sizeof(struct vt_fine),
	[VT_KIND_QUITTER] = sizeof(struct vt_quitter_slot),
	[VT_KIND_MEMBER] = sizeof(struct vt_member_slot),
	[VT_KIND_CAUSE] = sizeof(struct vt_cause_slot),
	[VT_KIND_SHUTDOWN] = sizeof(struct vt_shutdown_slot),
	[VT_KIND_CHECK] = 8,
};

static bool array_good(const struct vt_view *view, const struct vt_array *array, size_t size)
{
	uint32_t n, next = 0;

	if (array->kind >= VT_KINDS || array->stride < strides[array->kind] ||
	    array->stride % 8 || array->offset % 8 || array->offset > size ||
	    array->count > (size - array->offset) / array->stride)
		return false;
	n = atomic_load_explicit(&view->n_spans[array->kind], memory_order_relaxed);
	if (n)
		next = view->spans[array->kind][n - 1].first +
		       view->spans[array->kind][n - 1].count;
	return array->first == next && array->count && array->first + array->count > next;
}

int vt_view_add(struct vt_view *view, struct vt_segment *segment, size_t size)
{
	uint32_t i;

	if (size < sizeof(*segment) || segment->magic != VT_MAGIC ||
	    segment->version != VT_LAYOUT_VERSION || segment->size > size ||
	    segment->n_arrays > VT_KINDS)
		return -EINVAL;
	for (i = 0; i < segment->n_arrays; i++)
		if (!array_good(view, &segment->arrays[i], size))
			return -EINVAL;
	for (i = 0; i < segment->n_arrays; i++) {
		const struct vt_array *array = &segment->arrays[i];
		uint32_t n = atomic_load_explicit(&view->n_spans[array->kind],
						  memory_order_relaxed);

		if (n == VT_SPANS)
			return -ENOSPC;
		if (array->kind == VT_KIND_ROOT)
			view->head = segment;
		view->spans[array->kind][n] =
			(struct vt_span){ .base = (unsigned char *)segment + array->offset,
					  .first = array->first,
					  .count = array->count,
					  .stride = array->stride };
		/* Release publishes the span to the acquire in vt_view_slot(). */
		atomic_store_explicit(&view->n_spans[array->kind], n + 1, memory_order_release);
	}
	return 0;
}

void *vt_view_slot(const struct vt_view *view, enum vt_kind kind, uint32_t index)
{
	uint32_t n = atomic_load_explicit(&view->n_spans[kind], memory_order_acquire);

	/* The newest span holds half of all slots. */
	while (n--) {
		const struct vt_span *span = &view->spans[kind][n];

		if (index >= span->first)
			return index - span->first < span->count ?
				       span->base + (size_t)(index - span->first) * span->stride :
				       NULL;
	}
	return NULL;
}

struct vt_root *vt_view_root(const struct vt_view *view)
{
	return vt_view_slot(view, VT_KIND_ROOT, 0);
}

const struct vt_segment *vt_view_head(const struct vt_view *view)
{
	return view->head;
}

uint32_t vt_view_used(const struct vt_view *view, enum vt_kind kind)
{
	const struct vt_root *root = vt_view_root(view);
	uint32_t n = atomic_load_explicit(&view->n_spans[kind], memory_order_acquire);
	uint32_t used, there;

	if (!root || !n)
		return 0;
	there = view->spans[kind][n - 1].first + view->spans[kind][n - 1].count;
	/* Acquire: the slots below it were laid out before it was raised. */
	used = atomic_load_explicit(&root->used[kind], memory_order_acquire);
	return used < there ? used : there;
}
