/* SPDX-License-Identifier: MIT */

#include "harness.h"

#include "heartbeat.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MS VITALS_MS(1)
#define S VITALS_S(1)

static char dir[TEMP_PATH_MAX], name[TEMP_PATH_MAX + 16];
static vitals_registry *registry;
static vitals_heartbeat *heartbeat;
static struct vt_log_terms terms;
static uint64_t now = 100 * S;
static int listener = -1;

static void listen_there(void)
{
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (const struct sockaddr *)&terms.journal.un,
			      terms.journal.length),
			 0);
}

static void setup(void)
{
	temp_dir_make(dir);
	(void)snprintf(name, sizeof(name), "%s/socket", dir);
	memset(&terms, 0, sizeof(terms));
	terms.lines_per_minute = 60;
	ck_assert_int_eq(vt_address_parse(name, &terms.journal), 0);
	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	ck_assert_int_eq(vitals_step(registry, now), 0);
	ck_assert_int_eq(
		vt_heartbeat_new_at(registry, "worker", S, NULL, now, &heartbeat), 0);
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	ck_assert_int_eq(vt_log_ask(registry, VT_LOG_JOURNAL, true, &terms), 0);
}

static void teardown(void)
{
	heartbeat = vitals_heartbeat_unref(heartbeat);
	registry = vitals_registry_free(registry);
	(void)close(listener);
	temp_dir_remove(dir);
}

static void pass(uint64_t ns)
{
	uint64_t until = now + ns;

	for (; now < until; now += 125 * MS)
		ck_assert_int_eq(vitals_step(registry, now + 125 * MS), 0);
}

static char message[2 * VT_NEWS_MESSAGE];
static size_t length;

static bool received(void)
{
	ssize_t n = recv(listener, message, sizeof(message) - 1, 0);

	length = n > 0 ? (size_t)n : 0;
	message[length] = 0;
	return n > 0;
}

/* As journald reads it. Return: the value of @key, its length; NULL: there is none. */
static const char *value_of(const char *key, size_t *ret_length)
{
	size_t at = 0, i;

	while (at < length) {
		const char *line = message + at;
		size_t end = strcspn(line, "=\n"), from, size = 0;

		if (line[end] == '=') {
			from = at + end + 1;
			size = strcspn(message + from, "\n");
		} else {
			for (i = 0; i < 8; i++)
				size |= (size_t)(unsigned char)line[end + 1 + i] << 8 * i;
			from = at + end + 9;
		}
		ck_assert_uint_lt(from + size, length);
		ck_assert_int_eq(message[from + size], '\n');
		if (strlen(key) == end && strncmp(line, key, end) == 0) {
			*ret_length = size;
			return message + from;
		}
		at = from + size + 1;
	}
	return NULL;
}

static void field_is(const char *key, const char *value)
{
	size_t n = 0;
	const char *at = value_of(key, &n);

	ck_assert_msg(at && n == strlen(value) && memcmp(at, value, n) == 0, "%s: %.*s",
		      key, (int)n, at ? at : "");
}

START_TEST(a_message_has_what_a_line_has)
{
	listen_there();
	pass(2 * S);
	ck_assert(received());
	ck_assert_str_eq(message, "MESSAGE=worker is silent for 1.125s\n"
				  "PRIORITY=3\n"
				  "MESSAGE_ID=d88e566203b24c8ea2b2a83ed2bf09cf\n"
				  "VITALS_HEARTBEAT=worker\n"
				  "VITALS_STATE=silent\n"
				  "VITALS_SILENCE_USEC=1125000\n"
				  "VITALS_TIMEOUT_USEC=1000000\n"
				  "VITALS_SUPPRESSED=0\n");
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(S);
	ck_assert(received());
	field_is("PRIORITY", "6");
	field_is("MESSAGE_ID", "7c77797a8435447faa972518fdef5de0");
	field_is("VITALS_STATE", "healthy");
}
END_TEST

START_TEST(that_all_are_asleep_is_said_once)
{
	struct vt_news news = { .kind = VT_NEWS_FINDING, .bad = true, .threads = 2 };

	news.event.kind = VITALS_EVENT_ASLEEP;
	(void)snprintf(news.event.doing, sizeof(news.event.doing),
		       "all 2 threads are asleep: main joins a");
	length = vt_news_journal(&news, message);
	field_is("MESSAGE", "all 2 threads are asleep: main joins a");
	news.event.doing[0] = 0;
	length = vt_news_journal(&news, message);
	field_is("MESSAGE", "all threads are asleep");
}
END_TEST

