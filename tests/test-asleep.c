/* SPDX-License-Identifier: MIT */

#include "asleep.h"
#include "harness.h"
#include "listing.h"
#include "onlookers.h"
#include "ours.h"
#include "registry.h"
#include "sleeper.h"
#include "task.h"
#include "wakers.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARED(op) (op)
#define PRIVATE(op) ((op) | FUTEX_PRIVATE_FLAG)

/* One thread, as the kernel shows it. */
static const struct {
	char state;
	long call;
	uint64_t op;
	uint64_t val;
	uint64_t timeout;
	enum vt_sleep is;
} threads[] = {
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_WORD },
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT), 0, 0, VT_SLEEP_WORD },
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT_BITSET), 0, 0, VT_SLEEP_WORD },
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT_BITSET) | FUTEX_CLOCK_REALTIME, 0, 0,
	  VT_SLEEP_WORD },
	{ 'S', SYS_futex, PRIVATE(FUTEX_LOCK_PI), 0, 0, VT_SLEEP_WORD },
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT_REQUEUE_PI), 0, 0, VT_SLEEP_WORD },
	/* A time-out. */
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0x7ffe, VT_SLEEP_NOT },
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAIT_BITSET), 0, 0x7ffe, VT_SLEEP_NOT },
	{ 'S', SYS_futex, PRIVATE(FUTEX_LOCK_PI), 0, 0x7ffe, VT_SLEEP_NOT },
	/* Others see it; or it is the id of a thread that is joined. */
	{ 'S', SYS_futex, SHARED(FUTEX_WAIT), 0, 0, VT_SLEEP_NOT },
	{ 'S', SYS_futex, SHARED(FUTEX_WAIT_BITSET), 0, 0, VT_SLEEP_NOT },
	{ 'S', SYS_futex, SHARED(FUTEX_LOCK_PI), 0, 0, VT_SLEEP_NOT },
	{ 'S', SYS_futex, SHARED(FUTEX_WAIT), 71, 0, VT_SLEEP_JOIN },
	{ 'S', SYS_futex, SHARED(FUTEX_WAIT_BITSET) | FUTEX_CLOCK_REALTIME, 71, 0,
	  VT_SLEEP_JOIN },
	/* Not a wait, another call, none, not known. */
	{ 'S', SYS_futex, PRIVATE(FUTEX_WAKE), 1, 0, VT_SLEEP_NOT },
	{ 'S', SYS_ppoll, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'S', SYS_restart_syscall, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'S', VT_CALL_NONE, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'S', VT_CALL_UNKNOWN, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	/* It runs, is held, waits for a device, has ended. */
	{ 'R', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'T', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 't', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'D', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 0, SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_NOT },
	{ 'Z', VT_CALL_NONE, 0, 0, 0, VT_SLEEP_GONE },
	{ 'X', SYS_futex, PRIVATE(FUTEX_WAIT), 2, 0, VT_SLEEP_GONE },
};

static void sample_make(struct vt_sample *sample, uint32_t tid, size_t i)
{
	memset(sample, 0, sizeof(*sample));
	sample->tid = tid;
	sample->has = VT_SLEEPER_SAMPLE;
	sample->state = threads[i].state;
	sample->call = (int32_t)threads[i].call;
	sample->args[0] = 0x5580;
	sample->args[1] = threads[i].op;
	sample->args[2] = threads[i].val;
	sample->args[3] = threads[i].timeout;
	sample->voluntary = 12;
	sample->involuntary = 3;
}

START_TEST(only_who_waits_for_a_thread_is_asleep)
{
	struct vt_futex_call futex;
	struct vt_sample sample;

	sample_make(&sample, 70, (size_t)_i);
	ck_assert_int_eq(vt_sleeper_judge(&sample, &futex), threads[_i].is);
}
END_TEST

START_TEST(what_could_not_be_read_is_awake)
{
	static const uint32_t files[] = { VT_SAMPLE_STATE, VT_SAMPLE_CALL,
					  VT_SAMPLE_SWITCHES };
	struct vt_asleep_look look;
	struct vt_sample sample;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		memset(&look, 0, sizeof(look));
		sample_make(&sample, 70, 0);
		ck_assert(vt_asleep_count(&look, &sample, false));
		sample.has &= ~files[i];
		ck_assert(!vt_asleep_count(&look, &sample, false));
	}
}
END_TEST

/* Two looks at three threads, of which the second differs in one thing. */
enum {
	NOTHING,
	VOLUNTARY,
	INVOLUNTARY,
	ADDRESS,
	TID,
	ONE_MORE,
	ONE_LESS,
	ENDED,
	CHANGES
};

