/* SPDX-License-Identifier: MIT */

/*
 * A thousand threads of one name and one function, of whom some are late: the report names just
 * those, whoever they are, and once each. Who returns afterwards is not in the next one.
 *
 * usage: late [TRIALS [SEED]]; or VITALS_LATE, VITALS_LATE_SEED
 *
 * Most trials are of records without threads, joined and left as threads do; one in a hundred is of
 * real ones. Beside them somebody of the same name is late in another quitter, all the time.
 */

#include "chance.h"
#include "clock.h"
#include "member.h"
#include "unblock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define N 1000u
#define NAME "worker"
#define REPEATS 100u
#define PATIENCE_NS VITALS_S(60)
#define STACK (64 * 1024)

struct item {
	struct vitals_thread *member; /* of a record */
	_Atomic uint64_t id;
	_Atomic uint32_t go; /* a late thread may leave */
	bool late;
	bool seen; /* in the report that is being looked at */
};

static struct item items[N];
static struct item *by_id[N];
static vitals_registry *registry;
static vitals_quitter *top, *pool;
static uint64_t trial;

/* What was wrong: rows of others, rows twice, and late ones without a row. */
static struct {
	uint64_t reports;
	uint64_t rows;
	uint64_t strange;
	uint64_t twice;
	uint64_t missing;
	uint64_t answers; /* of the wait */
} sum;

static int compare(const void *a, const void *b)
{
	uint64_t x = (*(struct item *const *)a)->id, y = (*(struct item *const *)b)->id;

	return (x > y) - (x < y);
}

static struct item *item_of(uint64_t id)
{
	uint32_t from = 0, to = N;

