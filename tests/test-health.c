/* SPDX-License-Identifier: MIT */

#include "fake-snapshot.h"
#include "harness.h"
#include "health.h"
#include "json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct vx_environment environment = { .timeout_scale = "3" };
static struct vx_buffer out;
static struct vx_stats stats;
static vitals_snapshot *snapshot;

/* Which allocation of cJSON's fails; 0: none. */
static unsigned long fail_at, allocations;

static void *json_malloc(size_t size)
{
	return ++allocations == fail_at ? NULL : malloc(size);
}

static void setup(void)
{
	cJSON_Hooks hooks = { json_malloc, free };

	memset(&stats, 0, sizeof(stats));
	fail_at = 0;
	allocations = 0;
	cJSON_InitHooks(&hooks);
	fake_service();
	ck_assert_int_eq(vitals_snapshot_take(NULL, &snapshot), 0);
}

static void teardown(void)
{
	snapshot = vitals_snapshot_free(snapshot);
	vx_buffer_free(&out);
}

static int try_render(bool verbose)
{
	struct vx_look look = {
		.snapshot = snapshot,
		.stats = &stats,
		.environment = &environment,
		.max_series = 10000,
	};

	VITALS_INIT(&look.process);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &look.process), 0);
	vx_buffer_empty(&out);
	return vx_health_render(&look, verbose, &out);
}

/* The caller deletes it. */
static cJSON *render(bool verbose)
{
	cJSON *json;

	ck_assert_int_eq(try_render(verbose), 0);
	json = cJSON_ParseWithLength(out.data, out.length);
	ck_assert_msg(json != NULL, "not JSON: %.*s", (int)out.length, out.data);
	ck_assert_int_eq(out.data[out.length - 1], '\n');
	return json;
}

static void golden_compare(bool verbose, const char *name)
{
	char *golden;
	size_t size;

	cJSON_Delete(render(verbose));
	golden = golden_read(name, &size);
	vx_buffer_bytes(&out, "", 1);
	ck_assert_str_eq(out.data, golden);
	free(golden);
}

START_TEST(renders_the_short_body_as_ever)
{
	golden_compare(false, "health.json");
}
END_TEST

START_TEST(renders_the_verbose_body_as_ever)
{
	golden_compare(true, "health-verbose.json");
}
END_TEST

START_TEST(renders_evidence_as_ever)
{
	fake_evidence();
	golden_compare(_i, _i ? "health-evidence-verbose.json" : "health-evidence.json");
}
END_TEST

/* Class and sentence of a row whose thread was looked at; nothing of another. */
START_TEST(says_what_a_thread_is_doing)
{
	cJSON *json, *worst, *row;

	fake_evidence();
	json = render(false);
	worst = cJSON_GetObjectItem(json, "worst");
	row = cJSON_GetArrayItem(worst, 0);
	ck_assert_str_eq(cJSON_GetObjectItem(row, "class")->valuestring, "lock");
	ck_assert_str_eq(cJSON_GetObjectItem(row, "doing")->valuestring,
			 fake.heartbeats[1].doing);
	ck_assert_ptr_null(cJSON_GetObjectItem(row, "reason"));
	row = cJSON_GetArrayItem(worst, 1);
	ck_assert_str_eq(cJSON_GetObjectItem(row, "class")->valuestring, "unknown");
	ck_assert_ptr_null(cJSON_GetObjectItem(row, "doing"));
	ck_assert_str_eq(cJSON_GetObjectItem(row, "reason")->valuestring,
			 vitals_reason_text(VITALS_REASON_NOT_DUMPABLE));
	cJSON_Delete(json);
	fake_service();
	cJSON_Delete(render(true));
	vx_buffer_bytes(&out, "", 1);
	ck_assert_ptr_null(strstr(out.data, "\"class\""));
	ck_assert_ptr_null(strstr(out.data, "\"evidence\""));
}
END_TEST

/* One that has ended is of interest to those who ask for everything. */
START_TEST(shows_deadlocks_whole_while_they_last)
{
	cJSON *json, *findings;

	fake_evidence();
	json = render(_i);
	findings = cJSON_GetObjectItem(json, "findings");
	ck_assert_int_eq(cJSON_GetArraySize(findings), _i ? 2 : 1);
	ck_assert_str_eq(cJSON_GetObjectItem(findings->child, "doing")->valuestring,
			 fake.findings[0].doing);
	ck_assert_double_eq(cJSON_GetObjectItem(json, "deadlocks")->valuedouble, 2);
	ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(json, "asleep")));
	ck_assert_ptr_nonnull(strstr(cJSON_GetObjectItem(json, "summary")->valuestring,
				     "held by worker-2 (tid 4714); 1 deadlock"));
	cJSON_Delete(json);
}
END_TEST

