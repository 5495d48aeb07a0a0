/* SPDX-License-Identifier: MIT */

/*
 * A million registrations, pulses, touches, idles and closes in virtual time, against a naive model
 * that knows for each heartbeat when it last gave a sign, and adds up. VITALS_MODEL_SEED and
 * VITALS_MODEL_OPERATIONS make it another, or longer.
 *
 * What is demanded is what is promised: rows are exact at once; the monitor finds silence in the
 * first turn after the deadline, and may look at what is well an eighth of its timeout later.
 */

#include "chance.h"
#include "harness.h"

#include "heartbeat.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPERATIONS 1000000
#define LIVING_MAX 300
#define HELD_MAX 50
#define IDS_MAX (1u << 20) /* a power of two, twice what is registered */
#define NAMES 20
#define GROUPS 5
/* At most a tick of the shortest timeout. */
#define TURN_MAX_NS VITALS_MS(10)
#define OPERATIONS_A_TURN 64
#define TURNS_A_WALK 50
#define TURNS_A_READ 30

#define BIT(state) (1u << (state))
#define GOOD (BIT(VITALS_STARTING) | BIT(VITALS_HEALTHY) | BIT(VITALS_IDLE))

/* A check that is millions of times well: ck_assert writes to a file each time. */
#define EXPECT(is, left, right)                                                          \
	do {                                                                             \
		long long left_ = (long long)(left), right_ = (long long)(right);        \
                                                                                         \
		if (!(left_ is right_))                                                  \
			ck_abort_msg("%s " #is " %s: %lld, %lld", #left, #right, left_,  \
				     right_);                                            \
	} while (0)

enum sign {
	NO_SIGN,
	PULSED,
	TOUCHED,
	IDLED,
};

struct model {
	vitals_heartbeat *heartbeat;
	uint64_t id;
	uint32_t slot; /* in ids */
	uint32_t name;
	uint32_t number;
	uint32_t group;
	uint32_t flags;
	bool lazy;
	uint64_t timeout_ns;
	uint64_t stuck_ns;
	uint64_t start_ns;
	uint64_t interval_ns;
	/* The last sign of life, and since when it is as good as it is. */
	enum sign sign;
	uint64_t sign_ns;
	uint64_t good_ns;
	/* What the monitor may know. */
	uint32_t known;
	uint32_t stalls;
	uint64_t stalled_ns;     /* from silent to well … */
	uint64_t stuck_ended_ns; /* … or from stuck, if it was */
	/* Its histogram. */
	uint64_t pulse_ns; /* 0: the next begins an interval */
	uint64_t pulses;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint64_t missed;
	bool seen; /* by the walk */
};

/* Of an id, for ever: what the readers were told of it. */
struct told {
	uint64_t id;
	struct model *living;
	int state;      /* of the prompt reader: enum vitals_state, -1: nothing yet */
	int late_state; /* of the other one */
	uint64_t since_ns;
	uint64_t stall_ns; /* since when it is silent, or was the last time */
	uint64_t worst_ns;
};

struct totals {
	uint64_t pulses;
	uint64_t sum_ns;
	uint64_t missed;
	uint64_t stalls;
	uint64_t late_pulses;
	uint64_t late_sum_ns;
};

static vitals_registry *registry;
static vitals_snapshot *snapshot;
static vitals_events *prompt, *tardy;
static struct chance chance;
static uint64_t now, turn_ns; /* and that of the last turn */
static uint64_t n_told, n_tardy;

static struct model models[LIVING_MAX];
static uint32_t n_living;
static vitals_heartbeat *held[HELD_MAX]; /* closed, and not let go of */
static uint32_t n_held;
static struct told ids[IDS_MAX];
static struct totals totals[GROUPS], before[GROUPS];

static const char *const group_names[GROUPS] = { "default", "a", "b", "c", "d" };

static void setup(void)
{
	chance.state = number_from("VITALS_MODEL_SEED", 20);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &prompt), 0);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &tardy), 0);
	now = turn_ns = VITALS_S(1000);
	ck_assert_int_eq(vitals_step(registry, now), 0);
}

