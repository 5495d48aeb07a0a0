/* SPDX-License-Identifier: MIT */

/*
 * Joining against quitting: fresh quitters, each told while others join it and another
 * waits for it. First holds, as many joins as asked for; then real threads. Nobody gets
 * in once send_quit has returned, and nobody is inside once a wait after it has ended
 * well: not even a thread in the destructors of its exit.
 *
 * usage: quits; VITALS_QUITS joins by hold, VITALS_QUITS_THREADS by fork,
 * VITALS_QUITS_SEED
 *
 * A wait that takes longer than STUCK_NS, or roles that wait for each other as long, have
 * lost a wake-up.
 */

#include "chance.h"

#include "vitals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define JOINERS 2
#define CHILDREN 64       /* in a batch; all made before and freed after it */
#define TRIES_MAX 1000000 /* joins more, if none has met a quit yet */
#define YIELD_EVERY 256   /* joins */
#define STUCK_NS VITALS_S(60)
#define FAILURES_SHOWN 20

struct child {
	vitals_quitter *quitter;
	_Atomic uint32_t joined;
	_Atomic uint32_t begun;  /* send_quit was called */
	_Atomic uint32_t sent;   /* it has returned */
	_Atomic uint32_t waited; /* a wait that began after that has ended well */
	_Atomic uint32_t
		inside; /* counts down before it leaves, or as the last it does */
};

struct joiner {
	uint32_t number;
	struct chance chance;
	uint64_t joined; /* these: read in between batches */
	uint64_t refused;
	uint64_t met; /* got in while send_quit was under way */
};

static struct child children[CHILDREN];
static struct joiner joiners[JOINERS];
static struct chance waiter_chance;
static vitals_quitter *root;
static bool by_fork;
static pthread_key_t last_words;
static uint64_t seed;
static _Atomic uint32_t batch, arrived, over, failures;

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void check(bool good, const char *what, const struct child *child)
{
	if (good || atomic_fetch_add(&failures, 1) >= FAILURES_SHOWN)
		return;
	printf("WRONG: %s: joined %u, begun %u, sent %u, waited %u, inside %u\n", what,
	       atomic_load(&child->joined), atomic_load(&child->begun),
	       atomic_load(&child->sent), atomic_load(&child->waited),
	       atomic_load(&child->inside));
}

/* Until @word is @least at least. */
static void await(_Atomic uint32_t *word, uint32_t least, const char *what)
{
	uint64_t since_ns = 0;
	uint32_t turns;

	for (turns = 1; atomic_load(word) < least; turns++) {
		if (turns % 64 == 0)
			(void)sched_yield();
		if (turns % 65536)
			continue;
		if (!since_ns)
			since_ns = clock_now();
		if (clock_now() - since_ns < STUCK_NS)
			continue;
		printf("WRONG: nothing moves: %s\n", what);
		_exit(1);
	}
}

/* The thread's last: its quitter is waited for until this has returned, too. */
static void last_words_say(void *arg)
{
	struct child *child = arg;

	(void)sched_yield();
	check(!atomic_load(&child->waited), "a thread runs after the wait", child);
	atomic_fetch_sub(&child->inside, 1);
}

static int thread_run(vitals_thread *self, void *arg)
{
	struct child *child = arg;
	uint64_t kind = vitals_thread_id(self) % 4;

	atomic_fetch_add(&child->inside, 1);
	check(!atomic_load(&child->waited), "a thread begins after the wait", child);
	(void)pthread_setspecific(last_words, child);
	if (kind == 0)
		(void)vitals_thread_sleep(self, VITALS_FOREVER);
	else if (kind == 1)
		(void)vitals_thread_poll(self, NULL, 0, VITALS_FOREVER);
	else if (kind == 2)
		while (vitals_thread_go_on(self))
			(void)sched_yield();
	return 0;
}

static const char *hold_name(struct joiner *joiner)
{
	static const char *const own[JOINERS] = { "one", "other" };

	return chance_below(&joiner->chance, 4) ? own[joiner->number] : "both";
}

