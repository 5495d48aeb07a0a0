/* SPDX-License-Identifier: MIT */

/*
 * Findings
 *
 * What is true of several threads at once, and an event of its own: a deadlock, each once, and that
 * all are asleep. By the monitor.
 */

#ifndef VT_FINDINGS_H
#define VT_FINDINGS_H

#include "registry.h"
#include "verdict.h"

/* Return: which it is, + 1, told now or before. */
uint32_t vt_findings_deadlock(vitals_registry *registry, uint64_t key, uint32_t threads,
			      const char *doing, const struct vt_tick *tick);

/* One of its threads goes on. @finding: as above. */
void vt_findings_over(vitals_registry *registry, uint32_t finding);

/* All threads are asleep. */
void vt_findings_asleep(vitals_registry *registry, uint32_t threads, const char *doing,
			const struct vt_tick *tick);

/* They no longer are. */
void vt_findings_awake(vitals_registry *registry);

#endif
