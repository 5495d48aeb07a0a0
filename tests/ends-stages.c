/* SPDX-License-Identifier: MIT */

/*
 * The order of the stages, in a time that stands still between turns: who is in which, who leaves
 * when, how long the first wait for readiness, when somebody looks, all by chance. After each turn
 * those are told that have to be by then, and nobody else.
 */

#include "ends.h"

#include "unblock.h"

#include <stdio.h>

#define T VITALS_S(5000)
#define CHILDREN_MAX 5
#define TURNS_MAX 200

struct child {
	vitals_quitter *quitter;
	uint32_t stage;
	uint64_t leaves_ns; /* when it leaves, whether it was told or not */
	bool left;
};

/* A shutdown, and where it should stand. */
struct shutdown {
	vitals_registry *registry;
	vitals_quitter *main;
	struct child children[CHILDREN_MAX];
	uint32_t n;
	uint64_t budget_ns;
	uint64_t ready_off_ns;
	uint64_t second_ns; /* when it is asked for once more; UINT64_MAX: never */
	uint64_t drain_until_ns;
	bool told[3]; /* by stage */
	const char *wrong;
	char plan[512]; /* what has happened, for who has to look into it */
	int length;
};

static void note(struct shutdown *shutdown, const char *what, uint64_t ns)
{
	int room = (int)sizeof(shutdown->plan) - shutdown->length, n;

	n = snprintf(shutdown->plan + shutdown->length, (size_t)room, " %s %.3f", what,
		     (double)(int64_t)ns / 1e6);
	if (n > 0 && n < room)
		shutdown->length += n;
}

static bool has(const struct shutdown *shutdown, uint32_t stage)
{
	uint32_t i;

	for (i = 0; i < shutdown->n; i++)
		if (shutdown->children[i].stage == stage)
			return true;
	return false;
}

static bool empty(const struct shutdown *shutdown, uint32_t stage)
{
	uint32_t i;

	for (i = 0; i < shutdown->n; i++)
		if (shutdown->children[i].stage == stage && !shutdown->children[i].left)
			return false;
	return true;
}

/* The deadline, and when those who flush have to know at the latest. */
static uint64_t last_at(const struct shutdown *shutdown, uint64_t now_ns)
{
	uint64_t reserve_ns = 0, end_ns = T + shutdown->budget_ns;

	if (has(shutdown, VITALS_STAGE_FLUSH))
		reserve_ns = shutdown->budget_ns / 10 < VITALS_S(1)
				     ? shutdown->budget_ns / 10
				     : VITALS_S(1);
	if (now_ns >= shutdown->second_ns && shutdown->second_ns + reserve_ns < end_ns)
		return shutdown->second_ns;
	return end_ns - reserve_ns;
}

/* Who has to be told by @now_ns, by the words of the header alone. */
static void should(struct shutdown *shutdown, uint64_t now_ns)
{
	uint64_t last_ns = last_at(shutdown, now_ns);
	uint64_t ready_ns = T + shutdown->ready_off_ns;

	if (now_ns < ready_ns && now_ns < last_ns)
		return;
	if (!shutdown->told[VITALS_STAGE_DRAIN])
		shutdown->drain_until_ns =
			now_ns < last_ns ? now_ns + (last_ns - now_ns) / 2 : now_ns;
	shutdown->told[VITALS_STAGE_DRAIN] = true;
	if (!empty(shutdown, VITALS_STAGE_DRAIN) && now_ns < last_ns &&
	    now_ns < shutdown->drain_until_ns && !shutdown->told[VITALS_STAGE_QUIT])
		return;
	shutdown->told[VITALS_STAGE_QUIT] = true;
	if (has(shutdown, VITALS_STAGE_FLUSH) && now_ns < last_ns &&
	    !(empty(shutdown, VITALS_STAGE_DRAIN) && empty(shutdown, VITALS_STAGE_QUIT)))
		return;
	shutdown->told[VITALS_STAGE_FLUSH] = true;
}

static uint64_t turn(struct shutdown *shutdown, uint64_t now_ns, bool event)
{
	vitals_registry *registry = shutdown->registry;
	struct vt_told told = { 0 };
	uint64_t wish_ns;

	vt_lock(&registry->lock);
	wish_ns = vt_main_turn_at(registry, registry->main, event, false, now_ns, &told);
	vt_unlock(&registry->lock);
	vt_told_done(registry, &told);
	return wish_ns;
}

static void check(struct shutdown *shutdown, uint64_t now_ns, uint64_t wish_ns)
{
	uint64_t flags = atomic_load(&shutdown->registry->root->flags);
	uint32_t i;

	should(shutdown, now_ns);
	for (i = 0; i < shutdown->n; i++) {
		const struct child *child = &shutdown->children[i];
		bool told = vitals_quitter_must_quit(child->quitter);

		if (told && !shutdown->told[child->stage])
			shutdown->wrong = "told too early";
		if (!told && shutdown->told[child->stage])
			shutdown->wrong = "not told in time";
	}
	if (!(flags & VT_ROOT_QUITTING))
		shutdown->wrong = "still ready";
	if (vitals_quitter_must_quit(shutdown->main) != shutdown->told[VITALS_STAGE_QUIT])
		shutdown->wrong = "main itself is told with the others";
	/* Whoever comes when it was asked to is in time for those who flush. */
	if (!shutdown->told[VITALS_STAGE_FLUSH] && wish_ns > last_at(shutdown, now_ns))
		shutdown->wrong = "would come too late to flush";
	if (!shutdown->told[VITALS_STAGE_FLUSH] && wish_ns <= now_ns)
		shutdown->wrong = "would come at once, for nothing";
}

