/* SPDX-License-Identifier: MIT */

#include "table.h"

#include "measure.h"
#include "topics.h"

#include <stdarg.h>
#include <string.h>

#define ROWS 160

static const struct row heading = { .cells = { "figure", "measured", "baseline", "ratio",
					       "bound" } };
static const char *const words[] = {
	[INFO] = "info", [PASS] = "pass", [FAIL] = "FAIL", [SKIPPED] = "skipped"
};

static struct row rows[ROWS];
static size_t n_rows;

struct row *table_row(const char *figure)
{
	struct row *row = &rows[n_rows++];
	int i;

	must(n_rows <= ROWS);
	for (i = 0; i < CELLS; i++)
		cell(row, (enum cell)i, "%s", i == FIGURE ? figure : "-");
	return row;
}

void cell(struct row *row, enum cell which, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(row->cells[which], sizeof(row->cells[which]), format, args);
	va_end(args);
}

void row_judge(struct row *row, bool holds)
{
	row->verdict = holds ? PASS : FAIL;
}

void row_skip(struct row *row, const char *why)
{
	row->verdict = SKIPPED;
	cell(row, BOUND, "%s", why);
}

struct row *row_ns(const char *figure, double ns, const char *baseline,
		   double baseline_ns)
{
	struct row *row = table_row(figure);

	cell(row, MEASURED, "%.2f ns", ns);
	cell(row, BASELINE, "%.2f ns %s", baseline_ns, baseline);
	cell(row, RATIO, "%.2f", ns / baseline_ns);
	return row;
}

/* Bytes are columns: all cells are ASCII. */
static void row_print(FILE *file, const struct row *row, const int *widths,
		      const char *verdict)
{
	int i;

	for (i = 0; i < CELLS; i++)
		fprintf(file, "%-*s  ", widths[i], row->cells[i]);
	fprintf(file, "%s\n", verdict);
}

void table_print(FILE *file)
{
	int widths[CELLS], i;
	size_t r;

	for (i = 0; i < CELLS; i++) {
		widths[i] = (int)strlen(heading.cells[i]);
		for (r = 0; r < n_rows; r++) {
			int width = (int)strlen(rows[r].cells[i]);

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	row_print(file, &heading, widths, "verdict");
	for (r = 0; r < n_rows; r++)
		row_print(file, &rows[r], widths, words[rows[r].verdict]);
}

unsigned table_failures(void)
{
	return table_failures_behind(0);
}

size_t table_mark(void)
{
	return n_rows;
}

unsigned table_failures_behind(size_t mark)
{
	unsigned failures = 0;
	size_t r;

	for (r = mark; r < n_rows; r++)
		failures += rows[r].verdict == FAIL;
	return failures;
}

void table_keep_better(size_t mark, size_t again)
{
	size_t r;

	/* A topic adds the same rows every time. */
	must(n_rows - again == again - mark);
	for (r = mark; r < again; r++)
		if (rows[r].verdict == FAIL)
			rows[r] = rows[again + r - mark];
	n_rows = again;
}
