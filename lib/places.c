/* SPDX-License-Identifier: MIT */

#include "places.h"

#include <string.h>

/* The first that it begins with, or holds what is after a '*'. */
static const struct vt_place places[] = {
	{ "futex", VITALS_BLOCKED,
	  "waits for a lock, a condition or the like, at an unknown address" },
	{ "rt_mutex", VITALS_BLOCKED, "waits for a lock, at an unknown address" },
	{ "hrtimer_nanosleep", VITALS_SLEEPING, "sleeps" },
	{ "do_nanosleep", VITALS_SLEEPING, "sleeps" },
	{ "common_nsleep", VITALS_SLEEPING, "sleeps" },
	{ "do_wait", VITALS_ON_CHILD, "waits for a process" },
	{ "kernel_wait4", VITALS_ON_CHILD, "waits for a process" },
	{ "kernel_clone", VITALS_ON_CHILD,
	  "waits for a process it made to run a program" },
	{ "ep_poll", VITALS_ON_IO, "waits for events of an epoll" },
	{ "do_epoll", VITALS_ON_IO, "waits for events of an epoll" },
	{ "*poll", VITALS_ON_IO, "polls" },
	{ "*select", VITALS_ON_IO, "selects" },
	{ "*pipe_", VITALS_ON_IO, "waits for a pipe" },
	{ "fifo_open", VITALS_ON_IO, "opens a pipe" },
	{ "wait_for_partner", VITALS_ON_IO, "opens a pipe" },
	{ "unix_", VITALS_ON_IO, "waits for a local socket" },
	{ "inet_", VITALS_ON_IO, "waits for a network socket" },
	{ "tcp_", VITALS_ON_IO, "waits for a network socket" },
	{ "udp_", VITALS_ON_IO, "waits for a network socket" },
	{ "sk_", VITALS_ON_IO, "waits for a socket" },
	{ "*skb_", VITALS_ON_IO, "waits for a socket" },
	{ "__sk", VITALS_ON_IO, "waits for a socket" },
	{ "eventfd_", VITALS_ON_IO, "waits for an eventfd" },
	{ "timerfd_", VITALS_ON_IO, "waits for a timerfd" },
	{ "signalfd_", VITALS_ON_IO, "waits for a signalfd" },
	{ "n_tty_", VITALS_ON_IO, "waits for a terminal" },
	{ "tty_", VITALS_ON_IO, "waits for a terminal" },
	{ "wait_woken", VITALS_ON_IO, "waits for a terminal or a socket" },
	{ "io_", VITALS_ON_IO, "waits for I/O" },
	{ "folio_", VITALS_ON_IO, "waits for a disk" },
	{ "wait_on_page", VITALS_ON_IO, "waits for a disk" },
	{ "jbd2_", VITALS_ON_IO, "waits for a disk" },
	{ "nfs", VITALS_ON_IO, "waits for a file server" },
	{ "rpc_", VITALS_ON_IO, "waits for a file server" },
	{ "fuse_", VITALS_ON_IO, "waits for a file system in another process" },
	{ "request_wait_answer", VITALS_ON_IO,
	  "waits for a file system in another process" },
	{ "*fcntl_setlk", VITALS_ON_IO, "waits for a lock on a file" },
	{ "*lock_inode", VITALS_ON_IO, "waits for a lock on a file" },
	{ "*sigtimedwait", VITALS_BLOCKED, "waits for a signal" },
	{ "*sigsuspend", VITALS_BLOCKED, "waits for a signal" },
	{ "*pause", VITALS_BLOCKED, "waits for a signal" },
};

const struct vt_place *vt_place_of(const char *wchan)
{
	size_t i;

	for (i = 0; *wchan && i < sizeof(places) / sizeof(places[0]); i++) {
		const char *like = places[i].wchan;

		if (*like == '*' ? strstr(wchan, like + 1) != NULL
				 : strncmp(wchan, like, strlen(like)) == 0)
			return &places[i];
	}
	return NULL;
}