/* Those whose time it is leave, and a second request comes. Return: when the next does. */
static uint64_t pass(struct shutdown *shutdown, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX, never = 0;
	uint32_t i;

	for (i = 0; i < shutdown->n; i++) {
		struct child *child = &shutdown->children[i];

		if (!child->left && child->leaves_ns <= now_ns) {
			child->left = true;
			(void)vitals_quitter_release(child->quitter, "work");
			note(shutdown, "left", child->leaves_ns - T);
		}
		if (!child->left && child->leaves_ns < next_ns)
			next_ns = child->leaves_ns;
	}
	if (now_ns >= shutdown->second_ns)
		(void)atomic_compare_exchange_strong(
			&shutdown->registry->tree->expired_ns, &never,
			shutdown->second_ns);
	else if (shutdown->second_ns < next_ns)
		next_ns = shutdown->second_ns;
	return next_ns;
}

static void run(struct shutdown *shutdown, struct chance *chance)
{
	uint64_t now_ns = T, wish_ns, next_ns, turns = 0;
	bool event = true;

	while (!shutdown->wrong && turns++ < TURNS_MAX) {
		next_ns = pass(shutdown, now_ns);
		wish_ns = turn(shutdown, now_ns, event);
		note(shutdown, "turn", now_ns - T);
		check(shutdown, now_ns, wish_ns);
		event = false;
		next_ns = wish_ns < next_ns ? wish_ns : next_ns;
		if (next_ns == UINT64_MAX)
			return;
		/* Mostly when it was to be, at times before or after. */
		switch (chance_below(chance, 8)) {
		case 0:
			now_ns += chance_below(chance, next_ns - now_ns + 1);
			break;
		case 1:
			now_ns = next_ns + chance_below(chance, shutdown->budget_ns / 4);
			break;
		default:
			now_ns = next_ns;
		}
	}
	if (!shutdown->wrong)
		shutdown->wrong = "did not come to an end";
}

static bool make(struct shutdown *shutdown, struct chance *chance)
{
	struct vitals_quitter_options options;
	uint32_t i;

	*shutdown = (struct shutdown){ .n = (uint32_t)chance_below(chance,
								   CHILDREN_MAX + 1) };
	shutdown->budget_ns = VITALS_MS(1 + chance_below(chance, 20000));
	shutdown->second_ns = UINT64_MAX;
	if (chance_below(chance, 3) == 0)
		shutdown->ready_off_ns =
			chance_below(chance, shutdown->budget_ns * 3 / 2);
	if (chance_below(chance, 5) == 0)
		shutdown->second_ns = T + chance_below(chance, shutdown->budget_ns);
	VITALS_INIT(&options);
	options.ready_off_ns = shutdown->ready_off_ns;
	if (vitals_registry_new(0, &shutdown->registry) ||
	    vitals_quitter_new_main(shutdown->registry, shutdown->budget_ns, &options,
				    &shutdown->main) ||
	    vitals_quitter_on_fd(shutdown->main, 1000, "stop") != 0)
		return false;
	note(shutdown, "budget", shutdown->budget_ns);
	note(shutdown, "off", shutdown->ready_off_ns);
	for (i = 0; i < shutdown->n; i++) {
		struct child *child = &shutdown->children[i];

		VITALS_INIT(&options);
		options.stage = child->stage = (uint32_t)chance_below(chance, 3);
		child->leaves_ns =
			chance_below(chance, 4) == 0
				? UINT64_MAX
				: T + chance_below(chance, shutdown->budget_ns);
		if (vitals_quitter_new(shutdown->main, "child", &options,
				       &child->quitter) ||
		    vitals_quitter_hold(child->quitter, "work"))
			return false;
		note(shutdown,
		     child->stage ? child->stage == 1 ? "drain" : "flush" : "quit",
		     child->leaves_ns - T);
	}
	return true;
}

static void unmake(struct shutdown *shutdown)
{
	uint32_t i;

	for (i = 0; i < shutdown->n; i++) {
		if (!shutdown->children[i].left)
			(void)vitals_quitter_release(shutdown->children[i].quitter,
						     "work");
		(void)vitals_quitter_free(shutdown->children[i].quitter);
	}
	(void)vitals_quitter_free(shutdown->main);
	(void)vitals_registry_free(shutdown->registry);
}

bool ends_stages(uint32_t n, struct chance *chance)
{
	static struct shutdown shutdown;
	uint32_t i, wrong = 0;

	for (i = 0; i < n; i++) {
		struct chance before = *chance;

		if (!make(&shutdown, chance))
			shutdown.wrong = "could not be made";
		else
			run(&shutdown, chance);
		if (shutdown.wrong && wrong++ < 5)
			printf("WRONG: stages, seed %llu: %s:%s\n",
			       (unsigned long long)before.state, shutdown.wrong,
			       shutdown.plan);
		unmake(&shutdown);
	}
	printf("%-36s %5u: %u wrong\n", "stages by chance", n, wrong);
	return !wrong;
}
