/* SPDX-License-Identifier: MIT */

#include "slots.h"

#include "spares.h"

#include <assert.h>
#include <errno.h>

#define FIRST_SLOTS 64u
#define FIRST_FEW 16u

_Static_assert(sizeof(struct vt_span_head) <= VT_SPAN_HEAD, "a span's head fits");

/* What a pool's slots are made of. */
static const struct {
	struct {
		enum vt_kind
			kind; /* the first says how many there are; VT_KIND_ROOT: no more */
		uint32_t stride;
	} twins[VT_TWINS];
	uint32_t record;
	uint32_t seldom;
	uint32_t first;
} pools[VT_POOLS] = {
	[VT_POOL_HEARTBEAT] = { { { VT_KIND_HOT, sizeof(struct vt_hot) },
				  { VT_KIND_COLD, sizeof(struct vt_cold) },
				  { VT_KIND_RARE, sizeof(struct vt_rare) },
				  { VT_KIND_EVIDENCE, sizeof(struct vt_evidence_slot) } },
				VT_RECORD_HEARTBEAT,
				VT_SELDOM_HEARTBEAT,
				FIRST_SLOTS },
	[VT_POOL_COARSE] = { { { VT_KIND_COARSE, sizeof(struct vt_coarse) } },
			     0,
			     0,
			     FIRST_FEW },
	[VT_POOL_FINE] = { { { VT_KIND_FINE, sizeof(struct vt_fine) } },
			   0,
			   0,
			   FIRST_SLOTS },
	[VT_POOL_QUITTER] = { { { VT_KIND_QUITTER, sizeof(struct vt_quitter_slot) } },
			      VT_RECORD_QUITTER,
			      VT_SELDOM_QUITTER,
			      FIRST_SLOTS },
	[VT_POOL_MEMBER] = { { { VT_KIND_MEMBER, sizeof(struct vt_member_slot) },
			       { VT_KIND_LATE, sizeof(struct vt_evidence_slot) } },
			     VT_RECORD_MEMBER,
			     VT_SELDOM_MEMBER,
			     FIRST_SLOTS },
	[VT_POOL_CAUSE] = { { { VT_KIND_CAUSE, sizeof(struct vt_cause_slot) } },
			    0,
			    0,
			    FIRST_FEW },
	[VT_POOL_SHUTDOWN] = { { { VT_KIND_SHUTDOWN, sizeof(struct vt_shutdown_slot) } },
			       0,
			       0,
			       FIRST_FEW },
	[VT_POOL_SCOPES] = { { { VT_KIND_SCOPES, sizeof(struct vt_scopes) } },
			     0,
			     0,
			     FIRST_FEW },
};

static enum vt_kind kind_of(enum vt_pool pool)
{
	return pools[pool].twins[0].kind;
}

static size_t record_stride(enum vt_pool pool)
{
	return VT_RECORD_STRIDE(pools[pool].record);
}

static uint32_t first_count(const vitals_registry *registry, enum vt_pool pool)
{
	bool reserved = pool == VT_POOL_HEARTBEAT || pool == VT_POOL_FINE ||
			pool == VT_POOL_MEMBER;

	return reserved && registry->reserve > pools[pool].first ? registry->reserve
								 : pools[pool].first;
}

static size_t line_up(size_t size)
{
	return (size + VT_SPAN_HEAD - 1) / VT_SPAN_HEAD * VT_SPAN_HEAD;
}

/* Where what lies behind a span's records begins: its bits, its links; or its end. */
static size_t bits_at(enum vt_pool pool, uint32_t count)
{
	return line_up(VT_SPAN_HEAD + (record_stride(pool) + pools[pool].seldom) * count);
}

static size_t links_at(enum vt_pool pool, uint32_t count)
{
	size_t words = (count + 63) / 64;

	return line_up(bits_at(pool, count) +
		       (words + (words + 63) / 64) * sizeof(uint64_t));
}

static size_t span_size(enum vt_pool pool, uint32_t count)
{
	/* Only heartbeats are watched. */
	if (pool != VT_POOL_HEARTBEAT)
		return bits_at(pool, count);
	return links_at(pool, count) + count * sizeof(struct vt_wheel_link);
}

/* The private records of one more span. */
static int span_records(vitals_registry *registry, enum vt_pool pool, uint32_t span,
			uint32_t first, uint32_t count)
{
	struct vt_span_head *head = vt_pages_new(span_size(pool, count));

	if (!head)
		return -ENOMEM;
	head->registry = registry;
	/* Relaxed: it changes only in a child that has one thread yet. */
	head->epoch = atomic_load_explicit(&registry->epoch, memory_order_relaxed);
	head->first = first;
	head->count = count;
	head->number = span;
	if (pool == VT_POOL_HEARTBEAT) {
		head->bits = (void *)((unsigned char *)head + bits_at(pool, count));
		head->links = (void *)((unsigned char *)head + links_at(pool, count));
	}
	registry->pools[pool].spans[span] = head;
	/* Release pairs with the acquire in vt_span_with(). */
	atomic_store_explicit(&registry->pools[pool].n_spans, span + 1,
			      memory_order_release);
	return 0;
}

