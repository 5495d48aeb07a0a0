/* SPDX-License-Identifier: MIT */

/*
 * Sample
 *
 * What the kernel says of one thread at one moment.
 */

#ifndef VT_SAMPLE_H
#define VT_SAMPLE_H

#include "proc.h"

#define VT_CALL_NONE (-1)    /* it runs, or is in no call */
#define VT_CALL_UNKNOWN (-2) /* not to be had */

/* Which files are read: each takes 10 to 90 us. */
#define VT_SAMPLE_STATE 1u    /* stat: letter, processor time, faults */
#define VT_SAMPLE_DELAY 2u    /* schedstat: ready and not let run */
#define VT_SAMPLE_CALL 4u     /* syscall: number and arguments */
#define VT_SAMPLE_SWITCHES 8u /* status: context switches, and what else is there */
#define VT_SAMPLE_WCHAN 16u
#define VT_SAMPLE_COMM 32u /* comes with the state */

struct vt_sample {
	uint64_t at_ns;
	uint32_t tid;
	uint32_t has;    /* VT_SAMPLE_... that could be read */
	uint32_t reason; /* enum vitals_reason, of the first that could not */
	bool gone;       /* there is no such thread */
	char state;
	int32_t call; /* VT_CALL_..., or its number */
	uint64_t args[6];
	uint64_t sp;
	uint64_t pc;
	uint64_t clock_ns; /* the thread's own clock; 0: not to be had */
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t minor_faults;
	uint64_t major_faults;
	uint64_t run_delay_ns;
	uint64_t runs; /* times it was let run */
	uint64_t voluntary;
	uint64_t involuntary;
	char comm[16];
	char wchan[48];
};

/* @now_ns: CLOCK_MONOTONIC. What cannot be had is missing, with the reason. */
void vt_sample_take(struct vt_proc *proc, uint32_t tid, unsigned what, uint64_t now_ns,
		    struct vt_sample *sample);

#endif
