/* SPDX-License-Identifier: MIT */

#include "signals.h"

#include "clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define SIGNALS 65

/* By signal number. */
static struct slot {
	_Atomic(struct vt_requests *) requests; /* whose it is; NULL: nobody's */
	_Atomic uint32_t event;
	_Atomic uint64_t last_ns; /* when one came last */
	struct sigaction before;  /* written before ours is installed */
	bool installed;           /* guarded by table_lock */
} table[SIGNALS];

static struct vt_lock table_lock;

/* Handlers that are looking at requests now. */
static _Atomic uint32_t inside;

/*
 * The process the handlers are for: a forked child inherits them, and must neither take
 * its parent's shutdown for its own nor wake its parent's threads by descriptors it
 * shares.
 */
static _Atomic int owner_pid;
static bool watches_fork; /* guarded by table_lock */

/*
 * Who was first to send this event: in one word, so that whoever comes after a handler that does
 * not get on finds all of it or none. Relaxed, all: published by the bit in pending.
 */
static void sender_note(struct vt_requests *requests, unsigned event,
			const struct vt_signal *came, uint64_t now_ns)
{
	struct vt_sender *sender = &requests->senders[event];
	uint64_t nobody = 0, never = 0;

	(void)atomic_compare_exchange_strong_explicit(
		&sender->who, &nobody,
		VT_SENDER_CAME | (uint64_t)came->pid << 32 | came->uid,
		memory_order_relaxed, memory_order_relaxed);
	(void)atomic_compare_exchange_strong_explicit(&sender->at_ns, &never, now_ns,
						      memory_order_relaxed,
						      memory_order_relaxed);
}

/* Is there anything to do before all but those who flush are told? */
static bool tells_later(const struct vt_requests *requests)
{
	/* Acquire pairs with the stores of the options, and of what is made meanwhile. */
	return (atomic_load_explicit(&requests->delayed, memory_order_acquire) &&
		!atomic_load_explicit(&requests->hurried, memory_order_acquire)) ||
	       atomic_load_explicit(&requests->registry->tree->drains,
				    memory_order_acquire);
}

uint32_t vt_signals_note_at(struct vt_requests *requests, unsigned event,
			    const struct vt_signal *came, uint64_t now_ns)
{
	vitals_registry *registry = requests->registry;
	_Atomic uint64_t *last = &table[came->signo].last_ns;
	uint64_t never = 0;
	/*
	 * Relaxed: facts of their own; of two handlers that race, the exchange lets one
	 * on.
	 */
	uint64_t last_ns = atomic_load_explicit(last, memory_order_relaxed);
	uint32_t request;

	if (last_ns && now_ns < last_ns + VT_SAME_REQUEST_NS)
		return 0;
	if (!atomic_compare_exchange_strong_explicit(
		    last, &last_ns, now_ns, memory_order_relaxed, memory_order_relaxed))
		return 0;
	sender_note(requests, event, came, now_ns);
	if (came->terminal)
		atomic_store_explicit(&requests->hurried, 1, memory_order_release);
	vt_tree_ask(registry->tree, now_ns);
	request =
		atomic_fetch_add_explicit(&requests->count, 1, memory_order_relaxed) + 1;
	if (request >= 2)
		(void)atomic_compare_exchange_strong_explicit(&registry->tree->expired_ns,
							      &never, now_ns,
							      memory_order_release,
							      memory_order_relaxed);
	/* Release: whoever takes the bit sees who sent it. Pairs with main's exchange. */
	atomic_fetch_or_explicit(&requests->pending, (uint64_t)1 << event,
				 memory_order_release);
	if (request >= 2 || !tells_later(requests)) {
		/* Readiness first; release to must_quit's acquire. */
		atomic_fetch_or_explicit(&registry->root->flags, VT_ROOT_QUITTING,
					 memory_order_release);
		atomic_fetch_or_explicit(&registry->root->stages[VITALS_STAGE_QUIT],
					 VT_QUIT, memory_order_release);
	}
	vt_tree_news(registry->tree);
	vt_registry_wake(registry);
	return request;
}

static bool ours(const struct sigaction *action);

/*
 * The handler that was there before ours goes on; its default does if nobody here @taken
 * it.
 */
static void chain(int signo, siginfo_t *info, void *context, bool taken)
{
	struct sigaction now;

	const struct sigaction *before = &table[signo].before;

	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(signo, info, context);
	} else if (before->sa_handler == SIG_DFL) {
		/*
		 * As in a forked child, whose parent's shutdown is none of its business.
		 */
		if (!taken && !sigaction(signo, NULL, &now) && ours(&now)) {
			(void)sigaction(signo, before, NULL);
			(void)raise(signo); /* comes when this handler has returned */
		}
	} else if (before->sa_handler != SIG_IGN) {
		before->sa_handler(signo);
	}
}

static void handle(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	struct vt_requests *requests;
	uint32_t request = 0, leave_at = 0;
	bool taken;

	/*
	 * Sequentially consistent: counted before requests is read; vt_signals_remove()
	 * clears requests before it looks at the count.
	 */
	atomic_fetch_add_explicit(&inside, 1, memory_order_seq_cst);
	requests = atomic_load_explicit(&table[signo].requests, memory_order_seq_cst);
	/*
	 * Relaxed: written before the handler was installed, and by a fork's child alone.
	 */
	taken = requests &&
		atomic_load_explicit(&owner_pid, memory_order_relaxed) == getpid();
	if (taken) {
		bool sent = info->si_code <= 0; /* by a process; else the kernel did */
		struct vt_signal came = {
			.signo = signo,
			.terminal = signo == SIGINT && info->si_code == SI_KERNEL,
			.pid = sent ? (uint32_t)info->si_pid : 0,
			.uid = sent ? (uint32_t)info->si_uid : 0,
		};

		request = vt_signals_note_at(requests,
					     atomic_load_explicit(&table[signo].event,
								  memory_order_acquire),
					     &came, vt_clock_now());
		/* Relaxed: it stands still. */
		leave_at =
			atomic_load_explicit(&requests->leave_at, memory_order_relaxed);
	}
	/* Release: done with requests before anybody frees it. */
	atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
	if (request && request >= leave_at)
		_exit(128 + signo);
	chain(signo, info, context, taken);
	errno = saved;
}

