/* SPDX-License-Identifier: MIT */

/*
 * Listing
 *
 * The numbers in a directory below /proc/self, some at a time: threads, descriptors. No heap, and no
 * descriptor is kept in between.
 */

#ifndef VT_LISTING_H
#define VT_LISTING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Calls @fn for at most @most numbers from @position on, 0: the first, until it returns false, and
 * moves @position. Return: 1 if there are more; 0 if those were all; -ECANCELED if @fn returned false;
 * the negative errno of open, lseek or getdents64.
 */
int vt_listing_go_on(const char *directory, int64_t *position, unsigned most,
		     bool (*fn)(uint32_t number, void *user), void *user);

#endif