/* Into the child, or into a quitter inside it. Return: as hold and fork. */
static int enter(struct joiner *joiner, struct child *child, vitals_quitter *quitter,
		 bool sent)
{
	const char *what = hold_name(joiner);
	int r;

	r = by_fork ? vitals_thread_fork(quitter, what, 0, thread_run, child, NULL)
		    : vitals_quitter_hold(quitter, what);
	if (r)
		return r;
	check(!sent, "joined after send_quit", child);
	if (atomic_load(&child->begun))
		joiner->met++;
	if (!by_fork) {
		atomic_fetch_add(&child->inside, 1);
		check(!atomic_load(&child->waited), "held after the wait", child);
		atomic_fetch_add(&child->joined, 1);
		atomic_fetch_sub(&child->inside, 1);
		check(vitals_quitter_release(quitter, what) == 0, "not held", child);
	} else {
		atomic_fetch_add(&child->joined, 1);
	}
	return 0;
}

static int enter_deeper(struct joiner *joiner, struct child *child, bool sent)
{
	vitals_quitter *deeper;
	int r;

	r = vitals_quitter_new(child->quitter, "deeper", NULL, &deeper);
	if (r)
		return r;
	check(!sent, "made after send_quit", child);
	r = enter(joiner, child, deeper, sent);
	if (atomic_load(&child->sent))
		check(vitals_quitter_must_quit(deeper), "not told below", child);
	/* Its thread may be in it still. */
	(void)vitals_quitter_free(deeper);
	return r;
}

static void joiner_meet(struct joiner *joiner, struct child *child)
{
	bool sent;
	int r;

	for (;;) {
		sent = atomic_load(&child->sent);
		r = chance_below(&joiner->chance, 4)
			    ? enter(joiner, child, child->quitter, sent)
			    : enter_deeper(joiner, child, sent);
		if (r)
			break;
		joiner->joined++;
		/* Or the teller seldom gets the lock. */
		if (!chance_below(&joiner->chance, YIELD_EVERY))
			(void)sched_yield();
	}
	joiner->refused++;
	check(r == -ECANCELED, "refused for something else", child);
	check(atomic_load(&child->begun), "refused before send_quit", child);
}

/* Asleep until all have left, or looking all the time, which sees what does not last. */
static void waiter_wait(const struct child *child, bool looks)
{
	uint64_t began_ns = clock_now(), timeout_ns = looks ? 0 : STUCK_NS;
	int r;

	do {
		r = vitals_quitter_wait_done(child->quitter, timeout_ns, NULL);
	} while (r == -ETIMEDOUT && clock_now() - began_ns < STUCK_NS);
	check(r == 0, "late", child);
	check(clock_now() - began_ns < STUCK_NS, "lost a wake-up", child);
}

/* Waits before it is told, too: then for as long as somebody is in it. */
static void waiter_meet(struct child *child)
{
	bool looks = by_fork && chance_below(&waiter_chance, 2);
	bool sent;

	if (looks || chance_below(&waiter_chance, 4))
		await(&child->sent, 1, "the teller, says the waiter");
	do {
		sent = atomic_load(&child->sent);
		waiter_wait(child, looks);
	} while (!sent);
	check(!atomic_load(&child->inside), "inside after the wait", child);
	atomic_store(&child->waited, 1);
}

/* A role's: @arg NULL is the waiter. */
static void *role_run(void *arg)
{
	uint32_t next = 0, i;

	for (;;) {
		await(&batch, ++next, "the next batch");
		if (atomic_load(&over))
			return NULL;
		for (i = 0; i < CHILDREN; i++) {
			if (arg)
				joiner_meet(arg, &children[i]);
			else
				waiter_meet(&children[i]);
		}
		atomic_fetch_add(&arrived, 1);
	}
}

static void child_tell(struct child *child, struct chance *chance)
{
	await(&child->joined, 1 + (uint32_t)chance_below(chance, 3), "the joiners");
	atomic_store(&child->begun, 1);
	check(vitals_quitter_send_quit(child->quitter, 0, NULL) == 0, "told already",
	      child);
	atomic_store(&child->sent, 1);
	check(vitals_quitter_must_quit(child->quitter), "not told", child);
}

