/* SPDX-License-Identifier: MIT */

/*
 * Forest
 *
 * Many quitters under one: all beside each other, ten under each, or one below the other.
 */

#ifndef FOREST_H
#define FOREST_H

#include "vitals.h"

#include <stdint.h>

enum shape {
	WIDE,
	TENS, /* ten under each */
	CHAIN,
	SHAPES
};

extern const char *const shape_names[SHAPES];

struct forest {
	vitals_registry *registry;
	vitals_quitter *main;
	vitals_quitter **nodes; /* the first is above all others */
	char (*names)[16];
	uint32_t n;
};

/* A registry with a main quitter; room for @n nodes under it, their names made. */
void forest_make(struct forest *forest, uint32_t n);
void forest_free(struct forest *forest);

/* All nodes, of which the last is a leaf as deep as any. */
void forest_grow(struct forest *forest, enum shape shape);
/* They are freed, the lowest first. */
void forest_fell(struct forest *forest);

#endif
