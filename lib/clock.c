/* SPDX-License-Identifier: MIT */

#include "clock.h"

#define NS_PER_S 1000000000u

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;

	/* Cannot fail: both clocks exist on every Linux, and ts is ours. */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t vt_clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t vt_clock_real(void)
{
	return clock_read(CLOCK_REALTIME);
}

uint64_t vt_clock_after(uint64_t now_ns, uint64_t ns)
{
	return ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + ns;
}

struct timespec vt_clock_timespec(uint64_t ns)
{
	struct timespec ts;

	ts.tv_sec = (time_t)(ns / NS_PER_S);
	ts.tv_nsec = (long)(ns % NS_PER_S);
	return ts;
}
