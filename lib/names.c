/* SPDX-License-Identifier: MIT */

#include "names.h"

#include <assert.h>

#define FIRST_BUCKETS 256u

/* What is named, as one number: how chains refer to it. */
static uint32_t code_of(struct vt_named named)
{
	return named.index * VT_POOLS + (uint32_t)named.pool + 1;
}

static struct vt_named named_of(uint32_t code)
{
	return (struct vt_named){ (enum vt_pool)((code - 1) % VT_POOLS),
				  (code - 1) / VT_POOLS };
}

static struct vt_link *link_of(const vitals_registry *registry, uint32_t code)
{
	struct vt_named named = named_of(code);

	return vt_link(registry, named.pool, named.index);
}

/* Where a slot keeps its name and number, and what scope it is in. */
struct place {
	_Atomic uint64_t *name;
	_Atomic uint32_t *number;
	uint32_t scope;
};

static struct place place_of(const vitals_registry *registry, struct vt_named named)
{
	struct vt_quitter_slot *quitter;
	struct vt_member_slot *member;
	struct vt_hot *hot;
	struct vt_cold *cold;
	uint32_t parent;

	switch (named.pool) {
	case VT_POOL_QUITTER:
		quitter = vt_slot(registry, VT_KIND_QUITTER, named.index);
		parent = atomic_load_explicit(&quitter->parent, memory_order_relaxed);
		return (struct place){ quitter->name, &quitter->number,
				       parent ? parent : UINT32_MAX };
	case VT_POOL_MEMBER:
		member = vt_slot(registry, VT_KIND_MEMBER, named.index);
		return (struct place){ member->name, &member->number, VT_SCOPE_SIGNS };
	default:
		assert(named.pool == VT_POOL_HEARTBEAT);
		hot = vt_slot(registry, VT_KIND_HOT, named.index);
		cold = vt_slot(registry, VT_KIND_COLD, named.index);
		return (struct place){ hot->name, &cold->number, VT_SCOPE_SIGNS };
	}
}

/* Relaxed, here and below: names and numbers change under the registry's lock only. */
static uint64_t name_hash(const struct place *place)
{
	uint64_t hash = 0x9e3779b97f4a7c15u + place->scope;
	unsigned i;

	for (i = 0; i < VT_NAME_WORDS; i++) {
		uint64_t word =
			atomic_load_explicit(&place->name[i], memory_order_relaxed);

		/* Most names are short: zeros follow. */
		if (!word)
			break;
		hash ^= word;
		hash *= 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
	}
	return hash;
}

static uint32_t bucket_of(const struct vt_names *names, uint64_t hash, uint32_t number)
{
	hash = (hash + number) * 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(hash >> 32) & (names->n_buckets - 1);
}

static bool same_name(const struct place *a, const struct place *b)
{
	unsigned i;

	for (i = 0; i < VT_NAME_WORDS; i++)
		if (atomic_load_explicit(&a->name[i], memory_order_relaxed) !=
		    atomic_load_explicit(&b->name[i], memory_order_relaxed))
			return false;
	return a->scope == b->scope;
}

/* Return: the code of what has this name and number; 0: nothing. */
static uint32_t names_find(const vitals_registry *registry, const struct place *place,
			   uint64_t hash, uint32_t number)
{
	const struct vt_names *names = &registry->names;
	uint32_t code = names->n_buckets ? names->buckets[bucket_of(names, hash, number)]
					 : 0;

	while (code) {
		struct place other = place_of(registry, named_of(code));

		if (atomic_load_explicit(other.number, memory_order_relaxed) == number &&
		    same_name(place, &other))
			break;
		code = link_of(registry, code)->next;
	}
	return code;
}

static void bucket_add(vitals_registry *registry, uint32_t code, uint64_t hash,
		       uint32_t number)
{
	struct vt_names *names = &registry->names;
	uint32_t *bucket = &names->buckets[bucket_of(names, hash, number)];

	link_of(registry, code)->next = *bucket;
	*bucket = code;
}

static void names_insert(vitals_registry *registry, uint32_t code)
{
	struct place place = place_of(registry, named_of(code));

	bucket_add(registry, code, name_hash(&place),
		   atomic_load_explicit(place.number, memory_order_relaxed));
}

static bool names_grow(vitals_registry *registry)
{
	struct vt_names *names = &registry->names, old = *names;
	uint32_t i, code, next;

	names->n_buckets = old.n_buckets ? 2 * old.n_buckets : FIRST_BUCKETS;
	names->buckets = vt_pages_new(names->n_buckets * sizeof(uint32_t));
	if (!names->buckets) {
		*names = old;
		return false;
	}
	for (i = 0; i < old.n_buckets; i++)
		for (code = old.buckets[i]; code; code = next) {
			next = link_of(registry, code)->next;
			names_insert(registry, code);
		}
	vt_pages_free(old.buckets, old.n_buckets * sizeof(uint32_t));
	return true;
}

uint32_t vt_names_take(vitals_registry *registry, struct vt_named named)
{
	struct vt_names *names = &registry->names;
	struct place place = place_of(registry, named);
	uint64_t hash = name_hash(&place);
	uint32_t first, number = 1;

	/* Chains may be longer than one when there is no memory, but there must be one. */
	if (names->living >= names->n_buckets && !names_grow(registry) &&
	    !names->n_buckets)
		return 0;

	first = names_find(registry, &place, hash, 1);
	if (first) {
		/* All numbers below the hint of the first are taken. */
		number = link_of(registry, first)->stamp;
		while (names_find(registry, &place, hash, number))
			number++;
		link_of(registry, first)->stamp = number + 1;
	}
	/* Release, as all that fills a slot: see layout.h. */
	atomic_store_explicit(place.number, number, memory_order_release);
	link_of(registry, code_of(named))->stamp = 2;
	bucket_add(registry, code_of(named), hash, number);
	names->living++;
	return number;
}

void vt_names_give(vitals_registry *registry, struct vt_named named)
{
	struct vt_names *names = &registry->names;
	struct place place = place_of(registry, named);
	uint64_t hash = name_hash(&place);
	uint32_t number = atomic_load_explicit(place.number, memory_order_relaxed);
	uint32_t *at = &names->buckets[bucket_of(names, hash, number)];
	uint32_t code = code_of(named), first;

	while (*at && *at != code)
		at = &link_of(registry, *at)->next;
	assert(*at == code);
	*at = link_of(registry, code)->next;
	link_of(registry, code)->next = 0;
	names->living--;

	first = number > 1 ? names_find(registry, &place, hash, 1) : 0;
	if (first && link_of(registry, first)->stamp > number)
		link_of(registry, first)->stamp = number;
}