START_TEST(says_that_all_are_asleep)
{
	cJSON *json;

	fake_finding(VITALS_EVENT_ASLEEP, 4, "all 4 threads are asleep");
	fake.process.asleep = 1;
	json = render(false);
	ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(json, "asleep")));
	ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "findings")->child,
					     "kind")
				 ->valuestring,
			 "asleep");
	ck_assert_ptr_nonnull(strstr(cJSON_GetObjectItem(json, "summary")->valuestring,
				     "; all threads are asleep"));
	cJSON_Delete(json);
}
END_TEST

/* As whole numbers would be rounded by most who read it. */
START_TEST(writes_addresses_as_text)
{
	cJSON *json, *evidence;

	fake_evidence();
	fake.evidence[1].lock = UINT64_MAX;
	json = render(true);
	evidence = cJSON_GetObjectItem(
		cJSON_GetArrayItem(cJSON_GetObjectItem(json, "heartbeats"), 1),
		"evidence");
	ck_assert_str_eq(cJSON_GetObjectItem(evidence, "lock")->valuestring,
			 "0xffffffffffffffff");
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(evidence, "args")), 6);
	cJSON_Delete(json);
}
END_TEST

START_TEST(names_every_row_when_verbose)
{
	cJSON *json;

	fake_workers(1000);
	json = render(true);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "heartbeats")),
			 1000);
	cJSON_Delete(json);
}
END_TEST

START_TEST(ends_with_its_summary)
{
	const cJSON *last;
	cJSON *json = render(_i);

	for (last = json->child; last->next;)
		last = last->next;
	ck_assert_str_eq(last->string, "summary");
	cJSON_Delete(json);
}
END_TEST

static const struct {
	uint32_t health;
	const char *status;
} statuses[] = {
	{ VITALS_PASS, "pass" },
	{ VITALS_WARN, "warn" },
	{ VITALS_FAIL, "fail" },
	{ 17, "fail" }, /* of a newer library */
};

START_TEST(says_the_status_first)
{
	cJSON *json;

	fake.process.health = statuses[_i].health;
	json = render(false);
	ck_assert_str_eq(json->child->string, "status");
	ck_assert_str_eq(json->child->valuestring, statuses[_i].status);
	cJSON_Delete(json);
}
END_TEST

/* Doubles would make 9007199254740992 of it. */
START_TEST(keeps_integers_whole)
{
	fake.heartbeats[0].pulses = 9007199254740993u;
	fake.heartbeats[0].id = UINT64_MAX;
	cJSON_Delete(render(true));
	ck_assert_ptr_nonnull(
		memmem(out.data, out.length, "\"pulses\":9007199254740993,", 26));
	ck_assert_ptr_nonnull(
		memmem(out.data, out.length, "\"id\":18446744073709551615,", 26));
}
END_TEST

static const char *sentences = "d\x02\\";

/* Names of the greatest length, of characters that take the most room. */
static void worst_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	*ret = fake.heartbeats[0];
	ret->state = VITALS_DEAD;
	memset(ret->name, index % 2 ? '\\' : '\x01', sizeof(ret->name) - 1);
	memset(ret->group_name, '"', sizeof(ret->group_name) - 1);
	ret->silence_ns = UINT64_MAX;
	ret->timeout_ns = UINT64_MAX - 1;
	ret->thread_class = VITALS_ON_LOCK;
	memset(ret->doing, sentences[index % 3], sizeof(ret->doing) - 1);
}

static void many_wrong(void)
{
	fake_workers(100000);
	fake.heartbeat = worst_make;
	fake.process.critical[VITALS_HEALTHY] = 0;
	fake.process.critical[VITALS_DEAD] = 100000;
	fake.process.flags = 0;
	fake.process.not_watched_ns = UINT64_MAX;
}

