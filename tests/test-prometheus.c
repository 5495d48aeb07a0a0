/* SPDX-License-Identifier: MIT */

#include "fake-snapshot.h"
#include "harness.h"
#include "prometheus.h"
#include "series.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct vx_prometheus prometheus;
static struct vx_buffer out;
static struct vx_stats stats;
static vitals_snapshot *snapshot;

static void setup(void)
{
	memset(&stats, 0, sizeof(stats));
	fake_service();
	ck_assert_int_eq(vitals_snapshot_take(NULL, &snapshot), 0);
}

static void teardown(void)
{
	snapshot = vitals_snapshot_free(snapshot);
	vx_prometheus_free(&prometheus);
	vx_buffer_free(&out);
}

static void render(uint32_t max_series)
{
	static const struct vx_environment environment;
	struct vx_look look = {
		.snapshot = snapshot,
		.stats = &stats,
		.environment = &environment,
		.max_series = max_series,
	};

	VITALS_INIT(&look.process);
	ck_assert_int_eq(vitals_snapshot_process(snapshot, &look.process), 0);
	vx_buffer_empty(&out);
	ck_assert_int_eq(vx_prometheus_render(&prometheus, &look, &out), 0);
}

/* How many lines are samples, and how many of those begin with @name. */
static uint64_t samples(const char *name)
{
	const char *line = out.data, *end = out.data + out.length, *next;
	uint64_t n = 0;

	for (; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		ck_assert_ptr_nonnull(next);
		next++;
		n += *line != '#' && strncmp(line, name, strlen(name)) == 0;
	}
	return n;
}

static bool has(const char *text)
{
	return memmem(out.data, out.length, text, strlen(text)) != NULL;
}

/* What promtool, the judge, says of it; true if there is none here. */
static bool promtool_accepts(void)
{
	FILE *promtool;

	if (system("command -v promtool >/dev/null 2>&1") != 0)
		return true;
	promtool = popen("promtool check metrics >&2", "w");
	ck_assert_ptr_nonnull(promtool);
	ck_assert_uint_eq(fwrite(out.data, 1, out.length, promtool), out.length);
	return pclose(promtool) == 0;
}

