/* SPDX-License-Identifier: MIT */

#include "measure.h"

#include "clock.h"
#include "topics.h"

#include <stdio.h>
#include <stdlib.h>

#define SLICE_NS 1000000u

static uint64_t slice(const struct loop *loop)
{
	uint64_t before = vt_clock_now();

	loop->fn(loop->arg, loop->n);
	return vt_clock_now() - before;
}

void loop_calibrate(struct loop *loop)
{
	for (loop->n = 64; slice(loop) < SLICE_NS / 2; loop->n *= 2)
		continue;
}

void loops_measure(struct loop *loops, size_t n, unsigned rounds)
{
	unsigned round;
	size_t i;

	for (i = 0; i < n; i++) {
		loop_calibrate(&loops[i]);
		loops[i].ns = 0;
	}
	for (round = 0; round < rounds; round++)
		for (i = 0; i < n; i++)
			keep_least(&loops[i].ns,
				   (double)slice(&loops[i]) / (double)loops[i].n);
}

void samples_make(struct samples *samples, size_t room)
{
	samples->n = 0;
	samples->room = room;
	samples->values = malloc(room * sizeof(*samples->values));
	must(samples->values != NULL);
}

void samples_free(struct samples *samples)
{
	free(samples->values);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void samples_sort(struct samples *samples)
{
	qsort(samples->values, samples->n, sizeof(*samples->values), compare);
}

uint64_t samples_quantile(const struct samples *samples, double fraction)
{
	size_t rank = (size_t)((double)samples->n * fraction);

	if (!samples->n)
		return 0;
	return samples->values[rank < samples->n ? rank : samples->n - 1];
}

double resident(void)
{
	char line[128];
	double kib = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "re");

	must(file != NULL);
	while (fgets(line, sizeof(line), file) && sscanf(line, "Pss: %lf", &kib) != 1)
		continue;
	fclose(file);
	must(kib > 0);
	return kib * 1024;
}
