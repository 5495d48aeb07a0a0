/* SPDX-License-Identifier: MIT */

#include "backstop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000u

int vt_backstop_arm(uint64_t ns)
{
	/* As the kernel has it: the C library's own may take memory for it. */
	struct {
		long interval_s, interval_ns, s, ns;
	} when = { 0 };
	struct sigevent event;
	int saved = errno, timer, r = 0;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGKILL;
	when.s = (long)(ns / NS_PER_S);
	when.ns = (long)(ns % NS_PER_S);
	when.ns += ns == 0;
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) ||
	    syscall(SYS_timer_settime, timer, 0, &when, NULL))
		r = -errno;
	errno = saved;
	return r;
}