START_TEST(tells_how_long_shutdowns_took)
{
	fake.process.shutdowns = 3;
	fake.process.shutdown_sum_ns = VITALS_MS(10500);
	render(10000);
	ck_assert(has("vitals_quitter_shutdown_duration_seconds_bucket{le=\"1.0\"} 0\n"));
	ck_assert(has("vitals_quitter_shutdown_duration_seconds_bucket{le=\"4.0\"} 3\n"));
	ck_assert(
		has("vitals_quitter_shutdown_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
	ck_assert(has("vitals_quitter_shutdown_duration_seconds_sum 10.5\n"));
	ck_assert(has("vitals_quitter_shutdown_duration_seconds_count 3\n"));
	ck_assert(promtool_accepts());
}
END_TEST

START_TEST(renders_what_it_always_did)
{
	const char *compiler = "compiler=\"" __VERSION__ "\"";
	char *golden, *at;
	size_t size;

	stats.requests[VX_HANDLER_METRICS][VX_CODE_200] = 12;
	stats.requests[VX_HANDLER_HEALTH][VX_CODE_503] = 3;
	stats.connections = 1;
	stats.scrape_ns = 170500;
	stats.scrape_series = 211;
	render(10000);
	/* The one thing in it that depends on the machine. */
	vx_buffer_bytes(&out, "", 1);
	at = strstr(out.data, compiler);
	ck_assert_ptr_nonnull(at);
	memmove(at + strlen("compiler=\"\""), at + strlen(compiler),
		strlen(at + strlen(compiler)) + 1);
	memcpy(at, "compiler=\"\"", strlen("compiler=\"\""));

	golden = golden_read("metrics.txt", &size);
	ck_assert_str_eq(out.data, golden);
	free(golden);
}
END_TEST

/* Only of those that are not well: else every heartbeat would have ten of them in a year. */
START_TEST(tells_the_class_of_those_not_well)
{
	fake_evidence();
	fake.process.asleep = 1;
	render(10000);
	ck_assert_uint_eq(samples("vitals_heartbeat_class{"), 3);
	ck_assert(has("\nvitals_heartbeat_class{group=\"default\",heartbeat=\"walker\","
		      "class=\"spinning\"} 1\n"));
	ck_assert(has("\nvitals_heartbeat_class{group=\"default\",heartbeat=\"worker-1\","
		      "class=\"lock\"} 1\n"));
	ck_assert(has("\nvitals_heartbeat_class{group=\"default\",heartbeat=\"worker-2\","
		      "class=\"unknown\"} 1\n"));
	ck_assert(has("\nvitals_deadlocks_total 2\n"));
	ck_assert(has("\nvitals_asleep 1\n"));
	/* Neither sentences nor addresses become labels. */
	ck_assert(!has("waits"));
	ck_assert(!has("0x"));
	ck_assert_uint_eq(prometheus.series, samples(""));
	ck_assert(promtool_accepts());
}
END_TEST

static void stuck_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	*ret = fake.heartbeats[0];
	ret->state = VITALS_STUCK;
	ret->thread_class = index % VITALS_CLASSES;
	snprintf(ret->name, sizeof(ret->name), "worker-%u", index);
}

/* Of 850 beside fifty groups there is room for eight series each, but not for nine. */
static const struct {
	uint32_t groups, all, shown;
} crowds[] = {
	{ 1, 100, 100 },
	{ 1, 1000, 1000 },
	{ 1, 100000, 100 },
	{ 50, 850, 100 },
};

START_TEST(stays_within_its_limit_when_all_are_stuck)
{
	uint32_t all = crowds[_i].all, shown = crowds[_i].shown, i;

	fake_workers(all);
	for (i = 1; i < crowds[_i].groups; i++) {
		fake.groups[i] = fake.groups[0];
		snprintf(fake.groups[i].name, sizeof(fake.groups[i].name), "g%u", i);
	}
	fake.n_groups = fake.process.groups = crowds[_i].groups;
	fake.heartbeat = stuck_make;
	fake.process.critical[VITALS_HEALTHY] = 0;
	fake.process.critical[VITALS_STUCK] = all;
	render(10000);
	ck_assert_uint_eq(samples("vitals_heartbeat_class{"), shown);
	ck_assert_uint_le(prometheus.series, 10000);
	ck_assert_uint_eq(prometheus.series, samples(""));
	ck_assert_uint_eq(prometheus.dropped, (all - shown) * (VX_HEARTBEAT_SERIES + 1));
}
END_TEST

START_TEST(pleases_promtool)
{
	render(10000);
	ck_assert(promtool_accepts());
}
END_TEST

/* Else +Inf and _count differ, and a quantile is wrong. */
START_TEST(sums_every_bucket)
{
	uint64_t all = 0;
	char line[128];
	unsigned i;

	for (i = 0; i < VITALS_BUCKETS_COARSE; i++)
		all += fake.buckets[0][0][i];
	render(10000);
	snprintf(line, sizeof(line),
		 "vitals_heartbeat_pulse_interval_seconds_bucket{group=\"default\","
		 "le=\"+Inf\"} %llu\n",
		 (unsigned long long)all);
	ck_assert(has(line));
	snprintf(
		line, sizeof(line),
		"vitals_heartbeat_pulse_interval_seconds_count{group=\"default\"} %llu\n",
		(unsigned long long)all);
	ck_assert(has(line));
	/* 1 s is bucket 20 of those that are powers of two from 2^-20 on. */
	for (all = 0, i = 0; i <= 20; i++)
		all += fake.buckets[0][0][i];
	snprintf(line, sizeof(line), "{group=\"default\",le=\"1.0\"} %llu\n",
		 (unsigned long long)all);
	ck_assert(has(line));
}
END_TEST

START_TEST(says_when_not_how_long_ago)
{
	render(10000);
	/* Silent for 12.345678901 s at 1766000000.123456789. */
	ck_assert(has("vitals_heartbeat_last_pulse_timestamp_seconds{group=\"default\","
		      "heartbeat=\"worker-2\"} 1765999987.777777888\n"));
	ck_assert(has("vitals_time_seconds 1766000000.123456789\n"));
}
END_TEST

START_TEST(is_the_time_of_the_scrape_for_a_group_that_is_idle)
{
	fake.groups[0].oldest_beat_ns = 0;
	render(10000);
	ck_assert(
		has("vitals_heartbeat_oldest_pulse_timestamp_seconds{group=\"default\"} "
		    "1766000000.123456789\n"));
}
END_TEST

START_TEST(counts_its_series)
{
	render(10000);
	ck_assert_uint_eq(prometheus.series, samples(""));
	ck_assert_uint_eq(prometheus.dropped, 0);
}
END_TEST

START_TEST(shows_a_thousand_heartbeats)
{
	fake_workers(1000);
	render(10000);
	ck_assert_uint_eq(samples("vitals_heartbeat_timeout_seconds{"), 1000);
	ck_assert_uint_eq(prometheus.dropped, 0);
	ck_assert_uint_le(prometheus.series, 10000);
	ck_assert(promtool_accepts());
}
END_TEST

/* Two in a hundred thousand are bad: both are in, and all others are counted as left out.
 */
static void worker_make(uint32_t index, struct vitals_heartbeat_info *ret)
{
	*ret = fake.heartbeats[0];
	if (index == 99999 || index == 5)
		ret->state = VITALS_STUCK;
	snprintf(ret->name, sizeof(ret->name), "worker-%u", index);
}

START_TEST(shows_the_worst_of_a_hundred_thousand)
{
	fake_workers(100000);
	fake.heartbeat = worker_make;
	render(10000);
	ck_assert_uint_eq(samples("vitals_heartbeat_timeout_seconds{"), 2);
	ck_assert(has("vitals_heartbeat_healthy{group=\"default\",heartbeat=\"worker-"
		      "99999\"} 0\n"));
	ck_assert_uint_eq(prometheus.dropped, (100000 - 2) * VX_HEARTBEAT_SERIES);
	ck_assert_uint_le(prometheus.series, 10000);
}
END_TEST

START_TEST(shows_all_when_told_so)
{
	fake_workers(100000);
	render(2000000);
	ck_assert_uint_eq(samples("vitals_heartbeat_timeout_seconds{"), 100000);
	ck_assert_uint_eq(prometheus.dropped, 0);
}
END_TEST

static void quitter_make(uint32_t index, struct vitals_quitter_info *ret)
{
	*ret = fake.quitters[1];
	ret->timeouts = index == 1999;
	snprintf(ret->path, sizeof(ret->path), "main/q%u", index);
}

static void scopes_make(void)
{
	char name[32];
	uint32_t i;

	for (i = fake.process.scopes; i < FAKE_ROWS; i++) {
		snprintf(name, sizeof(name), "scope-%u", i);
		fake_scope(name, i, i);
	}
}

/* As many groups, quitters and scopes as there can be or more, and any limit. */
START_TEST(stays_within_its_limit)
{
	static const uint32_t limits[] = { 1, 200, 1000, 3000, 10000, 100000 };
	uint32_t limit = limits[_i], i;
	uint64_t all;

	for (i = 1; i < VITALS_GROUPS_MAX; i++) {
		fake.groups[i] = fake.groups[0];
		snprintf(fake.groups[i].name, sizeof(fake.groups[i].name), "g%u", i);
	}
	fake.n_groups = fake.process.groups = VITALS_GROUPS_MAX;
	fake.n_quitters = fake.process.quitters = 2000;
	fake.quitter = quitter_make;
	scopes_make();

	render(UINT32_MAX);
	all = prometheus.series;
	render(limit);
	ck_assert_uint_eq(prometheus.series, samples(""));
	ck_assert_uint_eq(prometheus.series + prometheus.dropped, all);
	if (limit >= 1000)
		ck_assert_uint_le(prometheus.series, limit);
	/* The one that matters is in though it is the last. */
	if (limit >= 10000)
		ck_assert(
			has("vitals_quitter_timeouts_total{quitter=\"main/q1999\"} 1\n"));
}
END_TEST

START_TEST(tells_cut_paths_apart)
{
	struct vitals_quitter_info *a = fake_quitter("main/x", 0);
	struct vitals_quitter_info *b = fake_quitter("main/y", 0);

	memset(a->path, 'p', sizeof(a->path) - 1);
	memcpy(b->path, a->path, sizeof(b->path));
	fake.process.quitters += 2;
	render(10000);
	ck_assert(has("p\",id=\"305\"}"));
	ck_assert(has("p\",id=\"306\"}"));
	ck_assert(promtool_accepts());
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
	fake_workers(100000);
	fake.heartbeat = hostile_make;
	memcpy(fake.groups[0].name, "\"}\\\n\x80\x1b[2J", 10);
	render(2000000);
	ck_assert_uint_eq(samples("vitals_heartbeat_timeout_seconds{"), 100000);
	ck_assert_ptr_null(memchr(out.data, 0x1b, out.length));
	ck_assert(promtool_accepts());
}
END_TEST

START_TEST(writes_points_where_others_write_commas)
{
	static const char *const commas[] = { "de_DE.UTF-8", "de_DE.utf8",
					      "fr_FR.UTF-8" };
	struct vx_buffer before;
	unsigned i;

	render(10000);
	before = out;
	memset(&out, 0, sizeof(out));
	for (i = 0; i < 3 && !setlocale(LC_ALL, commas[i]); i++)
		continue;
	render(10000);
	setlocale(LC_ALL, "C");
	ck_assert_uint_eq(out.length, before.length);
	ck_assert_int_eq(memcmp(out.data, before.data, out.length), 0);
	vx_buffer_free(&before);
}
END_TEST

START_TEST(says_so_when_there_is_no_memory)
{
	static const struct vx_environment environment;
	struct vx_look look = { .snapshot = snapshot,
				.stats = &stats,
				.environment = &environment,
				.max_series = 10000 };

	out.error = -ENOMEM;
	ck_assert_int_eq(vx_prometheus_render(&prometheus, &look, &out), -ENOMEM);
	ck_assert_uint_eq(out.length, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("prometheus");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, renders_what_it_always_did);
	tcase_add_test(tc, tells_how_long_shutdowns_took);
	tcase_add_test(tc, tells_the_class_of_those_not_well);
	tcase_add_loop_test(tc, stays_within_its_limit_when_all_are_stuck, 0,
			    sizeof(crowds) / sizeof(crowds[0]));
	tcase_add_test(tc, pleases_promtool);
	tcase_add_test(tc, sums_every_bucket);
	tcase_add_test(tc, says_when_not_how_long_ago);
	tcase_add_test(tc, is_the_time_of_the_scrape_for_a_group_that_is_idle);
	tcase_add_test(tc, counts_its_series);
	tcase_add_test(tc, shows_a_thousand_heartbeats);
	tcase_add_test(tc, shows_the_worst_of_a_hundred_thousand);
	tcase_add_test(tc, shows_all_when_told_so);
	tcase_add_loop_test(tc, stays_within_its_limit, 0, 6);
	tcase_add_test(tc, tells_cut_paths_apart);
	tcase_add_test(tc, cannot_be_broken_by_names);
	tcase_add_test(tc, writes_points_where_others_write_commas);
	tcase_add_test(tc, says_so_when_there_is_no_memory);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