/*
 * A child of fork: daemon(3), or one that will exec. Registered after the registry's own.
 */
static void forked(void)
{
	unsigned i;

	vt_lock_reset(&table_lock);
	/* Relaxed, all: the child has one thread. */
	atomic_store_explicit(&inside, 0, memory_order_relaxed);
	for (i = 1; i < SIGNALS; i++) {
		const struct vt_requests *requests =
			atomic_load_explicit(&table[i].requests, memory_order_relaxed);

		if (!requests)
			continue;
		/*
		 * Handles that went on (nothing was started yet) take their signals
		 * along.
		 */
		if (atomic_load_explicit(&requests->registry->run,
					 memory_order_relaxed) != VT_RUN_FORKED)
			atomic_store_explicit(&owner_pid, (int)getpid(),
					      memory_order_relaxed);
		else
			atomic_store_explicit(&table[i].requests, NULL,
					      memory_order_relaxed);
	}
}

static bool ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == handle;
}

static int install(int signo)
{
	struct sigaction now, wanted = { 0 };

	if (sigaction(signo, NULL, &now))
		return -EINVAL;
	/*
	 * Ours already, or below somebody's who chains to it: what was before is known.
	 */
	if (ours(&now) || table[signo].installed)
		return 0;
	if (!(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_IGN)
		return 0; /* nohup: it stays ignored */
	table[signo].before = now;
	wanted.sa_sigaction = handle;
	wanted.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	wanted.sa_mask = now.sa_mask;
	if (sigaction(signo, &wanted, NULL))
		return -EINVAL;
	table[signo].installed = true;
	return 0;
}

int vt_signals_add(struct vt_requests *requests, int signo, unsigned event)
{
	int r;

	if (signo < 1 || signo >= SIGNALS)
		return -EINVAL;
	vt_lock(&table_lock);
	if (!watches_fork)
		watches_fork = pthread_atfork(NULL, NULL, forked) == 0;
	if (atomic_load_explicit(&table[signo].requests, memory_order_relaxed)) {
		vt_unlock(&table_lock);
		return -EEXIST;
	}
	atomic_store_explicit(&owner_pid, (int)getpid(), memory_order_relaxed);
	atomic_store_explicit(&table[signo].event, event, memory_order_relaxed);
	atomic_store_explicit(&table[signo].last_ns, 0, memory_order_relaxed);
	/* Sequentially consistent, as in handle(): it sees all of the above. */
	atomic_store_explicit(&table[signo].requests, requests, memory_order_seq_cst);
	r = install(signo);
	if (r)
		atomic_store_explicit(&table[signo].requests, NULL, memory_order_seq_cst);
	vt_unlock(&table_lock);
	return r;
}

void vt_signals_remove(struct vt_requests *requests)
{
	struct sigaction now;
	int signo;

	vt_lock(&table_lock);
	for (signo = 1; signo < SIGNALS; signo++) {
		if (atomic_load_explicit(&table[signo].requests, memory_order_relaxed) !=
		    requests)
			continue;
		/*
		 * Whoever has put a handler over ours chains to it, and it on to what was
		 * before.
		 */
		if (table[signo].installed && !sigaction(signo, NULL, &now) &&
		    ours(&now)) {
			(void)sigaction(signo, &table[signo].before, NULL);
			table[signo].installed = false;
		}
		atomic_store_explicit(&table[signo].requests, NULL, memory_order_seq_cst);
	}
	vt_unlock(&table_lock);
	/* A handler is a few instructions; it waits for nobody. Acquire: see handle(). */
	while (atomic_load_explicit(&inside, memory_order_seq_cst))
		(void)sched_yield();
}

static bool only_ours_locked(int signo, bool *ret_armed)
{
	const struct sigaction *before = &table[signo].before;
	struct sigaction now;

	if (sigaction(signo, NULL, &now) || !ours(&now) || !table[signo].installed)
		return false;
	/* Relaxed: somebody who asks for the signal, or not any more. */
	*ret_armed |= atomic_load_explicit(&table[signo].requests,
					   memory_order_relaxed) != NULL;
	return !(before->sa_flags & SA_SIGINFO) &&
	       (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN);
}

bool vt_signals_only_ours(uint64_t caught, bool *ret_armed)
{
	bool only = true;
	int signo;

	*ret_armed = false;
	if (!caught)
		return true;
	if (!vt_trylock(&table_lock))
		return false;
	for (signo = 1; signo < SIGNALS && only; signo++)
		if (caught >> (signo - 1) & 1u)
			only = only_ours_locked(signo, ret_armed);
	vt_unlock(&table_lock);
	return only;
}

const char *vt_signals_name(int signo)
{
	static const struct {
		int signo;
		const char *name;
	} names[] = {
		{ SIGTERM, "SIGTERM" }, { SIGINT, "SIGINT" },   { SIGHUP, "SIGHUP" },
		{ SIGQUIT, "SIGQUIT" }, { SIGUSR1, "SIGUSR1" }, { SIGUSR2, "SIGUSR2" },
		{ SIGALRM, "SIGALRM" }, { SIGPIPE, "SIGPIPE" }, { SIGPWR, "SIGPWR" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].signo == signo)
			return names[i].name;
	return "signal";
}
