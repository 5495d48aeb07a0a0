/* SPDX-License-Identifier: MIT */

#include "key.h"

#include <assert.h>
#include <limits.h>

/* How many rounds of destructors it has seen already is in the low bits of what is stored. */
#define SEEN_MASK ((uintptr_t)3)

#if defined(__SANITIZE_THREAD__)
#define FORGETS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORGETS 1
#endif
#endif
#ifndef FORGETS
#define FORGETS 0
#endif

/* The last, but for a sanitizer that itself forgets the thread in it. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - FORGETS)

_Static_assert(ROUNDS <= SEEN_MASK + 1, "rounds are counted in the low bits");

static bool key_get(struct vt_key *key, pthread_key_t *ret)
{
	/* Acquire pairs with the exchange below. */
	uint64_t made = atomic_load_explicit(&key->made, memory_order_acquire);
	pthread_key_t mine;

	if (!made) {
		if (pthread_key_create(&mine, key->ended))
			return false;
		/* Release publishes the key; another thread may have been first. */
		if (atomic_compare_exchange_strong_explicit(
			    &key->made, &made, (uint64_t)mine + 1, memory_order_acq_rel,
			    memory_order_acquire))
			made = (uint64_t)mine + 1;
		else
			(void)pthread_key_delete(mine);
	}
	*ret = (pthread_key_t)(made - 1);
	return true;
}

bool vt_key_ready(struct vt_key *key)
{
	pthread_key_t mine;

	return key_get(key, &mine);
}

static uintptr_t armed_of(struct vt_key *key)
{
	pthread_key_t mine;

	return key_get(key, &mine) ? (uintptr_t)pthread_getspecific(mine) : 0;
}

void *vt_key_value(struct vt_key *key)
{
	return (void *)(armed_of(key) & ~SEEN_MASK);
}

static bool keep(struct vt_key *key, uintptr_t armed)
{
	pthread_key_t mine;

	return key_get(key, &mine) && !pthread_setspecific(mine, (void *)armed);
}

bool vt_key_keep(struct vt_key *key, void *value)
{
	assert(!((uintptr_t)value & SEEN_MASK));
	/* In somebody's destructor the count goes on. */
	return keep(key, (uintptr_t)value | (armed_of(key) & SEEN_MASK));
}

bool vt_key_ended(struct vt_key *key, void *armed, void **ret_value)
{
	uintptr_t seen = (uintptr_t)armed & SEEN_MASK;

	if (seen + 1 < ROUNDS && keep(key, (uintptr_t)armed + 1))
		return false;
	*ret_value = (void *)((uintptr_t)armed & ~SEEN_MASK);
	return true;
}
