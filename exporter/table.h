/* SPDX-License-Identifier: MIT */

/*
 * Table
 *
 * Rows gathered in one walk and written out a family at a time, as the text format wants
 * it: one row a heartbeat (group, quitter, ...), one column a family. Escapes the labels
 * once. The storage is used again from one exposition to the next.
 */

#ifndef VX_TABLE_H
#define VX_TABLE_H

#include "exposition.h"

#define VX_COLUMNS 11u

struct vx_row {
	size_t label_at;
	size_t label_length;
	uint64_t values[VX_COLUMNS];
};

struct vx_table {
	struct vx_buffer labels;
	struct vx_row *rows;
	size_t n;
	size_t room;
};

void vx_table_empty(struct vx_table *table);
void vx_table_free(struct vx_table *table);

/*
 * A new row, its labels to be appended to table->labels before the next call of the
 * table's. NULL: no memory, which labels.error remembers.
 */
struct vx_row *vx_table_add(struct vx_table *table);
void vx_table_add_done(struct vx_table *table, struct vx_row *row);

struct vx_labels vx_table_labels(const struct vx_table *table, const struct vx_row *row);

/* Each of @n families with one sample a row: families[i] is column @first + i. */
void vx_table_write(const struct vx_table *table, struct vx_exposition *to,
		    const struct vx_family *families, size_t first, size_t n);

#endif
