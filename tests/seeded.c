/* SPDX-License-Identifier: MIT */

#include "seeded.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const fault_names[FAULTS] = {
	"spin",    "mutex", "condvar", "read", "sleep",
	"starved", "quota", "stopped", "gone",
};

enum order {
	TRACE,
	UNTRACE,
	LIMIT,
	UNLIMIT,
	HURRY,
};

struct request {
	enum order order;
	pid_t tid;
};

static char group[128];

static bool text_write(const char *directory, const char *file, const char *text)
{
	char path[256];
	int fd;
	bool written;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	(void)close(fd);
	return written;
}

/* Of a thread alone only the first version can be had without taking the whole process. */
static bool group_make(void)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/cpu",
					      "/sys/fs/cgroup/cpu,cpuacct" };
	size_t i;

	for (i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		(void)snprintf(group, sizeof(group), "%s/vitals-faults-%d", mounts[i],
			       (int)getpid());
		if (mkdir(group, 0755))
			continue;
		if (text_write(group, "cpu.cfs_period_us", "100000") &&
		    text_write(group, "cpu.cfs_quota_us", "10000"))
			return true;
		(void)rmdir(group);
	}
	group[0] = 0;
	return false;
}

static bool group_move(pid_t tid, bool in)
{
	char directory[128], number[16];

	memcpy(directory, group, sizeof(directory));
	if (!in)
		*strrchr(directory, '/') = 0;
	(void)snprintf(number, sizeof(number), "%d", (int)tid);
	return group[0] && text_write(directory, "tasks", number);
}

static bool trace(pid_t tid)
{
	int status;

	return ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0 &&
	       ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 &&
	       waitpid(tid, &status, __WALL) == tid;
}

static bool obey(const struct request *request)
{
	struct sched_param first = { .sched_priority = 1 };

	switch (request->order) {
	case TRACE:
		return trace(request->tid);
	case UNTRACE:
		return ptrace(PTRACE_DETACH, request->tid, NULL, NULL) == 0;
	case LIMIT:
		return group_move(request->tid, true);
	case UNLIMIT:
		return group_move(request->tid, false);
	case HURRY:
		/* One processor is left to everybody else. */
		return sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
		       sched_setscheduler(request->tid, SCHED_RR, &first) == 0;
	}
	return false;
}

static void helper_run(int fd)
{
	struct request request;

	while (read(fd, &request, sizeof(request)) == sizeof(request)) {
		char done = obey(&request) ? 1 : 0;

		if (write(fd, &done, 1) != 1)
			break;
	}
	if (group[0])
		(void)rmdir(group);
	_exit(0);
}

void fault_helper_begin(struct fault_helper *helper)
{
	int pair[2];

	helper->pid = helper->socket = -1;
	helper->quota = group_make();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	helper->pid = fork();
	if (helper->pid == 0) {
		(void)close(pair[0]);
		helper_run(pair[1]);
	}
	(void)close(pair[1]);
	helper->socket = pair[0];
#ifdef PR_SET_PTRACER
	(void)prctl(PR_SET_PTRACER, helper->pid);
#endif
}

void fault_helper_end(struct fault_helper *helper)
{
	(void)close(helper->socket);
	(void)waitpid(helper->pid, NULL, 0);
}

static bool ask(const struct fault_helper *helper, enum order order, uint32_t tid)
{
	struct request request = { order, (pid_t)tid };
	char done = 0;

	return write(helper->socket, &request, sizeof(request)) == sizeof(request) &&
	       read(helper->socket, &done, 1) == 1 && done;
}

void fault_prepare(struct fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	pthread_mutex_init(&fault->mutex, NULL);
	pthread_mutex_init(&fault->guard, NULL);
	pthread_cond_init(&fault->condition, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fault->sockets))
		abort();
}

void fault_discard(struct fault *fault)
{
	(void)close(fault->sockets[0]);
	(void)close(fault->sockets[1]);
	pthread_cond_destroy(&fault->condition);
	pthread_mutex_destroy(&fault->guard);
	pthread_mutex_destroy(&fault->mutex);
}

static uint32_t own_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

static void spin(struct fault *fault)
{
	while (!atomic_load_explicit(&fault->over, memory_order_relaxed))
		continue;
}

