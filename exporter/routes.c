/* SPDX-License-Identifier: MIT */

#include "routes.h"

#include "health.h"
#include "request.h"
#include "series.h"
#include "verdict.h"

#include <time.h>

#define TEXT_TYPE "text/plain; charset=utf-8"

static const char index_body[] =
	"/health           how the process fares, as JSON; ?verbose: all that is known\n"
	"/livez            200 while a restart would not help; ?verbose: why\n"
	"/readyz           200 while it can do its work; ?verbose: why\n"
	"/readyz/PART      200 while that part can\n"
	"/startupz         200 from when it was ready first; ?verbose: why\n"
	"/metrics          Prometheus metrics\n";

static const char missing_body[] = "not found: there are /health, /livez, /readyz, "
				   "/startupz and /metrics\n";

struct route {
	const char *path;
	enum vx_handler handler;
	void (*answer)(struct vx_routes *routes, struct vx_look *look,
		       const struct vx_request *request, struct vx_buffer *body,
		       struct vx_answer *ret);
};

static void answer_text(struct vx_answer *ret, struct vx_buffer *body, unsigned status,
			const char *text)
{
	ret->status = status;
	ret->content_type = TEXT_TYPE;
	vx_buffer_string(body, text);
}

static void answer_index(struct vx_routes *routes, struct vx_look *look,
			 const struct vx_request *request, struct vx_buffer *body,
			 struct vx_answer *ret)
{
	(void)routes;
	(void)look;
	(void)request;
	answer_text(ret, body, 200, index_body);
}

static void answer_health(struct vx_routes *routes, struct vx_look *look,
			  const struct vx_request *request, struct vx_buffer *body,
			  struct vx_answer *ret)
{
	(void)routes;
	ret->content_type = VX_HEALTH_TYPE;
	ret->status = look->process.health == VITALS_FAIL ? 503 : 200;
	vx_health_render(look, request->verbose, body);
}

static void answer_metrics(struct vx_routes *routes, struct vx_look *look,
			   const struct vx_request *request, struct vx_buffer *body,
			   struct vx_answer *ret)
{
	struct vx_stats *stats = routes->stats;
	struct timespec before, after;

	(void)request;
	ret->content_type = VX_PROMETHEUS_TYPE;
	ret->status = 200;
	clock_gettime(CLOCK_MONOTONIC, &before);
	if (vx_prometheus_render(&routes->prometheus, look, body))
		return;
	clock_gettime(CLOCK_MONOTONIC, &after);
	stats->scrape_ns = (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000u +
			   (uint64_t)after.tv_nsec - (uint64_t)before.tv_nsec;
	stats->scrape_series = routes->prometheus.series;
	stats->dropped_series = routes->prometheus.dropped;
}

/* Who fails is told why, asked or not: nobody logs the second request. */
static void answer_probe(const struct vx_look *look, enum vx_probe probe,
			 const struct vx_request *request, struct vx_buffer *body,
			 struct vx_answer *ret)
{
	bool passes = vx_verdict_passes(look, probe);

	ret->status = passes ? 200 : 503;
	ret->content_type = TEXT_TYPE;
	if (passes && !request->verbose)
		vx_buffer_string(body, "ok\n");
	else
		vx_verdict_explain(look, probe, body);
}

static void answer_livez(struct vx_routes *routes, struct vx_look *look,
			 const struct vx_request *request, struct vx_buffer *body,
			 struct vx_answer *ret)
{
	(void)routes;
	answer_probe(look, VX_PROBE_LIVEZ, request, body, ret);
}

static void answer_startupz(struct vx_routes *routes, struct vx_look *look,
			    const struct vx_request *request, struct vx_buffer *body,
			    struct vx_answer *ret)
{
	(void)routes;
	answer_probe(look, VX_PROBE_STARTUPZ, request, body, ret);
}

static void answer_readyz(struct vx_routes *routes, struct vx_look *look,
			  const struct vx_request *request, struct vx_buffer *body,
			  struct vx_answer *ret)
{
	const char *name = request->path + strlen("/readyz");
	struct vitals_part_info part;
	uint32_t i;

