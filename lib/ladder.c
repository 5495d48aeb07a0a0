/* SPDX-License-Identifier: MIT */

#include "ladder.h"

#include "clock.h"
#include "leave.h"
#include "lines.h"
#include "log.h"
#include "missing.h"
#include "quitter.h"
#include "rows.h"
#include "snapshot.h"
#include "systemd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Steps, each taken once, in a word with the number of the main quitter. */
#define STEP_HALF 1u
#define STEP_MOST 2u
#define STEP_END 4u
#define STEP_OVER 8u /* finish has its answer: nobody says anything else any more */
#define STEP_BITS 8

/* How long a list may take to write, and how long whoever does not write it waits for it. */
#define WRITE_NS VITALS_MS(10)
/*
 * What those who flush have to themselves at most; and, at least, the host's exit handlers, and
 * main to get as far as finish when all have left.
 */
#define RESERVE_MAX_NS VITALS_S(1)

#define LINE_BYTES 1024

/* Acquire, all: pairs with the release stores of vt_ladder_set(). */
#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), value, memory_order_release)

void vt_ladder_set(struct vt_ladder *ladder, uint64_t timeout_ns,
		   const struct vitals_quitter_options *options)
{
	uint32_t at_deadline = options ? options->at_deadline : 0;
	int fd = options ? options->report_fd : 0;
	const char *abort = secure_getenv("VITALS_ABORT");
	struct vt_file file = vt_file_of(fd > 0 ? fd : -1);

	if (at_deadline == VITALS_ABORT_AT_DEADLINE && abort && !strcmp(abort, "off"))
		at_deadline = VITALS_EXIT_AT_DEADLINE;
	/*
	 * In this order, so that nobody takes a step of the quitter before, nor one of this by the
	 * time of that.
	 */
	STORE(ladder->timeout_ns, 0);
	STORE(ladder->state, ((LOAD(ladder->state) >> STEP_BITS) + 1) << STEP_BITS);
	STORE(ladder->at_deadline, at_deadline);
	STORE(ladder->late_status,
	      options && options->late_status ? options->late_status : 1);
	STORE(ladder->report_fd, fd);
	STORE(ladder->report_device, file.device);
	STORE(ladder->report_inode, file.inode);
	STORE(ladder->written, 0);
	STORE(ladder->leave_by_ns, 0);
	STORE(ladder->timeout_ns, timeout_ns);
}

void vt_ladder_insist(struct vt_ladder *ladder)
{
	uint32_t wants = VITALS_RETURN_AT_DEADLINE;
	struct vt_file file = vt_file_of(STDERR_FILENO);

	(void)atomic_compare_exchange_strong_explicit(&ladder->at_deadline, &wants,
						      VITALS_EXIT_AT_DEADLINE,
						      memory_order_acq_rel,
						      memory_order_acquire);
	if (LOAD(ladder->report_fd) > 0)
		return;
	STORE(ladder->report_device, file.device);
	STORE(ladder->report_inode, file.inode);
	STORE(ladder->report_fd, STDERR_FILENO);
}

int vt_ladder_late_status(const struct vt_ladder *ladder)
{
	return (int)LOAD(ladder->late_status);
}

bool vt_ladder_leaves(const struct vt_ladder *ladder)
{
	return LOAD(ladder->at_deadline) != VITALS_RETURN_AT_DEADLINE;
}

uint64_t vt_ladder_reserve(const vitals_registry *registry,
			   const struct vt_ladder *ladder)
{
	uint64_t reserve_ns = LOAD(ladder->timeout_ns) / 10;

	if (!LOAD(registry->tree->flushes))
		return 0;
	return reserve_ns < RESERVE_MAX_NS ? reserve_ns : RESERVE_MAX_NS;
}

uint64_t vt_ladder_deadline(const vitals_registry *registry,
			    const struct vt_ladder *ladder)
{
	uint64_t asked_ns = LOAD(registry->tree->asked_ns);
	uint64_t expired_ns = LOAD(registry->tree->expired_ns);
	uint64_t flush_ns = LOAD(registry->tree->flush_ns);
	uint64_t timeout_ns = LOAD(ladder->timeout_ns), deadline_ns;
	uint64_t reserve_ns = vt_ladder_reserve(registry, ladder);

	if (!asked_ns || !timeout_ns)
		return UINT64_MAX;
	deadline_ns = vt_clock_after(asked_ns, timeout_ns);
	if (expired_ns && expired_ns + reserve_ns < deadline_ns)
		deadline_ns = expired_ns + reserve_ns;
	/* Told late, as after a pause, they have their time all the same. */
	if (flush_ns && reserve_ns && flush_ns + reserve_ns > deadline_ns)
		deadline_ns = flush_ns + reserve_ns;
	return deadline_ns;
}