static void look_take(struct vt_asleep_look *look, int change)
{
	struct vt_sample sample;
	uint32_t i, n = change == ONE_MORE ? 4 : change == ONE_LESS ? 2 : 3;

	memset(look, 0, sizeof(*look));
	(void)vt_asleep_count(look, NULL, true);
	for (i = 0; i < n; i++) {
		sample_make(&sample, 70 + i, 0);
		if (i == 1) {
			sample.voluntary += change == VOLUNTARY;
			sample.involuntary += change == INVOLUNTARY;
			sample.args[0] += change == ADDRESS ? 4 : 0;
			sample.tid += change == TID ? 9 : 0;
			sample.state = change == ENDED ? 'Z' : 'S';
		}
		ck_assert(vt_asleep_count(look, &sample, false));
	}
}

START_TEST(two_looks_are_the_same_only_if_nobody_ran)
{
	struct vt_asleep_look first, second;

	look_take(&first, NOTHING);
	look_take(&second, _i);
	ck_assert_int_eq(vt_asleep_same(&first, &second, second.listed), _i == NOTHING);
	/* Somebody was not in the list. */
	ck_assert(!vt_asleep_same(&first, &second, second.listed + 1));
}
END_TEST

START_TEST(nobody_is_not_all)
{
	struct vt_asleep_look look = { 0 };

	ck_assert(vt_asleep_count(&look, NULL, true));
	ck_assert(!vt_asleep_same(&look, &look, 1));
}
END_TEST

/* What /proc/self/status says of handlers. */
static const struct {
	const char *status;
	bool good;
	uint64_t caught;
} statuses[] = {
	{ "Name:\ta\nThreads:\t3\nSigCgt:\t0000000000000000\n", true, 0 },
	{ "Name:\ta\nThreads:\t3\nSigCgt:\t0000000180000000\n", true, 0 }, /* 32, 33 */
	{ "Name:\ta\nThreads:\t3\nSigCgt:\t0000000000000420\n", true,
	  0x20 }, /* SIGSEGV */
	{ "Name:\ta\nThreads:\t3\nSigCgt:\t0000000000004000\n", true, 0x4000 },
	{ "Name:\ta\nThreads:\t3\nSigCgt:\t8000000000000000\n", true, UINT64_C(1) << 63 },
	{ "Name:\ta SigCgt: 1\nThreads:\t3\nSigCgt:\t0000000000000200\n", true, 0x200 },
	{ "Name:\ta\nThreads:\t3\n", false, 0 },
	{ "Name:\ta\nSigCgt:\t0000000000000200\n", false, 0 },
	{ "", false, 0 },
};

START_TEST(reads_which_signals_are_caught)
{
	uint64_t caught = 0;
	uint32_t n = 0;

	ck_assert_int_eq(vt_wakers_parse(statuses[_i].status, &caught, &n),
			 statuses[_i].good);
	if (statuses[_i].good) {
		ck_assert_uint_eq(caught, statuses[_i].caught);
		ck_assert_uint_eq(n, 3);
	}
}
END_TEST

static bool count_up(uint32_t number, void *user)
{
	uint32_t *sum = user;

	sum[0]++;
	sum[1] += number == (uint32_t)getpid();
	return sum[0] != sum[2];
}

START_TEST(lists_some_at_a_time)
{
	uint32_t all[3] = { 0 }, sum[3] = { 0 }, stop[3] = { 0, 0, 2 };
	int64_t position = 0;
	int r;

	ck_assert_int_eq(
		vt_listing_go_on("/proc/self/fd", &position, 1000, count_up, all), 0);
	ck_assert_uint_ge(all[0], 3);
	position = 0;
	do
		r = vt_listing_go_on("/proc/self/fd", &position, 2, count_up, sum);
	while (r == 1);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(sum[0], all[0]);
	position = 0;
	ck_assert_int_eq(vt_listing_go_on("/proc/self/fd", &position, 1000, count_up,
					  stop),
			 -ECANCELED);
	ck_assert_int_eq(vt_listing_go_on("/proc/none", &position, 1000, count_up, stop),
			 -ENOENT);
}
END_TEST

static void *looks_on(void *arg)
{
	(void)arg;
	worker_check(vitals_thread_looks_on() == 0);
	worker_check(vitals_thread_looks_on() == 0);
	return NULL;
}

START_TEST(an_onlooker_is_one_until_it_ends)
{
	uint32_t tids[VT_ONLOOKERS];
	pthread_t thread;
	unsigned i;

	/* More than there is room for at once. */
	for (i = 0; i < 3 * VT_ONLOOKERS; i++) {
		pthread_create(&thread, NULL, looks_on, NULL);
		pthread_join(thread, NULL);
	}
	worker_checks_passed();
	ck_assert_uint_eq(vt_onlookers(tids), 0);
	ck_assert_int_eq(vitals_thread_looks_on(), 0);
	ck_assert_uint_eq(vt_onlookers(tids), 1);
	ck_assert_uint_eq(tids[0], vt_task_self());
}
END_TEST

