/* SPDX-License-Identifier: MIT */

#include "helper.h"

#include <errno.h>
#include <signal.h>

#define STACK_BYTES (256 * 1024)

int vt_helper_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	/* What the host keeps in thread-local storage may not fit: then the default must do. */
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	/* A signal is for the host's threads; the mask is put back at once. */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(thread, &attr, run, arg);
	if (r == EINVAL)
		r = pthread_create(thread, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r == 0)
		(void)pthread_setname_np(*thread, name);
	return -r;
}
