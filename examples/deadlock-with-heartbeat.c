/* SPDX-License-Identifier: MIT */

/*
 * Deadlock with heartbeat
 *
 * The same fault, noticed: the worker pulses whenever that is due, main reads the events
 * of its heartbeat while it feeds it. Prints 0 to 10, "health status false" and "monitor
 * is unhealthy", and exits with 1.
 */

#include "channel.h"

#include <poll.h>
#include <stdio.h>
#include <vitals.h>

static struct channel ints;
static struct channel unread;

static void *worker(void *arg)
{
	vitals_heartbeat *heartbeat = arg;
	struct pollfd due = { .fd = vitals_heartbeat_due_fd(heartbeat),
			      .events = POLLIN };
	int i;

	vitals_heartbeat_own(heartbeat);
	while (channel_receive(&ints, &i)) {
		if (poll(&due, 1, 0) == 1 && vitals_heartbeat_due(heartbeat) &&
		    vitals_heartbeat_pulse(heartbeat))
			break;
		printf("%d\n", i);
		if (i > 9)
			channel_send(&unread, i);
	}
	return NULL;
}

/* Prints what the event says; 1 if it is good news. */
static int heard(vitals_events *events)
{
	struct vitals_event event;
	int good;

	VITALS_INIT(&event);
	if (vitals_events_next(events, 0, &event) || event.kind != VITALS_EVENT_HEARTBEAT)
		return 1;
	good = VITALS_STATE_IS_GOOD(event.to);
	printf("health status %s\n", good ? "true" : "false");
	return good;
}

int main(void)
{
	struct vitals_heartbeat_options options;
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	vitals_heartbeat *heartbeat;
	vitals_events *events;
	pthread_t thread;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	VITALS_INIT(&options);
	options.interval_ns = VITALS_MS(100);
	if (vitals_heartbeat_new(NULL, "worker", VITALS_MS(200), &options, &heartbeat) ||
	    vitals_events_open(NULL, heartbeat, &events) || vitals_start(NULL) ||
	    channel_open(&ints) || channel_open(&unread) ||
	    pthread_create(&thread, NULL, worker, heartbeat))
		return 2;

	fds[0].fd = ints.ready_fd;
	fds[1].fd = vitals_events_fd(events);
	for (i = 0; i < 100;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && !heard(events)) {
			puts("monitor is unhealthy");
			return 1;
		}
		if (fds[0].revents)
			channel_send(&ints, i++);
	}
	channel_close(&ints);
	pthread_join(thread, NULL);
	return 0;
}
