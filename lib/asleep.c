/* SPDX-License-Identifier: MIT */

/*
 * That nobody has run is said by the clock of the process, less those of our threads: exact, cheap,
 * and for all threads at once, those that came and went between two looks too. The looks say the
 * same again, thread by thread, by context switches. As the second begins after the first has ended,
 * there is a moment at which all of them slept; then nobody was left to wake one.
 */

#include "asleep.h"

#include "clock.h"
#include "listing.h"
#include "ours.h"
#include "sleeper.h"
#include "task.h"
#include "wakers.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS VITALS_S(1)
/* After a look at many that was in vain. */
#define VAIN 16u
/* Some 40 us each, in a turn that should not be late for it. */
#define THREADS_A_TURN 16u
/* Said of that many threads; of more, how many they are. */
#define DESCRIBED 8u
/* " and 4294967295 more" */
#define MORE_BYTES 24u

struct look {
	struct vt_asleep *asleep;
	struct vt_asleep_look *at;
	struct vt_proc *proc;
	const struct vt_ours *ours;
	uint64_t now_ns;
};

/* What the host's threads have run, between two bounds: clocks are not read all at once. */
static bool host_ran(const struct vt_ours *ours, uint64_t *ret_least, uint64_t *ret_most)
{
	uint64_t before = 0, after = 0, all;
	struct timespec clock;
	uint32_t i;

	for (i = 0; i < ours->n; i++)
		before += vt_task_clock_ns(ours->tids[i]);
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &clock))
		return false;
	for (i = 0; i < ours->n; i++)
		after += vt_task_clock_ns(ours->tids[i]);
	all = VITALS_S(clock.tv_sec) + (uint64_t)clock.tv_nsec;
	*ret_most = all - before;
	*ret_least = all > after ? all - after : 0;
	return true;
}

bool vt_asleep_count(struct vt_asleep_look *look, const struct vt_sample *sample,
		     bool ours)
{
	struct vt_futex_call futex;
	enum vt_sleep sleep;

	look->listed++;
	if (ours)
		return true;
	sleep = vt_sleeper_judge(sample, &futex);
	if (sleep == VT_SLEEP_GONE)
		return true;
	if (sleep == VT_SLEEP_NOT || !(sample->has & VT_SAMPLE_SWITCHES))
		return false;
	look->threads++;
	look->print += vt_sleeper_print(sample);
	return true;
}

bool vt_asleep_same(const struct vt_asleep_look *first,
		    const struct vt_asleep_look *second, uint32_t threads)
{
	return second->threads && first->threads == second->threads &&
	       first->listed == second->listed && first->print == second->print &&
	       second->listed == threads;
}

/* What the pure rule leaves to be asked of the process: what it waits for. */
static bool waits_for_host(const struct vt_sample *sample, const struct vt_ours *ours)
{
	struct vt_futex_call futex;
	uint32_t joined;

	switch (vt_sleeper_judge(sample, &futex)) {
	case VT_SLEEP_WORD:
		return !vt_ours_word(futex.address);
	case VT_SLEEP_JOIN:
		joined = vt_sleeper_joins(&futex);
		return joined && !vt_ours_has(ours, joined);
	default:
		return true;
	}
}

static bool look_at_thread(uint32_t tid, void *user)
{
	struct look *look = user;
	struct vt_sample sample;
	bool ours = vt_ours_has(look->ours, tid);

	if (ours)
		return vt_asleep_count(look->at, NULL, true);
	vt_sample_take(look->proc, tid, VT_SLEEPER_SAMPLE, look->now_ns, &sample);
	if (vt_asleep_count(look->at, &sample, false) &&
	    waits_for_host(&sample, look->ours))
		return true;
	look->asleep->witness = tid;
	return false;
}

static void step_to(struct vt_asleep *asleep, enum vt_asleep_step step, uint64_t next_ns)
{
	asleep->step = step;
	asleep->next_ns = next_ns;
	asleep->position = 0;
}

/* Somebody is awake, or may be: it begins again, in so many intervals. */
static void in_vain(struct look *look, unsigned intervals)
{
	step_to(look->asleep, VT_ASLEEP_STILL,
		look->now_ns + intervals * look->asleep->interval_ns);
}

