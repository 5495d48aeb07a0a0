/* SPDX-License-Identifier: MIT */

#include "traced.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Of what comes before what is looked for, only the list of groups may be long. */
#define STATUS_BYTES 4096

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The number behind "\nKEY:\t". Return: 0 if it is not there. */
static uint64_t status_value(const char *path, const char *key, int base)
{
	char status[STATUS_BYTES];
	uint64_t value = 0;
	int fd, digit, saved = errno;
	const char *at;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, status, sizeof(status) - 1);
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	status[n > 0 ? n : 0] = 0;
	at = strstr(status, key);
	if (!at)
		return 0;
	for (at += strlen(key); (digit = digit_of(*at)) < base; at++)
		value = value * (unsigned)base + (unsigned)digit;
	return value;
}

int32_t vt_traced_by(void)
{
	return (int32_t)status_value("/proc/self/status", "\nTracerPid:\t", 10);
}

bool vt_task_blocks(uint32_t tid, int signo)
{
	char path[64];
	struct vt_text text;

	vt_text_init(&text, path, sizeof(path));
	vt_text_add(&text, "/proc/self/task/");
	vt_text_add_u64(&text, tid);
	vt_text_add(&text, "/status");
	return status_value(path, "\nSigBlk:\t", 16) >> (signo - 1) & 1;
}
