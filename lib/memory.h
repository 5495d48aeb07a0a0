/* SPDX-License-Identifier: MIT */

/*
 * Memory
 *
 * Reads memory that may not be there, of this process or another, without a fault.
 */

#ifndef VT_MEMORY_H
#define VT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* @pid 0: this process. Return: whether all @n bytes could be read. */
bool vt_memory_read(uint32_t pid, uint64_t address, void *to, size_t n);

#endif
