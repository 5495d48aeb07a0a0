/* SPDX-License-Identifier: MIT */

/*
 * Lock names
 *
 * What the service calls its locks, by their addresses: of the whole process, read without a lock.
 */

#ifndef VT_LOCKNAMES_H
#define VT_LOCKNAMES_H

#include "text.h"
#include "vitals.h"

/* Return: whether @address has a name; @name has room for VITALS_NAME_MAX bytes. */
bool vt_lock_name_of(uint64_t address, char *name);

#endif