static void look_begin(struct look *look, struct vt_asleep_look *at,
		       enum vt_asleep_step step)
{
	step_to(look->asleep, step, look->now_ns);
	look->at = at;
	memset(at, 0, sizeof(*at));
}

/* Some threads more; when those were all, the step @after follows @ns later. */
static void look_go_on(struct look *look, enum vt_asleep_step after, uint64_t ns)
{
	struct vt_asleep *asleep = look->asleep;
	int r = vt_listing_go_on("/proc/self/task", &asleep->position, THREADS_A_TURN,
				 look_at_thread, look);

	if (r > 0)
		asleep->next_ns = look->now_ns;
	else if (r == 0)
		step_to(asleep, after, look->now_ns + ns);
	else
		in_vain(look, look->at->listed > THREADS_A_TURN ? VAIN : 1);
}

/* Cheap, and what most programs that do nothing stop at: one thread that waits for a descriptor. */
static bool witness_awake(struct look *look)
{
	struct vt_asleep_look unused = { 0 };
	uint32_t witness = look->asleep->witness;

	look->at = &unused;
	look->asleep->witness = 0;
	return witness && !look_at_thread(witness, look);
}

static bool may_wake(struct vt_proc *proc, bool all, struct vt_wakers *wakers)
{
	vt_wakers_find(proc, wakers);
	return wakers->any || vt_ours_promise(wakers->until_signal, all);
}

struct telling {
	struct vt_proc *proc;
	const struct vt_namer *namer;
	const struct vt_ours *ours;
	struct vt_text *text;
	uint64_t now_ns;
	uint32_t told;
	uint32_t pid;
};

static bool tell_thread(uint32_t tid, void *user)
{
	struct telling *telling = user;
	struct vt_text *text = telling->text;
	size_t length = text->length;
	struct vt_sample sample;

	if (vt_ours_has(telling->ours, tid))
		return true;
	vt_sample_take(telling->proc, tid, VT_SLEEPER_SAMPLE | VT_SAMPLE_COMM,
		       telling->now_ns, &sample);
	if (sample.state == 'Z' || sample.state == 'X')
		return true;
	vt_text_add(text, telling->told ? ", " : "");
	vt_sleeper_describe(telling->proc, telling->namer, telling->pid, &sample, text);
	if (text->length + MORE_BYTES < text->size)
		return ++telling->told < DESCRIBED;
	text->length = length;
	text->at[length] = 0;
	return false;
}

static void tell(const struct look *look, const struct vt_namer *namer,
		 struct vt_asleep_news *news)
{
	struct vt_text text;
	struct telling telling = {
		look->proc, namer, look->ours, &text, look->now_ns, 0, (uint32_t)getpid(),
	};
	int64_t position = 0;

	vt_text_init(&text, news->doing, sizeof(news->doing));
	vt_text_add(&text, news->threads > 1 ? "all " : "the only thread is asleep");
	if (news->threads > 1) {
		vt_text_add_u64(&text, news->threads);
		vt_text_add(&text, " threads are asleep");
	}
	vt_text_add(&text, news->until_signal ? " until a signal: " : ": ");
	(void)vt_listing_go_on("/proc/self/task", &position, DESCRIBED + VT_OURS,
			       tell_thread, &telling);
	if (telling.told < news->threads) {
		vt_text_add(&text, " and ");
		vt_text_add_u64(&text, news->threads - telling.told);
		vt_text_add(&text, " more");
	}
}

/* All looked asleep, twice, and nobody has run since the second: will it stay so? */
static void conclude(struct look *look, const struct vt_namer *namer,
		     struct vt_asleep_news *news)
{
	struct vt_asleep *asleep = look->asleep;
	struct vt_wakers wakers;

	if (may_wake(look->proc, true, &wakers) ||
	    !vt_asleep_same(&asleep->first, &asleep->second, wakers.threads)) {
		in_vain(look, VAIN);
		return;
	}
	step_to(asleep, VT_ASLEEP_TOLD, look->now_ns + asleep->interval_ns);
	news->changed = true;
	news->asleep = true;
	news->until_signal = wakers.until_signal;
	news->threads = asleep->second.threads;
	tell(look, namer, news);
}

static void rings_step(struct look *look, const struct vt_namer *namer,
		       struct vt_asleep_news *news)
{
	struct vt_asleep *asleep = look->asleep;
	int r = vt_wakers_rings(look->proc, &asleep->position);