START_TEST(stays_within_four_kilobytes)
{
	struct vitals_finding_info *finding;
	cJSON *json, *worst;
	int i;

	many_wrong();
	for (i = 0; i < _i % 10; i++) {
		finding = fake_finding(VITALS_EVENT_DEADLOCK, 9, "");
		memset(finding->doing, _i < 10 ? '"' : 'd', sizeof(finding->doing) - 1);
	}
	fake.process.asleep = 1;
	fake.process.deadlocks = UINT64_MAX;
	json = render(false);
	ck_assert_uint_le(out.length, VX_HEALTH_MAX);
	worst = cJSON_GetObjectItem(json, "worst");
	ck_assert_int_gt(cJSON_GetArraySize(worst), 0);
	ck_assert_double_eq(cJSON_GetObjectItem(json, "worst_hidden")->valuedouble,
			    100000 - cJSON_GetArraySize(worst));
	ck_assert_int_eq(!!cJSON_GetObjectItem(json, "findings")->child, _i % 10 != 0);
	cJSON_Delete(json);
}
END_TEST

/* As in one lock: each of them is named, and the first whole. */
static void same_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	*ret = fake.heartbeats[0];
	ret->state = VITALS_STUCK;
	ret->thread_class = VITALS_ON_LOCK;
	snprintf(ret->name, sizeof(ret->name), "worker-%u", index);
	snprintf(ret->doing, sizeof(ret->doing),
		 "waits for mutex journal (0x7ffd00005581), held by flusher (tid 71), "
		 "which waits to write to a socket (descriptor 7)");
}

START_TEST(cuts_sentences_so_that_many_have_one)
{
	cJSON *json, *worst, *row;
	size_t length;

	fake_workers(500);
	fake.heartbeat = same_make;
	fake.process.critical[VITALS_HEALTHY] = 0;
	fake.process.critical[VITALS_STUCK] = 500;
	json = render(false);
	ck_assert_uint_le(out.length, VX_HEALTH_MAX);
	worst = cJSON_GetObjectItem(json, "worst");
	ck_assert_int_ge(cJSON_GetArraySize(worst), 8);
	same_make(0, &fake.heartbeats[1]);
	ck_assert_str_eq(cJSON_GetObjectItem(worst->child, "doing")->valuestring,
			 fake.heartbeats[1].doing);
	for (row = worst->child->next; row; row = row->next) {
		const char *doing = cJSON_GetObjectItem(row, "doing")->valuestring;

		length = strlen(doing);
		ck_assert_uint_ge(length, 40);
		ck_assert_str_eq(doing + length - 3, "\xe2\x80\xa6");
	}
	cJSON_Delete(json);
}
END_TEST

START_TEST(shows_the_worst_first)
{
	const char *const names[] = { "gone", "worker-2", "slow", "new" };
	cJSON *json, *worst;
	int i;

	fake_heartbeat("new", VITALS_STARTING);
	fake_heartbeat("slow", VITALS_SILENT);
	fake_heartbeat("gone", VITALS_DEAD);
	json = render(false);
	worst = cJSON_GetObjectItem(json, "worst");
	ck_assert_int_eq(cJSON_GetArraySize(worst), 4);
	for (i = 0; i < 4; i++)
		ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(worst, i), "name")
					 ->valuestring,
				 names[i]);
	cJSON_Delete(json);
}
END_TEST

/* A chain so deep that recursing down it would end the thread: rows know no depth. */
static void chain_make(uint32_t index, struct vitals_quitter_info *ret)
{
	*ret = fake.quitters[0];
	ret->id = 1 + index;
	ret->parent_id = index;
	ret->depth = index;
}

START_TEST(takes_a_tree_of_any_depth)
{
	cJSON *json, *quitters;

	fake.quitter = chain_make;
	fake.n_quitters = 10000;
	json = render(true);
	quitters = cJSON_GetObjectItem(json, "quitters");
	ck_assert_int_eq(cJSON_GetArraySize(quitters), 10000);
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(quitters->child, "parent_id")));
	cJSON_Delete(json);
}
END_TEST

