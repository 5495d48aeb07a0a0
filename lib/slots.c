/* SPDX-License-Identifier: MIT */

#include "slots.h"

#include <assert.h>
#include <errno.h>

#define FIRST_SLOTS 64u
#define FIRST_FEW 16u

/* What a pool's slots are made of. */
static const struct {
	enum vt_kind kind;
	enum vt_kind twin; /* VT_KINDS: none */
	uint32_t stride;
	uint32_t twin_stride;
	uint32_t record;
	uint32_t first;
} pools[VT_POOLS] = {
	[VT_POOL_HEARTBEAT] = { VT_KIND_HOT, VT_KIND_COLD, sizeof(struct vt_hot),
				sizeof(struct vt_cold), VT_RECORD_HEARTBEAT,
				FIRST_SLOTS },
	[VT_POOL_COARSE] = { VT_KIND_COARSE, VT_KINDS, sizeof(struct vt_coarse), 0, 0,
			     FIRST_FEW },
	[VT_POOL_FINE] = { VT_KIND_FINE, VT_KINDS, sizeof(struct vt_fine), 0, 0,
			   FIRST_SLOTS },
	[VT_POOL_QUITTER] = { VT_KIND_QUITTER, VT_KINDS, sizeof(struct vt_quitter_slot),
			      0, VT_RECORD_QUITTER, FIRST_SLOTS },
	[VT_POOL_MEMBER] = { VT_KIND_MEMBER, VT_KINDS, sizeof(struct vt_member_slot), 0,
			     VT_RECORD_MEMBER, FIRST_SLOTS },
	[VT_POOL_CAUSE] = { VT_KIND_CAUSE, VT_KINDS, sizeof(struct vt_cause_slot), 0, 0,
			    FIRST_FEW },
	[VT_POOL_SHUTDOWN] = { VT_KIND_SHUTDOWN, VT_KINDS,
			       sizeof(struct vt_shutdown_slot), 0, 0, FIRST_FEW },
	[VT_POOL_SCOPES] = { VT_KIND_SCOPES, VT_KINDS, sizeof(struct vt_scopes), 0, 0,
			     FIRST_FEW },
};

static size_t record_stride(enum vt_pool pool)
{
	return pools[pool].record + sizeof(struct vt_link);
}

static uint32_t first_count(const vitals_registry *registry, enum vt_pool pool)
{
	bool reserved = pool == VT_POOL_HEARTBEAT || pool == VT_POOL_FINE ||
			pool == VT_POOL_MEMBER;

	return reserved && registry->reserve > pools[pool].first ? registry->reserve
								 : pools[pool].first;
}

/* The private records of one more span. */
static int span_records(vitals_registry *registry, enum vt_pool pool, uint32_t span,
			uint32_t count)
{
	void *records = vt_pages_new(record_stride(pool) * count);

	if (!records)
		return -ENOMEM;
	registry->pools[pool].records[span] = records;
	registry->pools[pool].counts[span] = count;
	return 0;
}

int vt_pools_begin(vitals_registry *registry)
{
	unsigned pool;
	int r;

	for (pool = 0; pool < VT_POOLS; pool++) {
		r = span_records(registry, pool, 0, first_count(registry, pool));
		if (r < 0) {
			vt_pools_free(registry);
			return r;
		}
		registry->pools[pool].capacity = first_count(registry, pool);
	}
	return 0;
}

unsigned vt_pools_specs(const vitals_registry *registry, struct vt_array_spec *specs)
{
	unsigned pool, n = 0;

	for (pool = 0; pool < VT_POOLS; pool++) {
		uint32_t count = first_count(registry, pool);

		specs[n++] = (struct vt_array_spec){ pools[pool].kind, pools[pool].stride,
						     0, count };
		if (pools[pool].twin != VT_KINDS)
			specs[n++] = (struct vt_array_spec){ pools[pool].twin,
							     pools[pool].twin_stride, 0,
							     count };
	}
	return n;
}

void vt_pools_free(vitals_registry *registry)
{
	unsigned pool, span;

	for (pool = 0; pool < VT_POOLS; pool++)
		for (span = 0; span < VT_SPANS; span++) {
			struct vt_pool_state *state = &registry->pools[pool];

			vt_pages_free(state->records[span],
				      record_stride(pool) * state->counts[span]);
			state->records[span] = NULL;
		}
}

void *vt_slot(const vitals_registry *registry, enum vt_kind kind, uint32_t index)
{
	return vt_view_slot(&registry->view, kind, index);
}

