/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first failure is kept: whoever moves the count from 0 writes it. */
static struct {
	atomic_uint failures;
	atomic_uint written;
	const char *condition;
	const char *file;
	int line;
} worker;

/* What the caller ignores or blocks (nohup, a shell's background) is not what is tested. */
static void signals_default(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE };
	sigset_t none;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int run_suite(Suite *suite)
{
	SRunner *runner;
	int failed;

	signals_default();
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int worker_check_at(int passed, const char *condition, const char *file, int line)
{
	if (passed)
		return 1;
	/* Relaxed: one thread sees 0; what it then writes, written publishes. */
	if (atomic_fetch_add_explicit(&worker.failures, 1, memory_order_relaxed) == 0) {
		worker.condition = condition;
		worker.file = file;
		worker.line = line;
		/* Release: pairs with the acquire in worker_checks_passed(). */
		atomic_store_explicit(&worker.written, 1, memory_order_release);
	}
	return 0;
}

unsigned worker_failures(void)
{
	/* Relaxed: only the number is wanted. */
	return atomic_load_explicit(&worker.failures, memory_order_relaxed);
}

void worker_checks_passed(void)
{
	unsigned failures = worker_failures();

	if (failures == 0)
		return;
	/* Acquire: pairs with the release in worker_check_at(). */
	if (!atomic_load_explicit(&worker.written, memory_order_acquire))
		ck_abort_msg("%u checks failed in workers that still run", failures);
	ck_abort_msg("%s:%d: worker: %s, and %u more", worker.file, worker.line,
		     worker.condition, failures - 1);
}

void temp_dir_make(char ret_path[TEMP_PATH_MAX])
{
	const char *below = getenv("TMPDIR");
	int n;

	n = snprintf(ret_path, TEMP_PATH_MAX, "%s/vitals-test-XXXXXX",
		     below && *below ? below : "/tmp");
	ck_assert_int_lt(n, TEMP_PATH_MAX);
	ck_assert_msg(mkdtemp(ret_path) != NULL, "mkdtemp %s: %s", ret_path,
		      strerror(errno));
}

static int temp_entry_remove(const char *path, const struct stat *stat, int type,
			     struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void temp_dir_remove(const char *path)
{
	if (*path != '\0')
		ck_assert_int_eq(nftw(path, temp_entry_remove, 8, FTW_DEPTH | FTW_PHYS),
				 0);
}

char *file_read(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, room = 4096;
	char *data = NULL;

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	do {
		room *= 2;
		data = realloc(data, room);
		ck_assert_ptr_nonnull(data);
		size += fread(data + size, 1, room - 1 - size, file);
	} while (size == room - 1);
	ck_assert_msg(!ferror(file), "%s: cannot be read", path);
	fclose(file);

	data[size] = '\0';
	if (ret_size)
		*ret_size = size;
	return data;
}

void file_write(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "we");

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	ck_assert_uint_eq(fwrite(data, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

char *golden_read(const char *name, size_t *ret_size)
{
	const char *srcdir = getenv("srcdir");
	char path[1024];
	int n;

	n = snprintf(path, sizeof(path), "%s/tests/golden/%s", srcdir ? srcdir : ".",
		     name);
	ck_assert_int_lt(n, (int)sizeof(path));
	return file_read(path, ret_size);
}

int fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		ck_abort_msg("/proc/self/fd: %s", strerror(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	/* Without ".", ".." and the directory itself. */
	return n - 3;
}

size_t mapped_pages(void)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		ck_abort_msg("/proc/self/statm: %s", strerror(errno));
	close(fd);
	return strtoul(text, NULL, 10);
}

void child_check_at(int passed, const char *condition, const char *file, int line)
{
	if (passed)
		return;
	dprintf(STDERR_FILENO, "%s:%d: child %d: %s (errno %d)\n", file, line,
		(int)getpid(), condition, errno);
	_exit(EXIT_FAILURE);
}

void child_passed(int pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(!WIFSIGNALED(status), "the child was ended by signal %d",
		      WTERMSIG(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

void child_alarm(unsigned seconds)
{
	/* Check's own handler, which is inherited, kills the parent too. */
	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
}

void child_run(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		child_alarm(CHILD_SECONDS);
		fn(arg);
		_exit(EXIT_SUCCESS);
	}
	child_passed(pid);
}
