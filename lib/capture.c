/* SPDX-License-Identifier: MIT */

#include "capture.h"

#include "changes.h"
#include "child.h"
#include "clock.h"
#include "command.h"
#include "events.h"
#include "helper.h"
#include "monitor.h"
#include "notifier.h"
#include "options.h"
#include "outlet.h"
#include "rawfd.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_NS VITALS_S(60)
#define PER_HOUR 4u
#define PER_HOUR_MAX 64u
#define HOUR_NS VITALS_S(3600)

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

struct terms {
	uint64_t timeout_ns;
	uint32_t per_hour;
	char output[PATH_MAX];
	struct vt_command command;
};

struct vt_capture {
	pthread_t thread;      /* guarded by notifier_control */
	bool joinable;         /* the same */
	uint32_t forks;        /* the same; see notifier.c */
	vitals_events *reader; /* the thread's, while there is one */
	_Atomic uint32_t wanted;
	_Atomic uint32_t running;
	_Atomic uint32_t ready; /* 0: not known yet; 1; 1 + errno: it cannot work */
	struct terms terms;     /* guarded by notifier_lock */

	/* the thread's own */
	struct terms now; /* that it works by: too large for its stack */
	uint64_t begun_ns[PER_HOUR_MAX];

	_Atomic int32_t
		pid; /* of the command under way, and its process group; 0: none */
	/* Relaxed, all: facts of their own. */
	_Atomic uint32_t begun;
	_Atomic uint32_t failed;
	_Atomic uint32_t skipped;
	_Atomic uint32_t timeouts;
};

static struct vt_capture *capture_of(vitals_registry *registry)
{
	/* Acquire pairs with the release in capture_make(). */
	return atomic_load_explicit(&registry->capture, memory_order_acquire);
}

static void count(_Atomic uint32_t *what)
{
	atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

static bool concerns(const struct vitals_event *event)
{
	return event->kind == VITALS_EVENT_HEARTBEAT && event->to == VITALS_STUCK;
}

/* May there be one more, an hour being what it is? Then it is counted. */
static bool admit_at(struct vt_capture *capture, uint64_t now_ns)
{
	uint32_t i, oldest = 0;

	for (i = 1; i < capture->now.per_hour; i++)
		if (capture->begun_ns[i] < capture->begun_ns[oldest])
			oldest = i;
	if (capture->begun_ns[oldest] && now_ns < capture->begun_ns[oldest] + HOUR_NS)
		return false;
	capture->begun_ns[oldest] = now_ns;
	return true;
}

/* One write each, so that lines of others do not come between. */
static void line_write(int fd, struct vt_text *text)
{
	size_t length = text->length;

	if (length > text->size - 2)
		length = text->size - 2;
	text->at[length] = '\n';
	vt_raw_write(fd, text->at, length + 1);
}

/* "vitals: capture: heartbeat worker is stuck for 4.00s, tid 71; process 70: /usr/bin/vitals why …" */
static void head_write(int fd, const struct vitals_event *event, const char *const *argv)
{
	char line[1024], what[512];
	struct vt_text text;

	(void)vitals_event_text(event, what, sizeof(what));
	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, "vitals: capture: ");
	vt_text_add(&text, what);
	vt_text_add(&text, "; process ");
	vt_text_add_u64(&text, (uint64_t)getpid());
	vt_text_add(&text, ", time ");
	vt_text_add_u64(&text, event->real_ns / VITALS_S(1));
	vt_text_add(&text, ":");
	for (; *argv; argv++) {
		vt_text_add(&text, " ");
		vt_text_add(&text, *argv);
	}
	line_write(fd, &text);
}

