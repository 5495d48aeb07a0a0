/* SPDX-License-Identifier: MIT */

/*
 * Slots
 *
 * How slots are taken and given back, and grow; what rooms use of it is in registry.h.
 */

#ifndef VT_SLOTS_H
#define VT_SLOTS_H

#include "registry.h"

/* The private records of a registry that begins. Return: 0; -ENOMEM, with nothing left behind. */
int vt_pools_begin(vitals_registry *registry) VT_REQUIRES(registry->lock);

/* The slots that go with them, for the first segment. Return: how many specs were filled. */
unsigned vt_pools_specs(const vitals_registry *registry, struct vt_array_spec *specs);

/* Arrays that one pool's slots lie in, at most. */
#define VT_TWINS 4

/* The slots of a pool from @first on. Return: how many specs were filled. */
unsigned vt_pool_specs(enum vt_pool pool, uint32_t first, uint32_t count,
		       struct vt_array_spec *specs);

void vt_pools_free(vitals_registry *registry);

#endif
