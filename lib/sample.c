/* SPDX-License-Identifier: MIT */

#include "sample.h"

#include "clock.h"
#include "task.h"
#include "vitals-evidence.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

/*
 * A clock tick of stat, whatever the kernel's own is: 100 a second on every architecture there is
 * (USER_HZ), and sysconf() would ask the same constant.
 */
#define TICK_NS 10000000u

/* How far two clocks may be apart, which takes a third of a microsecond; and how often that is tried. */
#define CLOCK_GAP_NS 100000u
#define CLOCK_TRIES 4

/* Digits of @base, up to where there are none. Return: whether there were any. */
static bool take_number(const char **at, unsigned base, uint64_t *ret)
{
	const char *s = *at;
	uint64_t value = 0;

	for (;; s++) {
		unsigned digit = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
				 : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a') + 10
							  : 99;

		if (digit >= base)
			break;
		value = value * base + digit;
	}
	if (s == *at)
		return false;
	*at = s;
	*ret = value;
	return true;
}

static bool take_decimal(const char **at, uint64_t *ret)
{
	while (**at == ' ' || **at == '\t')
		++*at;
	return take_number(at, 10, ret);
}

static bool take_hex(const char **at, uint64_t *ret)
{
	while (**at == ' ')
		++*at;
	if (strncmp(*at, "0x", 2) != 0)
		return false;
	*at += 2;
	return take_number(at, 16, ret);
}

/* Past one number with a sign, or without. */
static bool skip_number(const char **at)
{
	uint64_t unused;

	while (**at == ' ')
		++*at;
	if (**at == '-')
		++*at;
	return take_number(at, 10, &unused);
}

/* "tid (comm) S ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime" */
bool vt_sample_parse_stat(const char *stat, struct vt_sample *sample)
{
	const char *open = strchr(stat, '('), *at = strrchr(stat, ')');
	uint64_t minor, major, user, system;
	size_t length;
	int i;

	/* The name may hold anything, also what looks like the rest. */
	if (!open || !at || at < open || at[1] != ' ' || !at[2] || at[3] != ' ')
		return false;
	length = (size_t)(at - open) - 1;
	stat = at + 3;
	for (i = 0; i < 6; i++)
		if (!skip_number(&stat))
			return false;
	if (!take_decimal(&stat, &minor) || !skip_number(&stat) ||
	    !take_decimal(&stat, &major) || !skip_number(&stat) ||
	    !take_decimal(&stat, &user) || !take_decimal(&stat, &system))
		return false;
	if (length >= sizeof(sample->comm))
		length = sizeof(sample->comm) - 1;
	memcpy(sample->comm, open + 1, length);
	sample->comm[length] = 0;
	sample->state = at[2];
	sample->minor_faults = minor;
	sample->major_faults = major;
	sample->user_ns = user * TICK_NS;
	sample->system_ns = system * TICK_NS;
	return true;
}

/* "run delay times" */
bool vt_sample_parse_schedstat(const char *schedstat, struct vt_sample *sample)
{
	uint64_t run, delay, times;

	if (!take_decimal(&schedstat, &run) || !take_decimal(&schedstat, &delay) ||
	    !take_decimal(&schedstat, &times))
		return false;
	if (!sample->clock_ns)
		sample->clock_ns = run;
	sample->run_delay_ns = delay;
	sample->runs = times;
	return true;
}

/* "running", "-1 0xsp 0xpc", "202 0xarg 0xarg 0xarg 0xarg 0xarg 0xarg 0xsp 0xpc" */
bool vt_sample_parse_syscall(const char *call, struct vt_sample *sample)
{
	uint64_t number = 0, args[6] = { 0 }, sp, pc;
	bool none = strncmp(call, "-1 ", 3) == 0;
	int i;

	if (strncmp(call, "running", 7) == 0) {
		sample->call = VT_CALL_NONE;
		return true;
	}
	if (none)
		call += 2;
	else if (!take_decimal(&call, &number) || number > INT32_MAX)
		return false;
	for (i = 0; !none && i < 6; i++)
		if (!take_hex(&call, &args[i]))
			return false;
	if (!take_hex(&call, &sp) || !take_hex(&call, &pc))
		return false;
	sample->call = none ? VT_CALL_NONE : (int32_t)number;
	memcpy(sample->args, args, sizeof(args));
	sample->sp = sp;
	sample->pc = pc;
	return true;
}

/* The number in the line that begins with @key: each "\n" and a word that no other line begins with. */
static bool take_line(const char *status, const char *key, uint64_t *ret)
{
	const char *at = strstr(status, key);

	if (!at)
		return false;
	at += strlen(key);
	return take_decimal(&at, ret);
}

