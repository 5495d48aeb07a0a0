/* SPDX-License-Identifier: MIT */

/*
 * Memory
 *
 * Reads memory that may not be there, of this process or another, without a fault.
 */

#ifndef VT_MEMORY_H
#define VT_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads @n bytes at @address of process @pid, 0: this one, by the kernel's hand: nothing of it is
 * ever touched by ours, so that what is unmapped meanwhile is an error and no signal.
 * Return: 0, if all could be read; -EFAULT: they are not there; -ESRCH: nor is the process; -EPERM,
 * -ENOSYS: not for us, or by this kernel. @to is good after 0 only.
 */
int vt_memory_read(uint32_t pid, uint64_t address, void *to, size_t n);

#endif
