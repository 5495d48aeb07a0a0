/* SPDX-License-Identifier: MIT */

#include "series.h"

static const struct vx_family scope_families[] = {
	{ "vitals_scope_overruns_total", "counter", "Scopes that were left too late.",
	  VX_UNIT_NUMBER },
	{ "vitals_scope_overrun_seconds_total", "counter", "By how much.",
	  VX_UNIT_SECONDS },
};

static_assert(VX_LENGTH(scope_families) == VX_SCOPE_SERIES, "in the budget");

uint64_t vx_series_scopes(const struct vx_look *look, const struct vx_budget *budget,
			  struct vx_table *table, struct vx_exposition *to)
{
	struct vitals_scope_info scope;
	struct vx_row *row;

	VITALS_INIT(&scope);
	while (table->n < budget->scopes &&
	       !vitals_snapshot_scope(look->snapshot, (uint32_t)table->n, &scope)) {
		row = vx_table_add(table);
		if (!row)
			break;
		vx_buffer_string(&table->labels, "scope=");
		vx_buffer_label(&table->labels, scope.name);
		vx_table_add_done(table, row);
		row->values[0] = scope.overruns;
		row->values[1] = scope.overrun_ns;
	}
	vx_table_write(table, to, scope_families, 0, VX_LENGTH(scope_families));
	return look->process.scopes > table->n
		       ? (look->process.scopes - table->n) * VX_SCOPE_SERIES
		       : 0;
}
