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

/* How many rows there are: what a topic adds comes behind them. */
size_t table_mark(void);
/* How many of those behind it failed. */
unsigned table_failures_behind(size_t mark);
/*
 * The rows from @again on are those from @mark on, measured once more: they take the place of those
 * that failed.
 */
void table_keep_better(size_t mark, size_t again);

#endif
