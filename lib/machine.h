/* SPDX-License-Identifier: MIT */

/*
 * Machine
 *
 * What the machine and the control group do to a process: whether they let it run.
 */

#ifndef VT_MACHINE_H
#define VT_MACHINE_H

#include "proc.h"

/*
 * Share of the last 10 s in which somebody waited, in proc->pressure. It is read anew once a second,
 * for the kernel makes a new one every two.
 */
void vt_machine_pressure(struct vt_proc *proc, uint64_t now_ns);

/* What holds back the control group of a thread, and those around it. */
struct vt_throttle {
	bool known;            /* all of them could be read */
	bool limited;          /* one of them has had a limit on processor time */
	uint64_t throttled_ns; /* how long they were held back, ever, together */
};

/* Some 10 us, and as much again for each group around it: for threads that want to run only. */
void vt_machine_throttle(struct vt_proc *proc, uint32_t tid,
			 struct vt_throttle *throttle);

/* "some avg10=26.32 avg60=…": 2632; UINT32_MAX: it is something else. */
uint32_t vt_machine_parse_pressure(const char *text);

/* A cpu.stat of either version, added to @throttle. Return: whether it is one. */
bool vt_machine_parse_stat(const char *text, struct vt_throttle *throttle);

/*
 * From /proc/PID/cgroup, the path of the group that limits processor time, at most @size - 1 bytes.
 * Return: 1 or 2, the version it is of; 0: there is none, or it does not fit.
 */
int vt_machine_parse_cgroup(const char *text, char *path, size_t size);

#endif