	while (from < to) {
		uint32_t middle = (from + to) / 2;

		if (by_id[middle]->id == id)
			return by_id[middle];
		if (by_id[middle]->id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

static void wrong(uint64_t *count, const char *what, uint64_t id)
{
	if (++*count <= 10)
		printf("trial %llu: %s: thread %llu\n", (unsigned long long)trial, what,
		       (unsigned long long)id);
}

static uint32_t late_now(void)
{
	uint32_t i, n = 0;

	for (i = 0; i < N; i++)
		n += items[i].late;
	return n;
}

static void row_judge(const struct vitals_thread_info *info, bool others)
{
	struct item *item = item_of(info->id);

	sum.rows++;
	if (!item || (!others && !item->late)) {
		wrong(&sum.strange, "not late, yet in the report", info->id);
		return;
	}
	if (item->seen)
		wrong(&sum.twice, "twice in one report", info->id);
	item->seen = true;
}

/*
 * One report. @others: threads that are about to leave may be in it too. Return: how many rows it
 * has.
 */
static uint32_t report_judge(vitals_snapshot *late, bool others)
{
	struct vitals_thread_info info;
	uint32_t i, rows = 0;

	VITALS_INIT(&info);
	for (i = 0; i < N; i++)
		items[i].seen = false;
	for (; late && vitals_snapshot_thread(late, rows, &info) == 0; rows++)
		row_judge(&info, others);
	for (i = 0; i < N; i++)
		if (items[i].late && !items[i].seen)
			wrong(&sum.missing, "late, and not in the report", items[i].id);
	sum.reports++;
	return rows;
}

static void wait_judge(uint64_t timeout_ns)
{
	vitals_snapshot *late;
	int r = vitals_quitter_wait_done(pool, timeout_ns, &late);

	if (r != (late_now() ? -ETIMEDOUT : 0))
		wrong(&sum.answers, "the wait's answer is wrong", (uint64_t)-r);
	if (!r && late)
		wrong(&sum.answers, "a report, though nobody is late", 0);
	(void)report_judge(late, false);
	vitals_snapshot_free(late);
}

static bool pool_make(void)
{
	return vitals_quitter_new(top, "pool", NULL, &pool) == 0;
}

/* As few as one, as many as all, and nobody: each is as likely as all between. */
static void late_choose(struct chance *chance)
{
	static const uint32_t few[] = { 0, 1, 2, N - 1, N };
	uint32_t k = few[chance_below(chance, 5)], i;

	if (chance_below(chance, 2))
		k = (uint32_t)chance_below(chance, N + 1);
	for (i = 0; i < N; i++) {
		items[i].late = chance_below(chance, N - i) < k;
		k -= items[i].late;
	}
}

static void ids_sort(void)
{
	uint32_t i;

	for (i = 0; i < N; i++)
		by_id[i] = &items[i];
	qsort(by_id, N, sizeof(by_id[0]), compare);
}

/* Records */

static bool records_join(void)
{
	struct vt_member_spec spec = { .name = NAME, .state = VITALS_THREAD_RUNNING };
	int r = 0;
	uint32_t i;

	spec.now_ns = vt_clock_now();
	vt_lock(&registry->lock);
	for (i = 0; i < N && !r; i++) {
		r = vt_member_join(registry, pool, &spec, &items[i].member);
		if (!r)
			items[i].id = vitals_thread_id(items[i].member);
	}
	vt_unlock(&registry->lock);
	return !r;
}

static void record_leave(struct item *item)
{
	struct vt_told told = { 0 };

	if (!item->member)
		return;
	vt_lock(&registry->lock);
	vt_member_uncount(registry, item->member, vt_clock_now(), &told);
	vt_member_remove(registry, item->member, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	item->member = NULL;
	item->late = false;
}

/* Of those who are not late about half leave before they are told. */
static void punctual_leave(struct chance *chance, bool all)
{
	uint32_t i;

	for (i = 0; i < N; i++)
		if (!items[i].late && (all || chance_below(chance, 2)))
			record_leave(&items[i]);
}

static bool record_trial(struct chance *chance)
{
	uint32_t i;

	if (!pool_make() || !records_join())
		return false;
	ids_sort();
	late_choose(chance);
	punctual_leave(chance, false);
	(void)vitals_quitter_send_quit(pool, 0, NULL);
	punctual_leave(chance, true);
	wait_judge(1);
	for (i = 0; trial % REPEATS == 0 && i < REPEATS; i++)
		wait_judge(i % 2);
	/* The deadline is over, and some return. */
	for (i = 0; i < N; i++)
		if (items[i].late && chance_below(chance, 2))
			record_leave(&items[i]);
	wait_judge(1);
	for (i = 0; i < N; i++)
		record_leave(&items[i]);
	wait_judge(1);
	/* Nor is anybody counted who is not there: a wait would last until its deadline. */
	if (vt_quitter_live(pool) >= VT_LIVE_ONE)
		wrong(&sum.answers, "counted, though all have left", 0);
	pool = vitals_quitter_free(pool);
	return true;
}

/* Threads */

static int works(vitals_thread *self, void *arg)
{
	struct item *item = arg;

	atomic_store(&item->id, vitals_thread_id(self));
	vt_futex_wake(vt_futex_low(&item->id), 1);
	if (!item->late)
		return vitals_thread_sleep(self, VITALS_FOREVER) != -ECANCELED;
	while (!atomic_load(&item->go))
		(void)vt_futex_wait(&item->go, 0, UINT64_MAX);
	return 0;
}

static bool threads_fork(void)
{
	struct vitals_thread_options options;
	pthread_attr_t attr;
	uint32_t i;
	int r = 0;

	if (pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK))
		return false;
	VITALS_INIT(&options);
	options.attr = &attr;
	for (i = 0; i < N; i++) {
		items[i].go = 0;
		items[i].id = 0;
	}
	for (i = 0; i < N && !r; i++)
		r = vitals_thread_fork(pool, NAME, 0, works, &items[i], &options);
	(void)pthread_attr_destroy(&attr);
	if (r)
		printf("thread %u: error %d\n", i, r);
	for (i = 0; i < N && !r; i++)
		while (!atomic_load(&items[i].id))
			(void)vt_futex_wait(vt_futex_low(&items[i].id), 0, UINT64_MAX);
	return !r;
}

/* Looks until nobody but the late is there; they are in every one of the reports. */
static bool punctual_gone(void)
{
	uint64_t until_ns = vt_clock_now() + PATIENCE_NS;
	uint32_t rows, wanted = late_now();
	vitals_snapshot *late;

	do {
		(void)vitals_quitter_wait_done(pool, 0, &late);
		rows = report_judge(late, true);
		vitals_snapshot_free(late);
	} while (rows > wanted && vt_clock_now() < until_ns);
	return rows <= wanted;
}

/* Of all the late, or about half of them. */
static void late_go(struct chance *chance, bool all)
{
	uint32_t i;

	for (i = 0; i < N; i++) {
		if (!items[i].late || !(all || chance_below(chance, 2)))
			continue;
		items[i].late = false;
		atomic_store(&items[i].go, 1);
		vt_futex_wake(&items[i].go, 1);
	}
}

static bool thread_trial(struct chance *chance)
{
	uint32_t i;

	/* Before they run: it is what they do. */
	late_choose(chance);
	if (!pool_make() || !threads_fork())
		return false;
	ids_sort();
	(void)vitals_quitter_send_quit(pool, 0, NULL);
	if (!punctual_gone())
		return false;
	for (i = 0; i < 3; i++)
		wait_judge(VITALS_MS(1));
	late_go(chance, false);
	if (!punctual_gone())
		return false;
	wait_judge(VITALS_MS(1));
	late_go(chance, true);
	wait_judge(PATIENCE_NS);
	pool = vitals_quitter_free(pool);
	return true;
}

static bool trials_run(uint64_t trials, struct chance *chance)
{
	for (trial = 1; trial <= trials; trial++) {
		if (!record_trial(chance) ||
		    (trial % 100 == 0 && !thread_trial(chance))) {
			printf("trial %llu: cannot go on\n", (unsigned long long)trial);
			return false;
		}
		if (trial % 1000 == 0)
			printf("trial %llu: %llu rows\n", (unsigned long long)trial,
			       (unsigned long long)sum.rows);
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t trials = number_from("VITALS_LATE", 10000), began_ns = vt_clock_now();
	struct chance chance = { chance_seed("VITALS_LATE_SEED") };
	vitals_quitter *other;
	bool ran;

	if (argc > 1)
		trials = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		chance.state = strtoull(argv[2], NULL, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("late: %llu trials, seed %llu\n", (unsigned long long)trials,
	       (unsigned long long)chance.state);
	if (vitals_registry_new(0, &registry) < 0 ||
	    vitals_quitter_new_main(registry, VITALS_S(10), NULL, &top) < 0 ||
	    vitals_quitter_new(top, "pool", NULL, &other) < 0 ||
	    vitals_quitter_hold(other, NAME) < 0)
		return 2;
	(void)vitals_quitter_send_quit(other, 0, NULL);
	ran = trials_run(trials, &chance);
	printf("late: %llu trials, %llu of them with threads too, in %.1f s: ",
	       (unsigned long long)trials, (unsigned long long)(trials / 100),
	       (double)(vt_clock_now() - began_ns) / 1e9);
	printf("%llu reports of %llu rows; %llu strange, %llu twice, %llu missing, %llu "
	       "wrong answers\n",
	       (unsigned long long)sum.reports, (unsigned long long)sum.rows,
	       (unsigned long long)sum.strange, (unsigned long long)sum.twice,
	       (unsigned long long)sum.missing, (unsigned long long)sum.answers);
	return !ran || sum.strange || sum.twice || sum.missing || sum.answers;
}
