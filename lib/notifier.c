/* SPDX-License-Identifier: MIT */

#include "notifier.h"

#include "beacon.h"
#include "clock.h"
#include "events.h"
#include "helper.h"
#include "log.h"
#include "monitor.h"
#include "systemd.h"
#include "task.h"
#include "thread.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

typedef void (*event_fn)(const struct vitals_event *event, void *user);

struct vt_notifier {
	pthread_t thread; /* guarded by notifier_control */
	bool joinable;    /* guarded by notifier_control */
	uint32_t
		forks; /* the registry's when it was started: in a child there is no thread */
	_Atomic uint32_t running;
	_Atomic uint32_t tid; /* the thread's own, 0: it is not there */

	/* guarded by notifier_lock */
	event_fn fn;
	void *user;
	sigset_t mask; /* of whoever asked for the callback */
	uint32_t calls;
	_Atomic uint32_t
		calling; /* number of the call under way, 0: none; a word to wait on */
};

void vt_notifier_wake(vitals_registry *registry)
{
	_Atomic uint32_t *word = vt_changes_word(registry);

	/* Release: the notifier sees what it is woken for; pairs with its acquire. */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
	vt_futex_wake(word, INT_MAX);
}

/* Return: what to call now; from here until call_end() it is being called. */
static event_fn call_begin(vitals_registry *registry, void **ret_user, sigset_t *ret_mask)
{
	struct vt_notifier *notifier = registry->notifier;
	event_fn fn;

	vt_lock(&registry->notifier_lock);
	fn = notifier->fn;
	*ret_user = notifier->user;
	*ret_mask = notifier->mask;
	if (fn) {
		notifier->calls += notifier->calls == UINT32_MAX ? 2 : 1;
		atomic_store_explicit(&notifier->calling, notifier->calls,
				      memory_order_relaxed);
	}
	vt_unlock(&registry->notifier_lock);
	return fn;
}

static void call_end(struct vt_notifier *notifier)
{
	/* Release: whoever waited for the callback sees all it did. */
	atomic_store_explicit(&notifier->calling, 0, memory_order_release);
	vt_futex_wake(&notifier->calling, INT_MAX);
}

/* Whoever waits for a quitter wakes those in condition waits itself, if this does not come back. */
static void away(vitals_registry *registry, uint32_t is)
{
	/* Relaxed: a hint. */
	if (registry->tree)
		atomic_store_explicit(&registry->tree->away, is, memory_order_relaxed);
}

/* Return: whether there was something to tell. */
static bool tell_one(vitals_registry *registry)
{
	struct vt_notifier *notifier = registry->notifier;
	struct vitals_event event = { 0 };
	sigset_t mask, all;
	event_fn fn;
	void *user;

	if (vt_changes_notify(registry, &event) < 0)
		return false;
	event.size = sizeof(event);
	fn = call_begin(registry, &user, &mask);
	if (!fn)
		return true;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	away(registry, 1);
	fn(&event, user);
	away(registry, 0);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	call_end(notifier);
	return true;
}

static void *notifier_run(void *arg)
{
	vitals_registry *registry = arg;
	_Atomic uint32_t *word = vt_changes_word(registry);

	/* Relaxed: only this thread itself looks for its own number. */
	atomic_store_explicit(&registry->notifier->tid, vt_task_self(),
			      memory_order_relaxed);
	for (;;) {
		/* Acquire: what comes after this look, a stop too, changes the word. */
		uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
		uint64_t again_ns;
		bool busy;

		/* Acquire pairs with the store that stops. */
		if (!atomic_load_explicit(&registry->notifier->running,
					  memory_order_acquire))
			break;
		/* Before anything that may take for ever. */
		vt_systemd_turn_at(registry, vt_clock_now());
		vt_log_turn_at(registry, vt_clock_now());
		vt_beacon_turn_at(registry, vt_clock_now());
		busy = tell_one(registry);
		again_ns = vt_thread_callbacks_run(registry);
		if (!busy)
			(void)vt_futex_wait(word, seen, again_ns);
	}
	return NULL;
}

/* The room, if it was ever made. */
static struct vt_notifier *notifier_of(vitals_registry *registry)
{
	struct vt_notifier *notifier;

	vt_lock(&registry->lock);
	notifier = registry->notifier;
	vt_unlock(&registry->lock);
	return notifier;
}

static int notifier_make(vitals_registry *registry)
{
	int r;

	vt_lock(&registry->lock);
	r = vt_monitor_make(registry);
	if (r == 0 && !registry->notifier) {
		registry->notifier =
			vt_registry_room(registry, sizeof(struct vt_notifier));
		r = registry->notifier ? 0 : -ENOMEM;
	}
	vt_unlock(&registry->lock);
	return r;
}

/* In a forked child the parent's notifier is not there to be stopped or waited for. */
static void notifier_settle(vitals_registry *registry)
	VT_REQUIRES(registry->notifier_control)
{
	struct vt_notifier *notifier = registry->notifier;
	/* Relaxed: it changes only while there is one thread. */
	uint32_t forks = atomic_load_explicit(&registry->forks, memory_order_relaxed);

	if (notifier->forks == forks)
		return;
	notifier->forks = forks;
	notifier->joinable = false;
	atomic_store_explicit(&notifier->running, 0, memory_order_relaxed);
	atomic_store_explicit(&notifier->tid, 0, memory_order_relaxed);
	atomic_store_explicit(&notifier->calling, 0, memory_order_relaxed);
}

