/* SPDX-License-Identifier: MIT */

/*
 * Onlookers
 *
 * Threads of the process that have said that they wake nobody.
 */

#ifndef VT_ONLOOKERS_H
#define VT_ONLOOKERS_H

#include <stdint.h>

#define VT_ONLOOKERS 16

/* Their ids, as far as there are any now. Return: how many. */
unsigned vt_onlookers(uint32_t ret_tids[VT_ONLOOKERS]);

#endif