static void teardown(void)
{
	snapshot = vitals_snapshot_free(snapshot);
	prompt = vitals_events_close(prompt);
	tardy = vitals_events_close(tardy);
	registry = vitals_registry_free(registry);
}

/* Whole microseconds, for a beat has no room for its last two bits. */
static void time_passes(uint64_t ns)
{
	now += ns - ns % VITALS_US(1);
}

/* Where an id is, or would be. */
static struct told *told_of(uint64_t id)
{
	uint32_t at = (uint32_t)(id * 0x9e3779b97f4a7c15u >> 44) % IDS_MAX;

	while (ids[at].id && ids[at].id != id)
		at = (at + 1) % IDS_MAX;
	return &ids[at];
}

/* What is the case */

static uint32_t silence_state(const struct model *m, uint64_t silence_ns)
{
	uint64_t allowed_ns = m->sign == NO_SIGN ? m->start_ns : m->timeout_ns;

	if (silence_ns <= allowed_ns)
		return m->sign == NO_SIGN ? VITALS_STARTING : VITALS_HEALTHY;
	allowed_ns = allowed_ns > m->stuck_ns ? allowed_ns : m->stuck_ns;
	return silence_ns > allowed_ns ? VITALS_STUCK : VITALS_SILENT;
}

/* A touch is as old as itself at most, and a quarter of the timeout younger at least. */
static uint32_t states_of(const struct model *m)
{
	uint64_t most_ns = now - m->sign_ns, slack_ns = m->timeout_ns / 4;
	uint32_t oldest, youngest, states = 0;

	if (m->sign == IDLED)
		return BIT(VITALS_IDLE);
	oldest = silence_state(m, most_ns);
	if (m->sign != TOUCHED)
		return BIT(oldest);
	youngest = silence_state(m, most_ns > slack_ns ? most_ns - slack_ns : 0);
	states = BIT(oldest) | BIT(youngest);
	return oldest == VITALS_STUCK && youngest == VITALS_HEALTHY
		       ? states | BIT(VITALS_SILENT)
		       : states;
}

/* What the monitor may make of it in the turn that has just been. */
static void known_update(struct model *m)
{
	uint32_t states = states_of(m);
	uint64_t lag_ns = m->timeout_ns / VT_TICKS + 3 * TURN_MAX_NS;

	if ((states & GOOD) && now - m->good_ns <= lag_ns)
		m->known |= states;
	else
		m->known = states;
}

/* Operations */

static uint32_t number_free(uint32_t name)
{
	uint32_t number, i;

	for (number = 1;; number++) {
		for (i = 0; i < n_living; i++)
			if (models[i].name == name && models[i].number == number)
				break;
		if (i == n_living)
			return number;
	}
}

static void model_draw(struct model *m, struct vitals_heartbeat_options *options)
{
	static const uint64_t timeouts[] = { 80, 160, 400, 1000 };
	static const uint32_t kinds[] = { 0, VITALS_COARSE_HISTOGRAM,
					  VITALS_NO_HISTOGRAM };

	memset(m, 0, sizeof(*m));
	VITALS_INIT(options);
	m->timeout_ns = VITALS_MS(timeouts[chance_below(&chance, 4)]);
	m->stuck_ns = 4 * m->timeout_ns;
	m->start_ns = m->timeout_ns;
	m->interval_ns = m->timeout_ns / 2;
	m->name = (uint32_t)chance_below(&chance, NAMES);
	m->group = (uint32_t)chance_below(&chance, GROUPS);
	m->lazy = chance_below(&chance, 3) == 0;
	m->flags = kinds[chance_below(&chance, 3)];
	m->flags |= chance_below(&chance, 3) ? 0 : VITALS_INFORMATIVE;
	if (chance_below(&chance, 4) == 0)
		m->stuck_ns = options->stuck_ns = 2 * m->timeout_ns;
	if (chance_below(&chance, 4) == 0)
		m->start_ns = options->start_ns = 3 * m->timeout_ns;
	if (chance_below(&chance, 4) == 0)
		m->interval_ns = options->interval_ns = m->timeout_ns / 4;
	if (m->group || chance_below(&chance, 2))
		options->group = group_names[m->group];
	options->flags = m->flags;
}

