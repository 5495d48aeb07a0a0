/* SPDX-License-Identifier: MIT */

/*
 * Cause
 *
 * Why a quitter was told: one record, written once, that a node shares with all that were
 * told with it.
 */

#ifndef VT_CAUSE_H
#define VT_CAUSE_H

#include "quitter.h"

/*
 * A record of @cause. Return: its index + 1; 0 without memory: the request goes on
 * without.
 */
uint32_t vt_cause_new(vitals_registry *registry, const struct vitals_cause *cause)
	VT_REQUIRES(registry->lock);

/* An empty one, for a request that may come when there is no memory. */
uint32_t vt_cause_reserve(vitals_registry *registry) VT_REQUIRES(registry->lock);
void vt_cause_set(vitals_registry *registry, uint32_t cause,
		  const struct vitals_cause *from) VT_REQUIRES(registry->lock);

void vt_cause_ref(vitals_registry *registry, uint32_t cause) VT_REQUIRES(registry->lock);
void vt_cause_unref(vitals_registry *registry, uint32_t cause)
	VT_REQUIRES(registry->lock);

/* A cause of @kind with a status and a text, the rest 0. */
void vt_cause_init(struct vitals_cause *cause, uint32_t kind, int status,
		   const char *text);

#endif
