/* SPDX-License-Identifier: MIT */

/*
 * Deadlocks, found and named: cycles of two and of three threads for every kind of lock and way to
 * wait for it, each of them right; who holds a lock that inherits priorities; thousands of waits for
 * what has no owner, of which none is said; and locks that are destroyed and whose memory goes while
 * they are read.
 *
 * usage: cycles [ROUNDS [SEED]]; or VITALS_CYCLES_ROUNDS, VITALS_CYCLES_SEED; VITALS_CYCLES_WAITS,
 * VITALS_CYCLES_SECONDS
 */

#include "chance.h"
#include "locks.h"
#include "others.h"

#include "lock.h"
#include "task.h"
#include "vitals.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMBERS 3
#define TAKE_MAX_NS VITALS_MS(1)
#define TIMES (1u << 16)

/* What the processes of the rounds tell the first one. */
struct tally {
	uint32_t rounds;
	uint32_t right;
	uint32_t skipped; /* 1: there is no such lock here */
	uint32_t n_times;
	uint64_t times[TIMES];
	uint64_t worked[TIMES]; /* of that, on a processor */
	char wrong[1024];
};

static struct tally *tally;

static const char *member_names[MEMBERS] = { "worker-1", "worker-2", "worker-3" };

struct round {
	const struct way *way;
	unsigned n;
	union lock_room locks[MEMBERS];
	struct party parties[MEMBERS];
	_Atomic uint32_t go;
};

static bool name_thread(void *user, uint32_t tid, char *name)
{
	struct round *round = user;
	unsigned i;

	for (i = 0; i < round->n; i++)
		if (atomic_load(&round->parties[i].tid) == tid) {
			strcpy(name, member_names[i]);
			return true;
		}
	return false;
}

/* The sentence as it has to be, from who has the lowest tid. */
static void expect(struct round *round, char *text, size_t size)
{
	const char *what = round->way->rwlock ? "rwlock" : "mutex";
	const char *by = round->way->rwlock ? "held for writing by" : "held by";
	unsigned low = 0, i;
	size_t at;

	for (i = 1; i < round->n; i++)
		if (round->parties[i].tid < round->parties[low].tid)
			low = i;
	at = (size_t)snprintf(text, size, "%s", member_names[low]);
	for (i = 0; i < round->n; i++) {
		unsigned next = (low + i + 1) % round->n;

		at += (size_t)snprintf(text + at, size - at, " waits for %s %p %s %s",
				       what, (void *)&round->locks[next], by,
				       member_names[next]);
	}
	if (way_timed(round->way))
		snprintf(text + at, size - at, ", until it times out");
}

static uint64_t worked_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

/* And keeps how long it took. */
static void take(struct round *round, unsigned from, struct vt_chain *chain, char *said,
		 size_t size)
{
	struct vt_namer namer = { .thread = name_thread, .user = round };
	uint64_t begin = clock_ns(), worked = worked_ns();
	struct vt_proc proc;
	struct vt_text text;

	vt_proc_begin(&proc, 0);
	chain_of(round->parties[from].tid, chain);
	vt_text_init(&text, said, size);
	vt_chain_describe_cycle(&proc, &namer, chain, &text);
	if (tally->n_times == TIMES)
		return;
	tally->times[tally->n_times] = clock_ns() - begin;
	tally->worked[tally->n_times++] = worked_ns() - worked;
}

static void judge(struct round *round)
{
	char said[1024], should[1024];
	struct vt_chain chain;
	uint64_t key = 0;
	bool right = true;
	unsigned i;

	expect(round, should, sizeof(should));
	for (i = 0; i < round->n; i++) {
		take(round, i, &chain, said, sizeof(said));
		key = i ? key : chain.key;
		if (chain.deadlock && chain.n == round->n && !chain.back &&
		    chain.key == key && strcmp(said, should) == 0)
			continue;
		right = false;
		snprintf(tally->wrong, sizeof(tally->wrong),
			 "\"%.480s\" instead of \"%.480s\"", said, should);
	}
	tally->rounds++;
	tally->right += right;
}

/* Each has one and wants the next one's. Return: false where there is no such lock. */
static bool round_run(const struct way *way, unsigned n)
{
	struct round *round = calloc(1, sizeof(*round));
	unsigned i;

	round->way = way;
	round->n = n;
	for (i = 0; i < n; i++)
		if (way_make(way, &round->locks[i]))
			return false;
	for (i = 0; i < n; i++) {
		round->parties[i].way = way;
		round->parties[i].first = &round->locks[i];
		round->parties[i].then = &round->locks[(i + 1) % n];
		round->parties[i].go = &round->go;
		party_start(&round->parties[i]);
		if (round->parties[i].error)
			return false;
	}
	atomic_store(&round->go, 1);
	for (i = 0; i < n; i++)
		if (!thread_waits(round->parties[i].tid))
			return false;
	judge(round);
	return true;
}