/* By its slot: the public functions say ids in rows and events only. */
static uint64_t id_of(const vitals_heartbeat *heartbeat)
{
	return atomic_load(&vt_heartbeat_hot(heartbeat)->id);
}

static void model_new(void)
{
	struct vitals_heartbeat_options options;
	struct model *m = &models[n_living];
	struct told *told;
	char name[VITALS_NAME_MAX];

	if (n_living == LIVING_MAX)
		return;
	model_draw(m, &options);
	m->number = number_free(m->name);
	(void)snprintf(name, sizeof(name), "worker-%u", m->name);
	EXPECT(==,
	       vt_heartbeat_new_at(registry, name, m->timeout_ns, &options, now,
				   &m->heartbeat),
	       0);
	m->sign_ns = m->good_ns = now;
	m->known = BIT(VITALS_STARTING);
	m->id = id_of(m->heartbeat);
	n_living++;
	told = told_of(m->id);
	EXPECT(!=, m->id, 0);
	/* Never twice. */
	EXPECT(==, told->id, 0);
	*told = (struct told){ m->id, m, -1, -1, now, now, 0 };
}

static void model_close(struct model *m)
{
	told_of(m->id)->living = NULL;
	if (n_held < HELD_MAX && chance_below(&chance, 2)) {
		vitals_heartbeat_close(m->heartbeat);
		held[n_held++] = m->heartbeat;
	} else {
		(void)vitals_heartbeat_unref(m->heartbeat);
	}
	*m = models[--n_living];
	if (m != &models[n_living])
		told_of(m->id)->living = m;
}

/* What is closed takes nothing any more. */
static void held_step(void)
{
	uint32_t i;

	if (!n_held)
		return;
	i = (uint32_t)chance_below(&chance, n_held);
	EXPECT(==, vt_heartbeat_pulse_at(held[i], now), -ECANCELED);
	EXPECT(==, vt_heartbeat_idle_at(held[i], now), -ECANCELED);
	vitals_heartbeat_touch(held[i]);
	if (chance_below(&chance, 2)) {
		(void)vitals_heartbeat_unref(held[i]);
		held[i] = held[--n_held];
	}
}

static void interval_ends(struct model *m)
{
	struct totals *group = &totals[m->group];
	uint64_t ns = now - m->pulse_ns;

	if (!(m->flags & VITALS_NO_HISTOGRAM)) {
		m->pulses++;
		m->sum_ns += ns;
		m->max_ns = ns > m->max_ns ? ns : m->max_ns;
		group->pulses++;
		group->sum_ns += ns;
	}
	if (ns > m->interval_ns) {
		group->late_pulses++;
		group->late_sum_ns += ns - m->interval_ns;
		group->missed += ns / m->interval_ns - 1;
		if (!(m->flags & VITALS_NO_HISTOGRAM))
			m->missed += ns / m->interval_ns - 1;
	}
}

static void sign_set(struct model *m, enum sign sign)
{
	uint32_t was = states_of(m);

	m->sign = sign;
	m->sign_ns = now;
	/* No longer quite what it was: then the monitor may take a while to see it. */
	if (was != states_of(m))
		m->good_ns = now;
}

static void model_beat(struct model *m)
{
	uint64_t kind = chance_below(&chance, 16);

	if (m->lazy && chance_below(&chance, 32))
		return;
	if (kind == 0) {
		if (m->pulse_ns)
			interval_ends(m);
		m->pulse_ns = 0;
		EXPECT(==, vt_heartbeat_idle_at(m->heartbeat, now), 0);
		sign_set(m, IDLED);
	} else if (kind < 4) {
		vitals_heartbeat_touch(m->heartbeat);
		sign_set(m, TOUCHED);
	} else {
		if (m->pulse_ns)
			interval_ends(m);
		m->pulse_ns = now;
		EXPECT(==, vt_heartbeat_pulse_at(m->heartbeat, now), 0);
		sign_set(m, PULSED);
	}
}