/* "vitals: capture: ended with status 0 after 0.41s" */
static void tail_write(int fd, enum vt_ended ended, int status, uint64_t took_ns)
{
	static const char *const how[] = { "ended with status ", "ended by signal ",
					   "killed", "ended" };
	char line[128];
	struct vt_text text;

	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, "vitals: capture: ");
	vt_text_add(&text, how[ended]);
	if (ended == VT_ENDED_EXITED || ended == VT_ENDED_SIGNALED)
		vt_text_add_u64(&text, (uint64_t)status);
	vt_text_add(&text, " after ");
	vt_text_add_duration(&text, took_ns);
	line_write(fd, &text);
}

/* A variable of the child's. */
static const char *variable(char *buffer, size_t size, const char *name, const char *text,
			    uint64_t number)
{
	struct vt_text line;

	vt_text_init(&line, buffer, size);
	vt_text_add(&line, name);
	if (text)
		vt_text_add(&line, text);
	else
		vt_text_add_u64(&line, number);
	return buffer;
}

static int child_make(const struct vt_capture *capture, const struct vitals_event *event,
		      const char *const *argv, int fd, struct vt_child *ret)
{
	char pid[32], tid[32], name[VITALS_SHOWN_MAX + 32];
	const char *environment[] = {
		capture->now.command.path,
		variable(pid, sizeof(pid), "VITALS_PID=", NULL, (uint64_t)getpid()),
		variable(tid, sizeof(tid), "VITALS_TID=", NULL, event->tid),
		variable(name, sizeof(name), "VITALS_HEARTBEAT=", event->name, 0),
		NULL,
	};

	return vt_child_spawn(argv, environment, fd, ret);
}

/* From its beginning to its end. */
static void child_run(struct vt_capture *capture, struct vt_child *child, int fd)
{
	uint64_t begun_ns = vt_clock_now();
	enum vt_ended ended;
	int status = 0;

	atomic_store_explicit(&capture->pid, child->pid, memory_order_release);
	/* Where Yama lets nobody but a parent trace. Before it runs, so that it never is too early. */
	(void)prctl(PR_SET_PTRACER, (unsigned long)child->pid, 0ul, 0ul, 0ul);
	vt_child_go(child);
	ended = vt_child_wait(child, capture->now.timeout_ns, &capture->running, &status);
	(void)prctl(PR_SET_PTRACER, 0ul, 0ul, 0ul, 0ul);
	atomic_store_explicit(&capture->pid, 0, memory_order_release);
	if (ended == VT_ENDED_TIMEOUT)
		count(&capture->timeouts);
	tail_write(fd, ended, status, vt_clock_now() - begun_ns);
}

static void capture_run(struct vt_capture *capture, const struct vitals_event *event)
{
	const char *argv[VITALS_CAPTURE_ARGUMENTS + 1];
	struct vt_child child;
	char pid[16];
	int fd = vt_outlet_open(capture->now.output);

	if (fd < 0) {
		count(&capture->failed);
		return;
	}
	vt_command_arguments(&capture->now.command,
			     variable(pid, sizeof(pid), "", NULL, (uint64_t)getpid()),
			     argv);
	head_write(fd, event, argv);
	vt_outlet_block(fd);
	if (child_make(capture, event, argv, fd, &child) < 0)
		count(&capture->failed);
	else
		child_run(capture, &child, fd);
	vt_raw_close(fd);
}

/* What turned stuck meanwhile has most likely the same cause. */
static void rest_skip(struct vt_capture *capture)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	while (vitals_events_next(capture->reader, 0, &event) == 0)
		if (concerns(&event))
			count(&capture->skipped);
}

static void consider(vitals_registry *registry, struct vt_capture *capture,
		     const struct vitals_event *event)
{
	if (!concerns(event))
		return;
	vt_lock(&registry->notifier_lock);
	capture->now = capture->terms;
	vt_unlock(&registry->notifier_lock);
	if (!admit_at(capture, vt_clock_now())) {
		count(&capture->skipped);
		return;
	}
	count(&capture->begun);
	capture_run(capture, event);
	rest_skip(capture);
}

