/* SPDX-License-Identifier: MIT */

#include "sandbox.h"

#include "clock.h"
#include "task.h"
#include "text.h"
#include "wakefd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * After a host's closefrom the number may be the host's file, and read() would take something out of
 * it; to look what it is would be another call. So it is a high one: who opens next gets a low one.
 */
#define HIGH_FD 512
/* A status file is less than 2 KiB; what is looked for is in the first 4. */
#define STATUS_MAX 4096

/* How long a look of the monitor's may take, with room to spare. */
#define LOOK_WAIT_NS 1000000000u

#define ABSENT UINT32_MAX

/* A line "\nNAME:\tNUMBER". Return: the number; ABSENT: there is no such line. */
static uint32_t status_number(const char *status, const char *name)
{
	const char *at = strstr(status, name);
	uint32_t number = 0;

	if (!at)
		return ABSENT;
	for (at += strlen(name); *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (uint32_t)(*at - '0');
	return number;
}

/* Reads it from where it stands. Return: whether it is the thread's status. */
static bool status_read(const struct vt_sandbox *sandbox, char status[STATUS_MAX])
{
	ssize_t n;

	do {
		n = read(sandbox->fd, status, STATUS_MAX - 1);
	} while (n < 0 && errno == EINTR);
	status[n > 0 ? n : 0] = 0;
	return strncmp(status, "Name:\t", 6) == 0 &&
	       status_number(status, "\nPid:\t") == sandbox->tid;
}

static int status_open(uint32_t tid)
{
	char path[64];
	struct vt_text text;
	int fd, high;

	vt_text_init(&text, path, sizeof(path));
	vt_text_add(&text, "/proc/self/task/");
	vt_text_add_u64(&text, tid);
	vt_text_add(&text, "/status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high < 0)
		return vt_fd_above_stdio(fd);
	(void)close(fd);
	return high;
}

/* Return: whether it could be read, and stands at its beginning again. */
static bool baseline_take(struct vt_sandbox *sandbox)
{
	char status[STATUS_MAX];
	struct stat st;

	if (fstat(sandbox->fd, &st) < 0 || !status_read(sandbox, status) ||
	    lseek(sandbox->fd, 0, SEEK_SET) < 0)
		return false;
	sandbox->device = st.st_dev;
	sandbox->inode = st.st_ino;
	sandbox->mode = status_number(status, "\nSeccomp:\t");
	sandbox->filters = status_number(status, "\nSeccomp_filters:\t");
	return true;
}

void vt_sandbox_begin(struct vt_sandbox *sandbox, uint32_t tid)
{
	int saved = errno, fd;

	vt_sandbox_end(sandbox);
	fd = status_open(tid);
	*sandbox = (struct vt_sandbox){ .tid = tid, .fd = fd };
	if (fd == -EMFILE || fd == -ENFILE)
		sandbox->reason = VITALS_REASON_NO_FILES;
	else if (fd < 0 || !baseline_take(sandbox))
		sandbox->reason = VITALS_REASON_NO_PROC;
	else if (sandbox->mode && sandbox->mode != ABSENT && sandbox->filters == ABSENT)
		/* A kernel that does not count them: another one would not be seen. */
		sandbox->reason = VITALS_REASON_SECCOMP;
	else
		sandbox->reason = VITALS_REASON_NONE;
	if (sandbox->reason && fd >= 0) {
		(void)close(fd);
		sandbox->fd = -1;
	}
	errno = saved;
}

/* In the thread's own turn: of another's nothing is known. Return: enum vitals_reason. */
static uint32_t sandbox_look(struct vt_sandbox *sandbox)
{
	char status[STATUS_MAX];

	if (sandbox->tid != vt_task_self())
		return VITALS_REASON_OFF;
	if (sandbox->reason)
		return sandbox->reason;
	/* Closed by the host, or its own by now: what cannot be told is not allowed. */
	if (!status_read(sandbox, status))
		return sandbox->reason = VITALS_REASON_NO_FILES;
	if (status_number(status, "\nSeccomp:\t") != sandbox->mode ||
	    status_number(status, "\nSeccomp_filters:\t") != sandbox->filters)
		return sandbox->reason = VITALS_REASON_SECCOMP;
	/* Nobody is killed for this one, then; the next read is of that moment, from the start. */
	if (lseek(sandbox->fd, 0, SEEK_SET) < 0)
		return sandbox->reason = VITALS_REASON_NO_FILES;
	return VITALS_REASON_NONE;
}

/* Is the number still what was opened? Not to be asked where one can be killed for it. */
static bool descriptor_ours(const struct vt_sandbox *sandbox)
{
	struct stat st;

	return sandbox->tid && sandbox->fd >= 0 && fstat(sandbox->fd, &st) == 0 &&
	       st.st_dev == sandbox->device && st.st_ino == sandbox->inode;
}

void vt_sandbox_end(struct vt_sandbox *sandbox)
{
	int saved = errno;

	if (descriptor_ours(sandbox))
		(void)close(sandbox->fd);
	memset(sandbox, 0, sizeof(*sandbox));
	errno = saved;
}

uint32_t vt_evidence_mode(const vitals_registry *registry)
{
	/* Relaxed, both: a word of its own. */
	if (atomic_load_explicit(&registry->evidence_barred, memory_order_relaxed))
		return VITALS_EVIDENCE_OFF;
	return atomic_load_explicit(&registry->evidence_mode, memory_order_relaxed);
}

uint32_t vt_sandbox_why(vitals_registry *registry)
{
	int saved = errno;
	uint32_t mode = vt_evidence_mode(registry), reason = VITALS_REASON_NONE;

	if (mode == VITALS_EVIDENCE_OFF)
		reason = VITALS_REASON_OFF;
	else if (mode != VITALS_EVIDENCE_ON)
		reason = sandbox_look(&registry->sandbox);
	errno = saved;
	return reason;
}

bool vt_sandbox_open(vitals_registry *registry)
{
	int saved = errno;
	bool open = vt_evidence_mode(registry) == VITALS_EVIDENCE_ON ||
		    sandbox_look(&registry->sandbox) == VITALS_REASON_NONE;

	errno = saved;
	return open;
}

int vitals_evidence_set(vitals_registry *registry, int mode)
{
	int r;

	if (mode < VITALS_EVIDENCE_AUTO || mode > VITALS_EVIDENCE_OFF)
		return -EINVAL;
	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	/* Relaxed: what a turn does by it, it does under judge. */
	atomic_store_explicit(&registry->evidence_mode, (uint32_t)mode,
			      memory_order_relaxed);
	/* A look that is under way goes by what was said before; it does not outlive this. */
	if (!vt_lock_until(&registry->judge, vt_clock_now() + LOOK_WAIT_NS))
		return -EBUSY;
	vt_unlock(&registry->judge);
	return 0;
}
