/* SPDX-License-Identifier: MIT */

/*
 * Table
 *
 * A row a figure: what was measured, the baseline from the same run, how they compare, what is
 * allowed, and whether it holds.
 */

#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdbool.h>
#include <stdio.h>

enum verdict {
	INFO, /* nothing is promised */
	PASS,
	FAIL,
	SKIPPED,
};

#define CELLS 5

struct row {
	char cells[CELLS][64];
	enum verdict verdict;
};

enum cell {
	FIGURE,
	MEASURED,
	BASELINE,
	RATIO,
	BOUND,
};

/* A new row; its other cells are "-" until they are set. */
struct row *table_row(const char *figure);

__attribute__((format(printf, 3, 4))) void cell(struct row *row, enum cell cell,
						const char *format, ...);

void row_judge(struct row *row, bool holds);
/* Not measured; the reason stands in the bound's place. */
void row_skip(struct row *row, const char *why);

/* A row all of whose figures are nanoseconds: its baseline, and the ratio. */
struct row *row_ns(const char *figure, double ns, const char *baseline,
		   double baseline_ns);

void table_print(FILE *file);
/* How many rows failed. */
unsigned table_failures(void);

#endif
