/* SPDX-License-Identifier: MIT */

#include "wheel.h"

#include <string.h>

#define UNIT_BITS 16
#define LEVEL_BITS 6
#define CAME_UP (VT_WHEEL_LEVELS * VT_WHEEL_BUCKETS)
/* In wheel_prev, of the first in a bucket: which one. */
#define FIRST 0x80000000u
/* 2^42 units are nine years: what is later comes up then, for nothing. */
#define FARTHEST ((UINT64_C(1) << LEVEL_BITS * VT_WHEEL_LEVELS) - 1)

void vt_wheel_begin(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);

	for (i = 0; i < n; i++)
		vt_heartbeat_at(registry, i)->wheel_prev = 0;
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
	vitals_heartbeat *heartbeat = vt_heartbeat_at(registry, index);
	uint32_t prev = heartbeat->wheel_prev, next = heartbeat->wheel_next;

	if (!prev)
		return;
	if (next)
		vt_heartbeat_at(registry, next - 1)->wheel_prev = prev;
	if (prev & FIRST) {
		wheel->buckets[prev & ~FIRST] = next;
		bucket_mark(wheel, prev & ~FIRST);
	} else {
		vt_heartbeat_at(registry, prev - 1)->wheel_next = next;
	}
	heartbeat->wheel_prev = 0;
}

void vt_wheel_put(vitals_registry *registry, struct vt_wheel *wheel, uint32_t index,
		  uint64_t ns)
{
	vitals_heartbeat *heartbeat = vt_heartbeat_at(registry, index);
	uint64_t unit = ns >> UNIT_BITS, differs;
	uint32_t level = 0, bucket;

	vt_wheel_remove(registry, wheel, index);
	if (unit < wheel->at)
		unit = wheel->at;
	differs = unit ^ wheel->at;
	if (differs > FARTHEST) {
		unit = wheel->at | FARTHEST;
		differs = unit ^ wheel->at;
	}
	if (differs)
		level = (63u - (uint32_t)__builtin_clzll(differs)) / LEVEL_BITS;
	bucket = level * VT_WHEEL_BUCKETS +
		 (uint32_t)(unit >> level * LEVEL_BITS) % VT_WHEEL_BUCKETS;

	heartbeat->wheel_next = wheel->buckets[bucket];
	heartbeat->wheel_prev = bucket | FIRST;
	if (heartbeat->wheel_next)
		vt_heartbeat_at(registry, heartbeat->wheel_next - 1)->wheel_prev =
			index + 1;
	wheel->buckets[bucket] = index + 1;
	bucket_mark(wheel, bucket);
}

/*
 * The first filled bucket from the wheel's time on, and when it begins. A lower level's come before a
 * higher one's; of the higher ones those at the wheel's own time have been taken as it came there.
 */
static bool bucket_next(const struct vt_wheel *wheel, uint32_t *ret_bucket,
			uint64_t *ret_unit)
{
	uint32_t level, here, bit;
	uint64_t ahead;

	for (level = 0; level < VT_WHEEL_LEVELS; level++) {
		here = (uint32_t)(wheel->at >> level * LEVEL_BITS) % VT_WHEEL_BUCKETS;
		ahead = wheel->filled[level] & ~UINT64_C(0) << here;
		if (!ahead)
			continue;
		bit = (uint32_t)__builtin_ctzll(ahead);
		*ret_bucket = level * VT_WHEEL_BUCKETS + bit;
		*ret_unit = wheel->at >> (level + 1) * LEVEL_BITS
						 << (level + 1) * LEVEL_BITS |
			    (uint64_t)bit << level * LEVEL_BITS;
		if (*ret_unit < wheel->at)
			*ret_unit = wheel->at;
		return true;
	}
	return false;
}

/* All of a bucket at once: only its first knows which it is in. */
static void bucket_comes_up(vitals_registry *registry, struct vt_wheel *wheel,
			    uint32_t bucket)
{
	uint32_t first = wheel->buckets[bucket];

	wheel->buckets[bucket] = 0;
	bucket_mark(wheel, bucket);
	wheel->buckets[CAME_UP] = first;
	vt_heartbeat_at(registry, first - 1)->wheel_prev = CAME_UP | FIRST;
}

/* What the look after this one will need, while this one goes on. */
static void prefetch(const vitals_registry *registry, uint32_t code)
{
	if (!code)
		return;
	__builtin_prefetch(vt_heartbeat_at(registry, code - 1));
	__builtin_prefetch(vt_slot(registry, VT_KIND_HOT, code - 1));
	__builtin_prefetch(vt_slot(registry, VT_KIND_COLD, code - 1));
}

bool vt_wheel_next(vitals_registry *registry, struct vt_wheel *wheel, uint64_t ns,
		   uint32_t *ret_index)
{
	uint64_t now = ns >> UNIT_BITS, unit;
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
	*ret_index = wheel->buckets[CAME_UP] - 1;
	vt_wheel_remove(registry, wheel, *ret_index);
	prefetch(registry, wheel->buckets[CAME_UP]);
	return true;
}
