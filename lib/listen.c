/* SPDX-License-Identifier: MIT */

/*
 * What a main quitter listens to: signals, by their handler, and descriptors, polled by
 * the monitor and by finish. An event's index is the order of the on_ calls; of several
 * that have come the lowest wins.
 */

#include "main.h"
#include "text.h"

#include <errno.h>

static int event_add(vitals_quitter *quitter, bool is_fd, int number, const char *text)
{
	vitals_registry *registry = vt_quitter_registry(quitter);
	struct vt_main *main = registry->main;
	struct vt_event *event;
	uint32_t n;
	int r = 0;

	vt_lock(&registry->lock);
	n = atomic_load_explicit(&main->n_events, memory_order_relaxed);
	if (n == VT_EVENTS) {
		vt_unlock(&registry->lock);
		return -ENOSPC;
	}
	event = &main->events[n];
	/* Relaxed: who still looks for the main quitter before throws away what he finds. */
	atomic_store_explicit(&event->is_fd, is_fd, memory_order_relaxed);
	vt_text_clean(event->text, text);
	atomic_store_explicit(&event->number, number, memory_order_relaxed);
	if (!is_fd)
		r = vt_signals_add(&main->requests, number, n);
	/* Release: whoever sees the count sees the event. Pairs with vt_main_fds(). */
	if (!r)
		atomic_store_explicit(&main->n_events, n + 1, memory_order_release);
	vt_unlock(&registry->lock);
	return r ? r : (int)n;
}

static int event_new(vitals_quitter *quitter, bool is_fd, int number, const char *text)
{
	int r;

	if (!vt_quitter_current(quitter))
		return -ECANCELED;
	if (!vt_quitter_is_main(quitter))
		return -EINVAL;
	r = event_add(quitter, is_fd, number, text);
	if (r >= 0)
		vt_registry_wake(
			vt_quitter_registry(quitter)); /* something more to poll */
	return r;
}

int vitals_quitter_on_signal(vitals_quitter *main_quitter, int signo, const char *text)
{
	if (!main_quitter)
		return -EINVAL;
	return event_new(main_quitter, false, signo,
			 text ? text : vt_signals_name(signo));
}

int vitals_quitter_on_fd(vitals_quitter *main_quitter, int fd, const char *text)
{
	if (!main_quitter || fd < 0)
		return -EINVAL;
	return event_new(main_quitter, true, fd, text ? text : "fd");
}

unsigned vt_main_fds(struct vt_main *main, struct pollfd *fds, uint8_t *ret_events,
		     unsigned room)
{
	/* Acquire pairs with event_add(). */
	uint32_t i, n = atomic_load_explicit(&main->n_events, memory_order_acquire);
	unsigned filled = 0;

	if (vt_main_phase(main) != VT_PHASE_IDLE)
		return 0; /* nothing to learn, and a readable one would never let go */
	for (i = 0; i < n && filled < room; i++) {
		/* Relaxed: a number of its own. */
		int fd = atomic_load_explicit(&main->events[i].number,
					      memory_order_relaxed);

		if (fd < 0 ||
		    !atomic_load_explicit(&main->events[i].is_fd, memory_order_relaxed))
			continue;
		if (ret_events)
			ret_events[filled] = (uint8_t)i;
		fds[filled++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	return filled;
}

uint64_t vt_main_look(struct vt_main *main)
{
	struct pollfd fds[VT_EVENTS];
	uint8_t events[VT_EVENTS];
	unsigned i, n = vt_main_fds(main, fds, events, VT_EVENTS);
	uint64_t bits = 0;

	if (!n || poll(fds, n, 0) <= 0)
		return 0;
	for (i = 0; i < n; i++) {
		int fd = fds[i].fd;

		/*
		 * The host has closed it; its number may be anything's later. Not the next
		 * main quitter's, if that has come meanwhile. Relaxed, as above.
		 */
		if (fds[i].revents & POLLNVAL)
			(void)atomic_compare_exchange_strong_explicit(
				&main->events[events[i]].number, &fd, -1,
				memory_order_relaxed, memory_order_relaxed);
		else if (fds[i].revents)
			bits |= (uint64_t)1 << events[i];
	}
	return bits;
}
