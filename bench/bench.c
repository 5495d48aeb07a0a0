/* SPDX-License-Identifier: MIT */

/*
 * What the library promises to cost, measured: one table, each figure beside a baseline from the
 * same run. See usage.
 */

#include "table.h"
#include "topics.h"

#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3

static const char usage[] =
	"usage: bench [OPTION]...\n"
	"Measures what the library costs, and prints a table.\n"
	"\n"
	"  --short        about a minute, rather than five\n"
	"  --only TOPIC   beats, scopes, questions, holds, cores, register, scale, tree, "
	"polls,\n"
	"                 wakes, tells, joins, watch or evidence; may be repeated\n"
	"  --seed N       of what is random (1)\n"
	"  --output FILE  the table goes there too\n"
	"  --help         prints this\n"
	"\n"
	"Exit status: 0 if all bounds hold, 1 if not, 2 if it could not measure.\n";

static const struct topic {
	const char *name;
	void (*bench)(const struct effort *effort);
} topics[] = {
	{ "beats", beats_bench },         { "scopes", scopes_bench },
	{ "questions", questions_bench }, { "cores", cores_bench },
	{ "holds", holds_bench },         { "joins", joins_bench },
	{ "register", register_bench },   { "scale", scale_bench },
	{ "tree", tree_bench },           { "polls", polls_bench },
	{ "wakes", wakes_bench },         { "tells", tells_bench },
	{ "watch", watch_bench },         { "evidence", evidence_bench },
};

enum {
	SHORT = 1,
	ONLY,
	SEED,
	OUTPUT,
	HELP
};

static const struct option long_options[] = {
	{ "short", no_argument, NULL, SHORT },
	{ "only", required_argument, NULL, ONLY },
	{ "seed", required_argument, NULL, SEED },
	{ "output", required_argument, NULL, OUTPUT },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

struct options {
	struct effort effort;
	const char *output;
	unsigned chosen; /* a bit a topic; 0: all */
};

void must_at(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s (errno %d)\n", file, line, condition, errno);
	exit(2);
}

void progress(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static unsigned topic_bit(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(topics); i++)
		if (strcmp(topics[i].name, name) == 0)
			return 1u << i;
	fprintf(stderr, "bench: no such topic: %s; try --help\n", name);
	exit(2);
}

static void set_option(struct options *options, int option)
{
	switch (option) {
	case SHORT:
		options->effort.brief = true;
		break;
	case ONLY:
		options->chosen |= topic_bit(optarg);
		break;
	case SEED:
		options->effort.seed = strtoull(optarg, NULL, 0);
		break;
	case OUTPUT:
		options->output = optarg;
		break;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs("bench: try --help\n", stderr);
		exit(2);
	}
}

static void table_save(const char *path)
{
	FILE *file = fopen(path, "we");

	must(file != NULL);
	table_print(file);
	must(fclose(file) == 0);
}

/*
 * Others have the processors, too: what they spoiled is measured again, and the better figure counts.
 * What is too slow is so every time.
 */
static void topic_bench(const struct topic *topic, const struct effort *effort)
{
	size_t mark = table_mark(), again;
	int i;

	progress("%s", topic->name);
	topic->bench(effort);
	again = table_mark();
	for (i = 1; i < TRIES && table_failures_behind(mark); i++) {
		progress("%s again, for %u rows", topic->name,
			 table_failures_behind(mark));
		topic->bench(effort);
		table_keep_better(mark, again);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .effort = { .seed = 1 } };
	int option;
	size_t i;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&options, option);
	/* The generator never leaves 0. */
	options.effort.seed += !options.effort.seed;
	for (i = 0; i < COUNT(topics); i++) {
		if (options.chosen && !(options.chosen & 1u << i))
			continue;
		topic_bench(&topics[i], &options.effort);
	}
	table_print(stdout);
	if (options.output)
		table_save(options.output);
	return table_failures() ? 1 : 0;
}
