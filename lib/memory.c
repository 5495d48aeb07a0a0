/* SPDX-License-Identifier: MIT */

#include "memory.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int vt_memory_read(uint32_t pid, uint64_t address, void *to, size_t n)
{
	struct iovec here = { to, n };
	struct iovec there = { (void *)(uintptr_t)address, n };
	int saved = errno;
	long got;
	int r = 0;

	if (address > UINTPTR_MAX - n)
		return -EFAULT;
#ifdef SYS_process_vm_readv
	/* Not by libc's name for it, for which a host may have put something else. */
	got = syscall(SYS_process_vm_readv, pid ? (pid_t)pid : getpid(), &here, 1ul,
		      &there, 1ul, 0ul);
#else
	(void)here;
	(void)there;
	errno = ENOSYS;
	got = -1;
#endif
	if (got < 0)
		r = -errno;
	else if ((size_t)got != n)
		r = -EFAULT;
	errno = saved;
	return r;
}
