/* SPDX-License-Identifier: MIT */

#include "evidence.h"

#include <string.h>

void vt_window_begin(struct vt_window *window)
{
	memset(window, 0, sizeof(*window));
}

void vt_window_look(struct vt_proc *proc, uint32_t tid, uint64_t now_ns,
		    struct vt_window *window)
{
	(void)proc;
	(void)tid;
	(void)now_ns;
	window->looks++;
}

void vt_evidence_take(struct vt_proc *proc, const struct vt_namer *namer, uint32_t tid,
		      uint64_t now_ns, struct vt_window *window,
		      struct vitals_evidence *evidence, struct vt_chain *chain)
{
	(void)proc;
	(void)namer;
	(void)window;
	(void)chain;
	vt_evidence_none(tid, now_ns, VITALS_REASON_OFF, evidence);
}

void vt_evidence_none(uint32_t tid, uint64_t now_ns, enum vitals_reason reason,
		      struct vitals_evidence *evidence)
{
	uint32_t size = evidence->size;

	memset(evidence, 0, sizeof(*evidence));
	evidence->size = size;
	evidence->tid = tid;
	evidence->at_ns = now_ns;
	evidence->reason = (uint32_t)reason;
	evidence->call = VT_CALL_UNKNOWN;
}

const char *vitals_class_name(int thread_class)
{
	(void)thread_class;
	return "unknown";
}

const char *vitals_reason_text(int reason)
{
	(void)reason;
	return "";
}
