/* SPDX-License-Identifier: MIT */

/*
 * Witness
 *
 * What was found out about threads, as it lies in the region: written by one thread, the monitor, and
 * read by anybody, in another process too.
 */

#ifndef VT_WITNESS_H
#define VT_WITNESS_H

#include "view.h"
#include "vitals.h"

/* What the thread of the heartbeat, or member, with @gen is doing. By the monitor. */
void vt_witness_put(struct vt_evidence_slot *slot, uint32_t gen,
		    const struct vitals_evidence *evidence);

/* By the monitor. Return: whether what there is is of that one, and no older than that. */
bool vt_witness_since(const struct vt_evidence_slot *slot, uint32_t gen,
		      uint64_t since_ns);

/* Of a heartbeat, by its slot and gen. Return: false if there is nothing, or not of this one. */
bool vt_witness_heartbeat(const struct vt_view *view, uint32_t index, uint32_t gen,
			  struct vitals_evidence *evidence);

/* The same of a member. */
bool vt_witness_member(const struct vt_view *view, uint32_t index, uint32_t gen,
		       struct vitals_evidence *evidence);

/* A finding, with its number still 0. By the monitor. */
void vt_witness_put_finding(struct vt_finding_slot *slot, uint64_t key,
			    const struct vitals_finding_info *info);

/* Return: false if there is none at that place. */
bool vt_witness_finding(const struct vt_view *view, uint32_t finding,
			struct vitals_finding_info *info);

#endif
