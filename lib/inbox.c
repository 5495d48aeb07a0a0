/* SPDX-License-Identifier: MIT */

#include "inbox.h"

#define BITS 64u

static uint32_t words_of(uint32_t bits)
{
	return (bits + BITS - 1) / BITS;
}

/* The bits of the words of a span's bits. */
static _Atomic uint64_t *tops_of(struct vt_span_head *span)
{
	return span->bits + words_of(span->count);
}

/*
 * From the bottom up, while the monitor takes from the top down: a bit it does not find now has those
 * above it set for the next time. All three each time: who set them before may not have come so far.
 * Release: the look sees what was done before.
 */
void vt_inbox_post(struct vt_span_head *span, uint32_t place)
{
	uint32_t word = place / BITS;

	atomic_fetch_or_explicit(&span->bits[word], UINT64_C(1) << place % BITS,
				 memory_order_release);
	atomic_fetch_or_explicit(&tops_of(span)[word / BITS], UINT64_C(1) << word % BITS,
				 memory_order_release);
	atomic_fetch_or_explicit(&span->registry->inbox, 1u << span->number,
				 memory_order_release);
}

void vt_inbox_post_all(vitals_registry *registry)
{
	uint32_t i, n = vt_view_used(&registry->view, VT_KIND_HOT);

	for (i = 0; i < n; i++) {
		struct vt_span_head *span = vt_span_with(registry, VT_POOL_HEARTBEAT, i);

		vt_inbox_post(span, i - span->first);
	}
}

/* All of a word. Return: whether to go on. */
static bool word_drain(struct vt_span_head *span, uint32_t word,
		       bool (*look)(void *user, uint32_t index), void *user)
{
	/* Acquire, here and below: pairs with vt_inbox_post(). */
	uint64_t bits =
		atomic_exchange_explicit(&span->bits[word], 0, memory_order_acquire);
	bool on = true;

	for (; bits; bits &= bits - 1)
		on &= look(user,
			   span->first + word * BITS + (uint32_t)__builtin_ctzll(bits));
	return on;
}

static bool span_drain(struct vt_span_head *span,
		       bool (*look)(void *user, uint32_t index), void *user)
{
	uint32_t i, tops = words_of(words_of(span->count));
	bool on = true;

	for (i = 0; i < tops && on; i++) {
		_Atomic uint64_t *top = &tops_of(span)[i];
		uint64_t words;

		if (!atomic_load_explicit(top, memory_order_relaxed))
			continue;
		words = atomic_exchange_explicit(top, 0, memory_order_acquire);
		for (; words && on; words &= words - 1)
			on = word_drain(span, i * BITS + (uint32_t)__builtin_ctzll(words),
					look, user);
		if (words)
			atomic_fetch_or_explicit(top, words, memory_order_relaxed);
	}
	return on;
}

bool vt_inbox_drain(vitals_registry *registry, bool (*look)(void *user, uint32_t index),
		    void *user)
{
	uint32_t spans = 0;
	bool on = true;

	if (atomic_load_explicit(&registry->inbox, memory_order_relaxed))
		spans = atomic_exchange_explicit(&registry->inbox, 0,
						 memory_order_acquire);
	for (; spans && on; spans &= on ? spans - 1 : spans)
		on = span_drain(
			registry->pools[VT_POOL_HEARTBEAT].spans[__builtin_ctz(spans)],
			look, user);
	if (!on)
		atomic_fetch_or_explicit(&registry->inbox, spans, memory_order_relaxed);
	return on;
}