/*
 * Is it the caller who takes @step, of the main quitter that @seen is of? Those below are over, and
 * of the two that end it the first is the verdict.
 */
static bool take(struct vt_ladder *ladder, uint64_t seen, uint64_t step)
{
	uint64_t ends = step | STEP_OVER | (step == STEP_OVER ? STEP_END : 0);
	uint64_t state = LOAD(ladder->state);

	do {
		if (state >> STEP_BITS != seen >> STEP_BITS || (state & ends))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&ladder->state, &state, state | step | (step - 1), memory_order_acq_rel,
		memory_order_acquire));
	return true;
}

/* "vitals: late: ", or "vitals: 1.00s of 2.00s gone, missing: " */
static void prefix_add(const struct vt_ladder *ladder, bool end, uint64_t gone_ns,
		       struct vt_text *line)
{
	vt_text_add(line, "vitals: ");
	if (end) {
		vt_text_add(line, "late: ");
		return;
	}
	vt_text_add_duration(line, gone_ns);
	vt_text_add(line, " of ");
	vt_text_add_duration(line, LOAD(ladder->timeout_ns));
	vt_text_add(line, " gone, missing: ");
}

/* Whoever is missing, a line each. */
static void missing_write(vitals_registry *registry, const struct vt_ladder *ladder,
			  bool end, uint64_t now_ns, struct vt_lines *lines)
{
	const struct vt_view *view = &registry->view;
	uint32_t root = LOAD(registry->root->main_quitter), at = 0;
	struct vt_moment moment = { .now_ns = now_ns };
	struct vitals_thread_info info;
	char buffer[LINE_BYTES];
	struct vt_text line;
	int64_t found;

	vt_tick_load(&registry->root->tick, &moment.tick);
	while (root && (found = vt_missing_next(view, root - 1, &at)) >= 0) {
		if (!vt_row_thread(view, &moment, (uint32_t)found, &info))
			continue;
		vt_text_init(&line, buffer, sizeof(buffer));
		prefix_add(ladder, end, now_ns - LOAD(registry->tree->asked_ns), &line);
		vt_print_thread(&info, &line);
		if (!vt_lines_put(lines, &line))
			return;
	}
}

/* Begins to write where the service wants to read. Return: whether it does. */
static bool report_begin(const struct vt_ladder *ladder, struct vt_lines *lines)
{
	struct vt_file file = { LOAD(ladder->report_device), LOAD(ladder->report_inode) };
	int fd = LOAD(ladder->report_fd);

	return fd > 0 && vt_lines_begin(lines, fd, file, vt_clock_now() + WRITE_NS);
}

static void list_write(vitals_registry *registry, const struct vt_ladder *ladder,
		       bool end, uint64_t now_ns)
{
	struct vt_lines lines;

	if (!report_begin(ladder, &lines))
		return;
	missing_write(registry, ladder, end, now_ns, &lines);
	vt_lines_end(&lines);
}

static void text_write(const struct vt_ladder *ladder, const char *text)
{
	char buffer[128];
	struct vt_lines lines;
	struct vt_text line;

	if (!report_begin(ladder, &lines))
		return;
	vt_text_init(&line, buffer, sizeof(buffer));
	vt_text_add(&line, text);
	(void)vt_lines_put(&lines, &line);
	vt_lines_end(&lines);
}

__attribute__((noreturn)) static void leave(const struct vt_ladder *ladder)
{
	vt_leave(LOAD(ladder->at_deadline) == VITALS_ABORT_AT_DEADLINE,
		 vt_ladder_late_status(ladder));
}

/* Whoever has taken the last step says who is late. */
static void report_write(vitals_registry *registry, struct vt_ladder *ladder, bool late,
			 uint64_t now_ns)
{
	if (late)
		list_write(registry, ladder, true, now_ns);
	else if (vt_ladder_leaves(ladder))
		text_write(ladder, "vitals: all threads have left, the process has not");
	/* The service manager's last word of us, for the process may be about to leave. */
	vt_systemd_turn_at(registry, now_ns);
	vt_log_last_at(registry, now_ns);
	STORE(ladder->written, 1);
	vt_futex_wake(&ladder->written, INT32_MAX);
}

