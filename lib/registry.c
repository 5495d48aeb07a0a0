/* SPDX-License-Identifier: MIT */

#include "registry.h"

#include "clock.h"
#include "wakefd.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SLOTS 64u
#define FIRST_FEW 16u
#define RESERVE_MAX (1u << 24)
/* How long fork waits for a lock of ours before it goes on without. */
#define FORK_WAIT_NS 1000000000u

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
				sizeof(struct vt_cold), VT_RECORD_HEARTBEAT, FIRST_SLOTS },
	[VT_POOL_COARSE] = { VT_KIND_COARSE, VT_KINDS, sizeof(struct vt_coarse), 0, 0,
			     FIRST_FEW },
	[VT_POOL_FINE] = { VT_KIND_FINE, VT_KINDS, sizeof(struct vt_fine), 0, 0, FIRST_SLOTS },
	[VT_POOL_QUITTER] = { VT_KIND_QUITTER, VT_KINDS, sizeof(struct vt_quitter_slot), 0,
			      VT_RECORD_QUITTER, FIRST_SLOTS },
	[VT_POOL_MEMBER] = { VT_KIND_MEMBER, VT_KINDS, sizeof(struct vt_member_slot), 0,
			     VT_RECORD_MEMBER, FIRST_SLOTS },
	[VT_POOL_CAUSE] = { VT_KIND_CAUSE, VT_KINDS, sizeof(struct vt_cause_slot), 0, 0,
			    FIRST_FEW },
	[VT_POOL_SHUTDOWN] = { VT_KIND_SHUTDOWN, VT_KINDS, sizeof(struct vt_shutdown_slot), 0, 0,
			       FIRST_FEW },
};

static vitals_registry default_registry = { .wake_fd = -1 };

static struct vt_lock list_lock;
static vitals_registry *list = &default_registry; /* guarded by list_lock */
static _Atomic uint64_t registry_ids;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error; /* of pthread_atfork, 0: the handlers are in place */
static bool fork_listed; /* prepare holds the list lock */

static size_t record_stride(enum vt_pool pool)
{
	return pools[pool].record + sizeof(struct vt_link);
}

/* Slots and records of one more span, in the segment that is there already. */
static int span_records(vitals_registry *registry, enum vt_pool pool, uint32_t span,
			uint32_t count)
{
	void *records = vt_pages_new(record_stride(pool) * count);

	if (!records)
		return -ENOMEM;
	registry->pools[pool].records[span] = records;
	return 0;
}

static uint32_t first_count(const vitals_registry *registry, enum vt_pool pool)
{
	bool reserved = pool == VT_POOL_HEARTBEAT || pool == VT_POOL_FINE ||
			pool == VT_POOL_MEMBER;

	return reserved && registry->reserve > pools[pool].first ? registry->reserve :
								    pools[pool].first;
}

