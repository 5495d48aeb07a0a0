/* SPDX-License-Identifier: MIT */

/*
 * Expectations of unit tests. Each has a registry of its own, so that a test that stops, starts or
 * frees others does not touch it, and nothing is left of it when it ends.
 */

#include "key.h"
#include "region.h"
#include "task.h"
#include "text.h"
#include "vitals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_BYTES 1024
/* For a SIGABRT that the stuck thread is to take before the process does. */
#define ABORT_WAIT_NS VITALS_MS(100)

/* On its thread's list, innermost first. */
struct expectation {
	struct expectation *outer;
	vitals_registry *registry;
	vitals_heartbeat *heartbeat;
	vitals_events *events; /* what the callback may not have had yet at the end */
	const char *file;
	const char *function;
	int line;
	pid_t pid;
	uint32_t tid;
	_Atomic uint32_t failed; /* somebody sees to it */
};

static void thread_ended(void *innermost);
static struct vt_key expect_key = { .ended = thread_ended };

static void place_add(struct vt_text *text, const char *file, int line,
		      const char *function)
{
	vt_text_add(text, file ? file : "?");
	vt_text_add(text, ":");
	vt_text_add_u64(text, line > 0 ? (uint64_t)line : 0);
	vt_text_add(text, ": ");
	vt_text_add(text, function ? function : "?");
	vt_text_add(text, ": VITALS_EXPECT_NO_STALL: ");
}

static void line_write(struct vt_text *text)
{
	size_t length = text->length < text->size - 1 ? text->length : text->size - 2;

	text->at[length++] = '\n';
	/* Nobody is left to be told that it failed. */
	(void)!write(STDERR_FILENO, text->at, length);
}

/* Its timeout as scaled, rather than as written down, and what its thread does; 0: not known. */
static void row_of(const struct expectation *expectation,
		   struct vitals_heartbeat_info *info)
{
	vitals_snapshot *snapshot = NULL;

	VITALS_INIT(info);
	if (vitals_snapshot_take(expectation->registry, &snapshot) == 0)
		(void)vitals_snapshot_heartbeat(snapshot, 0, info);
	(void)vitals_snapshot_free(snapshot);
}

static void stall_write(const struct expectation *expectation, uint64_t silence_ns,
			bool over)
{
	struct vitals_heartbeat_info info;
	char buffer[LINE_BYTES];
	struct vt_text text;

	row_of(expectation, &info);
	vt_text_init(&text, buffer, sizeof(buffer));
	place_add(&text, expectation->file, expectation->line, expectation->function);
	vt_text_add(&text, over ? "was silent for " : "silent for ");
	vt_text_add_duration(&text, silence_ns);
	vt_text_add(&text, ", allowed ");
	vt_text_add_duration(&text, info.timeout_ns);
	if (!over) {
		vt_text_add(&text, "; thread ");
		vt_text_add_u64(&text, expectation->tid);
		vt_text_add(&text, info.doing[0] ? " " : "");
		vt_text_add(&text, info.doing);
		vt_text_add(&text, ". Its stack: gdb PROGRAM CORE; or a beat is missing: "
				   "vitals_heartbeat_touch(vitals_expected())");
	}
	line_write(&text);
}

/* Return: only if another sees to it. @over: it beats again, or has ended. */
static void fail(struct expectation *expectation, uint64_t silence_ns, bool over)
{
	struct timespec wait = { .tv_nsec = ABORT_WAIT_NS };

	/* Relaxed: whoever is first says all there is to say. */
	if (atomic_exchange_explicit(&expectation->failed, 1, memory_order_relaxed))
		return;
	stall_write(expectation, silence_ns, over);
	/* So that a core, or a handler that prints a stack, shows the right one. */
	if (expectation->tid != vt_task_self() &&
	    syscall(SYS_tgkill, getpid(), (int)expectation->tid, SIGABRT) == 0)
		(void)nanosleep(&wait, NULL);
	abort();
}