/* The time is up, and finish has no answer. */
static uint64_t end_at(vitals_registry *registry, struct vt_ladder *ladder, uint64_t seen,
		       uint64_t deadline_ns, uint64_t now_ns)
{
	uint32_t root = LOAD(registry->root->main_quitter);
	bool late = root && vt_missing_count(&registry->view, root - 1);

	if (!late && !vt_ladder_leaves(ladder))
		return UINT64_MAX;
	/* Main may be just about to get as far as finish, or finish to its end. */
	if (!late && now_ns < deadline_ns + RESERVE_MAX_NS)
		return deadline_ns + RESERVE_MAX_NS;
	if (take(ladder, seen, STEP_END))
		report_write(registry, ladder, late, now_ns);
	if (!vt_ladder_leaves(ladder) || !(LOAD(ladder->state) & STEP_END) ||
	    LOAD(ladder->state) >> STEP_BITS != seen >> STEP_BITS)
		return UINT64_MAX;
	/* Whoever writes the report may be kept from it. */
	if (LOAD(ladder->written) || now_ns >= deadline_ns + WRITE_NS)
		leave(ladder);
	return deadline_ns + WRITE_NS;
}

/* The handlers of exit(), of which nothing is known, have not come back. */
static uint64_t exits_at(const struct vt_ladder *ladder, uint64_t now_ns)
{
	uint64_t by_ns = LOAD(ladder->leave_by_ns);

	if (!by_ns)
		return UINT64_MAX;
	if (now_ns < by_ns)
		return by_ns;
	text_write(ladder,
		   "vitals: all threads have left, an exit handler has not returned");
	leave(ladder);
}

/* Before the time is up. Return: when the next step is due. */
static uint64_t steps_at(vitals_registry *registry, struct vt_ladder *ladder,
			 uint64_t seen, uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t timeout_ns = LOAD(ladder->timeout_ns);
	uint64_t half_ns = LOAD(registry->tree->asked_ns) + timeout_ns / 2;
	uint64_t most_ns = half_ns + timeout_ns / 10 * 3;

	if (now_ns < half_ns)
		return half_ns < deadline_ns ? half_ns : deadline_ns;
	if (take(ladder, seen, now_ns < most_ns ? STEP_HALF : STEP_MOST))
		list_write(registry, ladder, false, now_ns);
	return now_ns < most_ns && most_ns < deadline_ns ? most_ns : deadline_ns;
}

uint64_t vt_ladder_climb_at(vitals_registry *registry, struct vt_ladder *ladder,
			    uint64_t now_ns)
{
	uint64_t seen = LOAD(ladder->state);
	uint64_t deadline_ns = vt_ladder_deadline(registry, ladder);

	if (deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	if (seen & STEP_OVER)
		return exits_at(ladder, now_ns);
	if (now_ns < deadline_ns)
		return steps_at(registry, ladder, seen, deadline_ns, now_ns);
	return end_at(registry, ladder, seen, deadline_ns, now_ns);
}

void vt_ladder_over(vitals_registry *registry, struct vt_ladder *ladder, bool late)
{
	uint64_t now_ns = vt_clock_now(), seen = LOAD(ladder->state);

	if (seen & STEP_OVER)
		return; /* asked once more */
	if (late && take(ladder, seen, STEP_END))
		report_write(registry, ladder, true, now_ns);
	if (!late && take(ladder, seen, STEP_OVER))
		return;
	/* The time was up first; another may be at its report. */
	while (!LOAD(ladder->written) && vt_clock_now() < now_ns + WRITE_NS)
		(void)vt_futex_wait(&ladder->written, 0, now_ns + WRITE_NS);
	if (vt_ladder_leaves(ladder) && !(LOAD(ladder->state) & STEP_OVER))
		leave(ladder);
	atomic_fetch_or_explicit(&ladder->state, STEP_OVER, memory_order_acq_rel);
}

void vt_ladder_exits(const vitals_registry *registry, struct vt_ladder *ladder,
		     uint64_t now_ns)
{
	uint64_t by_ns = vt_ladder_deadline(registry, ladder);

	if (by_ns == UINT64_MAX || by_ns < now_ns + RESERVE_MAX_NS)
		by_ns = now_ns + RESERVE_MAX_NS;
	STORE(ladder->leave_by_ns, by_ns);
}
