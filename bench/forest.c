/* SPDX-License-Identifier: MIT */

#include "forest.h"

#include "topics.h"

#include <stdio.h>
#include <stdlib.h>

const char *const shape_names[SHAPES] = { "wide", "ten by ten", "chain" };

static uint32_t parent_of(enum shape shape, uint32_t i)
{
	switch (shape) {
	case WIDE:
		return 0;
	case TENS:
		return (i - 1) / 10;
	default:
		return i - 1;
	}
}

void forest_make(struct forest *forest, uint32_t n)
{
	uint32_t i;

	forest->n = n;
	forest->nodes = malloc(n * sizeof(*forest->nodes));
	forest->names = malloc(n * sizeof(*forest->names));
	must(forest->nodes && forest->names);
	for (i = 0; i < n; i++) {
		(void)snprintf(forest->names[i], sizeof(forest->names[i]), "node-%u", i);
		/* Its page is not to count as the library's. */
		forest->nodes[i] = NULL;
	}
	must(vitals_registry_new(0, &forest->registry) == 0);
	must(vitals_quitter_new_main(forest->registry, VITALS_S(10), NULL,
				     &forest->main) == 0);
}

void forest_free(struct forest *forest)
{
	vitals_quitter_free(forest->main);
	vitals_registry_free(forest->registry);
	free(forest->nodes);
	free(forest->names);
}

void forest_grow(struct forest *forest, enum shape shape)
{
	vitals_quitter *parent = forest->main;
	uint32_t i;

	for (i = 0; i < forest->n; i++) {
		if (i)
			parent = forest->nodes[parent_of(shape, i)];
		must(vitals_quitter_new(parent, forest->names[i], NULL,
					&forest->nodes[i]) == 0);
	}
}

void forest_fell(struct forest *forest)
{
	uint32_t i;

	for (i = forest->n; i--;)
		vitals_quitter_free(forest->nodes[i]);
}