static void operation(void)
{
	uint64_t what = chance_below(&chance, 64);

	if (n_living == 0 || what < 5)
		model_new();
	else if (what < 9)
		model_close(&models[chance_below(&chance, n_living)]);
	else if (what < 12)
		held_step();
	else
		model_beat(&models[chance_below(&chance, n_living)]);
}

/* What the readers are told */

static bool quiet(int state)
{
	return state == VITALS_SILENT || state == VITALS_STUCK;
}

static void stalls_count(struct model *m, struct told *told,
			 const struct vitals_event *event)
{
	if (quiet(event->to) && !quiet(event->from)) {
		m->stalls++;
		totals[m->group].stalls++;
		told->stall_ns = event->at_ns;
	}
	if (quiet(event->from) && !quiet(event->to)) {
		m->stalled_ns += event->at_ns - told->stall_ns;
		m->stuck_ended_ns += event->at_ns - told->since_ns;
	}
}

/*
 * How long it was what it is no longer. Before its first event nobody is told of it: then as the
 * monitor saw it. Of one that was stuck it may be the whole stall.
 */
static void lasted_expect(const struct told *told, const struct vitals_event *event)
{
	if (event->from < 0)
		EXPECT(<=, event->lasted_ns, now - told->since_ns);
	else if (event->from != VITALS_STUCK || event->lasted_ns != now - told->stall_ns)
		EXPECT(==, event->lasted_ns, now - told->since_ns);
}

static void event_expect(const struct vitals_event *event)
{
	struct told *told = told_of(event->heartbeat_id);
	struct model *m = told->living;

	EXPECT(==, event->kind, VITALS_EVENT_HEARTBEAT);
	EXPECT(==, event->lost, 0);
	EXPECT(==, event->at_ns, now);
	EXPECT(==, told->id, event->heartbeat_id);
	/* What is closed is not told of any more. */
	EXPECT(!=, m != NULL, 0);
	EXPECT(==, event->from, told->state);
	EXPECT(!=, event->to, event->from);
	if (!(m->known & BIT(event->to)))
		ck_abort_msg("%s: %d to %d, known %x, sign %d %.3f ms ago", event->name,
			     event->from, event->to, m->known, (int)m->sign,
			     (double)(now - m->sign_ns) / 1e6);
	EXPECT(==, strcmp(event->group, group_names[m->group]), 0);
	EXPECT(==, event->flags, m->flags);
	if (quiet(event->to)) {
		EXPECT(<=, event->silence_ns, now - m->sign_ns);
		if (m->sign != TOUCHED)
			EXPECT(==, event->silence_ns, now - m->sign_ns);
		told->worst_ns = event->silence_ns;
	} else if (quiet(event->from)) {
		EXPECT(>=, event->silence_ns, told->worst_ns);
	}
	lasted_expect(told, event);
	stalls_count(m, told, event);
	told->state = event->to;
	told->since_ns = now;
}

static void prompt_read(void)
{
	static uint64_t number;
	struct vitals_event event;

	VITALS_INIT(&event);
	while (vitals_events_next(prompt, 0, &event) == 0) {
		EXPECT(>, event.number, number);
		number = event.number;
		event_expect(&event);
		n_told++;
	}
}

/* Reads now and then, and not always to the end. */
static void tardy_read(uint64_t n)
{
	static uint64_t number;
	struct vitals_event event;
	struct told *told;

	VITALS_INIT(&event);
	while (n-- && vitals_events_next(tardy, 0, &event) == 0) {
		EXPECT(>, event.number, number);
		number = event.number;
		n_tardy += 1 + event.lost;
		told = told_of(event.heartbeat_id);
		EXPECT(==, told->id, event.heartbeat_id);
		EXPECT(!=, event.to, event.from);
		told->late_state = event.to;
	}
}

