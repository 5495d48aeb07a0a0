/* SPDX-License-Identifier: MIT */

/*
 * A process ends, whatever hangs in it: by the signal that is to end it, by the deadline, with the
 * right status and the right names, and those who flush were told. Each case in a process of its
 * own, many times, with a real clock; and the order of the stages by chance, without one.
 *
 * usage: ends [ROUNDS [SEED [CASE...]]]; or VITALS_ENDS, VITALS_ENDS_SEED
 *
 * Ten times as many runs of those that flush, a hundred times as many of the stages. How late a bare
 * process is in the same run says whether the machine was idle: if it was not, how soon is only
 * printed.
 */

#include "ends.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 100u
#define ROUNDS_MAX 100000u

static bool wanted(int argc, char **argv, const char *name)
{
	int i;

	for (i = 3; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc <= 3;
}

int main(int argc, char **argv)
{
	uint64_t rounds = number_from("VITALS_ENDS", ROUNDS);
	struct chance chance = { chance_seed("VITALS_ENDS_SEED") };
	bool well = true;
	uint32_t n;

	if (argc > 1)
		rounds = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		chance.state = strtoull(argv[2], NULL, 0);
	if (rounds < 1 || rounds > ROUNDS_MAX) {
		printf("1 to %u rounds\n", ROUNDS_MAX);
		return 2;
	}
	n = (uint32_t)rounds;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ends: %u rounds, seed %llu\n", n, (unsigned long long)chance.state);
	if (wanted(argc, argv, "stages"))
		well &= ends_stages(100 * n, &chance);
	if (wanted(argc, argv, "forks"))
		well &= ends_forks(n);
	if (wanted(argc, argv, "signals"))
		well &= ends_signals(n);
	if (wanted(argc, argv, "deadlines"))
		well &= ends_deadlines(n);
	if (wanted(argc, argv, "flushes"))
		well &= ends_flushes(10 * n, &chance);
	ends_bare_print();
	printf("ends: %s\n", well ? "all is well" : "FAILED");
	return !well;
}
