/* SPDX-License-Identifier: MIT */

#include "wheel.h"

#include <string.h>

#define UNIT_BITS 16
#define LEVEL_BITS 3
#define CAME_UP (VT_WHEEL_LEVELS * VT_WHEEL_BUCKETS)
/* In prev, of the first in a bucket: which one. */
#define FIRST 0x80000000u
/* So many buckets ahead there is one that cannot be taken for the present. */
#define AHEAD (VT_WHEEL_BUCKETS - 1)
/* 2^42 units are nine years: what is later comes up then, for nothing. */
#define FARTHEST ((uint64_t)(AHEAD - 1) << LEVEL_BITS * (VT_WHEEL_LEVELS - 1))

static struct vt_wheel_link *link_of(const vitals_registry *registry, uint32_t index)
{
	struct vt_span_head *span = vt_span_with(registry, VT_POOL_HEARTBEAT, index);

	return &span->links[index - span->first];
}

void vt_wheel_begin(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);

	for (i = 0; i < n; i++)
		link_of(registry, i)->prev = 0;
	memset(wheel, 0, sizeof(*wheel));
	wheel->at = ns >> UNIT_BITS;
}

static void bucket_mark(struct vt_wheel *wheel, uint32_t bucket)
{
	uint64_t bit = UINT64_C(1) << bucket % VT_WHEEL_BUCKETS;

	if (bucket == CAME_UP)
		return;
	if (wheel->buckets[bucket])
		wheel->filled[bucket / VT_WHEEL_BUCKETS] |= bit;
	else
		wheel->filled[bucket / VT_WHEEL_BUCKETS] &= ~bit;
}

void vt_wheel_remove(vitals_registry *registry, struct vt_wheel *wheel, uint32_t index)
{
	struct vt_wheel_link *link = link_of(registry, index);
	uint32_t prev = link->prev, next = link->next;

	if (!prev)
		return;
	if (wheel->buckets[CAME_UP] == index + 1)
		prev = CAME_UP | FIRST;
	if (next)
		link_of(registry, next - 1)->prev = prev;
	if (prev & FIRST) {
		wheel->buckets[prev & ~FIRST] = next;
		bucket_mark(wheel, prev & ~FIRST);
	} else {
		link_of(registry, prev - 1)->next = next;
	}
	link->prev = 0;
}

/* The bucket in which something comes up at @unit, or not long before. */
static uint32_t bucket_of(const struct vt_wheel *wheel, uint64_t unit)
{
	uint32_t level = 0;

	if (unit < wheel->at)
		unit = wheel->at;
	if (unit - wheel->at > FARTHEST)
		unit = wheel->at + FARTHEST;
	while ((unit >> level * LEVEL_BITS) - (wheel->at >> level * LEVEL_BITS) >= AHEAD)
		level++;
	return level * VT_WHEEL_BUCKETS +
	       (uint32_t)(unit >> level * LEVEL_BITS) % VT_WHEEL_BUCKETS;
}

void vt_wheel_put(vitals_registry *registry, struct vt_wheel *wheel, uint32_t index,
		  uint64_t ns)
{
	struct vt_wheel_link *link = link_of(registry, index);
	uint32_t bucket = bucket_of(wheel, ns >> UNIT_BITS);

	if (link->prev)
		vt_wheel_remove(registry, wheel, index);
	link->next = wheel->buckets[bucket];
	link->prev = bucket | FIRST;
	if (link->next)
		link_of(registry, link->next - 1)->prev = index + 1;
	wheel->buckets[bucket] = index + 1;
	bucket_mark(wheel, bucket);
}