static void batch_run(struct chance *chance)
{
	uint32_t i;

	for (i = 0; i < CHILDREN; i++) {
		struct child *child = &children[i];

		atomic_store(&child->joined, 0);
		atomic_store(&child->begun, 0);
		atomic_store(&child->sent, 0);
		atomic_store(&child->waited, 0);
		atomic_store(&child->inside, 0);
		check(vitals_quitter_new(root, "child", NULL, &child->quitter) == 0,
		      "no child", child);
	}
	atomic_store(&arrived, 0);
	atomic_fetch_add(&batch, 1);
	for (i = 0; i < CHILDREN; i++)
		child_tell(&children[i], chance);
	await(&arrived, JOINERS + 1, "the others, says the teller");
	for (i = 0; i < CHILDREN; i++)
		(void)vitals_quitter_free(children[i].quitter);
}

static struct joiner sum(void)
{
	struct joiner all = { 0 };
	uint32_t i;

	for (i = 0; i < JOINERS; i++) {
		all.joined += joiners[i].joined;
		all.refused += joiners[i].refused;
		all.met += joiners[i].met;
	}
	return all;
}

static void progress(uint64_t wanted, uint64_t began_ns)
{
	struct joiner all = sum();

	printf("%s: %llu of %llu joins, refused %llu, %llu got in during the quit, %llu "
	       "quits, %u wrong, %.1f s\n",
	       by_fork ? "threads" : "holds", (unsigned long long)all.joined,
	       (unsigned long long)wanted, (unsigned long long)all.refused,
	       (unsigned long long)all.met,
	       (unsigned long long)atomic_load(&batch) * CHILDREN, atomic_load(&failures),
	       (double)(clock_now() - began_ns) / 1e9);
}

static bool batches_run(uint64_t wanted, uint64_t began_ns)
{
	struct chance chance = { seed };
	struct joiner all = { 0 };
	uint64_t shown = 0;

	/* However few are wanted: until the race was hit, if it can be. */
	while ((all.joined < wanted || (!all.met && all.joined < wanted + TRIES_MAX)) &&
	       !atomic_load(&failures)) {
		batch_run(&chance);
		all = sum();
		if (all.joined < shown + wanted / 10)
			continue;
		shown = all.joined;
		progress(wanted, began_ns);
	}
	return all.met && all.refused;
}

/* Return: whether the race was hit and nothing was wrong. */
static bool kind_run(bool forks, uint64_t wanted)
{
	uint64_t began_ns = clock_now();
	pthread_t threads[JOINERS + 1];
	uint32_t i;
	bool hit;

	if (!wanted)
		return true;
	by_fork = forks;
	atomic_store(&batch, 0);
	atomic_store(&over, 0);
	waiter_chance.state = seed ^ 1;
	for (i = 0; i <= JOINERS; i++) {
		if (i < JOINERS)
			joiners[i] =
				(struct joiner){ .number = i, .chance = { seed + i } };
		if (pthread_create(&threads[i], NULL, role_run,
				   i < JOINERS ? &joiners[i] : NULL))
			_exit(2);
	}
	hit = batches_run(wanted, began_ns);
	progress(wanted, began_ns);
	atomic_store(&over, 1);
	atomic_fetch_add(&batch, 1);
	for (i = 0; i <= JOINERS; i++)
		(void)pthread_join(threads[i], NULL);
	if (!hit)
		printf("WRONG: nobody got in during a quit: no race was seen\n");
	return hit && !atomic_load(&failures);
}

int main(void)
{
	uint64_t holds = number_from("VITALS_QUITS", 100000000);
	uint64_t threads = number_from("VITALS_QUITS_THREADS", 100000);
	bool good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = chance_seed("VITALS_QUITS_SEED");
	printf("quits: %llu joins by hold, %llu by fork, seed %llu\n",
	       (unsigned long long)holds, (unsigned long long)threads,
	       (unsigned long long)seed);
	if (pthread_key_create(&last_words, last_words_say) ||
	    vitals_quitter_new_main(NULL, VITALS_S(60), NULL, &root) < 0)
		return 2;
	good = kind_run(false, holds);
	good = good && kind_run(true, threads);
	(void)vitals_quitter_free(root);
	printf("quits: %s\n", good ? "passed" : "FAILED");
	return !good;
}