static void child_has_none(void *arg)
{
	uint32_t tids[VT_ONLOOKERS];

	(void)arg;
	child_check(vt_onlookers(tids) == 0);
	child_check(vitals_thread_looks_on() == 0);
	child_check(vt_onlookers(tids) == 1);
}

START_TEST(a_forked_child_has_no_onlookers)
{
	ck_assert_int_eq(vitals_thread_looks_on(), 0);
	child_run(child_has_none, NULL);
}
END_TEST

START_TEST(knows_its_own_memory)
{
	static uint32_t hosts;
	vitals_registry *registry;
	vitals_quitter *quitter;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_quitter_new_main(registry, VITALS_S(1), NULL, &quitter),
			 0);
	ck_assert(vt_ours_word((uintptr_t)registry));
	ck_assert(vt_ours_word((uintptr_t)registry->root));
	ck_assert(vt_ours_word((uintptr_t)registry->tree));
	ck_assert(vt_ours_word((uintptr_t)quitter));
	ck_assert(!vt_ours_word((uintptr_t)&hosts));
	vitals_quitter_free(quitter);
	vitals_registry_free(registry);
}
END_TEST

/* The rest is about a process: in one of its own, without Check's timers and handlers. */

enum {
	SAID = 42,
	NOT_SAID = 43
};

static sem_t never, go;
static _Atomic unsigned steps;

static void nap(void)
{
	struct timespec ts = { 0, 1000000 };

	nanosleep(&ts, NULL);
}

static bool turn(struct vt_asleep *asleep, uint64_t *now_ns, struct vt_asleep_news *news)
{
	struct vt_proc proc;

	vt_proc_begin(&proc, 0);
	*now_ns = vt_asleep_turn_at(asleep, &proc, NULL, *now_ns, news);
	nap();
	return news->changed;
}

static bool said_within(struct vt_asleep *asleep, uint64_t *now_ns, unsigned turns,
			struct vt_asleep_news *news)
{
	while (turns--)
		if (turn(asleep, now_ns, news))
			return true;
	return false;
}

/* Once, until it is over, and again. */
static void *tells_episodes(void *arg)
{
	struct vt_asleep asleep = { 0 };
	struct vt_asleep_news news;
	uint64_t now_ns = VITALS_S(1);
	unsigned i;
	bool good = vitals_thread_looks_on() == 0;

	(void)arg;
	for (i = 0; i < 2 && good; i++) {
		good = said_within(&asleep, &now_ns, 2000, &news) && news.asleep &&
		       !news.until_signal && news.threads == 2 &&
		       strstr(news.doing, "all 2 threads are asleep: main (tid ") &&
		       strstr(news.doing, " joins ");
		good = good && !said_within(&asleep, &now_ns, 50, &news);
		sem_post(&go);
		good = good && said_within(&asleep, &now_ns, 2000, &news) && !news.asleep;
		/* Almost free: not a look before its time. */
		good = good && vt_asleep_turn_at(&asleep, NULL, NULL, now_ns - 1,
						 &news) == asleep.next_ns;
	}
	_exit(good && atomic_load(&steps) == 2 ? SAID : NOT_SAID);
}

static void *steps_on(void *arg)
{
	for (;;)
		if (sem_wait(&go) == 0)
			atomic_fetch_add(&steps, 1);
	return arg;
}

static void run_episodes(void)
{
	pthread_t thread;

	sem_init(&go, 0, 0);
	sem_init(&never, 0, 0);
	pthread_create(&thread, NULL, tells_episodes, NULL);
	pthread_create(&thread, NULL, steps_on, NULL);
	pthread_join(thread, NULL);
}

/* Without the promise, the thread that asks is one that runs. */
static void *asks_without_promise(void *arg)
{
	struct vt_asleep asleep = { 0 };
	struct vt_asleep_news news;
	uint64_t now_ns = VITALS_S(1);

	(void)arg;
	_exit(said_within(&asleep, &now_ns, 100, &news) ? SAID : NOT_SAID);
}

static void run_without_promise(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, asks_without_promise, NULL);
	pthread_join(thread, NULL);
}

/* A callback that is told of it, and takes its time, is not the end of it. */

static vitals_heartbeat *heartbeat;

static void hears(const struct vitals_event *event, void *user)
{
	unsigned i;

	(void)event;
	(void)user;
	for (i = 0; i < 50; i++)
		nap();
	atomic_fetch_add(&steps, 1);
}