/* The filled bucket that comes up first from the wheel's time on, and when. */
static bool bucket_next(const struct vt_wheel *wheel, uint32_t *ret_bucket,
			uint64_t *ret_unit)
{
	uint32_t level;

	*ret_bucket = 0;
	*ret_unit = UINT64_MAX;
	for (level = 0; level < VT_WHEEL_LEVELS; level++) {
		uint64_t here = wheel->at >> level * LEVEL_BITS, unit;
		uint64_t filled = wheel->filled[level];
		unsigned turn = here % VT_WHEEL_BUCKETS;

		if (!filled)
			continue;
		/* Its buckets in the order in which they come, the present one first. */
		filled = filled >> turn | filled << (VT_WHEEL_BUCKETS - turn) % 64;
		here += (unsigned)__builtin_ctzll(filled);
		unit = here << level * LEVEL_BITS;
		/* What was put here for the present bucket came too late for its beginning. */
		if (unit < wheel->at)
			unit = wheel->at;
		if (unit >= *ret_unit)
			continue;
		*ret_unit = unit;
		*ret_bucket = level * VT_WHEEL_BUCKETS + here % VT_WHEEL_BUCKETS;
	}
	return *ret_unit != UINT64_MAX;
}

/* All of a bucket at once: only its first knows which it is in. */
static void bucket_comes_up(vitals_registry *registry, struct vt_wheel *wheel,
			    uint32_t bucket)
{
	uint32_t first = wheel->buckets[bucket];

	wheel->buckets[bucket] = 0;
	bucket_mark(wheel, bucket);
	wheel->buckets[CAME_UP] = first;
	link_of(registry, first - 1)->prev = CAME_UP | FIRST;
}

static void bucket_prefetch(const vitals_registry *registry, const struct vt_wheel *wheel,
			    uint32_t bucket)
{
	if (wheel->buckets[bucket])
		__builtin_prefetch(link_of(registry, wheel->buckets[bucket] - 1), 1);
}

void vt_wheel_prefetch(const vitals_registry *registry, const struct vt_wheel *wheel,
		       uint64_t ns)
{
	uint64_t unit = wheel->at, now = ns >> UNIT_BITS;
	uint32_t level;

	/* The short buckets: in each there are few, so its list is no help. */
	for (; unit <= now && unit - wheel->at < AHEAD; unit++)
		bucket_prefetch(registry, wheel, unit % VT_WHEEL_BUCKETS);
	for (level = 1; level < VT_WHEEL_LEVELS; level++)
		bucket_prefetch(
			registry, wheel,
			level * VT_WHEEL_BUCKETS +
				(uint32_t)((wheel->at >> level * LEVEL_BITS) + 1) %
					VT_WHEEL_BUCKETS);
	bucket_prefetch(registry, wheel, CAME_UP);
}

void vt_wheel_prefetch_put(const vitals_registry *registry, const struct vt_wheel *wheel,
			   uint64_t ns)
{
	bucket_prefetch(registry, wheel, bucket_of(wheel, ns >> UNIT_BITS));
}

bool vt_wheel_next(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns,
		   uint32_t *ret_index)
{
	uint64_t now = ns >> UNIT_BITS, unit;
	struct vt_wheel_link *link;
	uint32_t bucket;

	while (!wheel->buckets[CAME_UP]) {
		if (wheel->last && wheel->at >= now)
			break;
		wheel->last = false;
		if (!bucket_next(wheel, &bucket, &unit) || unit > now) {
			wheel->at = now > wheel->at ? now : wheel->at;
			break;
		}
		wheel->at = unit;
		/* What is put in again for this moment, or one before, is for the next turn. */
		wheel->last = unit == now && bucket < VT_WHEEL_BUCKETS;
		bucket_comes_up(registry, wheel, bucket);
	}
	if (!wheel->buckets[CAME_UP]) {
		wheel->last = false;
		return false;
	}
	/* What comes after it is not told that it is the first: see vt_wheel_remove(). */
	*ret_index = wheel->buckets[CAME_UP] - 1;
	link = link_of(registry, *ret_index);
	wheel->buckets[CAME_UP] = link->next;
	link->prev = 0;
	bucket_prefetch(registry, wheel, CAME_UP);
	return true;
}
