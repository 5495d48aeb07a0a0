/* SPDX-License-Identifier: MIT */

#include "wakers.h"

#include "listing.h"
#include "signals.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* Descriptors a turn: some microseconds each. */
#define RINGS_A_TURN 128

static uint64_t bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

/*
 * The C library's own come from a thread that runs; a fault from the thread that makes it, which
 * runs too, whatever a crash reporter does then.
 */
static uint64_t harmless(void)
{
	uint64_t bits = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE);
	int signo, first = SIGRTMIN;

	for (signo = 32; signo < first; signo++)
		bits |= bit(signo);
	return bits;
}

static const char *field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : NULL;
}

bool vt_wakers_parse(const char *status, uint64_t *ret_caught, uint32_t *ret_threads)
{
	/* At the beginning of a line: the first has the name, which may be anything but a newline. */
	const char *caught = field(status, "\nSigCgt:"),
		   *threads = field(status, "\nThreads:");

	if (!caught || !threads)
		return false;
	*ret_caught = strtoull(caught, NULL, 16) & ~harmless();
	*ret_threads = (uint32_t)strtoul(threads, NULL, 10);
	return true;
}

static bool runs(int r, const struct itimerval *timer)
{
	return r || timer->it_value.tv_sec || timer->it_value.tv_usec;
}

static bool interval_runs(void)
{
	struct itimerval timer;

	return runs(getitimer(ITIMER_REAL, &timer), &timer) ||
	       runs(getitimer(ITIMER_VIRTUAL, &timer), &timer) ||
	       runs(getitimer(ITIMER_PROF, &timer), &timer);
}

void vt_wakers_find(struct vt_proc *proc, struct vt_wakers *ret)
{
	char buffer[4096];
	uint64_t caught;

	*ret = (struct vt_wakers){ .any = true };
	if (interval_runs())
		return;
	if (vt_proc_read(proc, 0, "status", buffer, sizeof(buffer)) <= 0 ||
	    !vt_wakers_parse(buffer, &caught, &ret->threads) ||
	    !vt_signals_only_ours(caught, &ret->until_signal))
		return;
	/* Empty where there is none; not there at all in some kernels. */
	ret->any = vt_proc_read(proc, 0, "timers", buffer, sizeof(buffer)) != 0;
}

static bool no_ring(uint32_t fd, void *user)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char name[32], target[64];
	struct vt_text text;
	ssize_t r;

	vt_text_init(&text, name, sizeof(name));
	vt_text_add(&text, "fd/");
	vt_text_add_u64(&text, fd);
	r = vt_proc_link(user, name, target, sizeof(target));
	if (r < 0)
		/* The listing's own is gone already. */
		return r == -ENOENT || r == -ENAMETOOLONG;
	return strcmp(target, ring) != 0;
}

int vt_wakers_rings(struct vt_proc *proc, int64_t *position)
{
	int r = vt_listing_go_on("/proc/self/fd", position, RINGS_A_TURN, no_ring, proc);

	if (r == -ECANCELED)
		return -EBUSY;
	return r < 0 ? -EIO : r;
}
