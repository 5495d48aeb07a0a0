/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "vitals.h"
#include "worst.h"

#define MANY 400u

static struct vt_worst_list list;
static struct vt_verdict verdicts[MANY]; /* as noted last */
static uint64_t random_state = 88172645463325252u;

static uint64_t draw(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static unsigned rank_of(uint32_t state)
{
	static const unsigned ranks[VT_STATES] = { [VITALS_STARTING] = 1,
						   [VITALS_SILENT] = 2,
						   [VITALS_STUCK] = 3,
						   [VITALS_DEAD] = 4 };

	return ranks[state];
}

/* Is @a before @b? Of the same badness whoever has been silent longer. */
static bool worse(const struct vt_verdict *a, const struct vt_verdict *b)
{
	if (a->state != b->state)
		return rank_of(a->state) > rank_of(b->state);
	return a->beat_ns < b->beat_ns;
}

static bool listed(uint32_t index)
{
	uint32_t i;

	for (i = 0; i < list.n && list.entries[i].index != index; i++)
		continue;
	return i < list.n;
}

static void note(uint32_t index)
{
	verdicts[index].state = (uint32_t)draw(VT_STATES);
	verdicts[index].beat_ns = 1 + draw(1u << 30);
	(void)vt_worst_note(&list, index, 1, &verdicts[index]);
}

/* Whatever happened: in order, each once, and only those that are bad. */
static void list_is_good(void)
{
	uint32_t i;

	ck_assert_uint_le(list.n, VT_WORST);
	for (i = 0; i < list.n; i++) {
		uint32_t index = list.entries[i].index;

		ck_assert(vt_worst_bad(verdicts[index].state));
		if (i)
			ck_assert(worse(&verdicts[list.entries[i - 1].index],
					&verdicts[index]));
	}
}

START_TEST(keeps_the_worst_first)
{
	uint32_t k, i, j, bads;

	for (k = 0; k < 20000; k++) {
		note((uint32_t)draw(MANY));
		list_is_good();
	}
	/* Once each has been looked at again, it is the worst of all that are listed. */
	for (i = 0; i < MANY; i++)
		(void)vt_worst_note(&list, i, 1, &verdicts[i]);
	list_is_good();
	for (i = bads = 0; i < MANY; i++) {
		bads += vt_worst_bad(verdicts[i].state);
		if (!vt_worst_bad(verdicts[i].state) || listed(i))
			continue;
		for (j = 0; j < list.n; j++)
			ck_assert(worse(&verdicts[list.entries[j].index], &verdicts[i]));
	}
	ck_assert_uint_gt(bads, VT_WORST);
	ck_assert_uint_eq(list.n, VT_WORST);
}
END_TEST

START_TEST(says_whether_anything_has_changed)
{
	struct vt_verdict silent = { .state = VITALS_SILENT, .beat_ns = 8 };
	struct vt_verdict healthy = { .state = VITALS_HEALTHY, .beat_ns = 8 };

	ck_assert(!vt_worst_note(&list, 7, 1, &healthy));
	ck_assert(vt_worst_note(&list, 7, 1, &silent));
	ck_assert(!vt_worst_note(&list, 7, 1, &silent));
	/* Another heartbeat in its slot. */
	ck_assert(vt_worst_note(&list, 7, 3, &silent));
	ck_assert_uint_eq(list.entries[0].gen, 3);
	ck_assert(vt_worst_note(&list, 7, 3, &healthy));
	ck_assert(!vt_worst_remove(&list, 7));
	ck_assert_uint_eq(list.n, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worst");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, keeps_the_worst_first);
	tcase_add_test(tc, says_whether_anything_has_changed);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
