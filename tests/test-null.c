/* SPDX-License-Identifier: MIT */

/*
 * Every public function, called with nothing: NULL for handles, names and outputs, records of size
 * 0. What the map exports and is not called here fails the test.
 */

#include "harness.h"

#include "vitals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The functions, rather than their inline forms. */
#undef vitals_heartbeat_touch
#undef vitals_quitter_must_quit

#define T VITALS_MS(200)
#define CALLED_MAX 200

static const char *called[CALLED_MAX];
static unsigned n_called;

static void call_note(const char *name)
{
	ck_assert_uint_lt(n_called, CALLED_MAX);
	called[n_called++] = name;
}

static int was_called(const char *name)
{
	unsigned i;

	for (i = 0; i < n_called; i++)
		if (strcmp(called[i], name) == 0)
			return 1;
	return 0;
}

#define ANSWERS(answer, name, ...)                                                       \
	do {                                                                             \
		int answered;                                                            \
                                                                                         \
		call_note(#name);                                                        \
		answered = name(__VA_ARGS__);                                            \
		ck_assert_msg(answered == (answer), #name "(" #__VA_ARGS__ ") is %d",    \
			      answered);                                                 \
	} while (0)

#define IS_NULL(name, ...)                                                               \
	do {                                                                             \
		call_note(#name);                                                        \
		ck_assert_msg(!name(__VA_ARGS__), #name "(" #__VA_ARGS__ ") is there");  \
	} while (0)

#define DOES_NOTHING(name, ...)                                                          \
	do {                                                                             \
		call_note(#name);                                                        \
		name(__VA_ARGS__);                                                       \
	} while (0)

static vitals_registry *registry;

static void process_calls(void)
{
	vitals_registry *none = (vitals_registry *)called;

	call_note("vitals_version");
	ck_assert_ptr_nonnull(vitals_version());
	ANSWERS(0, vitals_has, NULL);
	ANSWERS(0, vitals_has, "");
	call_note("vitals_state_name");
	ck_assert_str_eq(vitals_state_name(-1), "unknown");
	ck_assert_str_eq(vitals_state_name(VITALS_STATES), "unknown");
	call_note("vitals_class_name");
	ck_assert_str_eq(vitals_class_name(-1), "unknown");
	ck_assert_str_eq(vitals_class_name(VITALS_CLASSES), "unknown");
	call_note("vitals_reason_text");
	ck_assert_str_eq(vitals_reason_text(-1), "");
	ck_assert_str_eq(vitals_reason_text(VITALS_REASONS), "");
	ANSWERS(-EINVAL, vitals_lock_name, NULL, "a");
	ANSWERS(-EINVAL, vitals_registry_new, 0, NULL);
	ANSWERS(-EINVAL, vitals_registry_new, UINT32_MAX, &none);
	ck_assert_ptr_null(none);
	IS_NULL(vitals_registry_free, NULL);
	/* NULL is the process's own: these mean it. */
	ANSWERS(0, vitals_stop, NULL);
	ANSWERS(0, vitals_step, NULL, 0);
	ANSWERS(0, vitals_start, NULL);
	ANSWERS(0, vitals_stop, NULL);
	ANSWERS(0, vitals_set_ready, NULL, NULL, 0);
	ANSWERS(-EINVAL, vitals_set_ready, NULL, "", 0);
	(void)unsetenv("NOTIFY_SOCKET");
	ANSWERS(0, vitals_systemd, NULL, 0);
	ANSWERS(-EINVAL, vitals_systemd, NULL, 1);
	ANSWERS(0, vitals_reloading, NULL);
	ANSWERS(-EINVAL, vitals_lock_name, NULL, "a");
	ANSWERS(-EINVAL, vitals_lock_name, NULL, NULL);
	ANSWERS(-EINVAL, vitals_lock_name, called, "");
	ANSWERS(0, vitals_lock_name, called, NULL);
	ANSWERS(0, vitals_log, NULL, -1, NULL);
	ANSWERS(-EBADF, vitals_log, NULL, 1000000, NULL);
	ANSWERS(0, vitals_log_journal, NULL, 0);
	ANSWERS(0, vitals_heartbeat_file, NULL, NULL, 0);
	ANSWERS(-EINVAL, vitals_heartbeat_file, NULL, "", 0);
	ANSWERS(-EINVAL, vitals_heartbeat_file, NULL, "a/relative/path", 0);
	call_note("vitals_thread_looks_on");
	ck_assert_int_eq(vitals_thread_looks_on(), 0);
}

static void heartbeat_calls(void)
{
	struct vitals_heartbeat_options options = { 0 };
	vitals_heartbeat *none = (vitals_heartbeat *)called;

	ANSWERS(-EINVAL, vitals_heartbeat_new, NULL, NULL, 0, NULL, NULL);
	ANSWERS(-EINVAL, vitals_heartbeat_new, registry, "a", T, NULL, NULL);
	ANSWERS(-EINVAL, vitals_heartbeat_new, registry, NULL, T, NULL, &none);
	ck_assert_ptr_null(none);
	none = (vitals_heartbeat *)called;
	ANSWERS(-EINVAL, vitals_heartbeat_new, registry, "a", 0, NULL, &none);
	ck_assert_ptr_null(none);
	none = (vitals_heartbeat *)called;
	/* Options that do not say how large they are. */
	ANSWERS(-EINVAL, vitals_heartbeat_new, registry, "a", T, &options, &none);
	ck_assert_ptr_null(none);
	IS_NULL(vitals_heartbeat_ref, NULL);
	IS_NULL(vitals_heartbeat_unref, NULL);
	DOES_NOTHING(vitals_heartbeat_close, NULL);
	ANSWERS(-EINVAL, vitals_heartbeat_own, NULL);
	ANSWERS(-ECANCELED, vitals_heartbeat_pulse, NULL);
	ANSWERS(0, vitals_heartbeat_enter, NULL, "a", T);
	DOES_NOTHING(vitals_heartbeat_leave, NULL, 1);
	{
		VITALS_SCOPE(NULL, NULL, 0);
		VITALS_SCOPE(NULL, "a", T);
	}
	DOES_NOTHING(vitals_heartbeat_touch, NULL);
	vitals_heartbeat_touch_inline(NULL);
	ANSWERS(-ECANCELED, vitals_heartbeat_idle, NULL);
	ANSWERS(0, vitals_heartbeat_due, NULL);
	ANSWERS(-EINVAL, vitals_heartbeat_due_fd, NULL);
}

static void events_calls(void)
{
	struct vitals_event event = { 0 };
	vitals_events *events = NULL;
	char text[4] = "???";

	ANSWERS(0, vitals_on_event, registry, NULL, NULL);
	ANSWERS(-EINVAL, vitals_events_open, registry, NULL, NULL);
	ANSWERS(-EINVAL, vitals_events_fd, NULL);
	ANSWERS(-EINVAL, vitals_events_next, NULL, VITALS_FOREVER, &event);
	ck_assert_int_eq(vitals_events_open(registry, NULL, &events), 0);
	ANSWERS(-EINVAL, vitals_events_next, events, VITALS_FOREVER, NULL);
	ANSWERS(-EINVAL, vitals_events_next, events, VITALS_FOREVER, &event);
	IS_NULL(vitals_events_close, events);
	IS_NULL(vitals_events_close, NULL);
	ANSWERS(-EINVAL, vitals_event_text, NULL, text, sizeof(text));
	ANSWERS(-EINVAL, vitals_event_text, &event, NULL, 1);
	ck_assert_str_eq(text, "???");
	ck_assert_int_gt(vitals_event_text(&event, NULL, 0), 0);
}

static void evidence_calls(void)
{
	ANSWERS(-EINVAL, vitals_evidence_set, registry, -1);
	ANSWERS(-EINVAL, vitals_evidence_set, registry, VITALS_EVIDENCE_OFF + 1);
	ANSWERS(0, vitals_evidence_set, NULL, VITALS_EVIDENCE_AUTO);
}

static void act_calls(void)
{
	static const char *const nothing[] = { NULL };
	struct vitals_abort_options abort_options = { 0 };
	struct vitals_capture_options capture_options = { 0 };

	ANSWERS(-EINVAL, vitals_abort_when_stuck, registry, &abort_options);
	ANSWERS(0, vitals_abort_when_stuck, registry, NULL);
	ANSWERS(-EINVAL, vitals_capture, registry, &capture_options);
	capture_options.size = sizeof(capture_options);
	capture_options.command = nothing;
	ANSWERS(-EINVAL, vitals_capture, registry, &capture_options);
	capture_options.command = NULL;
	capture_options.flags = VITALS_CAPTURE_OFF;
	ANSWERS(0, vitals_capture, registry, &capture_options);
}

static void expect_calls(void)
{
	vitals_heartbeat *begun = vitals_expect_begin(VITALS_S(60), NULL, 0, NULL);

	call_note("vitals_expect_begin");
	ck_assert_ptr_eq(vitals_expected(), begun);
	IS_NULL(vitals_expect_end, NULL);
	ck_assert_ptr_eq(vitals_expected(), begun);
	IS_NULL(vitals_expect_end, begun);
	IS_NULL(vitals_expected);
}

static void quitter_calls(void)
{
	struct vitals_quitter_options options = { 0 };
	struct vitals_result result = { 0 };
	struct vitals_cause cause = { 0 };
	vitals_quitter *none = (vitals_quitter *)called, *root = NULL;
	vitals_snapshot *late = (vitals_snapshot *)called;

	ANSWERS(-EINVAL, vitals_quitter_new_main, registry, T, NULL, NULL);
	ANSWERS(-EINVAL, vitals_quitter_new_main, registry, 0, NULL, &none);
	ck_assert_ptr_null(none);
	none = (vitals_quitter *)called;
	ANSWERS(-EINVAL, vitals_quitter_new_main, registry, T, &options, &none);
	ck_assert_ptr_null(none);
	none = (vitals_quitter *)called;
	ANSWERS(-EINVAL, vitals_quitter_new, NULL, "a", NULL, &none);
	ck_assert_ptr_null(none);
	ANSWERS(-EINVAL, vitals_quitter_new, NULL, NULL, NULL, NULL);
	IS_NULL(vitals_quitter_free, NULL);
	ANSWERS(-EINVAL, vitals_quitter_on_signal, NULL, 15, NULL);
	ANSWERS(-EINVAL, vitals_quitter_on_fd, NULL, 0, NULL);
	ANSWERS(0, vitals_quitter_must_quit, NULL);
	ck_assert_int_eq(vitals_quitter_must_quit_inline(NULL), 0);
	ANSWERS(-EINVAL, vitals_quitter_fd, NULL);
	ANSWERS(-EINVAL, vitals_quitter_cause, NULL, &cause);
	ANSWERS(-EINVAL, vitals_quitter_send_quit, NULL, 0, NULL);
	ANSWERS(-EINVAL, vitals_quitter_wait_done, NULL, VITALS_FOREVER, NULL);
	ANSWERS(-EINVAL, vitals_quitter_wait_done, NULL, VITALS_FOREVER, &late);
	ANSWERS(-EINVAL, vitals_quitter_hold, NULL, "a");
	ANSWERS(-EINVAL, vitals_quitter_release, NULL, "a");
	ANSWERS(-EINVAL, vitals_quitter_abandon, NULL, 1);
	ANSWERS(-EINVAL, vitals_quitter_finish, NULL, NULL, NULL);
	ANSWERS(-EINVAL, vitals_quitter_finish, NULL, &result, NULL);

	ck_assert_int_eq(vitals_quitter_new_main(registry, T, NULL, &root), 0);
	ANSWERS(-EINVAL, vitals_quitter_new, root, NULL, NULL, &none);
	ANSWERS(-EINVAL, vitals_quitter_new, root, "a", NULL, NULL);
	ANSWERS(-EINVAL, vitals_quitter_new, root, "a", &options, &none);
	ANSWERS(-EINVAL, vitals_quitter_on_fd, root, -1, NULL);
	ANSWERS(-EINVAL, vitals_quitter_on_signal, root, 0, NULL);
	ANSWERS(-EINVAL, vitals_quitter_cause, root, NULL);
	ANSWERS(-EINVAL, vitals_quitter_cause, root, &cause);
	ANSWERS(-EINVAL, vitals_quitter_hold, root, NULL);
	ANSWERS(-EINVAL, vitals_quitter_release, root, NULL);
	ck_assert_int_eq(vitals_quitter_abandon(root, 0) < 0, 1);
	/* What ends a service ends it; a record without a size is refused, and left alone. */
	ANSWERS(0, vitals_quitter_send_quit, root, 0, NULL);
	ANSWERS(-EINVAL, vitals_quitter_finish, root, &result, NULL);
	ck_assert_uint_eq(result.size, 0);
	ANSWERS(0, vitals_quitter_finish, root, NULL, NULL);
	IS_NULL(vitals_quitter_free, root);
}

static int thread_nothing(vitals_thread *self, void *arg)
{
	(void)self;
	(void)arg;
	return 0;
}

static void thread_calls(void)
{
	struct vitals_thread_options options = { 0 };
	vitals_thread *none = (vitals_thread *)called;
	vitals_quitter *root = NULL;

	ANSWERS(-EINVAL, vitals_thread_fork, NULL, "a", 0, thread_nothing, NULL, NULL);
	ANSWERS(-EINVAL, vitals_thread_adopt, NULL, "a", 0, NULL, &none);
	ck_assert_ptr_null(none);
	DOES_NOTHING(vitals_thread_leave, NULL, 0);
	call_note("vitals_thread_self");
	ck_assert_ptr_null(vitals_thread_self());
	call_note("vitals_thread_id");
	ck_assert_uint_eq(vitals_thread_id(NULL), 0);
	IS_NULL(vitals_thread_quitter, NULL);
	IS_NULL(vitals_thread_heartbeat, NULL);
	ANSWERS(0, vitals_thread_go_on, NULL);
	ANSWERS(-ECANCELED, vitals_thread_sleep, NULL, VITALS_FOREVER);
	ANSWERS(-ECANCELED, vitals_thread_poll, NULL, NULL, 0, VITALS_FOREVER);
	ANSWERS(-ECANCELED, vitals_thread_cond_wait, NULL, NULL, NULL, VITALS_FOREVER);
	ANSWERS(-EINVAL, vitals_thread_on_quit, NULL, NULL, NULL);

	ck_assert_int_eq(vitals_quitter_new_main(registry, T, NULL, &root), 0);
	ANSWERS(-EINVAL, vitals_thread_fork, root, NULL, 0, thread_nothing, NULL, NULL);
	ANSWERS(-EINVAL, vitals_thread_fork, root, "a", 0, NULL, NULL, NULL);
	ANSWERS(-EINVAL, vitals_thread_fork, root, "a", 0, thread_nothing, NULL,
		&options);
	ANSWERS(-EINVAL, vitals_thread_adopt, root, "a", 0, NULL, NULL);
	ANSWERS(-EINVAL, vitals_thread_adopt, root, NULL, 0, NULL, &none);
	ANSWERS(-EINVAL, vitals_thread_adopt, root, "a", 0, &options, &none);
	ck_assert_int_eq(vitals_thread_adopt(root, "a", 0, NULL, &none), 0);
	ANSWERS(-EINVAL, vitals_thread_poll, none, NULL, 1, 0);
	ANSWERS(-EINVAL, vitals_thread_cond_wait, none, NULL, NULL, 0);
	ANSWERS(0, vitals_thread_on_quit, none, NULL, NULL);
	vitals_thread_leave(none, 0);
	IS_NULL(vitals_quitter_free, root);
}

#define ROW_CALLS(name, type, ...)                                                       \
	do {                                                                             \
		struct type row = { 0 };                                                 \
                                                                                         \
		ANSWERS(-EINVAL, name, NULL, __VA_ARGS__ &row);                          \
		ANSWERS(-EINVAL, name, snapshot, __VA_ARGS__ NULL);                      \
		ANSWERS(-EINVAL, name, snapshot, __VA_ARGS__ &row);                      \
	} while (0)
#define AT_0 0,

static void snapshot_calls(void)
{
	uint64_t counts[VITALS_BUCKETS_FINE];
	vitals_snapshot *snapshot = NULL;

	ANSWERS(-EINVAL, vitals_snapshot_take, registry, NULL);
	IS_NULL(vitals_snapshot_free, NULL);
	ck_assert_int_eq(vitals_snapshot_take(registry, &snapshot), 0);
	ROW_CALLS(vitals_snapshot_process, vitals_process_info, );
	ROW_CALLS(vitals_snapshot_heartbeat, vitals_heartbeat_info, AT_0);
	ROW_CALLS(vitals_snapshot_worst, vitals_heartbeat_info, AT_0);
	ROW_CALLS(vitals_snapshot_group, vitals_group_info, AT_0);
	ROW_CALLS(vitals_snapshot_quitter, vitals_quitter_info, AT_0);
	ROW_CALLS(vitals_snapshot_thread, vitals_thread_info, AT_0);
	ROW_CALLS(vitals_snapshot_part, vitals_part_info, AT_0);
	ROW_CALLS(vitals_snapshot_scope, vitals_scope_info, AT_0);
	ROW_CALLS(vitals_snapshot_evidence, vitals_evidence, AT_0);
	ROW_CALLS(vitals_snapshot_finding, vitals_finding_info, AT_0);
	ANSWERS(-EINVAL, vitals_snapshot_buckets, NULL, 0, counts, VITALS_BUCKETS_FINE);
	ANSWERS(-EINVAL, vitals_snapshot_buckets, snapshot, 0, NULL, VITALS_BUCKETS_FINE);
	ANSWERS(-EINVAL, vitals_snapshot_buckets, snapshot, 0, counts, 0);
	ANSWERS(-EINVAL, vitals_snapshot_group_buckets, NULL, 0, 0, counts);
	ANSWERS(-EINVAL, vitals_snapshot_group_buckets, snapshot, 0, 0, NULL);
	ANSWERS(-EINVAL, vitals_snapshot_group_buckets, snapshot, 0, 2, counts);
	ANSWERS(-EINVAL, vitals_snapshot_shutdown_buckets, NULL, counts);
	ANSWERS(-EINVAL, vitals_snapshot_shutdown_buckets, snapshot, NULL);
	ANSWERS(-EINVAL, vitals_snapshot_print, NULL, 1);
	ck_assert_int_lt(vitals_snapshot_print(snapshot, -1), 1);
	IS_NULL(vitals_snapshot_free, snapshot);
}

/* Every name of the map: a tab, the name, a semicolon. */
static void map_expect(void)
{
	const char *srcdir = getenv("srcdir");
	char path[1024], *text, *line, *end;
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "%s/lib/vitals.map", srcdir ? srcdir : ".");
	text = file_read(path, NULL);
	for (line = strstr(text, "\tvitals_"); line; line = strstr(end, "\tvitals_")) {
		end = strchr(++line, ';');
		ck_assert_ptr_nonnull(end);
		*end++ = 0;
		ck_assert_msg(was_called(line), "%s is not called here", line);
		n++;
	}
	ck_assert_uint_gt(n, 50);
	free(text);
}

START_TEST(every_function_answers_nothing_as_documented)
{
	int fds;

	ck_assert_int_eq(vitals_registry_new(0, &registry), 0);
	/* The process's own registry stays. */
	process_calls();
	fds = fd_count();
	heartbeat_calls();
	events_calls();
	evidence_calls();
	act_calls();
	expect_calls();
	quitter_calls();
	thread_calls();
	snapshot_calls();
	ck_assert_int_eq(fd_count(), fds);
	registry = vitals_registry_free(registry);
	/* Below, for it does not return. */
	call_note("vitals_exit");
	map_expect();
}
END_TEST

/* "NULL leaves with 1 at once": in a process of its own. */
START_TEST(exit_with_no_quitter_leaves_with_1)
{
	vitals_exit(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("null");
	TCase *tc = tcase_create("core");

	tcase_add_test(tc, every_function_answers_nothing_as_documented);
	tcase_add_exit_test(tc, exit_with_no_quitter_leaves_with_1, 1);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