/* Of the processors that it may run on, the last: the first has the interrupts. */
static void pin(void)
{
	cpu_set_t may, one;
	size_t cpu = CPU_SETSIZE - 1;

	CPU_ZERO(&may);
	if (sched_getaffinity(0, sizeof(may), &may))
		return;
	while (cpu > 0 && !CPU_ISSET(cpu, &may))
		cpu--;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static void *other_run(void *arg)
{
	struct fault *fault = arg;

	pin();
	atomic_store(&fault->other_tid, own_tid());
	spin(fault);
	return NULL;
}

static void fault_wait(struct fault *fault)
{
	pthread_mutex_lock(&fault->guard);
	while (!atomic_load(&fault->over))
		pthread_cond_wait(&fault->condition, &fault->guard);
	pthread_mutex_unlock(&fault->guard);
}

static void starve(struct fault *fault)
{
	struct sched_param none = { 0 };

	pin();
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	atomic_store(&fault->tid, own_tid());
	spin(fault);
}

static void *fault_run(void *arg)
{
	struct fault *fault = arg;
	char byte;

	(void)prctl(PR_SET_NAME, "culprit");
	if (fault->kind != FAULT_STARVED)
		atomic_store(&fault->tid, own_tid());
	switch (fault->kind) {
	case FAULT_SPIN:
	case FAULT_QUOTA:
		spin(fault);
		break;
	case FAULT_MUTEX:
		pthread_mutex_lock(&fault->mutex);
		pthread_mutex_unlock(&fault->mutex);
		break;
	case FAULT_CONDVAR:
	case FAULT_STOPPED:
		fault_wait(fault);
		break;
	case FAULT_READ:
		(void)!read(fault->sockets[0], &byte, 1);
		break;
	case FAULT_SLEEP:
		while (!atomic_load(&fault->over))
			(void)nanosleep(&(struct timespec){ 1000, 0 }, NULL);
		break;
	case FAULT_STARVED:
		starve(fault);
		break;
	default:
		break;
	}
	return NULL;
}

/* The letter in its stat; 0: it is gone. Not by the code that is tested. */
static char state_of(uint32_t tid)
{
	char path[64], text[256];
	const char *at;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%u/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE ? '?' : 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strrchr(text, ')');
	return at ? at[2] : 0;
}

static void rest(long ms)
{
	(void)nanosleep(&(struct timespec){ 0, ms * 1000000 }, NULL);
}

/* Until it hangs as it is meant to. Without descriptors all that can be done is to wait. */
static void settle(const struct fault *fault)
{
	int i;

	while (!atomic_load(&fault->tid))
		rest(1);
	for (i = 0; i < 2000; i++) {
		char state = state_of(atomic_load(&fault->tid));

		if (state == '?') {
			rest(20);
			return;
		}
		if (fault->kind == FAULT_GONE ? !state
		    : fault->kind == FAULT_SPIN || fault->kind == FAULT_QUOTA ||
				    fault->kind == FAULT_STARVED
			    ? state == 'R'
			    : state == 'S')
			return;
		rest(1);
	}
}

bool fault_begin(struct fault *fault, enum fault_kind kind,
		 const struct fault_helper *helper)
{
	fault->kind = kind;
	atomic_store(&fault->tid, 0);
	atomic_store(&fault->other_tid, 0);
	atomic_store(&fault->over, 0);
	if (kind == FAULT_QUOTA && !helper->quota)
		return false;
	if (kind == FAULT_MUTEX)
		pthread_mutex_lock(&fault->mutex);
	if (kind == FAULT_STARVED) {
		pthread_create(&fault->other, NULL, other_run, fault);
		while (!atomic_load(&fault->other_tid))
			rest(1);
	}
	pthread_create(&fault->thread, NULL, fault_run, fault);
	if (kind == FAULT_GONE)
		pthread_join(fault->thread, NULL);
	settle(fault);
	/* Whatever else there is on the machine. */
	if (kind == FAULT_SPIN)
		(void)ask(helper, HURRY, atomic_load(&fault->tid));
	if ((kind == FAULT_QUOTA && !ask(helper, LIMIT, atomic_load(&fault->tid))) ||
	    (kind == FAULT_STOPPED && !ask(helper, TRACE, atomic_load(&fault->tid)))) {
		fault->kind = FAULTS;
		fault_end(fault, helper);
		return false;
	}
	return true;
}

void fault_end(struct fault *fault, const struct fault_helper *helper)
{
	uint32_t tid = atomic_load(&fault->tid);

	if (fault->kind == FAULT_GONE)
		return;
	if (fault->kind == FAULT_STOPPED)
		(void)ask(helper, UNTRACE, tid);
	if (fault->kind == FAULT_QUOTA)
		(void)ask(helper, UNLIMIT, tid);
	pthread_mutex_lock(&fault->guard);
	atomic_store(&fault->over, 1);
	pthread_cond_broadcast(&fault->condition);
	pthread_mutex_unlock(&fault->guard);
	if (fault->kind == FAULT_MUTEX)
		pthread_mutex_unlock(&fault->mutex);
	if (fault->kind == FAULT_READ)
		(void)!write(fault->sockets[1], "", 1);
	while (fault->kind == FAULT_SLEEP && pthread_tryjoin_np(fault->thread, NULL)) {
		(void)pthread_kill(fault->thread, SIGUSR1);
		rest(1);
	}
	if (fault->kind != FAULT_SLEEP)
		pthread_join(fault->thread, NULL);
	if (atomic_load(&fault->other_tid))
		pthread_join(fault->other, NULL);
}
