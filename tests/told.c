/* SPDX-License-Identifier: MIT */

/*
 * Linked to a program that knows nothing of the library: starts it before main, and ends the program
 * when all threads are asleep, as Go's runtime does.
 */

#include "vitals.h"

#include <stdio.h>
#include <unistd.h>

static void tell(const struct vitals_event *event, void *user)
{
	char line[VITALS_DOING_MAX + 256];

	(void)user;
	if (event->kind != VITALS_EVENT_ASLEEP)
		return;
	(void)vitals_event_text(event, line, sizeof(line));
	(void)dprintf(STDERR_FILENO, "%s\n", line);
	_exit(2);
}

__attribute__((constructor)) static void begin(void)
{
	if (vitals_on_event(NULL, tell, NULL) || vitals_start(NULL))
		_exit(3);
}
