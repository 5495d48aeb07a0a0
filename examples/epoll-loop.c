/* SPDX-License-Identifier: MIT */

/*
 * Epoll loop
 *
 * The library's two descriptors in an epoll set of one's own: the quitter's ends the loop,
 * the heartbeat's is readable when a pulse is due. A loop that is stuck in a piece of work
 * does not pulse, and is reported.
 *
 * A loop that should not wake up just to pulse leaves the second out, calls
 * vitals_heartbeat_idle() before epoll_wait() and vitals_heartbeat_pulse() after it.
 *
 * Prints each pulse. Ctrl-C ends it.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <vitals.h>

static int add(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Whatever the loop is for: here every 10 ms. */
static int open_work(void)
{
	struct itimerspec often = { .it_value.tv_nsec = 1,
				    .it_interval.tv_nsec = 10000000 };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &often, NULL);
	return fd;
}

static void work(int fd)
{
	static int done;
	uint64_t times;

	if (read(fd, &times, sizeof(times)) > 0 && done++ == 0)
		puts("at work");
}

/* 0 to go on. Both descriptors stay the library's: never close them. */
static int turn(vitals_thread *self, int epoll, int quit_fd, int due_fd)
{
	vitals_heartbeat *heartbeat = vitals_thread_heartbeat(self);
	struct epoll_event events[16];
	int n = epoll_wait(epoll, events, 16, -1);
	int i;

	if (n < 0)
		return errno != EINTR;
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == quit_fd)
			return 1;
		/* To ask whether it is due makes the descriptor wait for the next. */
		if (events[i].data.fd != due_fd)
			work(events[i].data.fd);
		else if (vitals_heartbeat_due(heartbeat) &&
			 vitals_heartbeat_pulse(heartbeat) == 0)
			puts("pulse");
	}
	return 0;
}

static int run(vitals_thread *self, void *unused)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int quit_fd = vitals_quitter_fd(vitals_thread_quitter(self));
	int due_fd = vitals_heartbeat_due_fd(vitals_thread_heartbeat(self));
	int work_fd = open_work();
	int bad;

	(void)unused;
	bad = add(epoll, quit_fd) || add(epoll, due_fd) || add(epoll, work_fd);
	if (!bad)
		while (!turn(self, epoll, quit_fd, due_fd))
			continue;
	close(work_fd);
	close(epoll);
	puts(bad ? "no loop" : "loop left");
	return bad;
}

int main(void)
{
	vitals_quitter *main_quitter;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (vitals_quitter_new_main(NULL, VITALS_S(2), NULL, &main_quitter) ||
	    vitals_quitter_on_signal(main_quitter, SIGINT, NULL) < 0 ||
	    vitals_thread_fork(main_quitter, "looper", VITALS_S(1), run, NULL, NULL))
		return 2;

	vitals_exit(main_quitter); /* waits for the signal, then for the looper */
}