START_TEST(says_why_a_quitter_was_told)
{
	cJSON *json, *row;

	fake.quitters[2].told = 1;
	fake.quitters[2].told_ns = fake.process.from_ns - VITALS_S(3);
	fake.quitters[2].timed_out = 1;
	fake.quitters[2].late = 1;
	fake.quitters[2].cause_kind = VITALS_CAUSE_SIGNAL;
	strcpy(fake.quitters[2].cause_text, "SIGTERM");
	json = render(true);
	row = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "quitters"), 2);
	ck_assert_str_eq(cJSON_GetObjectItem(row, "state")->valuestring, "timed_out");
	ck_assert_str_eq(cJSON_GetObjectItem(row, "cause")->valuestring, "signal");
	ck_assert_str_eq(cJSON_GetObjectItem(row, "cause_text")->valuestring, "SIGTERM");
	ck_assert_double_eq(cJSON_GetObjectItem(row, "told_age_seconds")->valuedouble, 3);
	ck_assert_double_eq(cJSON_GetObjectItem(row, "late")->valuedouble, 1);
	cJSON_Delete(json);
}
END_TEST

START_TEST(shows_its_environment)
{
	cJSON *json = render(true), *switches;

	switches = cJSON_GetObjectItem(json, "environment");
	ck_assert_str_eq(
		cJSON_GetObjectItem(switches, "VITALS_TIMEOUT_SCALE")->valuestring, "3");
	ck_assert(cJSON_IsNull(cJSON_GetObjectItem(switches, "VITALS")));
	cJSON_Delete(json);
}
END_TEST

static void hostile_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	unsigned random = index * 2654435761u + 1;
	size_t i, n = 1 + index % (VITALS_SHOWN_MAX - 1);

	*ret = fake.heartbeats[0];
	for (i = 0; i < n; i++) {
		random = random * 1664525u + 1013904223u;
		ret->name[i] = (char)(random >> 24 ? random >> 24 : 'x');
	}
	ret->name[n] = '\0';
}

START_TEST(cannot_be_broken_by_names)
{
	cJSON *json;
	FILE *jq;
	size_t i;

	fake_workers(100000);
	fake.heartbeat = hostile_make;
	json = render(true);
	ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "heartbeats")),
			 100000);
	cJSON_Delete(json);
	for (i = 0; i < out.length; i++)
		if ((unsigned char)out.data[i] < 0x20 && out.data[i] != '\n')
			ck_abort_msg("a control character at %zu", i);
	if (system("command -v jq >/dev/null 2>&1") != 0)
		return;
	jq = popen("jq -e '.heartbeats | length == 100000' >/dev/null", "w");
	ck_assert_ptr_nonnull(jq);
	ck_assert_uint_eq(fwrite(out.data, 1, out.length, jq), out.length);
	ck_assert_int_eq(pclose(jq), 0);
}
END_TEST

/* The nth allocation fails, for every n there is. */
START_TEST(says_so_when_there_is_no_memory)
{
	unsigned long n;
	int r;

	if (_i > 1)
		fake_evidence();
	for (n = 1; n < 100000; n++) {
		allocations = 0;
		fail_at = n;
		r = try_render(_i % 2);
		if (allocations < n)
			break;
		ck_assert_int_eq(r, -ENOMEM);
	}
	ck_assert_uint_lt(n, 100000);
	ck_assert_uint_gt(n, 20);
	fail_at = 0;
	cJSON_Delete(render(_i % 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, renders_the_short_body_as_ever);
	tcase_add_test(tc, renders_the_verbose_body_as_ever);
	tcase_add_loop_test(tc, renders_evidence_as_ever, 0, 2);
	tcase_add_test(tc, says_what_a_thread_is_doing);
	tcase_add_loop_test(tc, shows_deadlocks_whole_while_they_last, 0, 2);
	tcase_add_test(tc, says_that_all_are_asleep);
	tcase_add_test(tc, writes_addresses_as_text);
	tcase_add_test(tc, names_every_row_when_verbose);
	tcase_add_loop_test(tc, ends_with_its_summary, 0, 2);
	tcase_add_loop_test(tc, says_the_status_first, 0, 4);
	tcase_add_test(tc, keeps_integers_whole);
	tcase_add_loop_test(tc, stays_within_four_kilobytes, 0, 20);
	tcase_add_test(tc, cuts_sentences_so_that_many_have_one);
	tcase_add_test(tc, shows_the_worst_first);
	tcase_add_test(tc, takes_a_tree_of_any_depth);
	tcase_add_test(tc, says_why_a_quitter_was_told);
	tcase_add_test(tc, shows_its_environment);
	tcase_add_test(tc, cannot_be_broken_by_names);
	tcase_add_loop_test(tc, says_so_when_there_is_no_memory, 0, 4);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