	if (r > 0)
		asleep->next_ns = look->now_ns;
	else if (r == 0)
		conclude(look, namer, news);
	else
		in_vain(look, VAIN);
}

/*
 * Told of it, a callback of the host's may have run, or run still, in the notifier: that is not the
 * end of it. It is when one of those has run who slept.
 */
static void again_step(struct look *look, struct vt_asleep_news *news)
{
	struct vt_asleep *asleep = look->asleep;
	struct vt_ours crew;

	look->at = &asleep->first;
	look->ours = &crew;
	if (!vt_ours_threads(true, &crew))
		return;
	look_go_on(look, VT_ASLEEP_TOLD, asleep->interval_ns);
	if (asleep->step == VT_ASLEEP_AGAIN ||
	    (asleep->step == VT_ASLEEP_TOLD &&
	     asleep->first.print == asleep->second.print &&
	     asleep->first.threads == asleep->second.threads))
		return;
	in_vain(look, 1);
	*news = (struct vt_asleep_news){ .changed = true };
}

static void step_on(struct look *look, const struct vt_namer *namer,
		    struct vt_asleep_news *news)
{
	struct vt_asleep *asleep = look->asleep;
	struct vt_wakers wakers;

	switch (asleep->step) {
	case VT_ASLEEP_NEW:
	case VT_ASLEEP_TOLD:
	case VT_ASLEEP_AGAIN:
		break;
	case VT_ASLEEP_STILL:
		if (witness_awake(look) || may_wake(look->proc, false, &wakers))
			break;
		look_begin(look, &asleep->first, VT_ASLEEP_FIRST);
		look_go_on(look, VT_ASLEEP_WAIT, asleep->interval_ns);
		break;
	case VT_ASLEEP_FIRST:
		look->at = &asleep->first;
		look_go_on(look, VT_ASLEEP_WAIT, asleep->interval_ns);
		break;
	case VT_ASLEEP_WAIT:
		look_begin(look, &asleep->second, VT_ASLEEP_SECOND);
		look_go_on(look, VT_ASLEEP_RINGS, 0);
		break;
	case VT_ASLEEP_SECOND:
		look->at = &asleep->second;
		look_go_on(look, VT_ASLEEP_RINGS, 0);
		break;
	case VT_ASLEEP_RINGS:
		rings_step(look, namer, news);
		break;
	}
}

/* Of threads that are ours, as a set. */
static uint64_t ours_print(const struct vt_ours *ours)
{
	struct vt_sample sample = { 0 };
	uint64_t print = 0;

	for (uint32_t i = 0; i < ours->n; i++) {
		sample.tid = ours->tids[i];
		print += vt_sleeper_print(&sample);
	}
	return print;
}

uint64_t vt_asleep_turn_at(struct vt_asleep *asleep, struct vt_proc *proc,
			   const struct vt_namer *namer, uint64_t now_ns,
			   struct vt_asleep_news *news)
{
	struct vt_ours ours;
	struct look look = { asleep, NULL, proc, &ours, now_ns };
	uint64_t least_ns, most_ns, print;
	bool ran;

	news->changed = false;
	if (now_ns < asleep->next_ns)
		return asleep->next_ns;
	if (!asleep->interval_ns)
		asleep->interval_ns = INTERVAL_NS;
	asleep->next_ns = now_ns + asleep->interval_ns;
	if (!vt_ours_threads(false, &ours) || !host_ran(&ours, &least_ns, &most_ns))
		return asleep->next_ns;
	print = ours_print(&ours);
	/* Another set of them makes another clock. */
	ran = asleep->step == VT_ASLEEP_NEW || print != asleep->ours ||
	      least_ns > asleep->ran_ns;
	if (ran && asleep->step != VT_ASLEEP_AGAIN) {
		asleep->ran_ns = most_ns;
		asleep->ours = print;
		if (asleep->step == VT_ASLEEP_TOLD)
			look_begin(&look, &asleep->first, VT_ASLEEP_AGAIN);
		else
			asleep->step = VT_ASLEEP_STILL;
	}
	if (asleep->step == VT_ASLEEP_AGAIN)
		again_step(&look, news);
	else if (!ran)
		step_on(&look, namer, news);
	return asleep->next_ns;
}
