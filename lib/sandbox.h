/* SPDX-License-Identifier: MIT */

/*
 * Sandbox
 *
 * Has the host installed a filter of system calls since we started? Such a filter may kill for a
 * call, so that is found out by read() alone: from the status file of a thread of ours, opened when
 * the thread began. What a filter that was there before lets pass is not known: it is the baseline.
 */

#ifndef VT_SANDBOX_H
#define VT_SANDBOX_H

#include "registry.h"

/*
 * Of the thread @tid of this process, by itself or by who starts it: before anybody can install a
 * filter. Opens the file; what there was before is ended.
 */
void vt_sandbox_begin(struct vt_sandbox *sandbox, uint32_t tid);

/* Closes it, if it is still the same file: not where one can be killed for asking. */
void vt_sandbox_end(struct vt_sandbox *sandbox);

/*
 * May evidence be taken, with calls that a strict filter kills for? Some 8 us; asked before each
 * burst of it, by the thread that judges. By another than the sandbox began for, as in a turn by hand
 * in a thread that did not make the first: no. Return: VITALS_REASON_NONE, or why not.
 */
uint32_t vt_sandbox_why(vitals_registry *registry);

static inline bool vt_sandbox_allows(vitals_registry *registry)
{
	return vt_sandbox_why(registry) == VITALS_REASON_NONE;
}

/* The same for what is not evidence: whether the service wants any does not matter. */
bool vt_sandbox_open(vitals_registry *registry);

/* What VITALS_EVIDENCE and vitals_evidence_set() have come to. */
uint32_t vt_evidence_mode(const vitals_registry *registry);

#endif
