/* SPDX-License-Identifier: MIT */

#include "prometheus.h"

#include "series.h"

/* As labels, escaped. */
static const char *const handlers[VX_HANDLERS] = {
	"handler=\"health\"",   "handler=\"livez\"",   "handler=\"readyz\"",
	"handler=\"startupz\"", "handler=\"metrics\"", "handler=\"index\"",
	"handler=\"other\"",
};
static const char *const codes[VX_CODES] = { "200", "404", "405", "413", "414", "503" };
static const char *const evictions[VX_EVICTIONS] = { "request_timeout",
						     "connection_timeout", "full" };
static const char *const errors[VX_ERRORS] = { "memory", "snapshot" };

/* Which answers a handler can give: those exist from the start, as 0. */
static int answer_is_possible(unsigned handler, unsigned code)
{
	switch (code) {
	case VX_CODE_200:
		return handler != VX_HANDLER_OTHER;
	case VX_CODE_404:
		return handler == VX_HANDLER_OTHER || handler == VX_HANDLER_READYZ;
	case VX_CODE_405:
	case VX_CODE_413:
		return 1;
	case VX_CODE_503:
		return handler != VX_HANDLER_OTHER && handler != VX_HANDLER_INDEX;
	default:
		return handler == VX_HANDLER_OTHER;
	}
}

static void one(struct vx_exposition *to, const char *type, const char *name,
		const char *help, uint64_t value)
{
	const struct vx_family family = { name, type, help, VX_UNIT_NUMBER };

	vx_exposition_one(to, &family, value);
}

static void one_seconds(struct vx_exposition *to, const char *type, const char *name,
			const char *help, uint64_t ns)
{
	const struct vx_family family = { name, type, help, VX_UNIT_SECONDS };

	vx_exposition_one(to, &family, ns);
}

static void build_write(struct vx_exposition *to)
{
	static const struct vx_family family = { "vitals_build_info", "gauge",
						 "What is running.", VX_UNIT_NUMBER };
	struct vx_buffer *out = to->out;

	vx_exposition_head(to, &family);
	vx_buffer_string(out, family.name);
	vx_buffer_string(out, "{version=");
	vx_buffer_label(out, vitals_version());
	vx_buffer_string(out, ",compiler=");
	vx_buffer_label(out, __VERSION__);
	vx_buffer_string(out, "} 1\n");
	to->series++;
}

static void verdicts_write(const struct vx_look *look, struct vx_exposition *to)
{
	const struct vitals_process_info *process = &look->process;

	one_seconds(to, "gauge", "vitals_time_seconds", "The time of the scrape.",
		    process->real_ns);
	one(to, "gauge", "vitals_healthy", "1 if /health answers 200.",
	    process->health != VITALS_FAIL);
	one(to, "gauge", "vitals_ready", "1 if /readyz answers 200.", process->ready);
	one(to, "gauge", "vitals_live", "1 if /livez answers 200.", process->live);
	one(to, "gauge", "vitals_started", "1 if /startupz answers 200.",
	    (process->flags & VITALS_PROCESS_STARTED_UP) != 0);
}

static void monitor_write(const struct vx_look *look, struct vx_exposition *to)
{
	const struct vitals_process_info *process = &look->process;

	one_seconds(to, "gauge", "vitals_monitor_start_timestamp_seconds",
		    "When the monitor was started; 0: never.",
		    process->started_ns ? vx_look_realtime(look, process->started_ns)
					: 0);
	one_seconds(to, "gauge", "vitals_monitor_last_tick_timestamp_seconds",
		    "When the monitor looked last; 0: never.",
		    process->tick_at_ns ? vx_look_realtime(look, process->tick_at_ns)
					: 0);
	one_seconds(to, "gauge", "vitals_monitor_tick_seconds", "How often it looks.",
		    process->tick_ns);
	one_seconds(to, "gauge", "vitals_monitor_lag_seconds",
		    "How late its last look was.", process->lag_ns);
	one_seconds(to, "gauge", "vitals_monitor_lag_max_seconds", "The latest ever.",
		    process->lag_max_ns);
	one(to, "counter", "vitals_monitor_ticks_total", "Looks.", process->turns);
	one(to, "gauge", "vitals_monitor_watching", "1 if it has looked within a second.",
	    (process->flags & VITALS_PROCESS_WATCHED) != 0);
	one(to, "counter", "vitals_pauses_total", "Times the whole process did not run.",
	    process->pauses);
	one_seconds(to, "counter", "vitals_paused_seconds_total", "For how long.",
		    process->paused_ns);
	one(to, "counter", "vitals_events_total", "Changes of state of heartbeats.",
	    process->changes);
	one(to, "counter", "vitals_deadlocks_total",
	    "Circles of threads found that wait for each other's locks.",
	    process->deadlocks);
	one(to, "gauge", "vitals_asleep", "1 while all threads are asleep.",
	    process->asleep != 0);
}

