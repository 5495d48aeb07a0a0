/* SPDX-License-Identifier: MIT */

/*
 * One command, from the event to the last line of its output; in the thread that captures.
 */

#include "capture.h"

#include "child.h"
#include "clock.h"
#include "outlet.h"
#include "rawfd.h"
#include "text.h"

#include <sys/prctl.h>
#include <unistd.h>

#define HOUR_NS VITALS_S(3600)

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

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

void vt_capture_consider(vitals_registry *registry, struct vt_capture *capture,
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
