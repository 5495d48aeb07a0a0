/* SPDX-License-Identifier: MIT */

#include "stragglers.h"

#include "clock.h"
#include "missing.h"
#include "quitter.h"
#include "vigil.h"

/* So many of those that are missing are looked at, each time; the first to be found. */
#define AT_ONCE 64u
#define AT_ONCE_NS VITALS_MS(10)
/* Looks between half the time and all of it, and how long before its end the last one is. */
#define LOOKS 8u
#define BEFORE_PART 64u
#define BEFORE_MIN_NS VITALS_MS(2)
/* Of that many members only the first and the last: going through them all takes its time. */
#define MANY 4096u
/* Up the tree, for all of a look together. */
#define CLIMBS 65536u

#define LOAD(slot, field) atomic_load_explicit(&(slot)->field, memory_order_acquire)

/* Is the quitter at @index + 1 @root, or below it? */
static bool within(const struct vt_view *view, uint32_t index, uint32_t root,
		   uint32_t *climbs)
{
	while (index && index != root + 1 && ++*climbs < CLIMBS) {
		const struct vt_quitter_slot *slot =
			vt_view_slot(view, VT_KIND_QUITTER, index - 1);

		index = slot ? LOAD(slot, parent) : 0;
	}
	return index == root + 1;
}

static void look_at(vitals_registry *registry, struct vt_suspects *suspects,
		    uint32_t member, uint64_t begun_ns)
{
	struct vt_member_slot *slot = vt_slot(registry, VT_KIND_MEMBER, member);
	struct vt_suspect_key key = { .kind = VT_KIND_MEMBER,
				      .index = member,
				      .gen = LOAD(slot, gen),
				      .tid = LOAD(slot, tid),
				      .since = begun_ns };
	struct vt_tick tick;

	/* A hold is no thread, and one that has not started has no number. */
	if (!key.tid || !(key.gen & 1u))
		return;
	vt_tick_load(&registry->root->tick, &tick);
	(void)vt_suspects_take(registry, suspects, &key, false,
			       vt_slot(registry, VT_KIND_LATE, member), &tick);
	/* Release: whoever finds its gen finds the record. */
	atomic_store_explicit(&slot->evidence, key.gen, memory_order_release);
}

/* Those of @root's subtree that are missing. */
static void look_around(vitals_registry *registry, struct vt_suspects *suspects,
			uint32_t root, uint64_t begun_ns)
{
	const struct vt_view *view = &registry->view;
	uint32_t at = 0, n = 0, climbs = 0;
	int64_t found;

	/* Beside whatever else there was in this turn: it is for this moment that they are asked. */
	vt_suspects_turn(suspects, vt_clock_now() + AT_ONCE_NS);
	while (n < AT_ONCE && (found = vt_missing_next(view, root, &at)) >= 0) {
		const struct vt_member_slot *slot =
			vt_view_slot(view, VT_KIND_MEMBER, (uint32_t)found);

		if (!within(view, LOAD(slot, quitter), root, &climbs))
			continue;
		look_at(registry, suspects, (uint32_t)found, begun_ns);
		n++;
	}
}

/* When the look after one at @now_ns is. */
static uint64_t next_look(const struct vt_view *view, uint64_t half_ns,
			  uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t rest_ns = deadline_ns - half_ns, before_ns = rest_ns / BEFORE_PART;
	uint64_t step_ns = rest_ns / LOOKS, last_ns, next_ns;

	before_ns = before_ns < BEFORE_MIN_NS ? BEFORE_MIN_NS : before_ns;
	last_ns = deadline_ns - (before_ns < rest_ns / 2 ? before_ns : rest_ns / 2);
	if (now_ns >= last_ns)
		return UINT64_MAX;
	if (!step_ns || vt_view_used(view, VT_KIND_MEMBER) > MANY)
		return last_ns;
	next_ns = half_ns + ((now_ns - half_ns) / step_ns + 1) * step_ns;
	return next_ns < last_ns ? next_ns : last_ns;
}

/* One wait: looks if it is time to. Return: when the next look is. */
static uint64_t wait_look(vitals_registry *registry, struct vt_suspects *suspects,
			  uint32_t root, struct vt_vigil *vigil, uint64_t now_ns)
{
	uint64_t begun_ns = LOAD(vigil, begun_ns), deadline_ns = LOAD(vigil, deadline_ns);
	uint64_t half_ns = begun_ns + (deadline_ns - begun_ns) / 2;
	uint64_t seen_ns = LOAD(vigil, next_ns), next_ns = seen_ns;

	if (!begun_ns || deadline_ns <= begun_ns || deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	if (next_ns < half_ns)
		next_ns = half_ns;
	if (now_ns < next_ns)
		return next_ns;
	look_around(registry, suspects, root, begun_ns);
	next_ns = next_look(&registry->view, half_ns, deadline_ns, now_ns);
	/* Relaxed: a hint. Not where another wait has the place by now. */
	(void)atomic_compare_exchange_strong_explicit(&vigil->next_ns, &seen_ns, next_ns,
						      memory_order_relaxed,
						      memory_order_relaxed);
	return next_ns;
}

/* Main's shutdown, as a wait like any other. */
static uint64_t main_look(vitals_registry *registry, struct vt_suspects *suspects,
			  const struct vt_ladder *ladder, uint64_t now_ns)
{
	struct vt_vigil *vigil = &registry->tree->vigil;
	uint64_t deadline_ns = vt_ladder_deadline(registry, ladder);
	uint64_t asked_ns = LOAD(registry->tree, asked_ns);
	uint32_t root = LOAD(registry->root, main_quitter);

	if (!root || deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	/* Relaxed, all: nobody else has this one. */
	if (atomic_load_explicit(&vigil->begun_ns, memory_order_relaxed) != asked_ns ||
	    atomic_load_explicit(&vigil->deadline_ns, memory_order_relaxed) !=
		    deadline_ns) {
		atomic_store_explicit(&vigil->begun_ns, asked_ns, memory_order_relaxed);
		atomic_store_explicit(&vigil->deadline_ns, deadline_ns,
				      memory_order_relaxed);
		atomic_store_explicit(&vigil->next_ns, 0, memory_order_relaxed);
	}
	return wait_look(registry, suspects, root - 1, vigil, now_ns);
}

uint64_t vt_stragglers_turn_at(vitals_registry *registry, struct vt_suspects *suspects,
			       const struct vt_ladder *ladder, uint64_t now_ns)
{
	uint64_t wish_ns, next_ns;
	unsigned i;

	if (!registry->tree)
		return UINT64_MAX;
	wish_ns = main_look(registry, suspects, ladder, now_ns);
	for (i = 0; i < VT_VIGILS; i++) {
		struct vt_vigil *vigil = &registry->tree->vigils[i];
		/* Acquire pairs with vt_vigil_begin(). */
		uint32_t quitter = LOAD(vigil, quitter);

		if (!quitter || quitter == UINT32_MAX)
			continue;
		next_ns = wait_look(registry, suspects, quitter - 1, vigil, now_ns);
		wish_ns = next_ns < wish_ns ? next_ns : wish_ns;
	}
	return wish_ns;
}
