/* SPDX-License-Identifier: MIT */

#include "sleeper.h"

#include "lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* The id of a thread lies this close below the head of its list of robust mutexes. */
#define TID_TO_ROBUST 64u

static bool waits(const struct vt_futex_call *futex)
{
	switch (futex->op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return !futex->timed;
	default:
		return false;
	}
}

enum vt_sleep vt_sleeper_judge(const struct vt_sample *sample, struct vt_futex_call *ret)
{
	if (!(sample->has & VT_SAMPLE_STATE))
		return VT_SLEEP_NOT;
	/* A first thread that has ended is a zombie as long as there are others. */
	if (sample->state == 'Z' || sample->state == 'X')
		return VT_SLEEP_GONE;
	/*
	 * In 'T' and 't' a signal or a debugger holds it, after it was woken perhaps: the call
	 * that it shows says nothing.
	 */
	if (sample->state != 'S' || !(sample->has & VT_SAMPLE_CALL) ||
	    !vt_call_futex(sample, ret) || !waits(ret))
		return VT_SLEEP_NOT;
	if (ret->private)
		return VT_SLEEP_WORD;
	if ((ret->op == FUTEX_WAIT || ret->op == FUTEX_WAIT_BITSET) && ret->val)
		return VT_SLEEP_JOIN;
	return VT_SLEEP_NOT;
}

uint32_t vt_sleeper_joins(const struct vt_futex_call *futex)
{
	int saved = errno;
	uint64_t head = 0;
	size_t size = 0;
	long r;

	/*
	 * glibc waits for the id that the kernel clears, in the thread's own descriptor, and the
	 * kernel knows where another word of that is.
	 */
	r = syscall(SYS_get_robust_list, (int)futex->val, (void *)&head, &size);
	errno = saved;
	return r == 0 && head > futex->address && head - futex->address <= TID_TO_ROBUST
		       ? futex->val
		       : 0;
}

static uint64_t mix(uint64_t print, uint64_t value)
{
	/* Of splitmix64. */
	print += value + UINT64_C(0x9e3779b97f4a7c15);
	print = (print ^ print >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	print = (print ^ print >> 27) * UINT64_C(0x94d049bb133111eb);
	return print ^ print >> 31;
}

uint64_t vt_sleeper_print(const struct vt_sample *sample)
{
	uint64_t print = mix(0, sample->tid);

	print = mix(print, sample->voluntary);
	print = mix(print, sample->involuntary);
	return mix(print, sample->args[0]);
}

static void add_address(struct vt_text *text, uint64_t address)
{
	char digits[17];
	unsigned at = sizeof(digits) - 1;

	digits[at] = 0;
	do
		digits[--at] = "0123456789abcdef"[address & 15u];
	while (address >>= 4);
	vt_text_add(text, "0x");
	vt_text_add(text, &digits[at]);
}

static void add_thread(struct vt_proc *proc, const struct vt_namer *namer, uint32_t pid,
		       uint32_t tid, struct vt_text *text)
{
	char name[VITALS_SHOWN_MAX];
	struct vt_sample sample;

	if (!namer || !namer->thread || !namer->thread(namer->user, tid, name)) {
		vt_sample_take(proc, tid, VT_SAMPLE_STATE | VT_SAMPLE_COMM, 0, &sample);
		vt_text_clean(name, tid == pid ? "main" : sample.comm);
	}
	vt_text_add(text, name[0] ? name : "thread");
	vt_text_add(text, " (tid ");
	vt_text_add_u64(text, tid);
	vt_text_add(text, ")");
}

static void add_lock(const struct vt_namer *namer, const struct vt_wait *wait,
		     struct vt_text *text)
{
	char name[VITALS_SHOWN_MAX];

	vt_text_add(text, wait->kind == VITALS_LOCK_MUTEX ? " waits for mutex "
							  : " waits for rwlock ");
	if (namer && namer->lock && namer->lock(namer->user, wait->lock, name)) {
		vt_text_add(text, name);
		vt_text_add(text, " (");
		add_address(text, wait->lock);
		vt_text_add(text, ")");
	} else {
		add_address(text, wait->lock);
	}
}

void vt_sleeper_describe(struct vt_proc *proc, const struct vt_namer *namer, uint32_t pid,
			 const struct vt_sample *sample, struct vt_text *text)
{
	struct vt_wait wait = { 0 };
	struct vt_futex_call futex;
	uint32_t joined = 0;

	add_thread(proc, namer, pid, sample->tid, text);
	if (vt_sleeper_judge(sample, &futex) == VT_SLEEP_JOIN)
		joined = vt_sleeper_joins(&futex);
	if (joined) {
		vt_text_add(text, " joins ");
		add_thread(proc, namer, pid, joined, text);
	} else if (vt_lock_of(proc, sample, &wait) &&
		   (wait.kind == VITALS_LOCK_MUTEX || wait.kind == VITALS_LOCK_RWLOCK)) {
		add_lock(namer, &wait, text);
		if (!wait.holder_tid)
			return;
		vt_text_add(text, ", held by ");
		add_thread(proc, namer, pid, wait.holder_tid, text);
	} else {
		vt_text_add(text, " waits for a condition, a semaphore or the like at ");
		add_address(text, sample->args[0]);
	}
}