static void shutdown_write(const struct vx_look *look, struct vx_exposition *to)
{
	const struct vitals_process_info *process = &look->process;

	one(to, "gauge", "vitals_quitting", "1 once the main quitter was told to quit.",
	    (process->flags & VITALS_PROCESS_QUITTING) != 0);
	one(to, "gauge", "vitals_threads", "Threads and holds that are counted.",
	    process->threads);
	one(to, "gauge", "vitals_abandoned_threads", "Threads no longer waited for.",
	    process->abandoned);
	one(to, "counter", "vitals_shutdowns_total",
	    "Waits for quitters that were told to quit and have ended, freed quitters "
	    "included.",
	    process->shutdowns);
	one(to, "counter", "vitals_shutdown_timeouts_total",
	    "Of those, with somebody late, freed quitters included.",
	    process->shutdown_timeouts);
	one(to, "counter", "vitals_shutdown_late_threads_total",
	    "Threads and holds late in those, in all.", process->late_threads);
}

static void requests_write(const struct vx_stats *stats, struct vx_exposition *to)
{
	static const struct vx_family family = { "vitals_exporter_http_requests_total",
						 "counter",
						 "Answers by handler and code.",
						 VX_UNIT_NUMBER };
	struct vx_labels labels;
	unsigned handler, code;

	vx_exposition_head(to, &family);
	for (handler = 0; handler < VX_HANDLERS; handler++) {
		labels.text = handlers[handler];
		labels.length = strlen(labels.text);
		for (code = 0; code < VX_CODES; code++)
			if (answer_is_possible(handler, code))
				vx_exposition_sample_with(to, &family, labels, "code",
							  codes[code],
							  stats->requests[handler][code]);
	}
}

static void causes_write(struct vx_exposition *to, const struct vx_family *family,
			 const char *label, const char *const *names,
			 const uint64_t *values, unsigned n)
{
	static const struct vx_labels none = { "", 0 };
	unsigned i;

	vx_exposition_head(to, family);
	for (i = 0; i < n; i++)
		vx_exposition_sample_with(to, family, none, label, names[i], values[i]);
}

static void connections_write(const struct vx_stats *stats, struct vx_exposition *to)
{
	static const struct vx_family evicted = {
		"vitals_exporter_connections_evicted_total", "counter",
		"Connections closed before their clients did, by reason.", VX_UNIT_NUMBER
	};
	static const struct vx_family failed = { "vitals_exporter_errors_total",
						 "counter",
						 "Answers that failed, by cause.",
						 VX_UNIT_NUMBER };

	one(to, "gauge", "vitals_exporter_connections", "Connections now.",
	    stats->connections);
	one(to, "counter", "vitals_exporter_connections_accepted_total",
	    "Connections so far.", stats->accepted);
	causes_write(to, &evicted, "reason", evictions, stats->evictions, VX_EVICTIONS);
	one(to, "counter", "vitals_exporter_accept_backoffs_total",
	    "Pauses in accepting for want of descriptors or memory.",
	    stats->accept_backoffs);
	one(to, "counter", "vitals_exporter_naps_total",
	    "Pauses because the loop turned without progress.", stats->naps);
	one(to, "gauge", "vitals_exporter_requests_in_flight",
	    "Answers that are not sent whole yet.", stats->in_flight);
	causes_write(to, &failed, "cause", errors, stats->errors, VX_ERRORS);
}

/* Last, so that it can say what this exposition left out. */
static void scrape_write(const struct vx_prometheus *prometheus,
			 const struct vx_stats *stats, struct vx_exposition *to)
{
	one(to, "gauge", "vitals_exporter_dropped_series",
	    "Series that this exposition leaves out to stay within its limit.",
	    prometheus->dropped);
	one_seconds(to, "gauge", "vitals_exporter_scrape_duration_seconds",
		    "How long the exposition before took to render.", stats->scrape_ns);
	one(to, "gauge", "vitals_exporter_scrape_series",
	    "How many series the exposition before had.", stats->scrape_series);
}

void vx_prometheus_free(struct vx_prometheus *prometheus)
{
	vx_table_free(&prometheus->table);
}

int vx_prometheus_render(struct vx_prometheus *prometheus, const struct vx_look *look,
			 struct vx_buffer *out)
{
	struct vx_budget budget = vx_series_budget(look);
	struct vx_table *table = &prometheus->table;
	struct vx_exposition to = { out, 0 };

	prometheus->dropped = 0;
	build_write(&to);
	verdicts_write(look, &to);
	monitor_write(look, &to);
	vx_table_empty(table);
	vx_series_parts(look, table, &to);
	vx_table_empty(table);
	prometheus->dropped += vx_series_groups(look, &budget, table, &to);
	vx_table_empty(table);
	prometheus->dropped += vx_series_heartbeats(look, &budget, table, &to);
	vx_table_empty(table);
	prometheus->dropped += vx_series_scopes(look, &budget, table, &to);
	shutdown_write(look, &to);
	vx_table_empty(table);
	prometheus->dropped += vx_series_quitters(look, &budget, table, &to);
	connections_write(look->stats, &to);
	requests_write(look->stats, &to);
	scrape_write(prometheus, look->stats, &to);
	prometheus->series = to.series;
	return out->error;
}
