/* SPDX-License-Identifier: MIT */

#include "view.h"

#include <errno.h>
#include <string.h>

/* The least a slot of each kind must hold for this layout, and how it must lie. */
#define SHAPE(type)                                                                      \
	{                                                                                \
		sizeof(type), _Alignof(type)                                             \
	}
static const struct {
	uint32_t size;
	uint32_t align;
} shapes[VT_KINDS] = {
	[VT_KIND_ROOT] = SHAPE(struct vt_root),
	[VT_KIND_GROUP] = SHAPE(struct vt_group_slot),
	[VT_KIND_PART] = SHAPE(struct vt_part_slot),
	[VT_KIND_HOT] = SHAPE(struct vt_hot),
	[VT_KIND_COLD] = SHAPE(struct vt_cold),
	[VT_KIND_COARSE] = SHAPE(struct vt_coarse),
	[VT_KIND_FINE] = SHAPE(struct vt_fine),
	[VT_KIND_QUITTER] = SHAPE(struct vt_quitter_slot),
	[VT_KIND_MEMBER] = SHAPE(struct vt_member_slot),
	[VT_KIND_CAUSE] = SHAPE(struct vt_cause_slot),
	[VT_KIND_SHUTDOWN] = SHAPE(struct vt_shutdown_slot),
	[VT_KIND_CHECK] = SHAPE(uint64_t),
	[VT_KIND_RARE] = SHAPE(struct vt_rare),
	[VT_KIND_SCOPES] = SHAPE(struct vt_scopes),
	[VT_KIND_SCOPE_NAME] = SHAPE(struct vt_scope_name),
	[VT_KIND_EVIDENCE] = SHAPE(struct vt_evidence_slot),
	[VT_KIND_LATE] = SHAPE(struct vt_evidence_slot),
	[VT_KIND_FINDING] = SHAPE(struct vt_finding_slot),
};

/* Do the slots lie where the segment says, within it and one behind the other? */
static bool array_good(const struct vt_view *view, const struct vt_array *array,
		       size_t size)
{
	uint32_t n, next = 0;

	if (array->kind >= VT_KINDS || array->stride < shapes[array->kind].size ||
	    array->stride % shapes[array->kind].align ||
	    array->offset % shapes[array->kind].align || array->offset > size ||
	    array->count > (size - array->offset) / array->stride)
		return false;
	n = atomic_load_explicit(&view->n_spans[array->kind], memory_order_relaxed);
	if (n)
		next = view->spans[array->kind][n - 1].first +
		       view->spans[array->kind][n - 1].count;
	if (array->kind == VT_KIND_ROOT && array->count != 1)
		return false;
	return array->first == next && array->count && array->first + array->count > next;
}

/* Return: 0; -EINVAL; -ENOSPC. */
static int head_check(const struct vt_view *view, const struct vt_segment *head,
		      size_t size)
{
	uint32_t i, kinds = 0;

	if (head->magic != VT_MAGIC || head->version != VT_LAYOUT_VERSION ||
	    head->size > size || head->n_arrays > VT_KINDS)
		return -EINVAL;
	for (i = 0; i < head->n_arrays; i++) {
		const struct vt_array *array = &head->arrays[i];

		if (!array_good(view, array, head->size) || kinds & 1u << array->kind)
			return -EINVAL;
		/* A kind is in a segment once, and there is one root. */
		kinds |= 1u << array->kind;
		if (array->kind == VT_KIND_ROOT && view->head)
			return -EINVAL;
		if (atomic_load_explicit(&view->n_spans[array->kind],
					 memory_order_relaxed) == VT_SPANS)
			return -ENOSPC;
	}
	return 0;
}

int vt_view_add(struct vt_view *view, struct vt_segment *segment, size_t size)
{
	struct vt_segment head;
	uint32_t i;
	int r;

	if (size < sizeof(head))
		return -EINVAL;
	/* One look: what is checked is what is used, whatever a hostile process writes meanwhile. */
	memcpy(&head, segment, sizeof(head));
	r = head_check(view, &head, size);
	if (r < 0)
		return r;
	for (i = 0; i < head.n_arrays; i++) {
		const struct vt_array *array = &head.arrays[i];
		uint32_t n = atomic_load_explicit(&view->n_spans[array->kind],
						  memory_order_relaxed);

		if (array->kind == VT_KIND_ROOT)
			view->head = segment;
		view->spans[array->kind][n] =
			(struct vt_span){ .base = (unsigned char *)segment +
						  array->offset,
					  .first = array->first,
					  .count = array->count,
					  .stride = array->stride };
		/* Release publishes the span to the acquire in vt_view_slot(). */
		atomic_store_explicit(&view->n_spans[array->kind], n + 1,
				      memory_order_release);
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
			return index - span->first < span->count
				       ? span->base + (size_t)(index - span->first) *
							      span->stride
				       : NULL;
	}
	return NULL;
}

void vt_owner_load(const struct vt_view *view, const struct vt_cold *cold,
		   uint32_t *ret_tid, uint64_t *ret_thread_id)
{
	uint32_t owner = atomic_load_explicit(&cold->owner, memory_order_acquire);
	const struct vt_member_slot *member = NULL;

	*ret_tid = owner & VT_OWNER_TID ? owner & ~VT_OWNER_TID : 0;
	*ret_thread_id = 0;
	if (owner && !(owner & VT_OWNER_TID))
		member = vt_view_slot(view, VT_KIND_MEMBER, owner - 1);
	if (member && atomic_load_explicit(&member->gen, memory_order_acquire) & 1u) {
		*ret_tid = atomic_load_explicit(&member->tid, memory_order_acquire);
		*ret_thread_id = atomic_load_explicit(&member->id, memory_order_acquire);
	}
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
