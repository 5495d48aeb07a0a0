/* SPDX-License-Identifier: MIT */

#include "leave.h"

#include "clock.h"
#include "task.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long a handler of the host's has: to write down what it knows. */
#define HANDLER_S 1

/* Not abort(3), whose lock a stuck thread may hold. The first of a namespace is not ended by it. */
static void core_dump(void)
{
	struct sigaction action;
	struct timespec handled = { .tv_sec = HANDLER_S };
	sigset_t unblocked;

	if (sigaction(SIGABRT, NULL, &action) == 0 &&
	    ((action.sa_flags & SA_SIGINFO) ||
	     (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN))) {
		/* In some thread of the host's, so that it cannot keep this one. */
		(void)kill(getpid(), SIGABRT);
		(void)nanosleep(&handled, NULL);
	}
	action = (struct sigaction){ .sa_handler = SIG_DFL };
	(void)sigaction(SIGABRT, &action, NULL);
	sigemptyset(&unblocked);
	sigaddset(&unblocked, SIGABRT);
	(void)pthread_sigmask(SIG_UNBLOCK, &unblocked, NULL);
	(void)syscall(SYS_tgkill, getpid(), vt_task_self(), SIGABRT);
}

void vt_leave(bool core, int status)
{
	if (core) {
		core_dump();
		status = 128 + SIGABRT;
	}
	_exit(status);
}
