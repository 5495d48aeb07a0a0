/* SPDX-License-Identifier: MIT */

/*
 * An open table, more than half of it empty, in pages that are zero until there is a name. Who reads
 * takes no lock: each place has a count that is odd while it is written to. Who writes takes one that
 * knows the process it is of, so that a forked child that finds it held goes on alone.
 */

#include "locknames.h"

#include "futex.h"
#include "layout.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NAMES 1024u
#define PLACES 2048u /* of which so many are never used, so that a search ends */
#define EMPTY 0u
#define REMOVED 1u /* a search goes on past it */
#define WAITED_FOR 0x80000000u

struct place {
	_Atomic uint64_t address;
	_Atomic uint32_t count; /* odd: it is being written */
	_Atomic uint64_t name[VT_NAME_WORDS];
};

static struct place places[PLACES]; /* written under the lock */
static uint32_t n_names;
static _Atomic uint32_t
	lock; /* 0: free; the process of who has it, and whether one waits */

/* What one of the parent's threads was at when this process was forked. */
static void repair(void)
{
	uint32_t i;

	n_names = 0;
	for (i = 0; i < PLACES; i++) {
		uint32_t count =
			atomic_load_explicit(&places[i].count, memory_order_relaxed);

		if (count & 1) {
			atomic_store_explicit(&places[i].address, REMOVED,
					      memory_order_relaxed);
			atomic_store_explicit(&places[i].count, count + 1,
					      memory_order_release);
		}
		n_names += atomic_load_explicit(&places[i].address,
						memory_order_relaxed) > REMOVED;
	}
}

static void names_lock(void)
{
	uint32_t mine = (uint32_t)getpid(), want = mine;

	for (;;) {
		uint32_t found = 0;

		/* Acquire, here and below: pairs with the release in names_unlock(). */
		if (atomic_compare_exchange_strong_explicit(&lock, &found, want,
							    memory_order_acquire,
							    memory_order_relaxed))
			return;
		/* From here on it is held as waited for: there may be more who do. */
		want = mine | WAITED_FOR;
		if ((found & ~WAITED_FOR) == mine) {
			if ((found & WAITED_FOR) ||
			    atomic_compare_exchange_strong_explicit(&lock, &found, want,
								    memory_order_relaxed,
								    memory_order_relaxed))
				(void)vt_futex_wait(&lock, want, UINT64_MAX);
		} else if (atomic_compare_exchange_strong_explicit(
				   &lock, &found, want, memory_order_acquire,
				   memory_order_relaxed)) {
			repair();
			return;
		}
	}
}

static void names_unlock(void)
{
	/* Release publishes what was written to the next names_lock(). */
	if (atomic_exchange_explicit(&lock, 0, memory_order_release) & WAITED_FOR)
		vt_futex_wake(&lock, 1);
}

static uint32_t first_place(uint64_t address)
{
	return (uint32_t)((address >> 3) * 0x9e3779b97f4a7c15u >> 32) % PLACES;
}

/* Release, and acquire where it is read: see name_read(). */
static void place_write(struct place *place, uint64_t address, const uint64_t *words)
{
	uint32_t count = atomic_load_explicit(&place->count, memory_order_relaxed);
	unsigned i;

	atomic_store_explicit(&place->count, count + 1, memory_order_relaxed);
	for (i = 0; i < VT_NAME_WORDS; i++)
		atomic_store_explicit(&place->name[i], words[i], memory_order_release);
	atomic_store_explicit(&place->address, address, memory_order_release);
	atomic_store_explicit(&place->count, count + 2, memory_order_release);
}

/* Where a search ends right behind it, it may as well end here. */
static void places_tidy(uint32_t at)
{
	uint64_t next = atomic_load_explicit(&places[(at + 1) % PLACES].address,
					     memory_order_relaxed);

	while (next == EMPTY && atomic_load_explicit(&places[at].address,
						     memory_order_relaxed) == REMOVED) {
		atomic_store_explicit(&places[at].address, EMPTY, memory_order_relaxed);
		at = (at + PLACES - 1) % PLACES;
	}
}

/* Return: where @address is, or else where it may go; PLACES: nowhere. */
static uint32_t place_find(uint64_t address, uint32_t *ret_free)
{
	uint32_t at = first_place(address), i;

	*ret_free = PLACES;
	for (i = 0; i < PLACES; i++, at = (at + 1) % PLACES) {
		uint64_t there =
			atomic_load_explicit(&places[at].address, memory_order_relaxed);

		if (there == address)
			return at;
		if (there <= REMOVED && *ret_free == PLACES)
			*ret_free = at;
		if (there == EMPTY)
			break;
	}
	return PLACES;
}

static int name_set_locked(uint64_t address, const uint64_t *words)
{
	uint32_t unused, at = place_find(address, &unused);

	if (at == PLACES) {
		if (n_names == NAMES)
			return -ENOSPC;
		at = unused;
		n_names++;
	}
	place_write(&places[at], address, words);
	return 0;
}

static void name_remove_locked(uint64_t address)
{
	static const uint64_t none[VT_NAME_WORDS];
	uint32_t unused, at = place_find(address, &unused);

	if (at == PLACES)
		return;
	place_write(&places[at], REMOVED, none);
	places_tidy(at);
	n_names--;
}

int vitals_lock_name(const void *address, const char *name)
{
	uint64_t words[VT_NAME_WORDS] = { 0 };
	uint64_t number = (uint64_t)(uintptr_t)address;
	int r = 0;

	if (number <= REMOVED || (name && !vt_name_pack(name, words)))
		return -EINVAL;
	names_lock();
	if (name)
		r = name_set_locked(number, words);
	else
		name_remove_locked(number);
	names_unlock();
	return r;
}

/* Return: whether the name is of one piece, and @address's. */
static bool name_read(const struct place *place, uint64_t address, char *name)
{
	/* Acquire pairs with the last release of place_write(), the loads between with the others. */
	uint32_t count = atomic_load_explicit(&place->count, memory_order_acquire);

	vt_name_load(place->name, name);
	return !(count & 1) &&
	       atomic_load_explicit(&place->address, memory_order_acquire) == address &&
	       atomic_load_explicit(&place->count, memory_order_relaxed) == count;
}

bool vt_lock_name_of(uint64_t address, char *name)
{
	uint32_t at = first_place(address), i;

	for (i = 0; i < PLACES && address > REMOVED; i++, at = (at + 1) % PLACES) {
		/* Relaxed: name_read() looks again. */
		uint64_t there =
			atomic_load_explicit(&places[at].address, memory_order_relaxed);

		if (there == EMPTY)
			break;
		if (there != address)
			continue;
		/* Twice: it may be given another at this moment. */
		if (name_read(&places[at], address, name) ||
		    name_read(&places[at], address, name))
			return true;
		break;
	}
	name[0] = 0;
	return false;
}
