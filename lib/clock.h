/* SPDX-License-Identifier: MIT */

/*
 * Clock
 *
 * The only place that reads one. Everything below the public wrappers takes now_ns.
 */

#ifndef VT_CLOCK_H
#define VT_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t vt_clock_now(void);
uint64_t vt_clock_real(void);

/* now + ns, which may be VITALS_FOREVER. */
uint64_t vt_clock_after(uint64_t now_ns, uint64_t ns);

struct timespec vt_clock_timespec(uint64_t ns);

#endif
