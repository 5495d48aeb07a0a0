/* SPDX-License-Identifier: MIT */

#include "spares.h"

#include "clock.h"
#include "sandbox.h"
#include "task.h"

#include <limits.h>
#include <string.h>

#define SPARE_WAIT_NS 100000000u

/* What a spare's state says, in its two lowest bits; above them a count, so that each is another. */
enum {
	SPARE_NONE = 0,
	SPARE_MADE = 1,
	SPARE_FAILED = 2,
	SPARE_MASK = 3
};

static void state_set(struct vt_spare *spare, uint32_t state)
{
	/* Relaxed: only the monitor makes one, and only who took it, under the lock, takes it away. */
	uint32_t old = atomic_load_explicit(&spare->state, memory_order_relaxed);

	/* Release: whoever sees it made sees all of it; pairs with the acquire in spare_answer(). */
	atomic_store_explicit(&spare->state, (old & ~(uint32_t)SPARE_MASK) + 4 + state,
			      memory_order_release);
	vt_futex_wake(&spare->state, INT_MAX);
}

/* Is there an answer to what was asked? @ret_state: the word to wait on if not. */
static bool spare_answer(struct vt_spare *spare, uint32_t first, uint32_t *ret_state)
{
	/* Acquire: see state_set(). */
	*ret_state = atomic_load_explicit(&spare->state, memory_order_acquire);
	return *ret_state & SPARE_MASK && spare->first == first;
}

static bool made_by_another(const vitals_registry *registry)
{
	/* Acquire pairs with the stores by watch.c; relaxed: only its own number matters to it. */
	return atomic_load_explicit(&registry->run, memory_order_acquire) ==
		       VT_RUN_RUNNING &&
	       atomic_load_explicit(&registry->spares_maker, memory_order_relaxed) !=
		       vt_task_self();
}

void vt_spare_ask(vitals_registry *registry, enum vt_pool pool, uint32_t first)
{
	if (!made_by_another(registry))
		return;
	atomic_store_explicit(&registry->spares[pool].wanted, first,
			      memory_order_relaxed);
	/* Release: with the bit comes what is wanted; pairs with the exchange in vt_spares_make(). */
	atomic_fetch_or_explicit(&registry->spares_wanted, 1u << pool,
				 memory_order_release);
}

bool vt_spare_take(vitals_registry *registry, enum vt_pool pool, uint32_t first,
		   struct vt_mapping *ret)
{
	struct vt_spare *spare = &registry->spares[pool];
	uint64_t until_ns;
	uint32_t state;
	bool made;

	if (!spare_answer(spare, first, &state)) {
		if (!made_by_another(registry))
			return false;
		vt_spare_ask(registry, pool, first);
		vt_registry_wake(registry);
		until_ns = vt_clock_now() + SPARE_WAIT_NS;
		while (!spare_answer(spare, first, &state)) {
			if (vt_clock_now() >= until_ns)
				return false;
			(void)vt_futex_wait(&spare->state, state, until_ns);
		}
	}
	made = (state & SPARE_MASK) == SPARE_MADE;
	if (made)
		*ret = spare->mapping;
	state_set(spare, SPARE_NONE);
	return made;
}

static void spare_make(vitals_registry *registry, enum vt_pool pool, bool open)
{
	struct vt_spare *spare = &registry->spares[pool];
	struct vt_array_spec specs[VT_TWINS];
	uint32_t first = atomic_load_explicit(&spare->wanted, memory_order_relaxed);
	uint32_t state, n = vt_pool_specs(pool, first, first, specs);
	bool made;

	if (spare_answer(spare, first, &state) && (state & SPARE_MASK) == SPARE_MADE)
		return;
	/* One that came too late: no pool grows there any more, and nobody takes it. */
	if ((state & SPARE_MASK) == SPARE_MADE) {
		state_set(spare, SPARE_NONE);
		if (open)
			vt_segment_free(&spare->mapping);
	}
	made = vt_segment_map(&spare->mapping, vt_segment_size(specs, n), open) == 0;
	spare->first = first;
	state_set(spare, made ? SPARE_MADE : SPARE_FAILED);
}

void vt_spares_make(vitals_registry *registry)
{
	uint32_t wanted, pool;
	bool open;

	/* Relaxed: a hint, seen at the next turn at the latest. */
	if (!atomic_load_explicit(&registry->spares_wanted, memory_order_relaxed))
		return;
	/* A fork is under way: the turn after. */
	if (!vt_trylock(&registry->spares_lock))
		return;
	/* Acquire: see vt_spare_ask(). */
	wanted = atomic_exchange_explicit(&registry->spares_wanted, 0,
					  memory_order_acquire);
	open = vt_sandbox_open(registry);
	for (pool = 0; pool < VT_POOLS; pool++)
		if (wanted & 1u << pool)
			spare_make(registry, (enum vt_pool)pool, open);
	vt_unlock(&registry->spares_lock);
}

void vt_spares_free(vitals_registry *registry)
{
	unsigned pool;

	for (pool = 0; pool < VT_POOLS; pool++) {
		struct vt_spare *spare = &registry->spares[pool];

		/* Relaxed, all: nobody makes any. */
		if ((atomic_load_explicit(&spare->state, memory_order_relaxed) &
		     SPARE_MASK) == SPARE_MADE)
			vt_segment_free(&spare->mapping);
		memset(spare, 0, sizeof(*spare));
	}
	atomic_store_explicit(&registry->spares_wanted, 0, memory_order_relaxed);
	atomic_store_explicit(&registry->spares_maker, 0, memory_order_relaxed);
}
