/* SPDX-License-Identifier: MIT */

#include "key.h"

bool vt_key_get(struct vt_key *key, pthread_key_t *ret)
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
