/* SPDX-License-Identifier: MIT */

/*
 * Deadlock recovery
 *
 * The same fault, survived: a worker that falls silent is abandoned, and a new one of the
 * same name goes on with the next integer. Every integer from 10 on costs one worker, all
 * of them stuck for ever; all 100 are printed once, in order, and the program exits with
 * 0 at once, for nobody waits for an abandoned thread.
 *
 * What the stuck one is doing decides whether that is safe: these wait for a condition, and
 * hold nothing. One that waits for a lock may hold another, and would keep it: then only
 * the end of the process helps, and whoever starts it again.
 */

#include "channel.h"

#include <stdio.h>
#include <vitals.h>

static struct channel ints;
static struct channel unread;

static int worker(vitals_thread *self, void *arg)
{
	int i;

	(void)arg;
	while (vitals_thread_go_on(self)) {
		vitals_heartbeat_idle(vitals_thread_heartbeat(self));
		if (!channel_receive(&ints, &i))
			break;
		vitals_heartbeat_pulse(vitals_thread_heartbeat(self));
		printf("%d\n", i);
		if (i > 9)
			channel_send(&unread, i);
	}
	return 0;
}

static int fork_worker(vitals_quitter *service)
{
	return vitals_thread_fork(service, "worker", VITALS_MS(50), worker, NULL, NULL);
}

static void replace(const struct vitals_event *event, void *service)
{
	char line[1024];
	int r;

	if (event->kind != VITALS_EVENT_HEARTBEAT ||
	    (event->to != VITALS_SILENT && event->to != VITALS_STUCK))
		return;
	vitals_event_text(event, line, sizeof(line));
	fprintf(stderr, "%s\n", line);
	if (event->thread_class == VITALS_ON_LOCK) {
		vitals_quitter_send_quit(service, 1, "stuck in a lock");
		return;
	}
	if (vitals_quitter_abandon(service, event->thread_id))
		return;
	r = fork_worker(service);
	if (r && r != -ECANCELED) /* cancelled: that was the last one, and main leaves */
		fprintf(stderr, "no new worker: %s\n", strerror(-r));
}

int main(void)
{
	vitals_quitter *service;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (channel_open(&ints) || channel_open(&unread) ||
	    vitals_quitter_new_main(NULL, VITALS_S(5), NULL, &service) ||
	    vitals_on_event(NULL, replace, service) || fork_worker(service))
		return 2;

	for (i = 0; i < 100; i++)
		channel_send(&ints, i);
	channel_close(&ints);
	vitals_exit(service); /* when the last worker has returned, or is abandoned */
}