static void *capture_main(void *arg)
{
	vitals_registry *registry = arg;
	struct vt_capture *capture = capture_of(registry);
	_Atomic uint32_t *word = vt_changes_word(registry);
	int r = vt_child_alone();

	atomic_store_explicit(&capture->ready, 1 + (uint32_t)-r, memory_order_release);
	vt_futex_wake(&capture->ready, INT_MAX);
	while (r == 0) {
		struct vitals_event event;
		/* Acquire: what comes after this look, a stop too, changes the word. */
		uint32_t seen = atomic_load_explicit(word, memory_order_acquire);

		if (!atomic_load_explicit(&capture->running, memory_order_acquire))
			break;
		VITALS_INIT(&event);
		if (vitals_events_next(capture->reader, 0, &event) == 0)
			consider(registry, capture, &event);
		else
			(void)vt_futex_wait(word, seen, UINT64_MAX);
	}
	return NULL;
}

/* In a forked child there is no thread to be stopped or waited for. */
static void settle(vitals_registry *registry, struct vt_capture *capture)
	VT_REQUIRES(registry->notifier_control)
{
	/* Relaxed: it changes only while there is one thread. */
	uint32_t forks = atomic_load_explicit(&registry->forks, memory_order_relaxed);

	if (capture->forks == forks)
		return;
	capture->forks = forks;
	capture->joinable = false;
	capture->reader = vitals_events_close(capture->reader);
	atomic_store_explicit(&capture->pid, 0, memory_order_relaxed);
}

static void stop_controlled(vitals_registry *registry, struct vt_capture *capture)
	VT_REQUIRES(registry->notifier_control)
{
	settle(registry, capture);
	if (!capture->joinable)
		return;
	/* Release: whoever sees it is done with what came before. */
	atomic_store_explicit(&capture->running, 0, memory_order_release);
	vt_notifier_wake(registry);
	(void)pthread_join(capture->thread, NULL);
	capture->joinable = false;
	capture->reader = vitals_events_close(capture->reader);
}

/* Can the thread do its work? Return: 0; a negative errno. */
static int ready_wait(struct vt_capture *capture)
{
	uint32_t ready;

	/* Acquire pairs with the thread's release. */
	while (!(ready = atomic_load_explicit(&capture->ready, memory_order_acquire)))
		(void)vt_futex_wait(&capture->ready, 0, UINT64_MAX);
	return 1 - (int)ready;
}

static int start_controlled(vitals_registry *registry, struct vt_capture *capture)
	VT_REQUIRES(registry->notifier_control)
{
	int r;

	settle(registry, capture);
	if (capture->joinable ||
	    !atomic_load_explicit(&capture->wanted, memory_order_relaxed))
		return 0;
	r = vitals_events_open(registry, NULL, &capture->reader);
	if (r < 0)
		return r;
	atomic_store_explicit(&capture->ready, 0, memory_order_relaxed);
	atomic_store_explicit(&capture->running, 1, memory_order_relaxed);
	r = vt_helper_start(&capture->thread, "vitals-capture", capture_main, registry);
	if (r < 0) {
		capture->reader = vitals_events_close(capture->reader);
		return r;
	}
	capture->joinable = true;
	r = ready_wait(capture);
	if (r < 0)
		stop_controlled(registry, capture);
	return r;
}

int vt_capture_resume(vitals_registry *registry)
{
	struct vt_capture *capture = capture_of(registry);
	int r;

	if (!capture)
		return 0;
	vt_lock(&registry->notifier_control);
	r = start_controlled(registry, capture);
	vt_unlock(&registry->notifier_control);
	return r;
}

void vt_capture_stop(vitals_registry *registry)
{
	struct vt_capture *capture = capture_of(registry);

	if (!capture)
		return;
	vt_lock(&registry->notifier_control);
	stop_controlled(registry, capture);
	vt_unlock(&registry->notifier_control);
}

