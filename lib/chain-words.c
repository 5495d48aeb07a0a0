/* SPDX-License-Identifier: MIT */

#include "chain.h"

#include <string.h>

#define NAME_ROOM VITALS_SHOWN_MAX /* and more than VITALS_NAME_MAX */

/* What is being told. */
struct tale {
	struct vt_proc *proc;
	const struct vt_namer *namer;
	const struct vt_chain *chain;
	struct vt_text *text;
};

static void add_address(struct vt_text *text, uint64_t address)
{
	char digits[19];
	size_t at = sizeof(digits);

	digits[--at] = 0;
	do
		digits[--at] = "0123456789abcdef"[address & 15];
	while (address >>= 4);
	digits[--at] = 'x';
	digits[--at] = '0';
	vt_text_add(text, digits + at);
}

static void add_tid(struct vt_text *text, uint32_t tid)
{
	vt_text_add(text, " (tid ");
	vt_text_add_u64(text, tid);
	vt_text_add(text, ")");
}

/* By the kernel's name for it, which anybody may have given. */
static void add_stranger(const struct tale *tale, uint32_t tid)
{
	char comm[32], clean[NAME_ROOM] = "";
	ssize_t n = vt_proc_read(tale->proc, tid, "comm", comm, sizeof(comm));

	if (n > 0) {
		comm[strcspn(comm, "\n")] = 0;
		vt_text_clean(clean, comm);
	}
	vt_text_add(tale->text, clean[0] ? "thread " : "a thread");
	vt_text_add(tale->text, clean);
	add_tid(tale->text, tid);
}

static void add_thread(const struct tale *tale, uint32_t tid, bool with_tid)
{
	const struct vt_namer *namer = tale->namer;
	char name[NAME_ROOM];

	if (!namer || !namer->thread || !namer->thread(namer->user, tid, name)) {
		add_stranger(tale, tid);
		return;
	}
	vt_text_add(tale->text, name);
	if (with_tid)
		add_tid(tale->text, tid);
}

static void add_lock(const struct tale *tale, uint64_t address)
{
	const struct vt_namer *namer = tale->namer;
	char name[NAME_ROOM];

	if (!namer || !namer->lock || !namer->lock(namer->user, address, name)) {
		add_address(tale->text, address);
		return;
	}
	vt_text_add(tale->text, name);
	vt_text_add(tale->text, " (");
	add_address(tale->text, address);
	vt_text_add(tale->text, ")");
}

/* "waits for mutex journal (0x5581)". Return: whether there is more to say of who has it. */
static bool add_wait(const struct tale *tale, const struct vt_wait *wait)
{
	static const char *const waits[] = {
		[VITALS_LOCK_MUTEX] = "waits for mutex ",
		[VITALS_LOCK_RWLOCK] = "waits for rwlock ",
		[VITALS_LOCK_THREAD] = "joins ",
		[VITALS_LOCK_FUTEX] =
			"waits for a condition, a semaphore or the like at ",
	};

	vt_text_add(tale->text, waits[wait->kind]);
	if (wait->kind != VITALS_LOCK_THREAD)
		add_lock(tale, wait->lock);
	if (wait->holder_tid)
		return true;
#ifdef __GLIBC__
	vt_text_add(tale->text, ", no owner known");
#else
	vt_text_add(tale->text, ", holder unknown (musl)");
#endif
	return false;
}

/* ", held by flusher (tid 71)", or, joined, the thread itself. */
static void add_holder(const struct tale *tale, const struct vt_wait *wait)
{
	if (wait->kind != VITALS_LOCK_THREAD)
		vt_text_add(tale->text,
			    wait->writer ? ", held for writing by " : ", held by ");
	add_thread(tale, wait->holder_tid, true);
}

/* What the last one does, who waits for no lock. */
static void add_last(const struct tale *tale)
{
	char doing[256];
	struct vt_text text;

	vt_text_init(&text, doing, sizeof(doing));
	if (tale->chain->last.call >= 0)
		vt_call_describe(tale->proc, &tale->chain->last, &text);
	if (!doing[0] && tale->chain->last.state == 'R')
		vt_text_add(&text, "runs");
	if (!doing[0])
		return;
	vt_text_add(tale->text, ", which ");
	vt_text_add(tale->text, doing);
}

/* Is it cut in the middle of a character? Then before it. */
static void text_end(struct vt_text *text)
{
	size_t end, lead;
	unsigned char first;

	if (text->size < 2 || text->length < text->size)
		return;
	end = strlen(text->at);
	lead = end;
	while (lead && ((unsigned char)text->at[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (!lead)
		return;
	first = (unsigned char)text->at[--lead];
	if (first >= 0x80 && end - lead < (first >= 0xf0 ? 4u : first >= 0xe0 ? 3u : 2u))
		text->at[lead] = 0;
}

void vt_chain_describe(struct vt_proc *proc, const struct vt_namer *namer,
		       const struct vt_chain *chain, struct vt_text *text)
{
	struct tale tale = { proc, namer, chain, text };
	uint32_t i;

	for (i = 0; i < chain->n; i++) {
		const struct vt_wait *wait = &chain->hops[i].wait;

		if (!wait->kind) {
			if (i)
				add_last(&tale);
			break;
		}
		if (i)
			vt_text_add(text, ", which ");
		if (!add_wait(&tale, wait))
			break;
		add_holder(&tale, wait);
	}
	if (chain->deadlock)
		vt_text_add(text, chain->timed ? ": a deadlock, until it times out"
					       : ": a deadlock");
	else if (chain->longer)
		vt_text_add(text, ", and so on");
	text_end(text);
}

/* Of the cycle, who has the lowest tid. */
static uint32_t lowest(const struct vt_chain *chain)
{
	uint32_t at = chain->back, i;

	for (i = chain->back; i < chain->n; i++)
		if (chain->hops[i].tid < chain->hops[at].tid)
			at = i;
	return at;
}

void vt_chain_describe_cycle(struct vt_proc *proc, const struct vt_namer *namer,
			     const struct vt_chain *chain, struct vt_text *text)
{
	struct tale tale = { proc, namer, chain, text };
	uint32_t length = chain->n - chain->back, at, i;

	if (!chain->deadlock)
		return;
	at = lowest(chain) - chain->back;
	add_thread(&tale, chain->hops[chain->back + at].tid, false);
	for (i = 0; i < length; i++, at++) {
		const struct vt_wait *wait = &chain->hops[chain->back + at % length].wait;

		vt_text_add(text, " ");
		(void)add_wait(&tale, wait);
		if (wait->kind != VITALS_LOCK_THREAD)
			vt_text_add(text,
				    wait->writer ? " held for writing by " : " held by ");
		add_thread(&tale, wait->holder_tid, false);
	}
	if (chain->timed)
		vt_text_add(text, ", until it times out");
	text_end(text);
}
