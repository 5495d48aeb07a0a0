/* SPDX-License-Identifier: MIT */

#include "evidence.h"

#include "clock.h"

#include <string.h>

/* What one look found, on its way into the record. */
struct finding {
	struct vt_proc *proc;
	const struct vt_namer *namer;
	const struct vt_window *window;
	const struct vt_chain *chain; /* NULL: it is in no futex call */
	struct vt_throttle throttle;
	enum vitals_class thread_class;
	enum vitals_reason reason;
};

static uint64_t rise(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

/* Nobody reads the rest. */
static void add_ms(struct vt_text *text, uint64_t ns)
{
	vt_text_add_duration(text, ns < VITALS_MS(10) ? ns : ns - ns % VITALS_MS(1));
}

/* What it got of a processor since it wants to run, and what its control group had to do with it. */
static void add_share(const struct finding *finding, struct vt_text *text)
{
	const struct vt_window *window = finding->window;
	uint64_t span_ns = window->run.last_ns - window->run.since_ns;

	if (window->run.looks < 2 || !span_ns)
		return;
	vt_text_add(text, ": ");
	vt_text_add_u64(text, (vt_window_share(window) + 5) / 10);
	vt_text_add(text, " % of a processor over ");
	add_ms(text, span_ns);
	if (window->has_throttle &&
	    finding->throttle.throttled_ns > window->throttled_ns) {
		vt_text_add(text, ", throttled ");
		add_ms(text, finding->throttle.throttled_ns - window->throttled_ns);
	}
}

static void add_halted(const struct vt_sample *sample, struct vt_text *text)
{
	if (sample->state != 't' && !sample->tracer) {
		vt_text_add(text, "is stopped by a signal");
		return;
	}
	vt_text_add(text, "is stopped by a debugger");
	if (sample->tracer) {
		vt_text_add(text, " (pid ");
		vt_text_add_u64(text, sample->tracer);
		vt_text_add(text, ")");
	}
}

static void add_wait(const struct finding *finding, struct vt_text *text)
{
	if (finding->chain && finding->chain->hops[0].wait.kind != VITALS_LOCK_NONE)
		vt_chain_describe(finding->proc, finding->namer, finding->chain, text);
	if (!text->length)
		vt_call_describe(finding->proc, &finding->window->last, text);
	/* One switch may be that of a debugger, or of a setuid. */
	if (rise(finding->window->first.voluntary, finding->window->last.voluntary) > 1 &&
	    finding->window->first.has & finding->window->last.has & VT_SAMPLE_SWITCHES)
		vt_text_add(text, finding->chain && finding->chain->n > 1
					  ? "; again and again"
					  : ", again and again");
}

static void add_class(const struct finding *finding, struct vt_text *text)
{
	switch (finding->thread_class) {
	case VITALS_UNKNOWN:
		break;
	case VITALS_GONE:
		vt_text_add(text, "is gone: its thread has ended");
		break;
	case VITALS_HALTED:
		add_halted(&finding->window->last, text);
		break;
	case VITALS_SPINNING:
		vt_text_add(text, "spins");
		add_share(finding, text);
		break;
	case VITALS_STARVED:
		vt_text_add(text, "could run and is not let");
		add_share(finding, text);
		break;
	case VITALS_RUNNING:
		vt_text_add(text, "runs");
		add_share(finding, text);
		break;
	default:
		add_wait(finding, text);
		break;
	}
}

static void doing_write(const struct finding *finding, char *doing)
{
	struct vt_text text;
	size_t n;

	vt_text_init(&text, doing, VITALS_DOING_MAX);
	add_class(finding, &text);
	if (finding->reason) {
		vt_text_add(&text, text.length ? "; " : "");
		vt_text_add(&text, vitals_reason_text((int)finding->reason));
	}
	if (text.length < VITALS_DOING_MAX)
		return;
	/* Cut, but not in the middle of a character. */
	for (n = VITALS_DOING_MAX - 1; n && (doing[n - 1] & 0xc0) == 0x80; n--)
		doing[n - 1] = 0;
	if (n && (doing[n - 1] & 0xc0) == 0xc0)
		doing[n - 1] = 0;
}

static enum vitals_class class_waiting(const struct finding *finding)
{
	uint32_t kind = finding->chain ? finding->chain->hops[0].wait.kind
				       : VITALS_LOCK_NONE;

	if (kind == VITALS_LOCK_MUTEX || kind == VITALS_LOCK_RWLOCK)
		return VITALS_ON_LOCK;
	return vt_call_class(&finding->window->last);
}

static enum vitals_class class_of(const struct finding *finding)
{
	const struct vt_sample *last = &finding->window->last;
	enum vitals_class ran;

	if (last->gone)
		return VITALS_GONE;
	switch (last->state) {
	case 'Z':
	case 'X':
	case 'x':
		return VITALS_GONE;
	case 'T':
	case 't':
		return VITALS_HALTED;
	case 'R':
		return vt_window_class(finding->window, &finding->throttle);
	case 0:
		/* By its clock alone: it spins, or nothing is known. */
		ran = vt_window_class(finding->window, &finding->throttle);
		return ran == VITALS_SPINNING ? ran : VITALS_UNKNOWN;
	default:
		return class_waiting(finding);
	}
}

/* What counts from the first look on. */
static void figures_write(const struct vt_window *window,
			  struct vitals_evidence *evidence)
{
	const struct vt_sample *first = &window->first, *last = &window->last;
	unsigned both = first->has & last->has;

	evidence->window_ns = last->at_ns - first->at_ns;
	evidence->looks = window->looks;
	evidence->moved = window->moved;
	if (first->clock_ns)
		evidence->cpu_ns = rise(first->clock_ns, last->clock_ns);
	if (both & VT_SAMPLE_STATE) {
		evidence->user_ns = rise(first->user_ns, last->user_ns);
		evidence->system_ns = rise(first->system_ns, last->system_ns);
		evidence->minor_faults = rise(first->minor_faults, last->minor_faults);
		evidence->major_faults = rise(first->major_faults, last->major_faults);
	}
	if (both & VT_SAMPLE_DELAY)
		evidence->run_delay_ns = rise(first->run_delay_ns, last->run_delay_ns);
	if (both & VT_SAMPLE_SWITCHES) {
		evidence->voluntary = rise(first->voluntary, last->voluntary);
		evidence->involuntary = rise(first->involuntary, last->involuntary);
	}
}

static void sample_write(const struct vt_sample *last, struct vitals_evidence *evidence)
{
	char clean[VITALS_TEXT_MAX];

	evidence->state = (unsigned char)last->state;
	evidence->call = last->call;
	memcpy(evidence->args, last->args, sizeof(evidence->args));
	/* No longer than it was: what is bad becomes one byte each. */
	vt_text_clean(clean, last->comm);
	memcpy(evidence->comm, clean, strlen(clean) + 1);
	memcpy(evidence->wchan, last->wchan, sizeof(evidence->wchan));
}

static void chain_write(const struct vt_chain *chain, struct vitals_evidence *evidence)
{
	const struct vt_wait *wait = &chain->hops[0].wait;

	evidence->lock = wait->lock;
	evidence->lock_kind = wait->kind;
	evidence->holder_tid = wait->holder_tid;
	evidence->hops = chain->n ? chain->n - 1 : 0;
	evidence->deadlock = chain->deadlock;
}

static void machine_write(struct finding *finding, uint64_t now_ns,
			  struct vitals_evidence *evidence)
{
	const struct vt_window *window = finding->window;
	const struct vt_pressure *pressure = &finding->proc->pressure;

	vt_machine_pressure(finding->proc, now_ns);
	evidence->pressure_cpu = pressure->cpu;
	evidence->pressure_io = pressure->io;
	evidence->pressure_memory = pressure->memory;
	if (window->run.looks)
		vt_machine_throttle(finding->proc, evidence->tid, &finding->throttle);
	if (window->has_throttle)
		evidence->throttled_ns =
			rise(window->throttled_ns, finding->throttle.throttled_ns);
}

/* Where a call is what is missing, of one that waits in none nothing is. */
static enum vitals_reason reason_of(const struct vt_sample *last)
{
	bool waits = last->state == 'S' || last->state == 'D';
	bool refused = last->reason == VITALS_REASON_NOT_DUMPABLE ||
		       last->reason == VITALS_REASON_REFUSED;

	if (last->gone || (refused && last->has & VT_SAMPLE_STATE && !waits))
		return VITALS_REASON_NONE;
	return (enum vitals_reason)last->reason;
}

void vt_evidence_take(struct vt_proc *proc, const struct vt_namer *namer, uint32_t tid,
		      uint64_t now_ns, struct vt_window *window,
		      struct vitals_evidence *evidence, struct vt_chain *chain)
{
	struct finding finding = { .proc = proc, .namer = namer, .window = window };
	uint64_t begun_ns = vt_clock_now();
	struct vt_futex_call futex;
	struct vt_sample sample;
	struct vt_chain own;

	vt_evidence_none(tid, now_ns, VITALS_REASON_NONE, evidence);
	if (!chain)
		chain = &own;
	memset(chain, 0, sizeof(*chain));
	vt_sample_take(proc, tid,
		       VT_SAMPLE_STATE | VT_SAMPLE_DELAY | VT_SAMPLE_CALL |
			       VT_SAMPLE_SWITCHES | VT_SAMPLE_WCHAN,
		       now_ns, &sample);
	vt_window_add(window, &sample);
	if (!sample.gone && (sample.state == 'S' || sample.state == 'D') &&
	    vt_call_futex(&sample, &futex)) {
		vt_chain_follow(proc, &sample, now_ns, chain);
		finding.chain = chain;
	}
	machine_write(&finding, now_ns, evidence);
	finding.thread_class = class_of(&finding);
	finding.reason = reason_of(&sample);
	figures_write(window, evidence);
	sample_write(&sample, evidence);
	if (finding.chain)
		chain_write(chain, evidence);
	doing_write(&finding, evidence->doing);
	evidence->thread_class = (uint32_t)finding.thread_class;
	evidence->reason = (uint32_t)finding.reason;
	evidence->took_ns = vt_clock_now() - begun_ns;
}

void vt_evidence_none(uint32_t tid, uint64_t now_ns, enum vitals_reason reason,
		      struct vitals_evidence *evidence)
{
	uint32_t size = evidence->size;

	memset(evidence, 0, sizeof(*evidence));
	evidence->size = size;
	evidence->tid = tid;
	evidence->at_ns = now_ns;
	evidence->reason = (uint32_t)reason;
	evidence->call = VT_CALL_UNKNOWN;
	evidence->pressure_cpu = UINT32_MAX;
	evidence->pressure_io = UINT32_MAX;
	evidence->pressure_memory = UINT32_MAX;
	memcpy(evidence->doing, vitals_reason_text((int)reason),
	       strlen(vitals_reason_text((int)reason)) + 1);
}