	(void)routes;
	if (*name == '\0') {
		answer_probe(look, VX_PROBE_READYZ, request, body, ret);
		return;
	}
	VITALS_INIT(&part);
	for (i = 0; !vitals_snapshot_part(look->snapshot, i, &part); i++) {
		if (strcmp(part.name, name + 1) != 0)
			continue;
		answer_text(ret, body, part.ready ? 200 : 503,
			    part.ready ? "ok\n" : "not ready\n");
		return;
	}
	answer_text(ret, body, 404, "not found: no part of that name\n");
}

static const struct route table[] = {
	{ "/", VX_HANDLER_INDEX, answer_index },
	{ "/health", VX_HANDLER_HEALTH, answer_health },
	{ "/livez", VX_HANDLER_LIVEZ, answer_livez },
	{ "/readyz", VX_HANDLER_READYZ, answer_readyz }, /* and /readyz/PART */
	{ "/startupz", VX_HANDLER_STARTUPZ, answer_startupz },
	{ "/metrics", VX_HANDLER_METRICS, answer_metrics },
};

static const struct route *route_find(const char *path)
{
	size_t i;

	for (i = 0; i < VX_LENGTH(table); i++) {
		const struct route *route = &table[i];

		if (strcmp(path, route->path) == 0)
			return route;
		if (route->handler == VX_HANDLER_READYZ &&
		    strncmp(path, "/readyz/", strlen("/readyz/")) == 0)
			return route;
	}
	return NULL;
}

static int look_take(struct vx_routes *routes, struct vx_look *ret)
{
	int r = vitals_snapshot_take(routes->registry, &routes->snapshot);

	if (r) {
		routes->stats->errors[VX_ERROR_SNAPSHOT]++;
		return r;
	}
	ret->snapshot = routes->snapshot;
	ret->stats = routes->stats;
	ret->environment = &routes->environment;
	ret->max_series = routes->max_series;
	VITALS_INIT(&ret->process);
	return vitals_snapshot_process(ret->snapshot, &ret->process);
}

static void answer_count(struct vx_routes *routes, const struct vx_answer *answer)
{
	static const unsigned statuses[VX_CODES] = { 200, 404, 405, 413, 414, 503 };
	unsigned code;

	routes->stats->answers++;
	for (code = 0; code < VX_CODES; code++)
		if (statuses[code] == answer->status)
			routes->stats->requests[answer->handler][code]++;
}

static void route_answer(struct vx_routes *routes, const struct route *route,
			 const struct vx_request *request, struct vx_buffer *body,
			 struct vx_answer *ret)
{
	struct vx_look look;

	if (!route)
		answer_text(ret, body, 404, missing_body);
	else if (look_take(routes, &look))
		answer_text(ret, body, 503, "the process cannot be looked at now\n");
	else
		route->answer(routes, &look, request, body, ret);
}

static bool method_is_safe(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool vx_ask_is_plain(const struct vx_ask *ask)
{
	return method_is_safe(ask->method) && !ask->has_body;
}

int vx_routes_init(struct vx_routes *routes)
{
	return vitals_snapshot_take(routes->registry, &routes->snapshot);
}

void vx_routes_deinit(struct vx_routes *routes)
{
	routes->snapshot = vitals_snapshot_free(routes->snapshot);
	vx_prometheus_free(&routes->prometheus);
}

void vx_routes_answer(struct vx_routes *routes, const struct vx_ask *ask,
		      struct vx_buffer *body, struct vx_answer *ret)
{
	const struct route *route = NULL;
	struct vx_request request;

	memset(ret, 0, sizeof(*ret));
	vx_buffer_empty(body);
	if (ask->target && vx_request_parse(ask->target, &request))
		route = route_find(request.path);
	ret->handler = route ? route->handler : VX_HANDLER_OTHER;

	if (!method_is_safe(ask->method)) {
		answer_text(ret, body, 405, "GET and HEAD only\n");
		ret->allow = "GET, HEAD";
	} else if (!ask->target) {
		answer_text(ret, body, 414, "too long\n");
	} else if (ask->has_body) {
		answer_text(ret, body, 413, "no body, please\n");
	} else {
		route_answer(routes, route, &request, body, ret);
	}
	if (body->error) {
		ret->status = 503;
		ret->no_memory = true;
	}
	answer_count(routes, ret);
}
