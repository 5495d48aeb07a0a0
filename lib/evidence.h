/* SPDX-License-Identifier: MIT */

/*
 * Evidence
 *
 * Samples of a thread, several in a row, into one record and one sentence.
 */

#ifndef VT_EVIDENCE_H
#define VT_EVIDENCE_H

#include "chain.h"

/* A suspect: the samples of one thread since it was looked at first, so far as they matter. */
struct vt_window {
	uint32_t looks;
	uint32_t runnable; /* of them, so many found it running or ready to */
	uint32_t blocked;  /* … and so many in the same call as the one before */
	uint32_t moved;
	uint64_t throttled_ns; /* the control group's total at the first */
	uint64_t
		shortest_share; /* thousandths of a processor, in the poorest of the short windows */
	struct vt_sample first;
	struct vt_sample last;
};

/* Begins anew: the next sample is the first. */
void vt_window_begin(struct vt_window *window);

/* A cheap sample more, as taken between the first and the last: some 50 us. */
void vt_window_look(struct vt_proc *proc, uint32_t tid, uint64_t now_ns,
		    struct vt_window *window);

/*
 * The whole of it, with a last sample: class, figures, lock holder, chain, sentence. At most 250 us
 * on a quiet machine. @chain may be NULL.
 */
void vt_evidence_take(struct vt_proc *proc, const struct vt_namer *namer, uint32_t tid,
		      uint64_t now_ns, struct vt_window *window,
		      struct vitals_evidence *evidence, struct vt_chain *chain);

/* A record without a look at the thread, with the reason. */
void vt_evidence_none(uint32_t tid, uint64_t now_ns, enum vitals_reason reason,
		      struct vitals_evidence *evidence);

#endif