static void *tells_callbacks(void *arg)
{
	struct vt_asleep asleep = { 0 };
	struct vt_asleep_news news;
	uint64_t now_ns = VITALS_S(1);
	bool good = vitals_thread_looks_on() == 0;

	(void)arg;
	good = good && said_within(&asleep, &now_ns, 4000, &news) && news.asleep;
	/* Its events are told to the callback. */
	vitals_heartbeat_pulse(heartbeat);
	while (atomic_load(&steps) < 1)
		good = good && !turn(&asleep, &now_ns, &news);
	good = good && !said_within(&asleep, &now_ns, 100, &news);
	sem_post(&never);
	good = good && said_within(&asleep, &now_ns, 2000, &news) && !news.asleep;
	_exit(good ? SAID : NOT_SAID);
}

static void run_callbacks(void)
{
	pthread_t thread;

	sem_init(&never, 0, 0);
	if (vitals_heartbeat_new(NULL, "idle", VITALS_MS(50), NULL, &heartbeat))
		return;
	vitals_heartbeat_idle(heartbeat);
	(void)vitals_on_event(NULL, hears, NULL);
	/* The monitor would say it as well, and the callback hear of that. */
	(void)vitals_evidence_set(NULL, VITALS_EVIDENCE_OFF);
	(void)vitals_start(NULL);
	pthread_create(&thread, NULL, tells_callbacks, NULL);
	for (;;)
		(void)sem_wait(&never);
}

/* What it ran before is not to be taken from what the others run after. */

static _Atomic bool enough;

static void *becomes_an_onlooker(void *arg)
{
	while (!atomic_load(&enough))
		continue;
	(void)vitals_thread_looks_on();
	atomic_store(&enough, false);
	for (;;)
		(void)sem_wait(&never);
	return arg;
}

static void *tells_after_work(void *arg)
{
	struct vt_asleep asleep = { 0 };
	struct vt_asleep_news news;
	uint64_t now_ns = VITALS_S(1);
	bool good = vitals_thread_looks_on() == 0;
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, becomes_an_onlooker, NULL);
	good = good && !said_within(&asleep, &now_ns, 100, &news);
	atomic_store(&enough, true);
	while (atomic_load(&enough))
		nap();
	good = good && said_within(&asleep, &now_ns, 2000, &news) && news.asleep;
	sem_post(&go);
	good = good && said_within(&asleep, &now_ns, 100, &news) && !news.asleep;
	_exit(good ? SAID : NOT_SAID);
}

static void run_after_work(void)
{
	pthread_t thread;

	sem_init(&go, 0, 0);
	sem_init(&never, 0, 0);
	pthread_create(&thread, NULL, tells_after_work, NULL);
	(void)steps_on(NULL);
}

static int run_alone(void (*fn)(void))
{
	int signo, status;
	pid_t pid = fork();

	if (pid == 0) {
		for (signo = 1; signo < NSIG; signo++)
			(void)signal(signo, SIG_DFL);
		fn();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(tells_once_and_when_it_is_over)
{
	ck_assert_int_eq(run_alone(run_episodes), SAID);
}
END_TEST

START_TEST(a_callback_that_hears_of_it_is_not_its_end)
{
	ck_assert_int_eq(run_alone(run_callbacks), SAID);
}
END_TEST

START_TEST(who_becomes_an_onlooker_hides_nobody)
{
	ck_assert_int_eq(run_alone(run_after_work), SAID);
}
END_TEST

START_TEST(who_asks_is_awake_unless_it_only_looks_on)
{
	ck_assert_int_eq(run_alone(run_without_promise), NOT_SAID);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("asleep");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, only_who_waits_for_a_thread_is_asleep, 0,
			    sizeof(threads) / sizeof(threads[0]));
	tcase_add_test(tc, what_could_not_be_read_is_awake);
	tcase_add_loop_test(tc, two_looks_are_the_same_only_if_nobody_ran, 0, CHANGES);
	tcase_add_test(tc, nobody_is_not_all);
	tcase_add_loop_test(tc, reads_which_signals_are_caught, 0,
			    sizeof(statuses) / sizeof(statuses[0]));
	tcase_add_test(tc, lists_some_at_a_time);
	tcase_add_test(tc, an_onlooker_is_one_until_it_ends);
	tcase_add_test(tc, a_forked_child_has_no_onlookers);
	tcase_add_test(tc, knows_its_own_memory);
	/* A thread of ThreadSanitizer's own sleeps for a time, again and again. */
	if (!THREAD_SANITIZED) {
		tcase_add_test(tc, tells_once_and_when_it_is_over);
		tcase_add_test(tc, a_callback_that_hears_of_it_is_not_its_end);
		tcase_add_test(tc, who_becomes_an_onlooker_hides_nobody);
	}
	tcase_add_test(tc, who_asks_is_awake_unless_it_only_looks_on);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
