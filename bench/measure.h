/* SPDX-License-Identifier: MIT */

/*
 * Measure
 *
 * What a thing costs on a machine that others use too: slices of about a millisecond, short enough
 * that some of many are undisturbed, of the things and what they are compared with in turn; the
 * best of each counts. And, where the worst counts, samples and their quantiles.
 */

#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* As seen by the compiler, @x was used and memory may have changed. */
#define KEEP(x) __asm__ volatile("" : : "r"(x) : "memory")

struct loop {
	void (*fn)(void *arg, uint64_t n); /* does it n times */
	void *arg;
	double ns;  /* receives what one time costs, in the best slice */
	uint64_t n; /* receives how many fill a slice */
};

/* How many times fill a slice. */
void loop_calibrate(struct loop *loop);

/* The loops in turn, @rounds times. */
void loops_measure(struct loop *loops, size_t n, unsigned rounds);

/* The least of what has been seen; it begins at 0, which is none. */
static inline void keep_least(double *least, double value)
{
	if (*least <= 0 || value < *least)
		*least = value;
}

struct samples {
	uint64_t *values;
	size_t n;
	size_t room; /* what comes after is left out */
};

void samples_make(struct samples *samples, size_t room);
void samples_free(struct samples *samples);

static inline void samples_add(struct samples *samples, uint64_t value)
{
	if (samples->n < samples->room)
		samples->values[samples->n++] = value;
}

/* Before the quantiles are asked for. */
void samples_sort(struct samples *samples);

/* The smallest that @fraction of them do not exceed; 0 if there are none. */
uint64_t samples_quantile(const struct samples *samples, double fraction);

/* What of the process is in memory, in bytes, shared pages too. */
double resident(void);

#endif