static unsigned char *record_at(const vitals_registry *registry, enum vt_pool pool,
				uint32_t index)
{
	const struct vt_view *view = &registry->view;
	enum vt_kind kind = pools[pool].kind;
	uint32_t n = atomic_load_explicit(&view->n_spans[kind], memory_order_acquire);

	while (n-- && index < view->spans[kind][n].first)
		continue;
	return registry->pools[pool].records[n] +
	       (size_t)(index - view->spans[kind][n].first) * record_stride(pool);
}

void *vt_record(const vitals_registry *registry, enum vt_pool pool, uint32_t index)
{
	return record_at(registry, pool, index);
}

struct vt_link *vt_link(const vitals_registry *registry, enum vt_pool pool,
			uint32_t index)
{
	return (struct vt_link *)(void *)(record_at(registry, pool, index) +
					  pools[pool].record);
}

/* As many slots again, in a segment of their own. */
static int pool_grow(vitals_registry *registry, enum vt_pool pool)
	VT_REQUIRES(registry->lock)
{
	uint32_t first = registry->pools[pool].capacity, count = first;
	struct vt_array_spec specs[2] = {
		{ pools[pool].kind, pools[pool].stride, first, count },
		{ pools[pool].twin, pools[pool].twin_stride, first, count },
	};
	/* Relaxed: changed under the lock only. */
	uint32_t span = atomic_load_explicit(&registry->view.n_spans[pools[pool].kind],
					     memory_order_relaxed);
	struct vt_mapping *mapping = &registry->segments[registry->n_segments];
	int r;

	if (span == VT_SPANS || registry->n_segments == VT_SEGMENTS)
		return -ENOMEM;
	r = vt_segment_new(mapping, registry->id, registry->n_segments, specs,
			   pools[pool].twin == VT_KINDS ? 1 : 2);
	if (r < 0)
		return r;
	r = span_records(registry, pool, span, count);
	if (r < 0) {
		vt_segment_free(mapping);
		return r;
	}
	r = vt_view_add(&registry->view, mapping->segment, mapping->size);
	assert(r == 0);
	registry->n_segments++;
	registry->pools[pool].capacity = first + count;
	return 0;
}

/* May the oldest free slot be taken again? Not while the turn it was given back under goes on. */
static bool pool_head_rested(vitals_registry *registry, enum vt_pool pool)
	VT_REQUIRES(registry->lock)
{
	uint32_t head = registry->pools[pool].free_first;
	uint32_t stamp;

	if (!head)
		return false;
	stamp = vt_link(registry, pool, head - 1)->stamp;
	/* Acquire: what that turn still did to the slot came before. */
	return !(stamp & 1u) ||
	       atomic_load_explicit(&registry->turns, memory_order_acquire) != stamp;
}

int vt_slot_new(vitals_registry *registry, enum vt_pool pool, uint32_t *ret_index)
{
	struct vt_pool_state *state = &registry->pools[pool];
	enum vt_kind kind = pools[pool].kind;
	uint32_t index;
	int r;

	if (pool_head_rested(registry, pool)) {
		index = state->free_first - 1;
		state->free_first = vt_link(registry, pool, index)->next;
		if (!state->free_first)
			state->free_last = 0;
	} else {
		/* Relaxed: changed under the lock only. */
		index = atomic_load_explicit(&registry->root->used[kind],
					     memory_order_relaxed);
		if (index == state->capacity) {
			r = pool_grow(registry, pool);
			if (r < 0)
				return r;
		}
		/* Release pairs with the acquire in vt_view_used(). */
		if (pools[pool].twin != VT_KINDS)
			atomic_store_explicit(&registry->root->used[pools[pool].twin],
					      index + 1, memory_order_release);
		atomic_store_explicit(&registry->root->used[kind], index + 1,
				      memory_order_release);
	}
	state->living++;
	*vt_link(registry, pool, index) = (struct vt_link){ 0, 0 };
	*ret_index = index;
	return 0;
}

void vt_slot_free(vitals_registry *registry, enum vt_pool pool, uint32_t index)
{
	struct vt_pool_state *state = &registry->pools[pool];
	struct vt_link *link = vt_link(registry, pool, index);

	/*
	 * Sequentially consistent, like vt_slot_close() before it and the monitor's store that
	 * begins a turn: either this sees the turn, or the turn sees the slot closed.
	 */
	link->stamp = atomic_load_explicit(&registry->turns, memory_order_seq_cst);
	link->next = 0;
	if (state->free_last)
		vt_link(registry, pool, state->free_last - 1)->next = index + 1;
	else
		state->free_first = index + 1;
	state->free_last = index + 1;
	state->living--;
}
