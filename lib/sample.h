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

/* Which files are read. Opened, read and closed, in us: median and p99 of 2 000, two cores, busy. */
#define VT_SAMPLE_STATE 1u    /* stat, 9 and 11: letter, processor time, faults */
#define VT_SAMPLE_DELAY 2u    /* schedstat, 6 and 9: ready and not let run */
#define VT_SAMPLE_CALL 4u     /* syscall, 7 and 10: number and arguments */
#define VT_SAMPLE_SWITCHES 8u /* status, 11 and 17: context switches, who traces it */
#define VT_SAMPLE_WCHAN 16u   /* wchan, 8 and 10 */
#define VT_SAMPLE_COMM 32u    /* comes with the state */

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
	/* The thread's own clock, or the scheduler's figure where that is not to be had; 0: neither. */
	uint64_t clock_ns;
	uint64_t
		clock_at_ns; /* when that was read: now_ns may be from before a hundred others */
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t minor_faults;
	uint64_t major_faults;
	uint64_t run_delay_ns;
	uint64_t runs; /* times it was let run */
	uint64_t voluntary;
	uint64_t involuntary;
	uint32_t tracer; /* process that traces it */
	char comm[16];
	char wchan[48];
};

/* @now_ns: CLOCK_MONOTONIC. What cannot be had is missing, with the reason. */
void vt_sample_take(struct vt_proc *proc, uint32_t tid, unsigned what, uint64_t now_ns,
		    struct vt_sample *sample);

/*
 * What is in those files. Return: whether it is what a kernel writes; else, the sample is as it was.
 */
bool vt_sample_parse_stat(const char *stat, struct vt_sample *sample);
bool vt_sample_parse_schedstat(const char *schedstat, struct vt_sample *sample);
bool vt_sample_parse_syscall(const char *call, struct vt_sample *sample);
bool vt_sample_parse_status(const char *status, struct vt_sample *sample);
bool vt_sample_parse_wchan(const char *wchan, struct vt_sample *sample);

#endif