START_TEST(an_end_of_line_is_sent_by_its_length)
{
	struct vt_news news = { .kind = VT_NEWS_FINDING, .bad = true, .threads = 2 };

	news.event.kind = VITALS_EVENT_DEADLOCK;
	(void)snprintf(news.event.doing, sizeof(news.event.doing),
		       "a\nPRIORITY=0\nwaits for b");
	length = vt_news_journal(&news, message);
	field_is("VITALS_DOING", "a\nPRIORITY=0\nwaits for b");
	field_is("MESSAGE", "threads wait for each other in a circle: a\nPRIORITY=0\n"
			    "waits for b");
	field_is("PRIORITY", "3");
	field_is("VITALS_THREADS", "2");
}
END_TEST

START_TEST(the_largest_message_is_whole)
{
	struct vt_news news = { .kind = VT_NEWS_STALL, .threads = 1, .n_names = 1 };

	memset(news.names[0], 'n', sizeof(news.names[0]) - 1);
	memset(news.event.group, 'g', sizeof(news.event.group) - 1);
	memset(news.event.scope, 's', sizeof(news.event.scope) - 1);
	memset(news.event.doing, '\n', sizeof(news.event.doing) - 1);
	news.suppressed = UINT64_MAX;
	length = vt_news_journal(&news, message);
	ck_assert_uint_le(length, VT_NEWS_MESSAGE);
	field_is("VITALS_SUPPRESSED", "18446744073709551615");
}
END_TEST

START_TEST(every_kind_of_report_has_an_id_of_its_own)
{
	struct vt_news news = { .threads = 1, .n_names = 1, .names = { "worker" } };
	char ids[VT_NEWS_KINDS][33] = { { 0 } };
	unsigned kind, other;

	for (kind = 0; kind < VT_NEWS_KINDS; kind++) {
		const char *id;
		size_t n = 0;

		news.kind = (enum vt_news_kind)kind;
		length = vt_news_journal(&news, message);
		id = value_of("MESSAGE_ID", &n);
		ck_assert_msg(id && n == 32, "kind %u", kind);
		memcpy(ids[kind], id, 32);
		for (other = 0; other < kind; other++)
			ck_assert_str_ne(ids[other], ids[kind]);
	}
}
END_TEST

START_TEST(an_abort_is_told_before_it_happens)
{
	listen_there();
	vt_log_abort_at(registry, "worker has been silent for 2s", now);
	ck_assert(received());
	field_is("MESSAGE", "the process is aborted: worker has been silent for 2s");
	field_is("MESSAGE_ID", "442e99c3f5834f64b603272f46f58116");
	field_is("PRIORITY", "3");
}
END_TEST

START_TEST(what_nobody_takes_is_told_later)
{
	const struct vt_log_sink *sink = &vt_log_of(registry)->sinks[VT_LOG_JOURNAL];
	int fds = fd_count();

	/* There is no journal yet. */
	pass(2 * S);
	ck_assert_uint_eq(sink->suppressed, 1);
	listen_there();
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(S);
	ck_assert(received());
	field_is("VITALS_SUPPRESSED", "1");
	ck_assert_uint_eq(sink->untold, 0);
	ck_assert_int_eq(fd_count(), fds + 1);
	/* It reads no more: its queue is full. */
	ck_assert_int_eq(
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int)), 0);
	while (vt_datagram_send(&terms.journal, "x=y\n", 4) == 0)
		continue;
	pass(600 * S);
	ck_assert_uint_gt(sink->suppressed, 8);
	while (received())
		continue;
	ck_assert_int_eq(vt_heartbeat_pulse_at(heartbeat, now), 0);
	pass(S / 2);
	ck_assert(received());
	ck_assert_uint_eq(sink->untold, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_message_has_what_a_line_has);
	tcase_add_test(tc, that_all_are_asleep_is_said_once);
	tcase_add_test(tc, an_end_of_line_is_sent_by_its_length);
	tcase_add_test(tc, the_largest_message_is_whole);
	tcase_add_test(tc, every_kind_of_report_has_an_id_of_its_own);
	tcase_add_test(tc, an_abort_is_told_before_it_happens);
	tcase_add_test(tc, what_nobody_takes_is_told_later);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
