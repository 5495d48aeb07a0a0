/* SPDX-License-Identifier: MIT */

/*
 * Leaving the process, with who is late on stderr: no heap, no stdio, for any of those
 * threads may hold their locks.
 */

#include "quitter.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void line_write(const char *line, size_t n)
{
	while (n) {
		ssize_t wrote = write(STDERR_FILENO, line, n);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return;
		line += wrote;
		n -= (size_t)wrote;
	}
}

static const char *state_word(uint32_t state)
{
	static const char *const words[] = { "not started yet", "running",
					     "in thread-exit destructors", "a hold" };

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

/* "vitals: late: main/pool/worker-2 (thread 7, tid 1234, running, told 10.0s ago)" */
static void late_write(const struct vitals_thread_info *info)
{
	char line[VITALS_PATH_MAX + 160];
	struct vt_text text;

	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, "vitals: late: ");
	vt_text_add(&text, info->path);
	vt_text_add(&text, " (");
	if (info->state != VITALS_THREAD_HOLD) {
		vt_text_add(&text, "thread ");
		vt_text_add_u64(&text, info->id);
		vt_text_add(&text, ", ");
	}
	if (info->tid) {
		vt_text_add(&text, "tid ");
		vt_text_add_u64(&text, info->tid);
		vt_text_add(&text, ", ");
	}
	vt_text_add(&text, state_word(info->state));
	if (info->count > 1) {
		vt_text_add(&text, ", held ");
		vt_text_add_u64(&text, info->count);
		vt_text_add(&text, " times");
	}
	if (info->told_ns) {
		vt_text_add(&text, ", told ");
		vt_text_add_duration(&text, info->told_ns);
		vt_text_add(&text, " ago");
	}
	vt_text_add(&text, ")\n");
	line_write(line, text.length < sizeof(line) ? text.length : sizeof(line) - 1);
}

static void count_write(uint32_t n)
{
	char line[80];
	struct vt_text text;

	vt_text_init(&text, line, sizeof(line));
	vt_text_add(&text, "vitals: late: ");
	vt_text_add_u64(&text, n);
	vt_text_add(&text, " not named, for want of memory\n");
	line_write(line, text.length);
}

void vitals_exit(vitals_quitter *main_quitter)
{
	struct vitals_thread_info info;
	struct vitals_result result;
	vitals_snapshot *late = NULL;
	uint32_t i = 0;
	int status;

	if (!main_quitter)
		_exit(1);
	if (vt_registry_current(main_quitter->registry, main_quitter->epoch))
		(void)vitals_start(main_quitter->registry);
	VITALS_INIT(&result);
	status = vitals_quitter_finish(main_quitter, &result, &late);
	if (status < 0)
		_exit(1); /* from inside the tree, or a forked child: others run on */
	VITALS_INIT(&info);
	for (; late && vitals_snapshot_thread(late, i, &info) == 0; i++)
		late_write(&info);
	if (i < result.late)
		count_write(result.late - i);
	late = vitals_snapshot_free(late);
	if (result.late)
		_exit(status);
	exit(status);
}
