/* SPDX-License-Identifier: MIT */

#include "window.h"

#include <string.h>

/*
 * Measured on two processors, 4 ms a tick, with and without other load:
 *
 *   spins, alone                       950 to 1000 thousandths in every part
 *   spins, beside one pinned with it   about 500; 300 to 700 in parts of 5 ms
 *   idle class beside one that spins   0 to 10; 800 in a part of 5 ms by chance
 *   a quota of 10 ms in 100            90 to 110; 1000 in parts of 10 ms, 0 in the next nine
 *
 * So one part says nothing, and what is between says that it runs. A quota's period is 100 ms, and a
 * second at most.
 */
#define SPINS_SHARE 500u   /* in the poorest part */
#define STARVED_SHARE 200u /* in all */
#define HELD_SHARE                                                                       \
	900u /* in the poorest part, of one whose group was held back meanwhile */
#define PARTS_MIN 2u
#define PART_MIN_NS VITALS_MS(2)
#define SPAN_MIN_NS VITALS_MS(20)
#define SPAN_LIMITED_NS VITALS_S(1)

void vt_window_begin(struct vt_window *window)
{
	memset(window, 0, sizeof(*window));
}

static uint32_t share_of(uint64_t clock_ns, uint64_t ns)
{
	if (!ns)
		return 0;
	return clock_ns >= ns ? 1000 : (uint32_t)(clock_ns * 1000 / ns);
}

/* Of one of which no more is known than its clock, that it runs all the time can still be seen. */
static bool wants_to_run(const struct vt_sample *sample)
{
	return sample->clock_ns && !sample->gone &&
	       (sample->state == 'R' || !(sample->has & VT_SAMPLE_STATE));
}

static void run_begin(struct vt_streak *run, const struct vt_sample *sample)
{
	memset(run, 0, sizeof(*run));
	run->looks = 1;
	run->poorest = UINT32_MAX;
	run->since_ns = run->part_ns = run->last_ns = sample->clock_at_ns;
	run->since_clock_ns = run->part_clock_ns = run->last_clock_ns = sample->clock_ns;
	run->asked = !(sample->has & VT_SAMPLE_SWITCHES);
	run->voluntary = sample->voluntary;
}

static void run_add(struct vt_streak *run, const struct vt_sample *sample)
{
	uint64_t ns = sample->clock_at_ns - run->part_ns;

	run->looks++;
	run->last_ns = sample->clock_at_ns;
	run->last_clock_ns = sample->clock_ns;
	/* A thread that sleeps again and again is found awake by chance: it has not wanted all the time. */
	if (!(sample->has & VT_SAMPLE_SWITCHES) || sample->voluntary != run->voluntary)
		run->asked = true;
	if (ns >= PART_MIN_NS) {
		uint32_t share = share_of(sample->clock_ns - run->part_clock_ns, ns);

		run->poorest = share < run->poorest ? share : run->poorest;
		run->latest = share;
		run->parts++;
		run->part_ns = sample->clock_at_ns;
		run->part_clock_ns = sample->clock_ns;
	}
}

/* Is there a sign of life between the two, other than that time on a processor goes by? */
static bool moved_between(const struct vt_sample *before, const struct vt_sample *after)
{
	unsigned both = before->has & after->has;

	if (both & VT_SAMPLE_SWITCHES && after->voluntary != before->voluntary)
		return true;
	if (!(both & VT_SAMPLE_CALL))
		return false;
	return after->call != before->call ||
	       memcmp(after->args, before->args, sizeof(after->args)) != 0;
}

void vt_window_add(struct vt_window *window, const struct vt_sample *sample)
{
	if (!window->looks++)
		window->first = *sample;
	else if (moved_between(&window->last, sample))
		window->moved = 1;
	if (!wants_to_run(sample))
		window->run.looks = 0;
	else if (!window->run.looks)
		run_begin(&window->run, sample);
	else
		run_add(&window->run, sample);
	window->last = *sample;
}

void vt_window_look(struct vt_proc *proc, uint32_t tid, uint64_t now_ns,
		    struct vt_window *window)
{
	struct vt_throttle throttle;
	struct vt_sample sample;
	/* The first: what the last is compared with. */
	unsigned what = VT_SAMPLE_STATE | VT_SAMPLE_SWITCHES |
			(window->looks && !proc->pid ? 0 : VT_SAMPLE_DELAY);

	vt_sample_take(proc, tid, what, now_ns, &sample);
	vt_window_add(window, &sample);
	if (!window->has_throttle && sample.state == 'R') {
		vt_machine_throttle(proc, tid, &throttle);
		window->has_throttle = true;
		window->throttled_ns = throttle.throttled_ns;
	}
}

uint32_t vt_window_share(const struct vt_window *window)
{
	const struct vt_streak *run = &window->run;

	return share_of(run->last_clock_ns - run->since_clock_ns,
			run->last_ns - run->since_ns);
}

/*
 * Has it run all the time? In each part of a window that is short; over a second, in which no quota
 * makes a spinner of one that is starved, a poor part before the last is forgiven.
 */
static bool spins(const struct vt_window *window, const struct vt_throttle *throttle)
{
	const struct vt_streak *run = &window->run;
	uint64_t span_ns = run->last_ns - run->since_ns;
	bool held = window->has_throttle && throttle->throttled_ns > window->throttled_ns;
	bool limited = throttle->limited || !throttle->known;
	uint32_t share = held ? HELD_SHARE : SPINS_SHARE;

	if (run->parts < PARTS_MIN)
		return false;
	if (span_ns >= SPAN_LIMITED_NS)
		return run->latest >= share && vt_window_share(window) >= share;
	return !limited && span_ns >= SPAN_MIN_NS && run->poorest >= share;
}

enum vitals_class vt_window_class(const struct vt_window *window,
				  const struct vt_throttle *throttle)
{
	const struct vt_streak *run = &window->run;

	if (spins(window, throttle))
		return VITALS_SPINNING;
	/* Ready all the time, and not let: no longer needed than for a few turns of the others. */
	if (run->looks >= 2 && !run->asked &&
	    run->last_ns - run->since_ns >= SPAN_MIN_NS &&
	    vt_window_share(window) <= STARVED_SHARE)
		return VITALS_STARVED;
	return VITALS_RUNNING;
}
