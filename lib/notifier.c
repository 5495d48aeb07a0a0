/* SPDX-License-Identifier: MIT */

#include "notifier.h"

#include "events.h"
#include "monitor.h"
#ifdef VT_HAVE_THREADS
#include "thread.h"
#endif

#include <errno.h>
#include <limits.h>

typedef void (*event_fn)(const struct vitals_event *event, void *user);

struct vt_notifier {
	struct vt_lock control; /* start, stop and on_event, one at a time; never in a callback */
	pthread_t thread;       /* guarded by control */
	bool joinable;          /* guarded by control */
	_Atomic uint32_t running;

	struct vt_lock lock; /* guards the rest; held for no call out */
	event_fn fn;
	void *user;
	sigset_t mask; /* of whoever asked for the callback */
	_Atomic uint32_t calling; /* a word to wait on */
};

void vt_notifier_wake(vitals_registry *registry)
{
	_Atomic uint32_t *word = vt_changes_word(registry);

	/* Release: the notifier sees what it is woken for; pairs with its acquire. */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
	vt_futex_wake(word, INT_MAX);
}

/* Return: what to call now; from here until call_end() it is being called. */
static event_fn call_begin(struct vt_notifier *notifier, void **ret_user, sigset_t *ret_mask)
{
	event_fn fn;

	vt_lock(&notifier->lock);
	fn = notifier->fn;
	*ret_user = notifier->user;
	*ret_mask = notifier->mask;
	if (fn)
		atomic_store_explicit(&notifier->calling, 1, memory_order_relaxed);
	vt_unlock(&notifier->lock);
	return fn;
}

static void call_end(struct vt_notifier *notifier)
{
	/* Release: whoever waited for the callback sees all it did. */
	atomic_store_explicit(&notifier->calling, 0, memory_order_release);
	vt_futex_wake(&notifier->calling, INT_MAX);
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
	fn = call_begin(notifier, &user, &mask);
	if (!fn)
		return true;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
	fn(&event, user);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
	call_end(notifier);
	return true;
}

static void *notifier_run(void *arg)
{
	vitals_registry *registry = arg;
	_Atomic uint32_t *word = vt_changes_word(registry);

	for (;;) {
		/* Acquire: what comes after this look, a stop too, changes the word. */
		uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
		bool busy;

		/* Acquire pairs with the store that stops. */
		if (!atomic_load_explicit(&registry->notifier->running,
					  memory_order_acquire))
			break;
		busy = tell_one(registry);
#ifdef VT_HAVE_THREADS
		busy |= vt_thread_callbacks_run(registry);
#endif
		if (!busy)
			(void)vt_futex_wait(word, seen, UINT64_MAX);
	}
	return NULL;
}

/* In a forked child: the thread does not exist here, the callback is still wanted. */
static void notifier_carried(void *at) VT_UNCHECKED
{
	struct vt_notifier *notifier = at;

	/* Half a callback is none. */
	if (!vt_trylock(&notifier->lock))
		notifier->fn = NULL;
	vt_lock_reset(&notifier->lock);
	vt_lock_reset(&notifier->control);
	notifier->joinable = false;
	/* Relaxed: the child has one thread. */
	atomic_store_explicit(&notifier->running, 0, memory_order_relaxed);
	atomic_store_explicit(&notifier->calling, 0, memory_order_relaxed);
}

static int notifier_make(vitals_registry *registry)
{
	int r;

	vt_lock(&registry->lock);
	r = vt_monitor_make(registry);
	if (r == 0 && !registry->notifier) {
		registry->notifier = vt_registry_room_carried(
			registry, sizeof(struct vt_notifier), notifier_carried);
		r = registry->notifier ? 0 : -ENOMEM;
	}
	vt_unlock(&registry->lock);
	return r;
}

static int notifier_start_controlled(vitals_registry *registry)
{
	struct vt_notifier *notifier = registry->notifier;
	int r;

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
	vt_lock(&registry->notifier->control);
	r = notifier_start_controlled(registry);
	vt_unlock(&registry->notifier->control);
	return r;
}

int vt_notifier_resume(vitals_registry *registry)
{
	struct vt_notifier *notifier;
	bool wanted;

	vt_lock(&registry->lock);
	notifier = registry->notifier;
	vt_unlock(&registry->lock);
	if (!notifier)
		return 0;
	vt_lock(&notifier->lock);
	wanted = notifier->fn;
	vt_unlock(&notifier->lock);
	return wanted ? vt_notifier_start(registry) : 0;
}

/* Is the calling thread the notifier, in a callback? */
static bool from_callback(const struct vt_notifier *notifier)
{
	return atomic_load_explicit(&notifier->running, memory_order_acquire) &&
	       pthread_equal(pthread_self(), notifier->thread);
}

int vt_notifier_stop(vitals_registry *registry)
{
	struct vt_notifier *notifier = registry->notifier;

	if (!notifier)
		return 0;
	if (from_callback(notifier))
		return -EDEADLK;
	vt_lock(&notifier->control);
	if (notifier->joinable) {
		atomic_store_explicit(&notifier->running, 0, memory_order_release);
		vt_notifier_wake(registry);
		(void)pthread_join(notifier->thread, NULL);
		notifier->joinable = false;
	}
	vt_unlock(&notifier->control);
	return 0;
}

int vitals_on_event(vitals_registry *registry,
		    void (*fn)(const struct vitals_event *event, void *user), void *user)
{
	struct vt_notifier *notifier;
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
	if (fn) {
		r = vt_notifier_start(registry);
		if (r < 0)
			return r;
	}
	vt_lock(&notifier->lock);
	notifier->fn = fn;
	notifier->user = user;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &notifier->mask);
	vt_unlock(&notifier->lock);
	/* Acquire pairs with call_end(): what the callback before did is over. */
	while (atomic_load_explicit(&notifier->calling, memory_order_acquire))
		(void)vt_futex_wait(&notifier->calling, 1, UINT64_MAX);
	return 0;
}
