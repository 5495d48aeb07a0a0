/* SPDX-License-Identifier: MIT */

#include "calls.h"

#include "places.h"
#include "targets.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* What the first argument is, and what is worth saying of the rest. */
enum shape {
	PLAIN,
	DESCRIPTOR, /* the first */
	POLLED,     /* entries at the first, as many as the second says */
	SELECTED,   /* below the first, sets at the second to fourth */
	LOCKED,     /* fcntl: waits with F_SETLKW only */
};

struct call {
	long number;
	enum vitals_class thread_class;
	enum shape shape;
	const char *words;
};

#define IO(name, shape, words)                                                           \
	{                                                                                \
		SYS_##name, VITALS_ON_IO, shape, words                                   \
	}
#define WAITS(name, thread_class, words)                                                 \
	{                                                                                \
		SYS_##name, thread_class, PLAIN, words                                   \
	}

/*
 * Those that a thread is found in when it hangs, the frequent first. Of all others the number has to
 * do.
 */
static const struct call calls[] = {
	IO(read, DESCRIPTOR, "reads from"),
	IO(write, DESCRIPTOR, "writes to"),
	IO(recvfrom, DESCRIPTOR, "receives from"),
	IO(recvmsg, DESCRIPTOR, "receives from"),
	IO(recvmmsg, DESCRIPTOR, "receives from"),
	IO(sendto, DESCRIPTOR, "sends to"),
	IO(sendmsg, DESCRIPTOR, "sends to"),
	IO(sendmmsg, DESCRIPTOR, "sends to"),
#ifdef SYS_accept
	IO(accept, DESCRIPTOR, "waits for a connection on"),
#endif
	IO(accept4, DESCRIPTOR, "waits for a connection on"),
	IO(connect, DESCRIPTOR, "connects"),
	IO(epoll_pwait, DESCRIPTOR, "waits for events of"),
#ifdef SYS_epoll_wait
	IO(epoll_wait, DESCRIPTOR, "waits for events of"),
#endif
#ifdef SYS_epoll_pwait2
	IO(epoll_pwait2, DESCRIPTOR, "waits for events of"),
#endif
#ifdef SYS_poll
	IO(poll, POLLED, "polls"),
#endif
	IO(ppoll, POLLED, "polls"),
#ifdef SYS_select
	IO(select, SELECTED, "selects from"),
#endif
	IO(pselect6, SELECTED, "selects from"),
	IO(readv, DESCRIPTOR, "reads from"),
	IO(writev, DESCRIPTOR, "writes to"),
	IO(pread64, DESCRIPTOR, "reads from"),
	IO(pwrite64, DESCRIPTOR, "writes to"),
	IO(preadv, DESCRIPTOR, "reads from"),
	IO(pwritev, DESCRIPTOR, "writes to"),
	IO(preadv2, DESCRIPTOR, "reads from"),
	IO(pwritev2, DESCRIPTOR, "writes to"),
	IO(sendfile, DESCRIPTOR, "sends to"),
	IO(splice, DESCRIPTOR, "splices from"),
	IO(copy_file_range, DESCRIPTOR, "copies from"),
	IO(fsync, DESCRIPTOR, "syncs"),
	IO(fdatasync, DESCRIPTOR, "syncs"),
	IO(sync_file_range, DESCRIPTOR, "syncs"),
	IO(syncfs, DESCRIPTOR, "syncs the file system of"),
	IO(sync, PLAIN, "syncs all file systems"),
	IO(msync, PLAIN, "syncs a mapped file"),
	IO(ftruncate, DESCRIPTOR, "cuts"),
	IO(fallocate, DESCRIPTOR, "allocates room for"),
	IO(flock, DESCRIPTOR, "waits for a lock on"),
	IO(fcntl, LOCKED, "waits for a lock on a part of"),
	IO(ioctl, DESCRIPTOR, "is in an ioctl of"),
	IO(getdents64, DESCRIPTOR, "lists"),
	IO(close, DESCRIPTOR, "closes"),
#ifdef SYS_open
	IO(open, PLAIN, "opens a file"),
#endif
	IO(openat, PLAIN, "opens a file"),
#ifdef SYS_openat2
	IO(openat2, PLAIN, "opens a file"),
#endif
#ifdef SYS_access
	IO(stat, PLAIN, "looks at a file"),
	IO(lstat, PLAIN, "looks at a file"),
	IO(access, PLAIN, "looks at a file"),
	IO(unlink, PLAIN, "removes a file"),
	IO(rename, PLAIN, "renames a file"),
	IO(mkdir, PLAIN, "makes a directory"),
#endif
#ifdef SYS_newfstatat
	IO(newfstatat, PLAIN, "looks at a file"),
#endif
	IO(fstat, DESCRIPTOR, "looks at"),
	IO(statx, PLAIN, "looks at a file"),
	IO(statfs, PLAIN, "looks at a file system"),
	IO(faccessat, PLAIN, "looks at a file"),
	IO(unlinkat, PLAIN, "removes a file"),
	IO(renameat2, PLAIN, "renames a file"),
	IO(mkdirat, PLAIN, "makes a directory"),
	IO(mq_timedreceive, DESCRIPTOR, "receives from"),
	IO(mq_timedsend, DESCRIPTOR, "sends to"),
	IO(io_getevents, PLAIN, "waits for asynchronous I/O"),
#ifdef SYS_io_pgetevents
	IO(io_pgetevents, PLAIN, "waits for asynchronous I/O"),
#endif
#ifdef SYS_io_uring_enter
	IO(io_uring_enter, DESCRIPTOR, "waits for"),
#endif
	WAITS(nanosleep, VITALS_SLEEPING, "sleeps"),
	WAITS(clock_nanosleep, VITALS_SLEEPING, "sleeps"),
	WAITS(wait4, VITALS_ON_CHILD, "waits for a process"),
	WAITS(waitid, VITALS_ON_CHILD, "waits for a process"),
#ifdef SYS_vfork
	WAITS(vfork, VITALS_ON_CHILD, "waits for a process it made to run a program"),
#endif
	/* Asleep in these: with CLONE_VFORK, as posix_spawn() and system() have it. */
	WAITS(clone, VITALS_ON_CHILD, "waits for a process it made to run a program"),
#ifdef SYS_clone3
	WAITS(clone3, VITALS_ON_CHILD, "waits for a process it made to run a program"),
#endif
#ifdef SYS_pause
	WAITS(pause, VITALS_BLOCKED, "waits for a signal"),
#endif
	WAITS(rt_sigsuspend, VITALS_BLOCKED, "waits for a signal"),
	WAITS(rt_sigtimedwait, VITALS_BLOCKED, "waits for a signal"),
	WAITS(msgrcv, VITALS_BLOCKED, "waits for a message"),
	WAITS(msgsnd, VITALS_BLOCKED, "waits for room for a message"),
#ifdef SYS_semop
	WAITS(semop, VITALS_BLOCKED, "waits for a System V semaphore"),
	WAITS(semtimedop, VITALS_BLOCKED, "waits for a System V semaphore"),
#endif
	WAITS(getrandom, VITALS_BLOCKED, "waits for random numbers"),
	WAITS(membarrier, VITALS_BLOCKED, "waits for the other processors"),
	WAITS(mmap, VITALS_BLOCKED, "maps memory"),
	WAITS(munmap, VITALS_BLOCKED, "unmaps memory"),
	WAITS(mprotect, VITALS_BLOCKED, "protects memory"),
	WAITS(madvise, VITALS_BLOCKED, "gives memory back"),
	WAITS(brk, VITALS_BLOCKED, "asks for memory"),
/* Where long has 32 bits, those with a time_t of 64 are others. */
#ifdef SYS_clock_nanosleep_time64
	IO(recvmmsg_time64, DESCRIPTOR, "receives from"),
	IO(ppoll_time64, POLLED, "polls"),
	IO(pselect6_time64, SELECTED, "selects from"),
	IO(fcntl64, LOCKED, "waits for a lock on a part of"),
	IO(mq_timedreceive_time64, DESCRIPTOR, "receives from"),
	IO(mq_timedsend_time64, DESCRIPTOR, "sends to"),
	WAITS(clock_nanosleep_time64, VITALS_SLEEPING, "sleeps"),
	WAITS(rt_sigtimedwait_time64, VITALS_BLOCKED, "waits for a signal"),
	WAITS(semtimedop_time64, VITALS_BLOCKED, "waits for a System V semaphore"),
#endif
	WAITS(exit, VITALS_BLOCKED, "ends"),
	WAITS(exit_group, VITALS_BLOCKED, "ends the process"),
};