/* "2", "0.5", in thousandths; 1000 for anything else. */
static uint32_t scale_parse(const char *text)
{
	uint64_t scale = 0, unit = 1000;
	bool fraction = false;

	for (; text && *text; text++) {
		if (*text == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (*text < '0' || *text > '9' || scale > 1000000)
			return 1000;
		if (fraction)
			unit /= 10;
		scale = fraction ? scale + (uint64_t)(*text - '0') * unit :
				   scale * 10 + (uint64_t)(*text - '0') * 1000;
	}
	return scale && scale <= 1000000 ? (uint32_t)scale : 1000;
}

static void registry_environment(vitals_registry *registry)
{
	const char *off = secure_getenv("VITALS");

	atomic_store_explicit(&registry->root->timeout_scale,
			      scale_parse(secure_getenv("VITALS_TIMEOUT_SCALE")),
			      memory_order_relaxed);
	if (off && strcmp(off, "off") == 0)
		atomic_store_explicit(&registry->root->flags, VT_ROOT_OFF,
				      memory_order_relaxed);
}

/* The first segment holds the root and a few of everything, so that most services have just one. */
static int registry_lay_out(vitals_registry *registry) VT_REQUIRES(registry->lock)
{
	struct vt_array_spec specs[VT_KINDS] = {
		{ VT_KIND_ROOT, sizeof(struct vt_root), 0, 1 },
		{ VT_KIND_GROUP, sizeof(struct vt_group_slot), 0, VT_GROUPS },
		{ VT_KIND_PART, sizeof(struct vt_part_slot), 0, VT_PARTS },
	};
	struct vt_mapping *mapping = &registry->segments[0];
	unsigned pool, n = 3;
	int r;

	for (pool = 0; pool < VT_POOLS; pool++) {
		uint32_t count = first_count(registry, pool);

		specs[n++] = (struct vt_array_spec){ pools[pool].kind, pools[pool].stride, 0,
						     count };
		if (pools[pool].twin != VT_KINDS)
			specs[n++] = (struct vt_array_spec){ pools[pool].twin,
							     pools[pool].twin_stride, 0,
							     count };
		r = span_records(registry, pool, 0, count);
		if (r < 0)
			goto fail;
	}
	r = vt_segment_new(mapping, registry->id, 0, specs, n);
	if (r < 0)
		goto fail;
	r = vt_view_add(&registry->view, mapping->segment, mapping->size);
	assert(r == 0);
	registry->n_segments = 1;
	for (pool = 0; pool < VT_POOLS; pool++)
		registry->pools[pool].capacity = first_count(registry, pool);
	registry->root = vt_view_root(&registry->view);
	atomic_store_explicit(&registry->root->tick.beat, VT_BEAT_TICK, memory_order_relaxed);
	registry_environment(registry);
	/* Release publishes all of the above to the acquire in registry_ready(). */
	atomic_store_explicit(&registry->ready, 1, memory_order_release);
	return 0;

fail:
	for (pool = 0; pool < VT_POOLS; pool++) {
		vt_pages_free(registry->pools[pool].records[0],
			      record_stride(pool) * first_count(registry, pool));
		registry->pools[pool].records[0] = NULL;
	}
	return r;
}

static bool registry_ready(const vitals_registry *registry)
{
	/* Acquire pairs with the release in registry_lay_out(). */
	return atomic_load_explicit(&registry->ready, memory_order_acquire);
}

static enum vt_run registry_run(const vitals_registry *registry)
{
	/* Acquire pairs with the stores by monitor.c and the fork handlers. */
	return (enum vt_run)atomic_load_explicit(&registry->run, memory_order_acquire);
}

/* Before fork: registries that go over into the child must be whole. */
static void fork_prepare(void) VT_UNCHECKED
{
	uint64_t until = vt_clock_after(vt_clock_now(), FORK_WAIT_NS);
	vitals_registry *registry;

	fork_listed = vt_lock_until(&list_lock, until);
	for (registry = list; registry; registry = registry->next)
		registry->fork_locked = vt_lock_until(&registry->lock, until);
}

static void fork_parent(void) VT_UNCHECKED
{
	vitals_registry *registry;

	for (registry = list; registry; registry = registry->next)
		if (registry->fork_locked)
			vt_unlock(&registry->lock);
	if (fork_listed)
		vt_unlock(&list_lock);
}

static void fork_forget(vitals_registry *registry)
{
	uint32_t i;

	for (i = 0; i < registry->n_segments; i++)
		vt_segment_forget(&registry->segments[i]);
	/* Relaxed, here and below: the child has this one thread. */
	atomic_fetch_add_explicit(&registry->epoch, 1, memory_order_relaxed);
	atomic_store_explicit(&registry->run, VT_RUN_FORKED, memory_order_relaxed);
}

static void fork_child(void)
{
	vitals_registry *registry;

	vt_lock_reset(&list_lock);
	for (registry = list; registry; registry = registry->next) {
		bool keep = registry_run(registry) == VT_RUN_NEVER && registry->fork_locked;
		uint32_t i;

		for (i = 0; keep && i < registry->n_segments; i++)
			keep = vt_segment_keep(&registry->segments[i]) == 0;
		if (!keep && registry_ready(registry))
			fork_forget(registry);
		vt_lock_reset(&registry->lock);
		vt_lock_reset(&registry->judge);
		vt_lock_reset(&registry->events_lock);
		atomic_store_explicit(&registry->wake_fd, -1, memory_order_relaxed);
	}
}

static void fork_watch(void)
{
	fork_error = pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static int registry_make_ready(vitals_registry *registry)
{
	int r = 0;

	(void)pthread_once(&fork_once, fork_watch);
	if (fork_error)
		return -ENOMEM;
	vt_lock(&registry->lock);
	if (!registry_ready(registry)) {
		/* Relaxed: numbers need only differ. */
		if (!registry->id)
			registry->id = 1 + atomic_fetch_add_explicit(&registry_ids, 1,
								     memory_order_relaxed);
		r = registry_lay_out(registry);
	}
	vt_unlock(&registry->lock);
	return r;
}

int vt_registry_get(vitals_registry *registry, vitals_registry **ret)
{
	int r;

	if (!registry)
		registry = &default_registry;
	if (!registry_ready(registry)) {
		r = registry_make_ready(registry);
		if (r < 0)
			return r;
	}
	if (registry_run(registry) == VT_RUN_FORKED)
		return -ECANCELED;
	*ret = registry;
	return 0;
}

vitals_registry *vt_registry_peek(vitals_registry *registry)
{
	if (!registry)
		registry = &default_registry;
	return registry_ready(registry) && registry_run(registry) != VT_RUN_FORKED ? registry :
										      NULL;
}

int vt_registry_renew(vitals_registry *registry)
{
	int r;

	if (!registry)
		registry = &default_registry;
	vt_lock(&registry->lock);
	/* What was inherited stays mapped: handles point there, and find zeros. */
	registry->n_segments = 0;
	registry->n_rooms = 0;
	registry->monitor = NULL;
	registry->main = NULL;
	registry->changes = NULL;
	registry->notifier = NULL;
	registry->tree = NULL;
	memset(&registry->view, 0, sizeof(registry->view));
	memset(registry->pools, 0, sizeof(registry->pools));
	memset(&registry->names, 0, sizeof(registry->names));
	r = registry_lay_out(registry);
	if (r == 0)
		/* Release: whoever finds it unforked finds it laid out. */
		atomic_store_explicit(&registry->run, VT_RUN_NEVER, memory_order_release);
	vt_unlock(&registry->lock);
	return r;
}

vitals_registry *vt_registry_ref(vitals_registry *registry)
{
	/* Relaxed: the caller's own reference already orders everything. */
	if (registry != &default_registry)
		atomic_fetch_add_explicit(&registry->refs, 1, memory_order_relaxed);
	return registry;
}

static void registry_destroy(vitals_registry *registry)
{
	vitals_registry **at;
	unsigned pool, i;

	vt_lock(&list_lock);
	for (at = &list; *at != registry; at = &(*at)->next)
		continue;
	*at = registry->next;
	vt_unlock(&list_lock);

	for (pool = 0; pool < VT_POOLS; pool++)
		for (i = 0; i < VT_SPANS; i++)
			if (registry->pools[pool].records[i])
				vt_pages_free(registry->pools[pool].records[i],
					      record_stride(pool) *
						      registry->view.spans[pools[pool].kind][i].count);
	for (i = 0; i < registry->n_segments; i++)
		vt_segment_free(&registry->segments[i]);
	for (i = 0; i < registry->n_rooms; i++)
		vt_pages_free(registry->rooms[i].at, registry->rooms[i].size);
	vt_pages_free(registry->names.buckets, registry->names.n_buckets * sizeof(uint32_t));
	vt_pages_free(registry, sizeof(*registry));
}

vitals_registry *vt_registry_unref(vitals_registry *registry)
{
	if (!registry || registry == &default_registry)
		return NULL;
	/*
	 * Release publishes this holder's writes; acquire, by the last, sees them all before the
	 * memory goes.
	 */
	if (atomic_fetch_sub_explicit(&registry->refs, 1, memory_order_acq_rel) == 1)
		registry_destroy(registry);
	return NULL;
}

int vitals_registry_new(uint32_t slots, vitals_registry **ret)
{
	vitals_registry *registry;
	int r;

	if (!ret)
		return -EINVAL;
	*ret = NULL;
	if (slots > RESERVE_MAX)
		return -EINVAL;
	registry = vt_pages_new(sizeof(*registry));
	if (!registry)
		return -ENOMEM;
	registry->reserve = slots;
	atomic_init(&registry->refs, 1);
	atomic_init(&registry->wake_fd, -1);
	r = registry_make_ready(registry);
	if (r < 0) {
		vt_pages_free(registry, sizeof(*registry));
		return r;
	}
	vt_lock(&list_lock);
	registry->next = list;
	list = registry;
	vt_unlock(&list_lock);
	*ret = registry;
	return 0;
}

uint64_t vt_registry_id(vitals_registry *registry)
{
	/* Relaxed: ids need only differ. */
	return 1 + atomic_fetch_add_explicit(&registry->ids, 1, memory_order_relaxed);
}

void vt_registry_wake(vitals_registry *registry)
{
	/* Release: the monitor sees what it is woken for; pairs with its acquire of wake. */
	atomic_fetch_add_explicit(&registry->wake, 1, memory_order_release);
	vt_futex_wake(&registry->wake, INT_MAX);
	vt_wakefd_set(atomic_load_explicit(&registry->wake_fd, memory_order_acquire));
}

void *vt_registry_room(vitals_registry *registry, size_t size)
{
	void *at;

	assert(registry->n_rooms < VT_ROOMS);
	at = vt_pages_new(size);
	if (at)
		registry->rooms[registry->n_rooms++] = (struct vt_room){ at, size };
	return at;
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

struct vt_link *vt_link(const vitals_registry *registry, enum vt_pool pool, uint32_t index)
{
	return (struct vt_link *)(void *)(record_at(registry, pool, index) +
					  pools[pool].record);
}

/* As many slots again, in a segment of their own. */
static int pool_grow(vitals_registry *registry, enum vt_pool pool) VT_REQUIRES(registry->lock)
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
		index = atomic_load_explicit(&registry->root->used[kind], memory_order_relaxed);
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
