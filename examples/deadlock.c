/* SPDX-License-Identifier: MIT */

/*
 * Deadlock
 *
 * The fault that the two programs beside it notice and survive, here on its own: the
 * worker sends into a channel that nobody reads. It prints 0 to 10 and then nothing, for
 * ever. Go's runtime sees that every goroutine sleeps and ends the program; a C program
 * has nobody who looks, and it hangs until somebody ends it.
 */

#include "channel.h"

#include <stdio.h>

static struct channel ints;
static struct channel unread;

static void *worker(void *arg)
{
	int i;

	(void)arg;
	while (channel_receive(&ints, &i)) {
		printf("%d\n", i);
		if (i > 9)
			channel_send(&unread, i);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (channel_open(&ints) || channel_open(&unread) ||
	    pthread_create(&thread, NULL, worker, NULL))
		return 2;

	for (i = 0; i < 100; i++)
		channel_send(&ints, i);
	channel_close(&ints);
	pthread_join(thread, NULL);
	return 0;
}
