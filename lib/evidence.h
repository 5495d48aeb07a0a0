/* SPDX-License-Identifier: MIT */

/*
 * Evidence
 *
 * Samples of a thread, several in a row, into one record and one sentence; see window.h.
 */

#ifndef VT_EVIDENCE_H
#define VT_EVIDENCE_H

#include "chain.h"
#include "window.h"

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