/* All was read: what it knows is what the other knows. */
static void tardy_expect(void)
{
	uint32_t i;

	tardy_read(UINT64_MAX);
	for (i = 0; i < n_living; i++) {
		const struct told *told = told_of(models[i].id);

		EXPECT(==, told->late_state, told->state);
	}
}

/* What the rows say */

static void counts_expect(void)
{
	struct vitals_process_info process;
	uint32_t counts[2][VITALS_STATES] = { { 0 } };
	uint32_t i, state;

	for (i = 0; i < n_living; i++) {
		const struct told *told = told_of(models[i].id);

		state = told->state < 0 ? VITALS_STARTING : (uint32_t)told->state;
		if (!(models[i].known & BIT(state)))
			ck_abort_msg(
				"worker-%u#%u is told to be %s, known %x, timeout %.0f "
				"ms, sign %d %.3f ms ago, that good for %.3f ms",
				models[i].name, models[i].number,
				vitals_state_name((int)state), models[i].known,
				(double)models[i].timeout_ns / 1e6, (int)models[i].sign,
				(double)(now - models[i].sign_ns) / 1e6,
				(double)(now - models[i].good_ns) / 1e6);
		counts[models[i].flags & VITALS_INFORMATIVE][state]++;
	}
	VITALS_INIT(&process);
	EXPECT(==, vt_snapshot_take_at(&registry->view, registry, now, &snapshot), 0);
	EXPECT(==, vitals_snapshot_process(snapshot, &process), 0);
	for (state = 0; state < VITALS_STATES; state++) {
		EXPECT(==, process.critical[state], counts[0][state]);
		EXPECT(==, process.informative[state], counts[1][state]);
	}
	EXPECT(==, process.pauses, 0);
	EXPECT(==, process.changes, n_told);
}

static void row_expect(const struct vitals_heartbeat_info *row)
{
	const struct told *told = told_of(row->id);
	struct model *m = told->living;
	char name[VITALS_SHOWN_MAX];

	EXPECT(!=, m != NULL, 0);
	EXPECT(==, m->seen, 0);
	m->seen = true;
	(void)snprintf(name, sizeof(name), m->number > 1 ? "worker-%u#%u" : "worker-%u",
		       m->name, m->number);
	EXPECT(==, strcmp(row->name, name), 0);
	EXPECT(==, strcmp(row->group_name, group_names[m->group]), 0);
	EXPECT(==, row->flags, m->flags);
	if (!(states_of(m) & BIT(row->state)))
		ck_abort_msg("%s is %s, not %x", name, vitals_state_name((int)row->state),
			     states_of(m));
	EXPECT(==, row->timeout_ns, m->timeout_ns);
	EXPECT(==, row->interval_ns, m->interval_ns);
	if (m->sign != TOUCHED)
		EXPECT(==, row->beat_ns, m->sign_ns);
	EXPECT(>=, row->changed_ns, told->since_ns);
	if (told->state >= 0)
		EXPECT(==, row->changed_ns, told->since_ns);
	EXPECT(==, row->pulses, m->pulses);
	EXPECT(==, row->sum_ns, m->sum_ns);
	EXPECT(==, row->max_ns, m->max_ns);
	EXPECT(==, row->missed, m->missed);
	EXPECT(==, row->stalls, m->stalls);
	EXPECT(<=, row->stalled_ns, m->stalled_ns);
	EXPECT(>=, row->stalled_ns, m->stuck_ended_ns);
}

