/* SPDX-License-Identifier: MIT */

#include "chain.h"

#include <string.h>

void vt_chain_follow(struct vt_proc *proc, const struct vt_sample *first, uint64_t now_ns,
		     struct vt_chain *chain)
{
	(void)proc;
	(void)now_ns;
	memset(chain, 0, sizeof(*chain));
	chain->hops[0].tid = first->tid;
	chain->n = 1;
}

void vt_chain_describe(struct vt_proc *proc, const struct vt_namer *namer,
		       const struct vt_chain *chain, struct vt_text *text)
{
	(void)proc;
	(void)namer;
	(void)chain;
	(void)text;
}

void vt_chain_describe_cycle(struct vt_proc *proc, const struct vt_namer *namer,
			     const struct vt_chain *chain, struct vt_text *text)
{
	vt_chain_describe(proc, namer, chain, text);
}