static int notifier_start_controlled(vitals_registry *registry)
	VT_REQUIRES(registry->notifier_control)
{
	struct vt_notifier *notifier = registry->notifier;
	int r;

	notifier_settle(registry);
	if (notifier->joinable)
		return 0;
	vt_changes_notify_from_now(registry);
	atomic_store_explicit(&notifier->running, 1, memory_order_release);
	r = vt_helper_start(&notifier->thread, "vitals-notifier", notifier_run, registry);
	notifier->joinable = r == 0;
	return r;
}

int vt_notifier_start(vitals_registry *registry)
{
	int r = notifier_make(registry);

	if (r < 0)
		return r;
	vt_lock(&registry->notifier_control);
	r = notifier_start_controlled(registry);
	vt_unlock(&registry->notifier_control);
	return r;
}

/* Is somebody to be got out of what it waits in? Then there is somebody who does. */
static bool calls_wanted(vitals_registry *registry)
{
	bool wanted;

	vt_lock(&registry->lock);
	/* Relaxed: set under the lock that is held. */
	wanted = registry->tree &&
		 atomic_load_explicit(&registry->tree->calls, memory_order_relaxed);
	if (wanted)
		atomic_store_explicit(&registry->tree->called, 1, memory_order_relaxed);
	vt_unlock(&registry->lock);
	return wanted;
}

int vt_notifier_resume(vitals_registry *registry)
{
	struct vt_notifier *notifier = notifier_of(registry);
	bool wanted = calls_wanted(registry);

	if (notifier) {
		vt_lock(&registry->notifier_lock);
		wanted |= notifier->fn != NULL;
		vt_unlock(&registry->notifier_lock);
	}
	wanted |= vt_systemd_asked(registry) || vt_log_asked(registry) ||
		  vt_beacon_asked(registry);
	return wanted ? vt_notifier_start(registry) : 0;
}

/* Is the calling thread the notifier, in a callback? */
static bool from_callback(const struct vt_notifier *notifier)
{
	/* Relaxed: see notifier_run(). */
	return atomic_load_explicit(&notifier->tid, memory_order_relaxed) ==
	       vt_task_self();
}

bool vt_notifier_is_here(const vitals_registry *registry)
{
	return registry->notifier && from_callback(registry->notifier);
}

void vt_notifier_calling(vitals_registry *registry, struct vt_calling *ret)
{
	struct vt_notifier *notifier = registry->notifier;

	*ret = (struct vt_calling){ 0 };
	if (!notifier)
		return;
	/* Relaxed, all: what changes meanwhile shows in the switches of the thread that it is. */
	ret->tid = atomic_load_explicit(&notifier->tid, memory_order_relaxed);
	ret->away = atomic_load_explicit(&notifier->calling, memory_order_relaxed) ||
		    (registry->tree &&
		     atomic_load_explicit(&registry->tree->away, memory_order_relaxed));
	/* Who holds it is setting one. */
	ret->expected = true;
	if (vt_trylock(&registry->notifier_lock)) {
		ret->expected = notifier->fn != NULL;
		vt_unlock(&registry->notifier_lock);
	}
}

int vt_notifier_stop(vitals_registry *registry)
{
	struct vt_notifier *notifier = notifier_of(registry);

	if (!notifier)
		return 0;
	if (from_callback(notifier))
		return -EDEADLK;
	vt_lock(&registry->notifier_control);
	notifier_settle(registry);
	if (notifier->joinable) {
		atomic_store_explicit(&notifier->running, 0, memory_order_release);
		vt_notifier_wake(registry);
		(void)pthread_join(notifier->thread, NULL);
		notifier->joinable = false;
		atomic_store_explicit(&notifier->tid, 0, memory_order_relaxed);
	}
	vt_unlock(&registry->notifier_control);
	return 0;
}

int vitals_on_event(vitals_registry *registry,
		    void (*fn)(const struct vitals_event *event, void *user), void *user)
{
	struct vt_notifier *notifier;
	uint32_t before;
	int r;

	r = vt_registry_get(registry, &registry);
	if (r < 0)
		return r;
	r = notifier_make(registry);
	if (r < 0)
		return r;
	notifier = registry->notifier;
	if (from_callback(notifier))
		return -EDEADLK;
	vt_lock(&registry->notifier_control);
	notifier_settle(registry);
	r = fn ? notifier_start_controlled(registry) : 0;
	vt_unlock(&registry->notifier_control);
	if (r < 0)
		return r;
	vt_lock(&registry->notifier_lock);
	notifier->fn = fn;
	notifier->user = user;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &notifier->mask);
	before = atomic_load_explicit(&notifier->calling, memory_order_relaxed);
	vt_unlock(&registry->notifier_lock);
	/* Acquire pairs with call_end(): what the callback before did is over. */
	while (before &&
	       atomic_load_explicit(&notifier->calling, memory_order_acquire) == before)
		(void)vt_futex_wait(&notifier->calling, before, UINT64_MAX);
	return 0;
}
