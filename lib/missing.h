/* SPDX-License-Identifier: MIT */

/*
 * Missing
 *
 * Who was told to leave and has not left, by the region alone: no lock, no memory, so that it can
 * be said while a stuck thread holds any of them.
 */

#ifndef VT_MISSING_H
#define VT_MISSING_H

#include "view.h"

#include <stdbool.h>

/*
 * The next member, from *@index on, of the tree whose main quitter is @root. Return: its index,
 * and *@index is behind it; -1: there is none.
 */
int64_t vt_missing_next(const struct vt_view *view, uint32_t root, uint32_t *index);

/* How many. */
uint32_t vt_missing_count(const struct vt_view *view, uint32_t root);

/* How many there are no longer waited for. */
uint32_t vt_missing_abandoned(const struct vt_view *view, uint32_t root);

#endif
