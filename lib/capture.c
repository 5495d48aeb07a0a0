/* SPDX-License-Identifier: MIT */

#include "capture.h"

#include "changes.h"
#include "child.h"
#include "events.h"
#include "helper.h"
#include "monitor.h"
#include "notifier.h"
#include "options.h"
#include "outlet.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_NS VITALS_S(60)
#define PER_HOUR 4u

static struct vt_capture *capture_of(vitals_registry *registry)
{
	/* Acquire pairs with the release in capture_make(). */
	return atomic_load_explicit(&registry->capture, memory_order_acquire);
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
			vt_capture_consider(registry, capture, &event);
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
static int terms_make(const struct vitals_capture_options *options,
		      struct vt_capture_terms *terms)
{
	const char *output = options->output ? options->output : VT_OUTLET_JOURNAL;
	int r;

	if (*output != '/' || options->per_hour > VT_CAPTURE_PER_HOUR ||
	    options->reserved)
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
static int capture_set(vitals_registry *registry, const struct vt_capture_terms *terms)
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
	struct vt_capture_terms terms;
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
