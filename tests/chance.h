/* SPDX-License-Identifier: MIT */

/*
 * Chance
 *
 * Random numbers that can be had again: whoever uses them prints the seed, and takes one from the
 * environment. And numbers from the environment in general.
 */

#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

struct chance {
	uint64_t state;
};

/* splitmix64: any seed is as good as any other. */
static inline uint64_t chance_next(struct chance *chance)
{
	uint64_t z = (chance->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 … n - 1, evenly enough. */
static inline uint64_t chance_below(struct chance *chance, uint64_t n)
{
	return chance_next(chance) % n;
}

/* From the environment's @name, else another each time. */
static inline uint64_t chance_seed(const char *name)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return number_from(name, (uint64_t)now.tv_sec * 1000000u +
					 (uint64_t)now.tv_nsec / 1000u);
}

#endif
