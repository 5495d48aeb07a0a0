/* SPDX-License-Identifier: MIT */

/*
 * Tell
 *
 * The request to quit, down a tree: synchronous and without recursion. When it is over
 * all below answer must_quit with 1, refuse to be joined, and have been woken.
 */

#ifndef VT_TELL_H
#define VT_TELL_H

#include "member.h"

/*
 * Marks @root and all below it told, with the cause in @cause (index + 1; consumed by
 * nobody), and collects in @told who needs waking. @but_flush: not @root's children of
 * that stage.
 */
void vt_tell_mark(vitals_registry *registry, vitals_quitter *root, bool but_flush,
		  uint32_t cause, uint64_t now_ns, struct vt_told *told)
	VT_REQUIRES(registry->lock);

/* Whoever waits for @root, or for one below it, looks again how much time there is. */
void vt_tell_waiters(vitals_registry *registry, const vitals_quitter *root,
		     struct vt_told *told) VT_REQUIRES(registry->lock);

/* Was it told itself, rather than its stage? */
bool vt_tell_marked(const vitals_quitter *quitter);

/* The whole of it; for a main quitter its stages begin. Return: 0; -EALREADY. */
int vt_tell_at(vitals_quitter *quitter, struct vitals_cause *cause, uint64_t now_ns);

#endif
