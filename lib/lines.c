/* SPDX-License-Identifier: MIT */

#include "lines.h"

#include "clock.h"
#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_LEAST 16u

struct vt_file vt_file_of(int fd)
{
	struct vt_file file = { 0, 0 };
	struct stat st;
	int saved = errno;

	if (fd >= 0 && fstat(fd, &st) == 0)
		file = (struct vt_file){ st.st_dev, st.st_ino };
	errno = saved;
	return file;
}

/* The same pipe or terminal, but not to block in; the host's own descriptor stays as it is. */
static int open_again(int fd)
{
	char path[64];
	struct vt_text text;

	vt_text_init(&text, path, sizeof(path));
	vt_text_add(&text, "/proc/self/fd/");
	vt_text_add_u64(&text, (uint64_t)fd);
	return vt_fd_above_stdio(
		open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/* What writing to a pipe without reader, or past a limit, would send to this thread. */
static void signals_hold(struct vt_lines *lines)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGPIPE);
	sigaddset(&held, SIGXFSZ);
	(void)sigpending(&lines->pending);
	(void)pthread_sigmask(SIG_BLOCK, &held, &lines->before);
}

/* What came of them meanwhile was ours. */
static void signals_release(const struct vt_lines *lines)
{
	static const int signals[] = { SIGPIPE, SIGXFSZ };
	struct timespec now = { 0, 0 };
	sigset_t pending, one;
	unsigned i;

	(void)sigpending(&pending);
	for (i = 0; i < 2; i++) {
		if (sigismember(&lines->pending, signals[i]) == 1 ||
		    sigismember(&pending, signals[i]) != 1)
			continue;
		sigemptyset(&one);
		sigaddset(&one, signals[i]);
		(void)sigtimedwait(&one, NULL, &now);
	}
	(void)pthread_sigmask(SIG_SETMASK, &lines->before, NULL);
}

bool vt_lines_begin(struct vt_lines *lines, int fd, struct vt_file file,
		    uint64_t until_ns)
{
	struct vt_file now = vt_file_of(fd);
	struct stat st;
	int again;

	/* After a host's closefrom the number may be anything. */
	if (!file.inode || now.device != file.device || now.inode != file.inode ||
	    fstat(fd, &st))
		return false;
	lines->fd = fd;
	lines->socket = S_ISSOCK(st.st_mode);
	lines->opened = false;
	lines->torn = false;
	lines->until_ns = until_ns;
	lines->n = 0;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		again = open_again(fd);
		now = vt_file_of(again);
		lines->opened = again >= 0;
		lines->fd = again >= 0 ? again : fd;
		/* Closed by the host just now, and another file opened. */
		if (again >= 0 &&
		    (now.device != file.device || now.inode != file.inode)) {
			(void)close(again);
			return false;
		}
	}
	signals_hold(lines);
	return true;
}

static ssize_t some_write(const struct vt_lines *lines, const char *at, size_t n)
{
	if (lines->socket)
		return send(lines->fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(lines->fd, at, n);
}

bool vt_lines_put(struct vt_lines *lines, struct vt_text *line)
{
	size_t done = 0;

	/* The newline takes the last byte of a line that is too long. */
	if (line->length + 2 > line->size)
		line->length = line->size - 2;
	line->at[line->length++] = '\n';
	lines->n++;
	lines->torn = false;
	while (done < line->length) {
		struct pollfd wait = { .fd = lines->fd, .events = POLLOUT };
		uint64_t now_ns = vt_clock_now();
		struct timespec left;
		ssize_t n;

		/* On a machine without time, too, a reader that is there sees the first few. */
		if (now_ns >= lines->until_ns && lines->n > AT_LEAST)
			return false;
		left = vt_clock_timespec(
			now_ns < lines->until_ns ? lines->until_ns - now_ns : 0);
		if (ppoll(&wait, 1, &left, NULL) <= 0 || !(wait.revents & POLLOUT))
			return false;
		n = some_write(lines, line->at + done, line->length - done);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		done += n > 0 ? (size_t)n : 0;
		lines->torn = done && done < line->length;
	}
	return true;
}

void vt_lines_end(struct vt_lines *lines)
{
	signals_release(lines);
	if (lines->opened)
		(void)close(lines->fd);
}