bool vt_capture_is(vitals_registry *registry, int32_t pid)
{
	struct vt_capture *capture = capture_of(registry);
	int32_t own = capture ? atomic_load_explicit(&capture->pid, memory_order_acquire)
			      : 0;

	return own && getpgid(pid) == own;
}

void vt_capture_count(vitals_registry *registry, struct vt_capture_counts *counts)
{
	struct vt_capture *capture = capture_of(registry);

	memset(counts, 0, sizeof(*counts));
	if (!capture)
		return;
	counts->begun = atomic_load_explicit(&capture->begun, memory_order_relaxed);
	counts->failed = atomic_load_explicit(&capture->failed, memory_order_relaxed);
	counts->skipped = atomic_load_explicit(&capture->skipped, memory_order_relaxed);
	counts->timeouts = atomic_load_explicit(&capture->timeouts, memory_order_relaxed);
}

static int capture_make(vitals_registry *registry) VT_REQUIRES(registry->lock)
{
	struct vt_capture *capture = capture_of(registry);
	int r = vt_monitor_make(registry);

	if (r < 0 || capture)
		return r;
	capture = vt_registry_room(registry, sizeof(*capture));
	if (!capture)
		return -ENOMEM;
	atomic_store_explicit(&registry->capture, capture, memory_order_release);
	return 0;
}

/* Return: as vitals_capture(). */
static int terms_make(const struct vitals_capture_options *options, struct terms *terms)
{
	const char *output = options->output ? options->output : VT_OUTLET_JOURNAL;
	int r;

	if (*output != '/' || options->per_hour > PER_HOUR_MAX || options->reserved)
		return -EINVAL;
	if (strlen(output) >= sizeof(terms->output))
		return -ENAMETOOLONG;
	memcpy(terms->output, output, strlen(output) + 1);
	terms->timeout_ns = options->timeout_ns ? options->timeout_ns : TIMEOUT_NS;
	terms->per_hour = options->per_hour ? options->per_hour : PER_HOUR;
	r = vt_command_set(&terms->command, options->command);
	if (r == 0 && access(VT_CHILD_SHELL, X_OK))
		r = -ENOENT;
	return r;
}

/* @terms NULL: no longer. */
static int capture_set(vitals_registry *registry, const struct terms *terms)
{
	struct vt_capture *capture;
	bool off, here;
	int r;

	vt_lock(&registry->lock);
	here = vt_notifier_is_here(registry);
	r = here ? -EDEADLK : capture_make(registry);
	/* Relaxed: written once, when the registry was laid out. */
	off = atomic_load_explicit(&registry->root->flags, memory_order_relaxed) &
	      VT_ROOT_OFF;
	vt_unlock(&registry->lock);
	if (r < 0 || off)
		return r;
	capture = capture_of(registry);
	vt_lock(&registry->notifier_control);
	atomic_store_explicit(&capture->wanted, terms != NULL, memory_order_relaxed);
	if (terms) {
		vt_lock(&registry->notifier_lock);
		capture->terms = *terms;
		vt_unlock(&registry->notifier_lock);
		r = start_controlled(registry, capture);
	} else {
		stop_controlled(registry, capture);
	}
	vt_unlock(&registry->notifier_control);
	return r;
}

int vitals_capture(vitals_registry *registry,
		   const struct vitals_capture_options *options)
{
	struct vitals_capture_options mine;
	struct terms terms;
	bool off;
	int r;

	r = vt_options_load(&mine, sizeof(mine), options);
	if (r < 0)
		return r;
	if (mine.flags & ~VITALS_CAPTURE_OFF)
		return -EINVAL;
	off = mine.flags & VITALS_CAPTURE_OFF;
	r = off ? 0 : terms_make(&mine, &terms);
	if (r == 0)
		r = vt_registry_get(registry, &registry);
	return r < 0 ? r : capture_set(registry, off ? NULL : &terms);
}