static void groups_expect(void)
{
	struct vitals_group_info row;
	uint32_t i, g, n;

	VITALS_INIT(&row);
	for (i = 0; vitals_snapshot_group(snapshot, i, &row) == 0; i++) {
		for (g = 0; g < GROUPS && strcmp(group_names[g], row.name) != 0; g++)
			continue;
		EXPECT(<, g, GROUPS);
		for (n = 0; n < VITALS_STATES; n++)
			row.states[0] += n ? row.states[n] : 0;
		for (n = 0; n < n_living; n++)
			row.states[0] -= models[n].group == g;
		EXPECT(==, row.states[0], 0);
		EXPECT(==, row.pulses, totals[g].pulses);
		EXPECT(==, row.sum_ns, totals[g].sum_ns);
		EXPECT(==, row.missed, totals[g].missed);
		EXPECT(==, row.stalls, totals[g].stalls);
		EXPECT(==, row.late_pulses, totals[g].late_pulses);
		EXPECT(==, row.late_sum_ns, totals[g].late_sum_ns);
		/* Whoever closed has taken nothing with him. */
		EXPECT(>=, row.pulses, before[g].pulses);
		before[g].pulses = row.pulses;
	}
}

/* Between two turns, too: rows are exact at once. */
static void walk_expect(void)
{
	struct vitals_heartbeat_info row;
	uint32_t i;

	for (i = 0; i < n_living; i++)
		models[i].seen = false;
	VITALS_INIT(&row);
	EXPECT(==, vt_snapshot_take_at(&registry->view, registry, now, &snapshot), 0);
	for (i = 0; vitals_snapshot_heartbeat(snapshot, i, &row) == 0; i++)
		row_expect(&row);
	EXPECT(==, i, n_living);
	groups_expect();
}

static void turn(void)
{
	uint32_t i;

	turn_ns = now;
	EXPECT(==, vitals_step(registry, now), 0);
	for (i = 0; i < n_living; i++)
		known_update(&models[i]);
	prompt_read();
	counts_expect();
}

/* Of every length, and sometimes nobody does anything for so long that many go silent. */
static void turn_passes(void)
{
	uint64_t spent_ns = now - turn_ns;

	time_passes(chance_below(&chance, TURN_MAX_NS - spent_ns));
	turn();
}

static uint64_t operations_run(uint64_t done)
{
	uint64_t n = chance_below(&chance, 2 * OPERATIONS_A_TURN), i;

	for (i = 0; i < n; i++) {
		if (now - turn_ns < TURN_MAX_NS - VITALS_US(200))
			time_passes(chance_below(&chance, VITALS_US(150)));
		operation();
	}
	if (chance_below(&chance, TURNS_A_WALK) == 0)
		walk_expect();
	turn_passes();
	if (chance_below(&chance, TURNS_A_READ) == 0)
		tardy_read(chance_below(&chance, 2 * LIVING_MAX));
	if (chance_below(&chance, 4 * TURNS_A_READ) == 0)
		tardy_expect();
	for (i = chance_below(&chance, 200) ? 0 : chance_below(&chance, 200); i; i--)
		turn_passes();
	return done + n;
}

START_TEST(a_million_operations_come_out_as_in_the_model)
{
	uint64_t done = 0, wanted = number_from("VITALS_MODEL_OPERATIONS", OPERATIONS);
	struct vitals_process_info process;

	while (done < wanted)
		done = operations_run(done);
	walk_expect();
	while (n_living)
		model_close(&models[n_living - 1]);
	turn_passes();
	/* What is lost is said with the next event: one that is read. */
	model_new();
	ck_assert_int_eq(vt_heartbeat_pulse_at(models[0].heartbeat, now), 0);
	sign_set(&models[0], PULSED);
	while (told_of(models[0].id)->state != VITALS_HEALTHY)
		turn_passes();
	tardy_expect();
	VITALS_INIT(&process);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &process), 0);
	ck_assert_uint_eq(n_tardy, process.changes);
	ck_assert_uint_eq(n_told, process.changes);
	while (n_living)
		model_close(&models[n_living - 1]);
	while (n_held)
		(void)vitals_heartbeat_unref(held[--n_held]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tc = tcase_create("core");

	printf("model: seed %llu\n",
	       (unsigned long long)number_from("VITALS_MODEL_SEED", 20));
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_million_operations_come_out_as_in_the_model);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
