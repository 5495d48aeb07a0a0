/* SPDX-License-Identifier: MIT */

#include "vigil.h"

#define TAKEN UINT32_MAX /* being filled in */

struct vt_vigil *vt_vigil_begin(struct vt_vigil *vigils, uint32_t quitter,
				uint64_t begun_ns, uint64_t deadline_ns)
{
	unsigned i;

	for (i = 0; i < VT_VIGILS; i++) {
		struct vt_vigil *vigil = &vigils[i];
		uint32_t none = 0;

		if (!atomic_compare_exchange_strong_explicit(&vigil->quitter, &none,
							     TAKEN, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		/* Relaxed: published with the quitter. */
		atomic_store_explicit(&vigil->begun_ns, begun_ns, memory_order_relaxed);
		atomic_store_explicit(&vigil->deadline_ns, deadline_ns,
				      memory_order_relaxed);
		atomic_store_explicit(&vigil->next_ns, 0, memory_order_relaxed);
		/* Release pairs with the acquire in stragglers.c. */
		atomic_store_explicit(&vigil->quitter, quitter + 1, memory_order_release);
		return vigil;
	}
	return NULL;
}

void vt_vigil_end(struct vt_vigil *vigil)
{
	if (vigil)
		atomic_store_explicit(&vigil->quitter, 0, memory_order_release);
}
