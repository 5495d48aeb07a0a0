/* SPDX-License-Identifier: MIT */

#include "helper.h"

#include "futex.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#define STACK_BYTES (256 * 1024)

/* On the starter's stack, until the thread is there. */
struct start {
	void *(*run)(void *);
	void *arg;
	const char *name;
	_Atomic uint32_t begun;
};

static void *helper_run(void *arg)
{
	struct start *start = arg, copy = { .run = start->run, .arg = start->arg };

	/* By itself: to name another's thread is to open a file. */
	(void)prctl(PR_SET_NAME, start->name, 0, 0, 0);
	/* Release pairs with the acquire below. */
	atomic_store_explicit(&start->begun, 1, memory_order_release);
	/* It may be gone by now; to wake nobody is no harm. */
	vt_futex_wake(&start->begun, 1);
	return copy.run(copy.arg);
}

int vt_helper_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	struct start start = { .run = run, .arg = arg, .name = name };
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
	r = pthread_create(thread, &attr, helper_run, &start);
	if (r == EINVAL)
		r = pthread_create(thread, NULL, helper_run, &start);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	while (r == 0 && !atomic_load_explicit(&start.begun, memory_order_acquire))
		(void)vt_futex_wait(&start.begun, 0, UINT64_MAX);
	return -r;
}
