/* SPDX-License-Identifier: MIT */

#include "onelock.h"

#include "harness.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

pthread_mutex_t onelock = PTHREAD_MUTEX_INITIALIZER;

/* Sanitizers have an allocator of their own. */
#if !SANITIZED

/* For the C library, too. */
#pragma GCC visibility push(default)

#define ARENA ((size_t)64 << 20)
#define SIZES 32u

/* Before what the caller gets: of 2^size heads, and if it is free the next of that size. */
struct head {
	_Alignas(16) uint32_t size;
	uint32_t aligned; /* a part of a larger one, never used again */
	struct head *next;
};

static _Alignas(16) unsigned char arena[ARENA];
static size_t arena_used;
static struct head *spare[SIZES];

static void *block_new_locked(uint32_t size)
{
	size_t bytes = sizeof(struct head) + (sizeof(struct head) << size);
	struct head *head = spare[size];

	if (head) {
		spare[size] = head->next;
		return head + 1;
	}
	if (bytes > ARENA - arena_used)
		return NULL;
	head = (struct head *)(void *)(arena + arena_used);
	arena_used += bytes;
	head->size = size;
	return head + 1;
}

static uint32_t size_for(size_t bytes)
{
	uint32_t size = 0;

	while (size < SIZES && sizeof(struct head) << size < bytes)
		size++;
	return size;
}

static void *block_new(size_t bytes)
{
	uint32_t size = size_for(bytes);
	void *block;

	(void)pthread_mutex_lock(&onelock);
	block = size < SIZES ? block_new_locked(size) : NULL;
	(void)pthread_mutex_unlock(&onelock);
	if (!block)
		errno = ENOMEM;
	return block;
}

static void *block_new_aligned(size_t alignment, size_t bytes)
{
	unsigned char *block = block_new(bytes + alignment);
	struct head *head;

	if (!block || alignment <= sizeof(*head))
		return block;
	block += alignment - (uintptr_t)block % alignment;
	head = (struct head *)(void *)block - 1;
	head->aligned = 1;
	head->size = size_for(bytes);
	return block;
}

void *malloc(size_t bytes)
{
	return block_new(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	void *block;

	if (bytes && n > ARENA / bytes)
		return NULL;
	block = block_new(n * bytes);
	return block ? memset(block, 0, n * bytes) : NULL;
}

void free(void *block)
{
	struct head *head = (struct head *)block - 1;

	if (!block || head->aligned)
		return;
	(void)pthread_mutex_lock(&onelock);
	head->next = spare[head->size];
	spare[head->size] = head;
	(void)pthread_mutex_unlock(&onelock);
}

void *realloc(void *before, size_t bytes)
{
	struct head *head = (struct head *)before - 1;
	void *block = block_new(bytes);
	size_t had;

	if (!before || !block)
		return block;
	had = sizeof(*head) << head->size;
	(void)memcpy(block, before, had < bytes ? had : bytes);
	free(before);
	return block;
}

void *memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes)
{
	return block_new_aligned(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return block_new_aligned(alignment, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
	*ret = block_new_aligned(alignment, bytes);
	return *ret ? 0 : ENOMEM;
}

#pragma GCC visibility pop

#endif
