/* SPDX-License-Identifier: MIT */

/*
 * Options
 *
 * The command line of the service.
 */

#ifndef INDEXER_OPTIONS_H
#define INDEXER_OPTIONS_H

#include "breakage.h"

struct options {
	const char *listen;
	const char *dir;
	uint64_t quit_ns;    /* how long all have to leave when told to */
	uint64_t silence_ns; /* how long a thread may be silent */
	unsigned workers;
	int linger;
	struct breakage *breakage;
};

/* Prints a line to stderr and exits with 2. */
void give_up(const char *what, const char *why) __attribute__((noreturn));

/* Takes over what the command line says; from a wrong one, or --help, no return. */
void options_read(struct options *options, int argc, char **argv);

#endif