/* One has it, another waits for it: who has it is named. */
static bool holder_run(const struct way *way)
{
	struct round *round = calloc(1, sizeof(*round));
	struct vt_chain chain;
	const struct vt_wait *wait = &chain.hops[0].wait;

	if (way_make(way, &round->locks[0]))
		return false;
	round->parties[0] = (struct party){ .way = way, .first = &round->locks[0] };
	round->parties[1] = (struct party){ .way = way, .then = &round->locks[0] };
	party_start(&round->parties[0]);
	if (round->parties[0].error)
		return false;
	party_start(&round->parties[1]);
	if (!thread_waits(round->parties[1].tid) || !thread_sleeps(round->parties[0].tid))
		return false;
	chain_of(round->parties[1].tid, &chain);
	tally->rounds++;
	if (chain.n == 2 && wait->lock == (uintptr_t)&round->locks[0] &&
	    wait->holder_tid == round->parties[0].tid && !chain.deadlock &&
	    wait->kind == (way->rwlock ? VITALS_LOCK_RWLOCK : VITALS_LOCK_MUTEX) &&
	    wait->timed == way_timed(way))
		tally->right++;
	else
		snprintf(tally->wrong, sizeof(tally->wrong), "holder %u, lock %#llx",
			 wait->holder_tid, (unsigned long long)wait->lock);
	return true;
}

static void child_ended(pid_t pid, const char *what)
{
	int status = 0;

	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	printf("%s: status %#x\n", what, status);
	exit(1);
}

/* In a process of its own, where who waits is left behind. Return: whether all was right. */
static bool way_run(const struct way *way, unsigned n, uint32_t rounds)
{
	uint32_t n_times = tally->n_times, i;
	pid_t pid;

	tally->rounds = tally->right = tally->skipped = 0;
	tally->wrong[0] = 0;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		for (i = 0; i < rounds && !tally->skipped; i++)
			tally->skipped = n == 1 ? !holder_run(way) : !round_run(way, n);
		_exit(0);
	}
	child_ended(pid, way->name);
	if (tally->skipped && !tally->rounds && way->ceiling) {
		tally->n_times = n_times;
		printf("  not permitted");
		return true;
	}
	printf("  %s %u",
	       n == 1   ? "holder"
	       : n == 2 ? "of two"
			: "of three",
	       tally->right);
	if (tally->right < rounds)
		printf(" ONLY: %s\n", tally->wrong);
	return tally->right == rounds;
}

static bool all_ways(uint32_t rounds)
{
	bool good = true;
	struct way way;
	unsigned i;

	for (i = 0; rounds && way_at(i, &way); i++) {
		printf("%-31s", way.name);
		good &= way_run(&way, 1, rounds);
		good &= way.inherits || way_run(&way, 2, rounds);
		good &= way.inherits || way_run(&way, 3, rounds);
		printf("\n");
	}
	return good;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void times_print(const char *what, uint64_t *times, uint32_t n)
{
	qsort(times, n, sizeof(*times), compare);
	printf("a whole cycle, found, proven and told, %s: p50 %llu us, p99 %llu us, "
	       "max %llu us of %u\n",
	       what, (unsigned long long)times[n / 2] / 1000,
	       (unsigned long long)times[n - 1 - n / 100] / 1000,
	       (unsigned long long)times[n - 1] / 1000, n);
}

static bool times_good(void)
{
	uint32_t n = tally->n_times;

	if (!n)
		return true;
	times_print("by the clock", tally->times, n);
	times_print("on a processor", tally->worked, n);
	/* The machine has other things to do now and then: the middle counts. */
	return tally->times[n / 2] <= TAKE_MAX_NS;
}

/* As process 1 of a namespace, where a 1 in a word is a thread that lives. */
static void become_first(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		printf("as process 1: not permitted here\n");
		fflush(stdout);
		_exit(0);
	}
	pid = fork();
	if (pid) {
		int status = 0;

		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL)) {
		printf("as process 1: no /proc here\n");
		fflush(stdout);
		_exit(0);
	}
}

static bool apart(bool first, const char *what, bool (*run)(uint32_t, uint64_t),
		  uint32_t n, uint64_t seed)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool good;

		if (first)
			become_first();
		good = run(n, seed);
		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		printf("%s: status %#x\n", what, status);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	uint32_t rounds = (uint32_t)number_from("VITALS_CYCLES_ROUNDS", 100);
	uint32_t waits = (uint32_t)number_from("VITALS_CYCLES_WAITS", 1000);
	uint32_t seconds = (uint32_t)number_from("VITALS_CYCLES_SECONDS", 60);
	uint64_t seed = chance_seed("VITALS_CYCLES_SEED");
	bool good = true;

	rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : rounds;
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : seed;
	printf("%u rounds, %u waits, %u s, seed %llu\n", rounds, waits, seconds,
	       (unsigned long long)seed);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 2;
	good &= all_ways(rounds);
	good &= times_good();
	if (waits) {
		good &= apart(false, "others", others_run, waits, seed);
		good &= apart(true, "others, as process 1", others_run, waits, seed);
	}
	if (seconds)
		good &= apart(false, "locks that come and go", churn_run, seconds, seed);
	printf("%s\n", good ? "all right" : "WRONG");
	return good ? 0 : 1;
}
