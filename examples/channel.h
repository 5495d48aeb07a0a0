/* SPDX-License-Identifier: MIT */

/*
 * Channel
 *
 * Go's unbuffered channel of ints: a send waits until somebody receives. ready_fd is
 * readable while somebody waits to receive; a lone sender that polls it together with
 * other descriptors has what Go calls select.
 */

#ifndef EXAMPLES_CHANNEL_H
#define EXAMPLES_CHANNEL_H

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

struct channel {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int ready_fd;       /* counts who waits to receive */
	int value;          /* of the last send */
	unsigned long sent; /* as many as received, or one more */
	unsigned long received;
	int closed;
};

static inline int channel_open(struct channel *channel)
{
	memset(channel, 0, sizeof(*channel));
	pthread_mutex_init(&channel->mutex, NULL);
	pthread_cond_init(&channel->changed, NULL);
	channel->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	return channel->ready_fd < 0 ? -errno : 0;
}

static inline void channel_send(struct channel *channel, int value)
{
	unsigned long mine;

	pthread_mutex_lock(&channel->mutex);
	while (channel->sent != channel->received)
		pthread_cond_wait(&channel->changed, &channel->mutex);
	channel->value = value;
	mine = ++channel->sent;
	pthread_cond_broadcast(&channel->changed);
	while (channel->received < mine)
		pthread_cond_wait(&channel->changed, &channel->mutex);
	pthread_mutex_unlock(&channel->mutex);
}

/* 1 with a value; 0 once the channel is closed. */
static inline int channel_receive(struct channel *channel, int *value)
{
	eventfd_t one;
	int got;

	pthread_mutex_lock(&channel->mutex);
	eventfd_write(channel->ready_fd, 1);
	while (channel->sent == channel->received && !channel->closed)
		pthread_cond_wait(&channel->changed, &channel->mutex);
	eventfd_read(channel->ready_fd, &one);
	got = channel->sent != channel->received;
	if (got) {
		*value = channel->value;
		channel->received = channel->sent;
		pthread_cond_broadcast(&channel->changed);
	}
	pthread_mutex_unlock(&channel->mutex);
	return got;
}

static inline void channel_close(struct channel *channel)
{
	pthread_mutex_lock(&channel->mutex);
	channel->closed = 1;
	pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->mutex);
}

#endif
