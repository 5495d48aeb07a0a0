/* SPDX-License-Identifier: MIT */

/*
 * Window
 *
 * Samples of one thread in a row, so far as they matter: whether it wanted to run all the time, and
 * what it got.
 */

#ifndef VT_WINDOW_H
#define VT_WINDOW_H

#include "machine.h"
#include "sample.h"
#include "vitals.h"

/* Looks in a row that found it running or ready to. Its times are those of the thread's clock. */
struct vt_streak {
	uint32_t looks;   /* 0: the last did not */
	uint32_t parts;   /* between two looks far enough apart */
	uint32_t poorest; /* of them, thousandths of a processor */
	uint32_t latest;  /* the same, of the last */
	bool asked;       /* it asked to sleep meanwhile, or that is not known */
	uint64_t voluntary;
	uint64_t since_ns;
	uint64_t since_clock_ns;
	uint64_t part_ns;
	uint64_t part_clock_ns;
	uint64_t last_ns;
	uint64_t last_clock_ns;
};

/* A suspect: the samples of one thread since it was looked at first. */
struct vt_window {
	uint32_t looks;
	uint32_t moved; /* 1: it left a call, or was let run, between two looks */
	bool has_throttle;
	uint64_t throttled_ns; /* the control group's total when it first wanted to run */
	struct vt_streak run;
	struct vt_sample first;
	struct vt_sample last;
};

/* Begins anew: the next sample is the first. */
void vt_window_begin(struct vt_window *window);

/* A cheap sample more, as taken between the first and the last: some 25 us, 50 of a thread that runs. */
void vt_window_look(struct vt_proc *proc, uint32_t tid, uint64_t now_ns,
		    struct vt_window *window);

/* The same of a sample that is there already. */
void vt_window_add(struct vt_window *window, const struct vt_sample *sample);

/* Thousandths of a processor that it got since it wants to run. */
uint32_t vt_window_share(const struct vt_window *window);

/*
 * VITALS_SPINNING, VITALS_STARVED or VITALS_RUNNING, of a thread of which the last look found that it
 * wants to run. @throttle: of now; what it was before is in the window.
 */
enum vitals_class vt_window_class(const struct vt_window *window,
				  const struct vt_throttle *throttle);

#endif
