/* SPDX-License-Identifier: MIT */

#include "circles.h"

#define AGAIN_NS VITALS_S(1)
/* One that was not there may have been in a signal's handler. */
#define MISSED 2u

static struct vt_circle *circle_due(const struct vt_circles *circles, uint64_t now_ns)
{
	uint32_t i;

	for (i = 0; i < VT_FINDINGS; i++)
		if (circles->of[i].tid && now_ns >= circles->of[i].next_ns)
			return (struct vt_circle *)(uintptr_t)&circles->of[i];
	return NULL;
}

void vt_circles_note(struct vt_circles *circles, uint32_t finding,
		     const struct vt_chain *chain, uint64_t now_ns)
{
	circles->of[finding - 1] =
		(struct vt_circle){ .key = chain->key,
				    .next_ns = now_ns + AGAIN_NS,
				    .tid = chain->hops[chain->back].tid };
}

bool vt_circles_due(const struct vt_circles *circles, uint64_t now_ns)
{
	return circle_due(circles, now_ns);
}

/* What cannot be read now is no news. */
static bool stands(struct vt_proc *proc, const struct vt_circle *circle, uint64_t now_ns)
{
	struct vt_sample sample;
	struct vt_chain chain;

	vt_sample_take(proc, circle->tid, VT_SAMPLE_STATE | VT_SAMPLE_CALL, now_ns,
		       &sample);
	vt_chain_follow(proc, &sample, now_ns, &chain);
	if (chain.deadlock)
		return chain.key == circle->key;
	return chain.last.reason && !chain.last.gone;
}

uint32_t vt_circles_follow(struct vt_circles *circles, struct vt_proc *proc,
			   uint64_t now_ns)
{
	struct vt_circle *circle = circle_due(circles, now_ns);

	if (!circle)
		return 0;
	circle->next_ns = now_ns + AGAIN_NS;
	circle->missed = stands(proc, circle, now_ns) ? 0 : circle->missed + 1;
	if (circle->missed < MISSED)
		return 0;
	circle->tid = 0;
	return (uint32_t)(circle - circles->of) + 1;
}
