/* SPDX-License-Identifier: MIT */

#include "table.h"

#include <errno.h>
#include <stdlib.h>

void vx_table_empty(struct vx_table *table)
{
	vx_buffer_empty(&table->labels);
	table->n = 0;
}

void vx_table_free(struct vx_table *table)
{
	vx_buffer_free(&table->labels);
	free(table->rows);
	memset(table, 0, sizeof(*table));
}

struct vx_row *vx_table_add(struct vx_table *table)
{
	size_t room = table->room ? 2 * table->room : 64;
	struct vx_row *row = table->rows;

	if (table->labels.error)
		return NULL;
	if (table->n == table->room) {
		row = realloc(table->rows, room * sizeof(*row));
		if (!row) {
			table->labels.error = -ENOMEM;
			return NULL;
		}
		table->rows = row;
		table->room = room;
	}
	row = &table->rows[table->n++];
	row->label_at = table->labels.length;
	row->label_length = 0;
	return row;
}

void vx_table_add_done(struct vx_table *table, struct vx_row *row)
{
	row->label_length = table->labels.length - row->label_at;
}

struct vx_labels vx_table_labels(const struct vx_table *table, const struct vx_row *row)
{
	/* An offset, not a pointer, is kept: the labels move when they grow. */
	return (struct vx_labels){ table->labels.data + row->label_at,
				   row->label_length };
}

void vx_table_write(const struct vx_table *table, struct vx_exposition *to,
		    const struct vx_family *families, size_t first, size_t n)
{
	size_t i, k;

	if (table->labels.error)
		to->out->error = table->labels.error;
	for (i = 0; i < n; i++) {
		vx_exposition_head(to, &families[i]);
		for (k = 0; k < table->n; k++)
			vx_exposition_sample(to, &families[i],
					     vx_table_labels(table, &table->rows[k]),
					     table->rows[k].values[first + i]);
	}
}