static const struct call *call_of(int32_t number)
{
	size_t i;

	for (i = 0; number >= 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

static bool futex_old(const struct vt_sample *sample, struct vt_futex_call *futex)
{
	uint32_t op = (uint32_t)sample->args[1];

	futex->address = sample->args[0];
	futex->val = (uint32_t)sample->args[2];
	futex->private = op & FUTEX_PRIVATE_FLAG;
	futex->timed = sample->args[3] != 0;
	futex->op = op & (uint32_t)FUTEX_CMD_MASK;
	switch (futex->op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_WAIT_REQUEUE_PI:
		return true;
	default:
		return false;
	}
}

bool vt_call_futex(const struct vt_sample *sample, struct vt_futex_call *futex)
{
	memset(futex, 0, sizeof(*futex));
	switch (sample->call) {
#ifdef SYS_futex
	case SYS_futex:
#endif
#ifdef SYS_futex_time64
	case SYS_futex_time64:
#endif
		return futex_old(sample, futex);
#ifdef SYS_futex_wait
	case SYS_futex_wait:
		futex->address = sample->args[0];
		futex->val = (uint32_t)sample->args[1];
		futex->op = FUTEX_WAIT_BITSET;
		/* FUTEX2_PRIVATE is the same bit as FUTEX_PRIVATE_FLAG. */
		futex->private = sample->args[3] & FUTEX_PRIVATE_FLAG;
		futex->timed = sample->args[4] != 0;
		return true;
#endif
	default:
		return false;
	}
}

/* Does its number say nothing of what it does? */
static bool unnumbered(const struct vt_sample *sample)
{
	return sample->call == VT_CALL_UNKNOWN || sample->call == SYS_restart_syscall;
}

/* How many descriptors poll() has; select() below which. */
static bool watches_none(const struct call *call, const struct vt_sample *sample)
{
	if (call->shape == POLLED)
		return (uint32_t)sample->args[1] == 0;
	return call->shape == SELECTED && (int32_t)sample->args[0] <= 0;
}

enum vitals_class vt_call_class(const struct vt_sample *sample)
{
	const struct call *call = call_of(sample->call);
	const struct vt_place *place = unnumbered(sample) ? vt_place_of(sample->wchan)
							  : NULL;

	if (place)
		return place->thread_class;
	if (call && watches_none(call, sample))
		return VITALS_SLEEPING;
	if (call && (call->shape != LOCKED || sample->args[1] == F_SETLKW ||
#ifdef F_OFD_SETLKW
		     sample->args[1] == F_OFD_SETLKW ||
#endif
		     sample->state == 'D'))
		return call->thread_class;
	/* Not to be interrupted: so short for all but devices. */
	if (sample->state == 'D')
		return VITALS_ON_IO;
	return unnumbered(sample) && !sample->wchan[0] && !(sample->has & VT_SAMPLE_STATE)
		       ? VITALS_UNKNOWN
		       : VITALS_BLOCKED;
}

static void add_hex(struct vt_text *text, uint64_t value)
{
	char digits[19] = "0x";
	unsigned n = 2;
	int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		digits[n++] = "0123456789abcdef"[value >> shift & 15];
	digits[n] = 0;
	vt_text_add(text, digits);
}

static void add_child(const struct vt_sample *sample, struct vt_text *text)
{
	int32_t pid = (int32_t)sample->args[sample->call == SYS_waitid ? 1 : 0];

	/* P_PID is 1. */
	if (pid > 0 && (sample->call == SYS_wait4 ||
			(sample->call == SYS_waitid && sample->args[0] == 1))) {
		vt_text_add(text, " (pid ");
		vt_text_add_u64(text, (uint64_t)pid);
		vt_text_add(text, ")");
	}
}

static void add_call(struct vt_proc *proc, const struct call *call,
		     const struct vt_sample *sample, struct vt_text *text)
{
	if (watches_none(call, sample)) {
		vt_text_add(text, "sleeps");
		return;
	}
	vt_text_add(text, call->words);
	switch (call->shape) {
	case DESCRIPTOR:
	case LOCKED:
		vt_text_add(text, " ");
		vt_target_add(proc, (int32_t)sample->args[0], text);
		break;
	case POLLED:
		vt_text_add(text, " ");
		vt_target_add_polled(proc, sample->args[0], (uint32_t)sample->args[1],
				     text);
		break;
	case SELECTED:
		vt_text_add(text, " ");
		vt_target_add_selected(proc, &sample->args[1], (uint32_t)sample->args[0],
				       text);
		break;
	case PLAIN:
		add_child(sample, text);
		break;
	}
}

/* What the number does not say. */
static void add_unknown(const struct vt_sample *sample, struct vt_text *text)
{
	const struct vt_place *place = unnumbered(sample) ? vt_place_of(sample->wchan)
							  : NULL;

	if (place)
		vt_text_add(text, place->words);
	else if (sample->call == SYS_restart_syscall)
		vt_text_add(text, "goes on with a wait that a signal interrupted");
	else if (sample->call == VT_CALL_UNKNOWN || sample->call == VT_CALL_NONE)
		vt_text_add(text, sample->state == 'D' ? "waits for a disk or a device"
						       : "waits in the kernel");
	else {
		vt_text_add(text, "waits in system call ");
		vt_text_add_u64(text, (uint64_t)sample->call);
	}
	if (!place && sample->wchan[0]) {
		vt_text_add(text, ", in ");
		vt_text_add(text, sample->wchan);
	}
}

void vt_call_describe(struct vt_proc *proc, const struct vt_sample *sample,
		      struct vt_text *text)
{
	const struct call *call = call_of(sample->call);
	struct vt_futex_call futex;

	if (vt_call_futex(sample, &futex)) {
		vt_text_add(text, futex.op == FUTEX_LOCK_PI || futex.op == FUTEX_LOCK_PI2
					  ? "waits for a lock at "
					  : "waits for a condition, a semaphore or the "
					    "like at ");
		add_hex(text, futex.address);
		if (futex.timed)
			vt_text_add(text, ", for a time");
	} else if (call && vt_call_class(sample) != VITALS_BLOCKED) {
		add_call(proc, call, sample, text);
	} else if (call && call->shape == PLAIN) {
		vt_text_add(text, call->words);
	} else {
		add_unknown(sample, text);
	}
	if (sample->state == 'D' && vt_call_class(sample) == VITALS_ON_IO)
		vt_text_add(text, ", and cannot be interrupted");
}
