/* SPDX-License-Identifier: MIT */

/*
 * Key
 *
 * A key to thread-local storage, made when first needed. Not by pthread_once: what failed for want
 * of memory may be tried again.
 */

#ifndef VT_KEY_H
#define VT_KEY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vt_key {
	void (*ended)(void *value); /* of a thread, with what it had there */
	_Atomic uint64_t made;      /* the key + 1; 0: not yet */
};

/* Return: whether there is a key; it is in @ret. */
bool vt_key_get(struct vt_key *key, pthread_key_t *ret);

#endif
