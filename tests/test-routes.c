/* SPDX-License-Identifier: MIT */

#include "fake-snapshot.h"
#include "harness.h"
#include "health.h"
#include "request.h"
#include "routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct vx_routes routes;
static struct vx_stats stats;
static struct vx_buffer body;
static struct vx_answer answer;

static void setup(void)
{
	fake_empty();
	memset(&stats, 0, sizeof(stats));
	routes = (struct vx_routes){ .stats = &stats, .max_series = 10000 };
	ck_assert_int_eq(vx_routes_init(&routes), 0);
}

static void teardown(void)
{
	vx_routes_deinit(&routes);
	vx_buffer_free(&body);
}

static unsigned ask(const char *method, const char *target)
{
	const struct vx_ask question = { .method = method, .target = target };

	vx_routes_answer(&routes, &question, &body, &answer);
	vx_buffer_bytes(&body, "", 1);
	body.length--;
	return answer.status;
}

static unsigned get(const char *target)
{
	return ask("GET", target);
}

static const struct {
	const char *target;
	unsigned status;
	const char *type;
	const char *begins;
} table[] = {
	{ "/", 200, "text/plain; charset=utf-8", "/health " },
	{ "/health", 200, "application/json", "{\"status\":\"pass\"" },
	{ "/health?verbose", 200, "application/json", "{\"status\":\"pass\"" },
	{ "/livez", 200, "text/plain; charset=utf-8", "ok\n" },
	{ "/readyz", 200, "text/plain; charset=utf-8", "ok\n" },
	{ "/startupz", 200, "text/plain; charset=utf-8", "ok\n" },
	{ "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP " },
	{ "/metrics?x=y", 200, "text/plain; version=0.0.4; charset=utf-8", "# HELP " },
	{ "/%68ealth", 200, "application/json", "{" },
	{ "/livez?verbose", 200, "text/plain; charset=utf-8", "[+]monitor ok\n" },
	{ "/livez?a&verbose=1", 200, "text/plain; charset=utf-8", "[+]monitor ok\n" },
	{ "/livez?verboser", 200, "text/plain; charset=utf-8", "ok\n" },
	{ "/livez?", 200, "text/plain; charset=utf-8", "ok\n" },
	{ "", 404, "text/plain; charset=utf-8", "not found: there are /health" },
	{ "/healthz", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/health/", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/Health", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/health%00", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/health%", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/health%zz", 404, "text/plain; charset=utf-8", "not found: " },
	{ "/readyz/", 404, "text/plain; charset=utf-8", "not found: no part" },
	{ "/readyz/nobody", 404, "text/plain; charset=utf-8", "not found: no part" },
	{ "http://x/health", 404, "text/plain; charset=utf-8", "not found: " },
};

START_TEST(answers)
{
	ck_assert_uint_eq(get(table[_i].target), table[_i].status);
	ck_assert_str_eq(answer.content_type, table[_i].type);
	ck_assert_msg(strncmp(body.data, table[_i].begins, strlen(table[_i].begins)) == 0,
		      "%s", body.data);
	ck_assert_int_eq(body.data[body.length - 1], '\n');
	ck_assert_ptr_null(answer.allow);
}
END_TEST

START_TEST(answers_head_like_get)
{
	unsigned status = get(table[_i].target);
	size_t length = body.length;

	ck_assert_uint_eq(ask("HEAD", table[_i].target), status);
	/* Its own requests are counted in it, and how long it took. */
	if (strncmp(table[_i].target, "/metrics", 8) != 0)
		ck_assert_uint_eq(body.length, length);
}
END_TEST

START_TEST(allows_no_other_method)
{
	static const char *const methods[] = { "POST",    "PUT",   "DELETE", "PATCH",
					       "OPTIONS", "TRACE", "get",    "" };

	ck_assert_uint_eq(ask(methods[_i], "/health"), 405);
	ck_assert_str_eq(answer.allow, "GET, HEAD");
	ck_assert_int_eq(answer.handler, VX_HANDLER_HEALTH);
	ck_assert_uint_eq(stats.requests[VX_HANDLER_HEALTH][VX_CODE_405], 1);
	ck_assert_uint_eq(ask(methods[_i], "/nowhere"), 405);
}
END_TEST

START_TEST(takes_no_body)
{
	const struct vx_ask question = { .method = "GET",
					 .target = "/health",
					 .has_body = true };

	vx_routes_answer(&routes, &question, &body, &answer);
	ck_assert_uint_eq(answer.status, 413);
	ck_assert(!vx_ask_is_plain(&question));
}
END_TEST

START_TEST(takes_no_target_without_end)
{
	ck_assert_uint_eq(get(NULL), 414);
	ck_assert_uint_eq(stats.requests[VX_HANDLER_OTHER][VX_CODE_414], 1);
}
END_TEST

/* What the core says is what is answered, whatever else is in the look. */
static const struct {
	uint32_t health, live, ready, flags;
	unsigned health_status, livez, readyz, startupz;
} verdicts[] = {
	{ VITALS_PASS, 1, 1, VITALS_PROCESS_STARTED_UP, 200, 200, 200, 200 },
	{ VITALS_WARN, 1, 1, VITALS_PROCESS_STARTED_UP, 200, 200, 200, 200 },
	{ VITALS_WARN, 1, 0, 0, 200, 200, 503, 503 }, /* starting */
	{ VITALS_FAIL, 1, 0, VITALS_PROCESS_STARTED_UP, 503, 200, 503, 200 }, /* silent */
	{ VITALS_FAIL, 0, 0, VITALS_PROCESS_STARTED_UP, 503, 503, 503, 200 }, /* stuck */
	{ VITALS_PASS, 1, 0, VITALS_PROCESS_STARTED_UP | VITALS_PROCESS_QUITTING, 200,
	  200, 503, 200 },
};

START_TEST(gives_the_verdict_as_status)
{
	fake_service();
	fake.process.health = verdicts[_i].health;
	fake.process.live = verdicts[_i].live;
	fake.process.ready = verdicts[_i].ready;
	fake.process.flags = VITALS_PROCESS_WATCHED | verdicts[_i].flags;
	ck_assert_uint_eq(get("/health"), verdicts[_i].health_status);
	ck_assert_uint_eq(get("/health?verbose"), verdicts[_i].health_status);
	ck_assert_uint_eq(get("/livez"), verdicts[_i].livez);
	ck_assert_uint_eq(get("/readyz"), verdicts[_i].readyz);
	ck_assert_uint_eq(get("/startupz"), verdicts[_i].startupz);
	ck_assert_uint_eq(get("/metrics"), 200);
}
END_TEST

START_TEST(says_why_when_it_fails)
{
	fake_service();
	ck_assert_uint_eq(get("/livez"), 503);
	ck_assert_str_eq(
		body.data,
		"[+]monitor ok\n"
		"[-]heartbeats failed: 1 not well: worker-2 is stuck, silent for "
		"12.345 s, allowed 1 s\n"
		"livez check failed\n");
	ck_assert_uint_eq(get("/readyz"), 503);
	ck_assert_str_eq(
		body.data,
		"[+]monitor ok\n"
		"[-]heartbeats failed: 1 not well: worker-2 is stuck, silent for "
		"12.345 s, allowed 1 s\n"
		"[+]quit ok\n"
		"[+]database ok\n"
		"readyz check failed\n");
}
END_TEST

START_TEST(says_what_the_thread_is_doing)
{
	fake_evidence();
	ck_assert_uint_eq(get("/livez"), 503);
	ck_assert_ptr_nonnull(strstr(
		body.data, ": worker-1 is stuck, silent for 12.345 s, allowed 1 s: "
			   "waits for mutex journal (0x7ffd00005581), held by "
			   "worker-2 (tid 4714)\n"));
}
END_TEST

START_TEST(says_how_long_somebody_is_silent)
{
	fake_service();
	fake.heartbeats[2].state = VITALS_SILENT;
	get("/readyz");
	ck_assert_ptr_nonnull(
		strstr(body.data, ": worker-2 is silent for 12.345 s, allowed 1 s\n"));
}
END_TEST

START_TEST(says_in_which_scope_somebody_is)
{
	struct vitals_heartbeat_info *row;

	fake_service();
	row = &fake.heartbeats[2];
	row->scope_depth = 2;
	row->scope_age_ns = VITALS_MS(2500);
	row->scope_budget_ns = VITALS_MS(200);
	strcpy(row->scope, "fsync");
	get("/readyz");
	ck_assert_ptr_nonnull(strstr(
		body.data, ": worker-2 is stuck in fsync for 2.5 s, allowed 0.2 s\n"));
	row->state = VITALS_DEAD;
	get("/readyz");
	ck_assert_ptr_nonnull(strstr(
		body.data,
		": worker-2 is dead in fsync, silent for 12.345 s, allowed 1 s\n"));
}
END_TEST

START_TEST(says_that_it_quits_and_why)
{
	fake.process.flags |= VITALS_PROCESS_QUITTING;
	fake.process.ready = 0;
	fake_quitter("main", -1)->told = 1;
	strcpy(fake.quitters[0].cause_text, "SIGTERM");
	ck_assert_uint_eq(get("/readyz"), 503);
	ck_assert_ptr_nonnull(
		strstr(body.data, "[-]quit failed: told to quit: SIGTERM\n"));
}
END_TEST

START_TEST(says_that_nobody_watches)
{
	fake.process.flags = VITALS_PROCESS_STARTED_UP;
	fake.process.not_watched_ns = VITALS_MS(12345);
	fake.process.live = 0;
	ck_assert_uint_eq(get("/livez"), 503);
	ck_assert_ptr_nonnull(
		strstr(body.data, "[-]monitor failed: it has not looked for 12.345 s\n"));
	get("/health");
	ck_assert_ptr_nonnull(strstr(
		body.data, "\"summary\":\"the monitor has not looked for 12.345 s; "));
}
END_TEST

START_TEST(knows_the_parts)
{
	fake_service();
	strcpy(fake.parts[0].name, "the data base");
	ck_assert_uint_eq(get("/readyz/the%20data%20base"), 200);
	ck_assert_str_eq(body.data, "ok\n");
	fake.parts[0].ready = 0;
	ck_assert_uint_eq(get("/readyz/the%20data%20base"), 503);
	ck_assert_str_eq(body.data, "not ready\n");
	get("/readyz?verbose");
	ck_assert_ptr_nonnull(strstr(body.data, "[-]the data base failed: not ready\n"));
}
END_TEST

START_TEST(counts_its_answers)
{
	get("/health");
	get("/nowhere");
	get("/metrics");
	ck_assert_ptr_nonnull(strstr(
		body.data, "vitals_exporter_http_requests_total{handler=\"health\","
			   "code=\"200\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(body.data, "vitals_exporter_http_requests_total{handler=\"other\","
				  "code=\"404\"} 1\n"));
	ck_assert_uint_eq(stats.answers, 3);
}
END_TEST

START_TEST(answers_when_nobody_can_look)
{
	fake.take_result = -ENOMEM;
	ck_assert_uint_eq(get("/health"), 503);
	ck_assert_uint_eq(get("/metrics"), 503);
	ck_assert_uint_eq(stats.errors[VX_ERROR_SNAPSHOT], 2);
}
END_TEST

/* One byte more than is kept is no target; the last that is kept is just unknown. */
START_TEST(takes_targets_up_to_their_limit)
{
	char target[VX_TARGET_MAX + 1];

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	target[VX_TARGET_MAX - 1] = '\0';
	ck_assert_uint_eq(get(target), 404);
	target[VX_TARGET_MAX - 1] = 'a';
	target[VX_TARGET_MAX] = '\0';
	ck_assert_uint_eq(get(target), 404);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("routes");
	TCase *tc = tcase_create("core");
	const int n = sizeof(table) / sizeof(table[0]);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, answers, 0, n);
	tcase_add_loop_test(tc, answers_head_like_get, 0, n);
	tcase_add_loop_test(tc, allows_no_other_method, 0, 8);
	tcase_add_test(tc, takes_no_body);
	tcase_add_test(tc, takes_no_target_without_end);
	tcase_add_loop_test(tc, gives_the_verdict_as_status, 0,
			    sizeof(verdicts) / sizeof(verdicts[0]));
	tcase_add_test(tc, says_why_when_it_fails);
	tcase_add_test(tc, says_what_the_thread_is_doing);
	tcase_add_test(tc, says_how_long_somebody_is_silent);
	tcase_add_test(tc, says_in_which_scope_somebody_is);
	tcase_add_test(tc, says_that_it_quits_and_why);
	tcase_add_test(tc, says_that_nobody_watches);
	tcase_add_test(tc, knows_the_parts);
	tcase_add_test(tc, counts_its_answers);
	tcase_add_test(tc, answers_when_nobody_can_look);
	tcase_add_test(tc, takes_targets_up_to_their_limit);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
