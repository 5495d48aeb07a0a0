/* SPDX-License-Identifier: MIT */

#include "ends-host.h"

#include "member.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct host *host;
static vitals_quitter *root;
static _Atomic uint32_t main_is_there, holds, n_running;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_key_t key;

__attribute__((noreturn)) static void hang(void)
{
	for (;;)
		(void)pause();
}

static int obeys(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_running, 1);
	while (vitals_thread_sleep(self, VITALS_FOREVER) == 0)
		continue;
	return 0;
}

/* On a condition of its own, where nobody is stuck. */
static void wait_until_told(vitals_thread *self)
{
	static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&mine);
	while (vitals_thread_cond_wait(self, &news, &mine, VITALS_FOREVER) == 0)
		continue;
	pthread_mutex_unlock(&mine);
}

static int flushes(vitals_thread *self, void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_running, 1);
	while (!host->waits && vitals_thread_sleep(self, VITALS_FOREVER) == 0)
		continue;
	if (host->waits)
		wait_until_told(self);
	atomic_fetch_add(&board->flushed, 1);
	return 0;
}

static int sticks(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	atomic_fetch_add(&n_running, 1);
	hang();
}

static int holds_all(vitals_thread *self, void *arg)
{
	atomic_fetch_add(&n_running, 1);
	while (!atomic_load(&main_is_there))
		ends_sleep(VITALS_US(50));
	if (!host->first)
		ends_sleep(VITALS_MS(5));
	ends_hold(vt_member_registry(self), host->hangs);
	atomic_store(&holds, 1);
	return host->hangs & HANG_HELD ? sticks(self, arg) : obeys(self, arg);
}

static void callback(void *user)
{
	(void)user;
	hang();
}

static int is_called(vitals_thread *self, void *arg)
{
	(void)vitals_thread_on_quit(self, callback, NULL);
	return sticks(self, arg);
}

static void destructor(void *arg)
{
	(void)arg;
	hang();
}

static int returns_slowly(vitals_thread *self, void *arg)
{
	(void)pthread_setspecific(key, &key);
	return obeys(self, arg);
}

static int waits(vitals_thread *self, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	atomic_fetch_add(&n_running, 1);
	while (vitals_thread_cond_wait(self, &cond, &mutex, VITALS_FOREVER) == 0)
		continue;
	pthread_mutex_unlock(&mutex);
	return sticks(self, arg);
}

static void handler(int signo)
{
	(void)signo;
	atomic_fetch_add(&n_running, 1);
	hang();
}

static void *waits_too(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	atomic_fetch_add(&n_running, 1);
	for (;;)
		pthread_cond_wait(&cond, &mutex);
	return NULL;
}

static void running_await(uint32_t n)
{
	while (atomic_load(&n_running) < n)
		ends_sleep(VITALS_US(50));
}

/*
 * One that waits beside a waiter that is stuck: after a broadcast of the host's, the next one would
 * wait for that one to leave.
 */
static bool cond_make(uint32_t *n)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t thread;

	if (sigaction(SIGUSR2, &action, NULL) ||
	    pthread_create(&thread, NULL, waits_too, NULL))
		return false;
	running_await(++*n);
	pthread_mutex_lock(&mutex); /* it waits by now */
	pthread_mutex_unlock(&mutex);
	(void)pthread_kill(thread, SIGUSR2);
	running_await(++*n);
	if (vitals_thread_fork(root, "waits", 0, waits, NULL, NULL))
		return false;
	running_await(++*n);
	pthread_mutex_lock(&mutex);
	(void)pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	ends_sleep(VITALS_MS(5));
	return true;
}

static bool child_make(const char *name, uint32_t stage, vitals_thread_fn fn, uint32_t *n)
{
	struct vitals_quitter_options options;
	vitals_quitter *child;

	VITALS_INIT(&options);
	options.stage = stage;
	return !vitals_quitter_new(root, name, &options, &child) &&
	       !vitals_thread_fork(child, name, 0, fn, NULL, NULL) && ++*n;
}

