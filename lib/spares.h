/* SPDX-License-Identifier: MIT */

/*
 * Spares
 *
 * Segments that a registry grows into, made by the monitor while it runs: a host's thread may be
 * under a filter that kills for memfd_create. One of a pool at a time, ahead of need if there is time.
 */

#ifndef VT_SPARES_H
#define VT_SPARES_H

#include "slots.h"

/* Soon the pool grows at @first: the next turn sees to it. Calls nobody. */
void vt_spare_ask(vitals_registry *registry, enum vt_pool pool, uint32_t first);

/*
 * The segment for a pool that grows at @first, its head not written yet; waits for it a tenth of a
 * second at most. Return: whether there is one.
 */
bool vt_spare_take(vitals_registry *registry, enum vt_pool pool, uint32_t first,
		   struct vt_mapping *ret) VT_REQUIRES(registry->lock);

/* What was asked for. By the thread the sandbox is of; waits for nobody. */
void vt_spares_make(vitals_registry *registry);

/* What nobody took, at the end or in a forked child. */
void vt_spares_free(vitals_registry *registry);

#endif
