/* SPDX-License-Identifier: MIT */

#include "options.h"

#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: service [OPTION]... [DIR]\n"
	"Indexes the directory tree DIR, pass after pass, and serves its vital signs.\n"
	"\n"
	"  --listen ADDR:PORT            where (127.0.0.1:9464; port 0: any)\n"
	"  --workers N                   how many hash files (4)\n"
	"  --timeout SECONDS             how long a thread may be silent, and how\n"
	"                                long all have to leave when told to (2)\n"
	"  --heartbeat-timeout SECONDS   the former only\n"
	"  --break KIND                  breaks worker-1: deadlock, cycle3, condvar, "
	"io,\n"
	"                                spin, starve, sleep or die\n"
	"  --after SECONDS               so long after the start (5)\n"
	"  --heal SECONDS                ends spin, starve or sleep so long after that\n"
	"  --linger                      the last worker does not leave when told to\n"
	"  --help                        prints this\n"
	"\n"
	"Exit status: 0 if all threads returned, 1 if not, 2 if it could not start.\n";

enum {
	LISTEN = 1,
	WORKERS,
	TIMEOUT,
	SILENCE,
	BREAK,
	AFTER,
	HEAL,
	LINGER,
	HELP
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, LISTEN },
	{ "workers", required_argument, NULL, WORKERS },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "heartbeat-timeout", required_argument, NULL, SILENCE },
	{ "break", required_argument, NULL, BREAK },
	{ "after", required_argument, NULL, AFTER },
	{ "heal", required_argument, NULL, HEAL },
	{ "linger", no_argument, NULL, LINGER },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

void give_up(const char *what, const char *why)
{
	fprintf(stderr, "service: %s: %s\n", what, why);
	exit(2);
}

static double number(const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		give_up(text, "not a number, or out of range");
	return value;
}

static uint64_t seconds(const char *text, double min)
{
	return (uint64_t)(number(text, min, 1e6) * 1e9);
}

static void set_break(struct breakage *breakage, const char *name)
{
	int kind = breakage_kind(name);

	if (kind < 0)
		give_up(name, "no such way to break; try --help");
	breakage->kind = (enum breakage_kind)kind;
}

static void set_option(struct options *options, int option)
{
	switch (option) {
	case LISTEN:
		options->listen = optarg;
		break;
	case WORKERS:
		options->workers = (unsigned)number(optarg, 1, POOL_MAX);
		break;
	case TIMEOUT:
		options->quit_ns = seconds(optarg, 0.001);
		break;
	case SILENCE:
		options->silence_ns = seconds(optarg, 0.001);
		break;
	case BREAK:
		set_break(options->breakage, optarg);
		break;
	case AFTER:
		options->breakage->after_ns = seconds(optarg, 0);
		break;
	case HEAL:
		options->breakage->heal_ns = seconds(optarg, 0.001);
		break;
	case LINGER:
		options->linger = 1;
		break;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs("service: try --help\n", stderr);
		exit(2);
	}
}

void options_read(struct options *options, int argc, char **argv)
{
	const struct breakage *breakage = options->breakage;
	int option, fd;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(options, option);
	if (optind + 1 < argc)
		give_up(argv[optind + 1], "one directory is enough");
	if (optind < argc)
		options->dir = argv[optind];
	if (options->silence_ns == 0)
		options->silence_ns = options->quit_ns;
	if (breakage->heal_ns && !breakage_heals(breakage->kind))
		give_up("--heal", "only spin, starve and sleep can heal");

	fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		give_up(options->dir, strerror(errno));
	close(fd);
}