int vt_pools_begin(vitals_registry *registry)
{
	unsigned pool;
	int r;

	for (pool = 0; pool < VT_POOLS; pool++) {
		r = span_records(registry, pool, 0, 0, first_count(registry, pool));
		if (r < 0) {
			vt_pools_free(registry);
			return r;
		}
		registry->pools[pool].capacity = first_count(registry, pool);
	}
	return 0;
}

unsigned vt_pool_specs(enum vt_pool pool, uint32_t first, uint32_t count,
		       struct vt_array_spec *specs)
{
	unsigned n;

	for (n = 0; n < VT_TWINS && pools[pool].twins[n].kind != VT_KIND_ROOT; n++)
		specs[n] = (struct vt_array_spec){ pools[pool].twins[n].kind,
						   pools[pool].twins[n].stride, first,
						   count };
	return n;
}

unsigned vt_pools_specs(const vitals_registry *registry, struct vt_array_spec *specs)
{
	unsigned pool, n = 0;

	for (pool = 0; pool < VT_POOLS; pool++)
		n += vt_pool_specs(pool, 0, first_count(registry, pool), specs + n);
	return n;
}

void vt_pools_free(vitals_registry *registry)
{
	unsigned pool, span;

	for (pool = 0; pool < VT_POOLS; pool++)
		for (span = 0; span < VT_SPANS; span++) {
			struct vt_pool_state *state = &registry->pools[pool];

			if (state->spans[span])
				vt_pages_free(state->spans[span],
					      span_size(pool, state->spans[span]->count));
			state->spans[span] = NULL;
			atomic_store_explicit(&state->n_spans, 0, memory_order_relaxed);
		}
}

void *vt_slot(const vitals_registry *registry, enum vt_kind kind, uint32_t index)
{
	return vt_view_slot(&registry->view, kind, index);
}

static unsigned char *span_at(struct vt_span_head *span, enum vt_pool pool,
			      uint32_t place)
{
	return (unsigned char *)span + VT_SPAN_HEAD + record_stride(pool) * place;
}

static unsigned char *record_at(const vitals_registry *registry, enum vt_pool pool,
				uint32_t index)
{
	struct vt_span_head *span = vt_span_with(registry, pool, index);

	return span_at(span, pool, index - span->first);
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

/*
 * Memory for a segment: the monitor's, or of the caller's own making. That is private where nobody
 * looks on from outside, or the caller may be killed for anything but mmap().
 */
static int segment_get(vitals_registry *registry, enum vt_pool pool, uint32_t first,
		       size_t size, struct vt_mapping *mapping)
	VT_REQUIRES(registry->lock)
{
	/* Acquire pairs with the stores by watch.c; relaxed: written as it was laid out. */
	uint32_t run = atomic_load_explicit(&registry->run, memory_order_acquire);
	bool off = atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
		   VT_ROOT_OFF;

	if (vt_spare_take(registry, pool, first, mapping))
		return 0;
	return vt_segment_map(mapping, size,
			      !off && (run == VT_RUN_NEVER || run == VT_RUN_STEPPED));
}

/* As many slots again, in a segment of their own. */
static int pool_grow(vitals_registry *registry, enum vt_pool pool)
	VT_REQUIRES(registry->lock)
{
	uint32_t first = registry->pools[pool].capacity, count = first;
	struct vt_array_spec specs[VT_TWINS];
	/* Relaxed: changed under the lock only. */
	uint32_t span = atomic_load_explicit(&registry->view.n_spans[kind_of(pool)],
					     memory_order_relaxed);
	struct vt_mapping *mapping = &registry->segments[registry->n_segments];
	unsigned n = vt_pool_specs(pool, first, count, specs);
	int r;

	if (span == VT_SPANS || registry->n_segments == VT_SEGMENTS)
		return -ENOMEM;
	r = segment_get(registry, pool, first, vt_segment_size(specs, n), mapping);
	if (r < 0)
		return r;
	r = span_records(registry, pool, span, first, count);
	if (r < 0) {
		vt_segment_free(mapping);
		return r;
	}
	vt_segment_begin(mapping, registry->id, registry->n_segments,
			 registry->segments[0].segment->pid, specs, n);
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

/* Release, the first kind last: pairs with the acquire in vt_view_used(). */
static void used_raise(vitals_registry *registry, enum vt_pool pool, uint32_t used)
	VT_REQUIRES(registry->lock)
{
	unsigned n = VT_TWINS;

	while (n--)
		if (pools[pool].twins[n].kind != VT_KIND_ROOT)
			atomic_store_explicit(
				&registry->root->used[pools[pool].twins[n].kind], used,
				memory_order_release);
}

int vt_slot_new(vitals_registry *registry, enum vt_pool pool, uint32_t *ret_index)
{
	struct vt_pool_state *state = &registry->pools[pool];
	uint32_t index;
	int r;

	if (pool_head_rested(registry, pool)) {
		index = state->free_first - 1;
		state->free_first = vt_link(registry, pool, index)->next;
		if (!state->free_first)
			state->free_last = 0;
	} else {
		/* Relaxed: changed under the lock only. */
		index = atomic_load_explicit(&registry->root->used[kind_of(pool)],
					     memory_order_relaxed);
		if (index == state->capacity) {
			r = pool_grow(registry, pool);
			if (r < 0)
				return r;
		}
		used_raise(registry, pool, index + 1);
		if (index == state->capacity / 4 * 3)
			vt_spare_ask(registry, pool, state->capacity);
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
