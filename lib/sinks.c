/* SPDX-License-Identifier: MIT */

/*
 * Where the log's news are written to, and how much of it.
 */

#include "log.h"

#include "clock.h"

/* So long nothing was written: then at least how much that was. */
#define DROPPED_NS VITALS_S(60)

static void sink_suppress(struct vt_log_sink *sink, uint64_t reports)
{
	sink->suppressed += reports;
	sink->untold += reports;
}

void vt_log_suppress(void *user, uint64_t reports)
{
	struct vt_log *log = user;
	unsigned i;

	for (i = 0; i < VT_LOG_FORMS; i++)
		if (log->sinks[i].on)
			sink_suppress(&log->sinks[i], reports);
}

static bool line_write(struct vt_log *log, struct vt_log_sink *sink,
		       const struct vt_news *news)
{
	char buffer[VT_NEWS_LINE];
	struct vt_lines lines;
	struct vt_text text;
	bool whole;

	/* Waits for no reader at all. */
	if (!vt_lines_begin(&lines, log->terms.fd, log->terms.file, 0))
		return false;
	vt_text_init(&text, buffer, sizeof(buffer));
	vt_text_add(&text, sink->torn ? "\n" : "");
	vt_news_line(news, vt_clock_real(), &text);
	whole = vt_lines_put(&lines, &text);
	if (whole || lines.torn)
		sink->torn = lines.torn;
	vt_lines_end(&lines);
	return whole;
}

static bool message_send(const struct vt_log *log, const struct vt_news *news)
{
	char buffer[VT_NEWS_MESSAGE];
	size_t length = vt_news_journal(news, buffer);

	return vt_datagram_send(&log->terms.journal, buffer, length) == 0;
}

static void sink_tell(struct vt_log *log, enum vt_log_form form, struct vt_news *news)
{
	struct vt_log_sink *sink = &log->sinks[form];

	if (!sink->on)
		return;
	news->suppressed = sink->untold;
	if (form == VT_LOG_LINES ? line_write(log, sink, news)
				 : message_send(log, news)) {
		sink->printed += news->reports;
		sink->untold = 0;
	} else {
		sink_suppress(sink, news->reports);
	}
}

/* A line costs its part of a minute; a minute's worth is saved up, and no more. */
static bool credit_take(struct vt_log *log, uint64_t now_ns)
{
	uint64_t cost_ns = VT_LOG_CREDIT_NS / log->terms.lines_per_minute;

	if (now_ns > log->credit_at_ns) {
		log->credit_ns = now_ns - log->credit_at_ns <
						 VT_LOG_CREDIT_NS - log->credit_ns
					 ? log->credit_ns + (now_ns - log->credit_at_ns)
					 : VT_LOG_CREDIT_NS;
		log->credit_at_ns = now_ns;
	}
	if (log->credit_ns < cost_ns)
		return false;
	log->credit_ns -= cost_ns;
	return true;
}

void vt_log_tell(void *user, struct vt_news *news, uint64_t now_ns)
{
	struct vt_log *log = user;

	if (!credit_take(log, now_ns)) {
		vt_log_suppress(log, news->reports);
		return;
	}
	log->told_ns = now_ns;
	sink_tell(log, VT_LOG_LINES, news);
	sink_tell(log, VT_LOG_JOURNAL, news);
}

static uint64_t untold(const struct vt_log *log)
{
	uint64_t most = 0;
	unsigned i;

	for (i = 0; i < VT_LOG_FORMS; i++)
		if (log->sinks[i].on && log->sinks[i].untold > most)
			most = log->sinks[i].untold;
	return most;
}

uint64_t vt_log_dropped_next(const struct vt_log *log)
{
	return untold(log) ? log->told_ns + DROPPED_NS : UINT64_MAX;
}

void vt_log_tell_dropped(struct vt_log *log, uint64_t now_ns)
{
	struct vt_news news = { .kind = VT_NEWS_DROPPED };

	if (now_ns >= vt_log_dropped_next(log))
		vt_log_tell(log, &news, now_ns);
}