static bool threads_make(void)
{
	uint32_t n = 2;

	if (vitals_thread_fork(root, "holds", 0, holds_all, NULL, NULL) ||
	    vitals_thread_fork(root, "obeys", 0, obeys, NULL, NULL) ||
	    !child_make("flush", VITALS_STAGE_FLUSH, flushes, &n))
		return false;
	if ((host->hangs & HANG_DRAIN) &&
	    !child_make("drain", VITALS_STAGE_DRAIN, sticks, &n))
		return false;
	if ((host->hangs & HANG_CALLBACK) &&
	    (vitals_thread_fork(root, "called", 0, is_called, NULL, NULL) || !++n))
		return false;
	if ((host->hangs & HANG_WAY_OUT) &&
	    (pthread_key_create(&key, destructor) ||
	     vitals_thread_fork(root, "out", 0, returns_slowly, NULL, NULL) || !++n))
		return false;
	if ((host->hangs & HANG_COND) && !cond_make(&n))
		return false;
	running_await(n);
	return true;
}

static void make(void)
{
	struct vitals_quitter_options options;

	VITALS_INIT(&options);
	options.at_deadline = host->at_deadline;
	options.late_status = HOST_LATE;
	if (host->main != MAIN_EXITS)
		options.report_fd = STDERR_FILENO;
	if (vitals_quitter_new_main(NULL, host->timeout_ns, &options, &root) ||
	    vitals_quitter_on_signal(root, SIGTERM, NULL) != 0 || !threads_make())
		_exit(98);
}

static void main_finish(void)
{
	(void)vitals_quitter_finish(root, NULL, NULL);
	atomic_store(&board->done_ns, ends_now());
	_exit(HOST_BACK);
}

static void main_goes(void)
{
	void *volatile at;

	switch (host->main) {
	case MAIN_FINISHES:
		main_finish();
		break;
	case MAIN_EXITS:
		vitals_exit(root);
	case MAIN_ALLOCATES:
		for (;;) {
			at = malloc(1); /* volatile, or the compiler does without */
			free(at);
			ends_sleep(VITALS_US(100));
		}
	case MAIN_IS_AWAY:
		ends_sleep(host->timeout_ns * 2);
		/* On a busy machine they come later, and have their share all the same. */
		(void)ends_await(&board->flushed, 1);
	}
	_exit(HOST_BACK);
}

/* Says so when it is so; not in a thread of the tree, nor one that hangs. */
static void *says_ready(void *arg)
{
	while (!atomic_load(&holds) || !atomic_load(&main_is_there))
		ends_sleep(VITALS_US(50));
	ends_sleep(VITALS_MS(2));
	atomic_store(&board->ready, 1);
	return arg;
}

void ends_host(const void *arg)
{
	pthread_t thread;

	host = (const struct host *)arg;
	make();
	if (pthread_create(&thread, NULL, says_ready, NULL))
		_exit(97);
	atomic_store(&main_is_there, 1);
	while (host->first && !atomic_load(&holds))
		ends_sleep(VITALS_US(50));
	main_goes();
}

bool ends_host_ask(pid_t pid)
{
	if (!ends_await(&board->ready, 1))
		return false;
	atomic_store(&board->asked_ns, ends_now());
	return kill(pid, SIGTERM) == 0;
}

static unsigned count(const char *text, const char *name)
{
	char line[64];
	unsigned n = 0;

	(void)snprintf(line, sizeof(line), "vitals: late: %s (", name);
	for (text = strstr(text, line); text; text = strstr(text + 1, line))
		n++;
	return n;
}

bool ends_host_starved(const char *text)
{
	return strstr(text, "main/flush/flush (") || count(text, "main/obeys");
}

bool ends_host_named(const struct host *what, const char *text)
{
	/* Whoever leaves needs the registry's lock, and hangs in it. */
	const struct {
		const char *name;
		uint32_t hangs;
	} all[] = {
		{ "main/holds", HANG_HELD },           { "main/obeys", HANG_REGISTRY },
		{ "main/flush/flush", HANG_REGISTRY }, { "main/drain/drain", HANG_DRAIN },
		{ "main/called", HANG_CALLBACK },      { "main/waits", HANG_COND },
		{ "main/out", HANG_WAY_OUT },
	};
	unsigned lines = 0, i, found;
	const char *at;

	for (at = strstr(text, "vitals: late: "); at;
	     at = strstr(at + 1, "vitals: late: "))
		lines++;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		found = count(text, all[i].name);
		if (found != (what->hangs & all[i].hangs ? 1 : 0))
			return false;
		lines -= found;
	}
	return lines == 0;
}