bool vt_sample_parse_status(const char *status, struct vt_sample *sample)
{
	uint64_t voluntary, involuntary, tracer = 0;

	if (!take_line(status, "\nvoluntary_ctxt_switches:", &voluntary) ||
	    !take_line(status, "\nnonvoluntary_ctxt_switches:", &involuntary))
		return false;
	(void)take_line(status, "\nTracerPid:", &tracer);
	sample->voluntary = voluntary;
	sample->involuntary = involuntary;
	sample->tracer = (uint32_t)tracer;
	return true;
}

/* A symbol; "0" of a thread that runs, of a kernel without names, or where it is not for us. */
bool vt_sample_parse_wchan(const char *wchan, struct vt_sample *sample)
{
	size_t length = strcspn(wchan, " \n");

	if (!length || wchan[0] == '0')
		return false;
	if (length >= sizeof(sample->wchan))
		length = sizeof(sample->wchan) - 1;
	memcpy(sample->wchan, wchan, length);
	sample->wchan[length] = 0;
	return true;
}

static const struct part {
	unsigned what;
	const char *file;
	bool (*parse)(const char *text, struct vt_sample *sample);
} parts[] = {
	{ VT_SAMPLE_STATE, "stat", vt_sample_parse_stat },
	{ VT_SAMPLE_CALL, "syscall", vt_sample_parse_syscall },
	{ VT_SAMPLE_WCHAN, "wchan", vt_sample_parse_wchan },
	{ VT_SAMPLE_SWITCHES, "status", vt_sample_parse_status },
	{ VT_SAMPLE_DELAY, "schedstat", vt_sample_parse_schedstat },
};

/*
 * A process that is not dumpable is the superuser's in /proc. One with the capability to read it all
 * the same is not refused.
 */
static enum vitals_reason refusal(const struct vt_proc *proc)
{
	return !proc->pid && prctl(PR_GET_DUMPABLE) != 1 ? VITALS_REASON_NOT_DUMPABLE
							 : VITALS_REASON_REFUSED;
}

static bool exists(const struct vt_proc *proc, uint32_t tid)
{
	/* Without /proc, of another process nothing can be said. */
	return proc->pid ? !vt_proc_mounted(proc) : vt_task_exists(tid);
}

static void failed(const struct vt_proc *proc, int error, struct vt_sample *sample)
{
	enum vitals_reason reason;

	switch (error) {
	case ESRCH:
	case ENOENT:
		sample->gone = !exists(proc, sample->tid);
		if (sample->gone)
			return;
		reason = vt_proc_mounted(proc) ? VITALS_REASON_REFUSED
					       : VITALS_REASON_NO_PROC;
		break;
	case EMFILE:
	case ENFILE:
		reason = VITALS_REASON_NO_FILES;
		break;
	case EACCES:
	case EPERM:
		reason = refusal(proc);
		break;
	default:
		reason = VITALS_REASON_REFUSED;
		break;
	}
	if (!sample->reason)
		sample->reason = (uint32_t)reason;
}

/* Both at one moment: where a turn of somebody else came between, again. */
static void clocks_read(const struct vt_proc *proc, struct vt_sample *sample)
{
	int tries;

	for (tries = 0; tries < CLOCK_TRIES; tries++) {
		uint64_t before_ns = vt_clock_now(), took_ns;

		if (!proc->pid)
			sample->clock_ns = vt_task_clock_ns(sample->tid);
		took_ns = vt_clock_now() - before_ns;
		sample->clock_at_ns = before_ns + took_ns / 2;
		if (took_ns <= CLOCK_GAP_NS)
			break;
	}
}

/* Between the two files it may have gone to sleep, or woken: what was read last counts. */
static void settle(struct vt_sample *sample)
{
	if (!(sample->has & VT_SAMPLE_STATE) || !(sample->has & VT_SAMPLE_CALL))
		return;
	if (sample->state == 'R' && (sample->call >= 0 || sample->pc))
		sample->state = 'S';
	else if ((sample->state == 'S' || sample->state == 'D') &&
		 sample->call == VT_CALL_NONE && !sample->pc)
		sample->state = 'R';
}

void vt_sample_take(struct vt_proc *proc, uint32_t tid, unsigned what, uint64_t now_ns,
		    struct vt_sample *sample)
{
	/* Of the longest, status, what is wanted is at the end; groups and nodes come before. */
	char text[6144];
	size_t i;

	memset(sample, 0, sizeof(*sample));
	sample->at_ns = now_ns;
	sample->tid = tid;
	sample->call = VT_CALL_UNKNOWN;
	if (what & VT_SAMPLE_COMM)
		what |= VT_SAMPLE_STATE;
	clocks_read(proc, sample);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && !sample->gone; i++) {
		ssize_t n;

		if (!(what & parts[i].what))
			continue;
		n = vt_proc_read(proc, tid, parts[i].file, text, sizeof(text));
		if (n < 0)
			failed(proc, (int)-n, sample);
		else if (parts[i].parse(text, sample))
			sample->has |= parts[i].what;
	}
	if (sample->has & VT_SAMPLE_STATE)
		sample->has |= VT_SAMPLE_COMM;
	settle(sample);
}