static bool bad(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static void on_event(const struct vitals_event *event, void *user)
{
	if (event->kind == VITALS_EVENT_HEARTBEAT && (bad(event->to) || bad(event->from)))
		fail(user, event->silence_ns, !bad(event->to));
}

static struct expectation *innermost(void)
{
	return vt_key_value(&expect_key);
}

static bool innermost_set(struct expectation *expectation)
{
	return vt_key_keep(&expect_key, expectation);
}

/* Watches the calling thread. Return: 0; a negative errno. */
static int expectation_watch(struct expectation *expectation, uint64_t timeout_ns)
{
	struct vitals_heartbeat_options options;
	int r;

	VITALS_INIT(&options);
	options.flags = VITALS_NO_HISTOGRAM;
	r = vitals_registry_new(0, &expectation->registry);
	if (r < 0)
		return r;
	r = vitals_heartbeat_new(expectation->registry, "body", timeout_ns, &options,
				 &expectation->heartbeat);
	if (r < 0)
		return r;
	r = vitals_events_open(expectation->registry, expectation->heartbeat,
			       &expectation->events);
	if (r < 0)
		return r;
	r = vitals_on_event(expectation->registry, on_event, expectation);
	return r < 0 ? r : vitals_start(expectation->registry);
}

/* What the monitor has seen of it, though nobody may have been called for it yet. */
static void expectation_judge(struct expectation *expectation)
{
	struct vitals_event event;

	VITALS_INIT(&event);
	while (vitals_events_next(expectation->events, 0, &event) == 0)
		if (bad(event.to) || bad(event.from))
			fail(expectation, event.silence_ns, true);
}

static void expectation_end(struct expectation *expectation)
{
	/* In a forked child there was nobody who could have seen anything. */
	if (expectation->pid == getpid())
		expectation_judge(expectation);
	/* Waits for the callback: one that has something to say aborts. */
	(void)vitals_stop(expectation->registry);
	(void)vitals_events_close(expectation->events);
	(void)vitals_heartbeat_unref(expectation->heartbeat);
	(void)vitals_registry_free(expectation->registry);
	vt_pages_free(expectation, sizeof(*expectation));
}

static void thread_ended(void *armed)
{
	struct expectation *expectation, *outer;
	void *first;

	if (!vt_key_ended(&expect_key, armed, &first))
		return;
	expectation = first;
	for (; expectation; expectation = outer) {
		outer = expectation->outer;
		expectation_end(expectation);
	}
}

static void not_watched(const char *file, int line, const char *function, int r)
{
	char buffer[LINE_BYTES];
	struct vt_text text;

	vt_text_init(&text, buffer, sizeof(buffer));
	place_add(&text, file, line, function);
	vt_text_add(&text, "cannot be watched: ");
	vt_text_add(&text, r == -EINVAL   ? "a time of 1 ms to 10 years"
			   : r == -ENOMEM ? "no memory"
					  : "no thread");
	line_write(&text);
	abort();
}

vitals_heartbeat *vitals_expected(void)
{
	struct expectation *expectation = innermost();

	return expectation ? expectation->heartbeat : NULL;
}

vitals_heartbeat *vitals_expect_begin(uint64_t timeout_ns, const char *file, int line,
				      const char *function)
{
	struct expectation *expectation = vt_pages_new(sizeof(*expectation));
	vitals_heartbeat *heartbeat;
	int r = expectation ? 0 : -ENOMEM;

	if (r == 0) {
		expectation->file = file;
		expectation->line = line;
		expectation->function = function;
		expectation->pid = getpid();
		expectation->tid = vt_task_self();
		r = expectation_watch(expectation, timeout_ns);
	}
	if (r == 0) {
		expectation->outer = innermost();
		r = innermost_set(expectation) ? 0 : -ENOMEM;
	}
	if (r < 0)
		not_watched(file, line, function, r);
	heartbeat = expectation->heartbeat;
	if (expectation->outer)
		(void)vitals_heartbeat_pulse(expectation->outer->heartbeat);
	(void)vitals_heartbeat_pulse(heartbeat);
	return heartbeat;
}

vitals_heartbeat *vitals_expect_end(vitals_heartbeat *expected)
{
	struct expectation *first = innermost(), *at = first, *outer;

	while (at && at->heartbeat != expected)
		at = at->outer;
	if (!at)
		return NULL;
	outer = at->outer;
	(void)innermost_set(outer);
	while (first != outer) {
		at = first->outer;
		expectation_end(first);
		first = at;
	}
	if (outer)
		(void)vitals_heartbeat_pulse(outer->heartbeat);
	return NULL;
}
