/* SPDX-License-Identifier: MIT */

/*
 * A thousand heartbeats, ten and a hundred thousand, each with a name of its own: what one of them
 * costs to register, to keep, to look at and to close. It should not cost more where there are more.
 */

#include "topics.h"

#include "clock.h"
#include "measure.h"
#include "table.h"
#include "vitals.h"

#include <stdio.h>

#define N_MAX 100000u
#define MEMORY_BARE 256.0
#define MEMORY_FINE 1536.0
#define LINEAR 3.0

static const struct {
	uint32_t n;
	unsigned times; /* in a round */
	const char *shown;
} sizes[] = {
	{ 1000, 20, "1 000" },
	{ 10000, 4, "10 000" },
	{ N_MAX, 1, "100 000" },
};

#define SIZES COUNT(sizes)

/* Of one heartbeat among so many. */
struct costs {
	double new_ns;
	double bytes;
	double rows_ns;
	double groups_ns;
	double close_ns;
};

static vitals_heartbeat *beats[N_MAX];
static char names[N_MAX][16];
static vitals_snapshot *snapshot;

static double register_all(vitals_registry *registry, uint32_t n, uint32_t flags)
{
	struct vitals_heartbeat_options options;
	uint64_t before = vt_clock_now();
	uint32_t i;

	VITALS_INIT(&options);
	options.flags = flags;
	for (i = 0; i < n; i++)
		must(vitals_heartbeat_new(registry, names[i], VITALS_S(10), &options,
					  &beats[i]) == 0);
	return (double)(vt_clock_now() - before) / n;
}

static double close_all(uint32_t n)
{
	uint64_t before = vt_clock_now();
	uint32_t i;

	for (i = 0; i < n; i++)
		vitals_heartbeat_unref(beats[i]);
	return (double)(vt_clock_now() - before) / n;
}

static double look_at_rows(vitals_registry *registry, uint32_t n)
{
	struct vitals_heartbeat_info info;
	uint64_t before = vt_clock_now();
	uint32_t i;

	must(vitals_snapshot_take(registry, &snapshot) == 0);
	VITALS_INIT(&info);
	for (i = 0; vitals_snapshot_heartbeat(snapshot, i, &info) == 0; i++)
		continue;
	must(i == n);
	return (double)(vt_clock_now() - before) / n;
}

static double look_at_groups(vitals_registry *registry, uint32_t n)
{
	struct vitals_group_info info;
	uint64_t before = vt_clock_now();
	uint32_t i;

	must(vitals_snapshot_take(registry, &snapshot) == 0);
	VITALS_INIT(&info);
	for (i = 0; vitals_snapshot_group(snapshot, i, &info) == 0; i++)
		continue;
	must(info.states[VITALS_STARTING] == n);
	return (double)(vt_clock_now() - before) / n;
}

/* In a registry of its own, which has registered its first before anything is measured. */
static void round_of(struct costs *costs, uint32_t n, uint32_t flags)
{
	vitals_registry *registry;
	vitals_heartbeat *first;
	double before;

	must(vitals_registry_new(0, &registry) == 0);
	must(vitals_heartbeat_new(registry, "first", VITALS_S(10), NULL, &first) == 0);
	vitals_heartbeat_unref(first);
	before = resident();
	keep_least(&costs->new_ns, register_all(registry, n, flags));
	keep_least(&costs->bytes, (resident() - before) / n);
	keep_least(&costs->rows_ns, look_at_rows(registry, n));
	keep_least(&costs->groups_ns, look_at_groups(registry, n));
	keep_least(&costs->close_ns, close_all(n));
	/* It keeps the registry it was taken of. */
	snapshot = vitals_snapshot_free(snapshot);
	vitals_registry_free(registry);
}

static void bare_clock(void *arg, uint64_t n)
{
	(void)arg;
	for (; n; n--)
		KEEP(vt_clock_now());
}

/* The fewest have nothing to be linear to: they are counted in clock reads. */
static void linear_row(const char *what, size_t size, double ns, double first_ns)
{
	char figure[64];
	struct row *row;

	(void)snprintf(figure, sizeof(figure), "%s, of %s", what, sizes[size].shown);
	if (!size) {
		struct loop clock = { .fn = bare_clock };

		loops_measure(&clock, 1, 20);
		(void)row_ns(figure, ns, "clock read", clock.ns);
		return;
	}
	row = table_row(figure);
	cell(row, MEASURED, "%.2f ns", ns);
	cell(row, BASELINE, "%.2f ns of %s", first_ns, sizes[0].shown);
	cell(row, RATIO, "%.2f", ns / first_ns);
	cell(row, BOUND, "<= %g x", LINEAR);
	row_judge(row, ns <= LINEAR * first_ns);
}

static void memory_row(const char *what, size_t size, double bytes, double bound)
{
	char figure[64];
	struct row *row;

	(void)snprintf(figure, sizeof(figure), "memory %s, of %s", what,
		       sizes[size].shown);
	row = table_row(figure);
	cell(row, MEASURED, "%.0f B", bytes);
	/* Among fewer, what a registry has once weighs more than what each adds. */
	if (size + 1 < SIZES)
		return;
	cell(row, BOUND, "<= %g B", bound);
	row_judge(row, bytes <= bound);
}

/* All sizes in turn, so that they share what the machine goes through. */
static void costs_measure(struct costs *costs, uint32_t flags, unsigned rounds)
{
	unsigned round, time;
	size_t size;

	for (round = 0; round < rounds; round++)
		for (size = 0; size < SIZES; size++)
			for (time = 0; time < sizes[size].times; time++)
				round_of(&costs[size], sizes[size].n, flags);
}

void scale_bench(const struct effort *effort)
{
	unsigned rounds = effort->brief ? 5 : 15;
	struct costs bare[SIZES] = { { 0 } }, fine[SIZES] = { { 0 } };
	size_t size;
	uint32_t i;

	for (i = 0; i < N_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "worker-%u", i);
		/* Its page is not to count as the library's. */
		beats[i] = NULL;
	}
	costs_measure(bare, VITALS_NO_HISTOGRAM, rounds);
	costs_measure(fine, 0, rounds);
	for (size = 0; size < SIZES; size++)
		linear_row("register", size, fine[size].new_ns, fine[0].new_ns);
	for (size = 0; size < SIZES; size++)
		memory_row("without histogram", size, bare[size].bytes, MEMORY_BARE);
	for (size = 0; size < SIZES; size++)
		memory_row("with the finest", size, fine[size].bytes, MEMORY_FINE);
	for (size = 0; size < SIZES; size++)
		linear_row("snapshot, all rows", size, fine[size].rows_ns,
			   fine[0].rows_ns);
	for (size = 0; size < SIZES; size++)
		linear_row("snapshot, groups", size, fine[size].groups_ns,
			   fine[0].groups_ns);
	for (size = 0; size < SIZES; size++)
		linear_row("close", size, fine[size].close_ns, fine[0].close_ns);
}
