/* SPDX-License-Identifier: MIT */

/*
 * Key
 *
 * A key to thread-local storage, made when first needed. Not by pthread_once: what failed for want
 * of memory may be tried again.
 *
 * When a thread ends its value outlives the rounds in which destructors of others may still use it:
 * ours re-arms itself until the last. Only those that come after it in that round find nothing, as
 * do those that first keep something while the thread ends: no destructor may follow.
 */

#ifndef VT_KEY_H
#define VT_KEY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vt_key {
	void (*ended)(void *armed); /* of a thread: begins with vt_key_ended() */
	_Atomic uint64_t made;      /* the key + 1; 0: not yet */
};

/* Return: whether there is a key. */
bool vt_key_ready(struct vt_key *key);

/* What the calling thread keeps there; NULL: nothing. */
void *vt_key_value(struct vt_key *key);

/* Keeps @value, aligned to four bytes, NULL: nothing. Return: false for want of memory. */
bool vt_key_keep(struct vt_key *key, void *value);

/*
 * In the key's destructor. Return: whether this is the last round, and what @armed stood for is in
 * @ret_value; else the same is kept for the next.
 */
bool vt_key_ended(struct vt_key *key, void *armed, void **ret_value);

#endif
