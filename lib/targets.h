/* SPDX-License-Identifier: MIT */

/*
 * Targets
 *
 * What a descriptor is, in words: by its link, for to ask the file itself may take for ever.
 */

#ifndef VT_TARGETS_H
#define VT_TARGETS_H

#include "proc.h"
#include "text.h"

/* "descriptor 7, a socket" */
void vt_target_add(struct vt_proc *proc, int32_t fd, struct vt_text *text);

/* "3 descriptors: descriptor 7, a socket; descriptor 8, a pipe; …", of @n entries for poll(). */
void vt_target_add_polled(struct vt_proc *proc, uint64_t address, uint32_t n,
			  struct vt_text *text);

/* The same of the addresses of select()'s sets, of numbers below @below. */
void vt_target_add_selected(struct vt_proc *proc, const uint64_t sets[3], uint32_t below,
			    struct vt_text *text);

#endif
