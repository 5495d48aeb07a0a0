/* SPDX-License-Identifier: MIT */

/*
 * A snapshot as aligned text, for people: by write(2) alone.
 */

#include "snapshot.h"

#include "text.h"

#include <errno.h>
#include <unistd.h>

#define LINE_BYTES 1024

/* Return: 0; the errno of write(2). */
static int line_write(int fd, struct vt_text *line)
{
	size_t done = 0,
	       length = line->length < line->size ? line->length : line->size - 1;

	while (done < length) {
		ssize_t n = write(fd, line->at + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static void line_end(struct vt_text *line)
{
	/* The newline takes the last byte of a line that is too long. */
	if (line->length + 2 > line->size)
		line->length = line->size - 2;
	line->at[line->length++] = '\n';
	line->at[line->length] = 0;
}

/* ", in fsync 250ms of 200ms" */
static void scope_add(struct vt_text *line, const struct vitals_heartbeat_info *info)
{
	vt_text_add(line, ", in ");
	vt_text_add(line, info->scope);
	vt_text_add(line, " ");
	vt_text_add_duration(line, info->scope_age_ns);
	if (info->scope_budget_ns) {
		vt_text_add(line, " of ");
		vt_text_add_duration(line, info->scope_budget_ns);
	}
}

/* ": waits for mutex journal (0x5581), held by flusher (tid 71)" */
static void doing_add(struct vt_text *line, const char *doing)
{
	if (!doing[0])
		return;
	vt_text_add(line, ": ");
	vt_text_add(line, doing);
}

static int print_heartbeats(vitals_snapshot *snapshot, int fd)
{
	struct vitals_heartbeat_info info;
	char buffer[LINE_BYTES];
	struct vt_text line;
	uint32_t i;
	int r = 0;

	VITALS_INIT(&info);
	for (i = 0; r == 0 && vitals_snapshot_heartbeat(snapshot, i, &info) == 0; i++) {
		vt_text_init(&line, buffer, sizeof(buffer));
		vt_text_add(&line, "heartbeat ");
		vt_text_add(&line, info.name);
		vt_text_pad(&line, 34);
		vt_text_add(&line, vitals_state_name((int)info.state));
		vt_text_pad(&line, 43);
		vt_text_add_duration(&line, info.silence_ns);
		vt_text_add(&line, " of ");
		vt_text_add_duration(&line, info.timeout_ns);
		vt_text_add(&line, ", pulses ");
		vt_text_add_u64(&line, info.pulses);
		if (info.scope_depth)
			scope_add(&line, &info);
		if (info.tid) {
			vt_text_add(&line, ", tid ");
			vt_text_add_u64(&line, info.tid);
		}
		doing_add(&line, info.doing);
		line_end(&line);
		r = line_write(fd, &line);
	}
	return r;
}

static int print_quitters(vitals_snapshot *snapshot, int fd)
{
	struct vitals_quitter_info info;
	char buffer[LINE_BYTES];
	struct vt_text line;
	uint32_t i;
	int r = 0;

	VITALS_INIT(&info);
	for (i = 0; r == 0 && vitals_snapshot_quitter(snapshot, i, &info) == 0; i++) {
		vt_text_init(&line, buffer, sizeof(buffer));
		vt_text_add(&line, "quitter ");
		vt_text_add(&line, info.path);
		vt_text_pad(&line, 34);
		vt_text_add(&line, info.told ? "quitting" : "running");
		vt_text_pad(&line, 43);
		vt_text_add(&line, "threads ");
		vt_text_add_u64(&line, info.threads);
		if (info.abandoned) {
			vt_text_add(&line, ", abandoned ");
			vt_text_add_u64(&line, info.abandoned);
		}
		line_end(&line);
		r = line_write(fd, &line);
	}
	return r;
}

static const char *state_word(uint32_t state)
{
	static const char *const words[] = { "not started yet", "running",
					     "in thread-exit destructors", "a hold",
					     "gone without leaving" };

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

void vt_print_thread(const struct vitals_thread_info *info, struct vt_text *line)
{
	vt_text_add(line, info->path);
	vt_text_add(line, " (");
	if (info->state != VITALS_THREAD_HOLD) {
		vt_text_add(line, "thread ");
		vt_text_add_u64(line, info->id);
		vt_text_add(line, ", ");
	}
	if (info->tid) {
		vt_text_add(line, "tid ");
		vt_text_add_u64(line, info->tid);
		vt_text_add(line, ", ");
	}
	vt_text_add(line, state_word(info->state));
	if (info->scope[0]) {
		vt_text_add(line, " in ");
		vt_text_add(line, info->scope);
	}
	if (info->count > 1) {
		vt_text_add(line, ", held ");
		vt_text_add_u64(line, info->count);
		vt_text_add(line, " times");
	}
	if (info->told_ns) {
		vt_text_add(line, ", told ");
		vt_text_add_duration(line, info->told_ns);
		vt_text_add(line, " ago");
	}
	vt_text_add(line, ")");
	doing_add(line, info->doing);
}

static int print_threads(vitals_snapshot *snapshot, int fd)
{
	struct vitals_thread_info info;
	char buffer[LINE_BYTES];
	struct vt_text line;
	uint32_t i;
	int r;

	VITALS_INIT(&info);
	for (i = 0; vitals_snapshot_thread(snapshot, i, &info) == 0; i++) {
		vt_text_init(&line, buffer, sizeof(buffer));
		vt_text_add(&line, info.late        ? "late: "
				   : info.abandoned ? "abandoned: "
						    : "thread ");
		vt_print_thread(&info, &line);
		line_end(&line);
		r = line_write(fd, &line);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "deadlock of 2 threads: worker-2 waits for …" */
static int print_findings(vitals_snapshot *snapshot, int fd)
{
	struct vitals_finding_info info;
	char buffer[LINE_BYTES];
	struct vt_text line;
	uint32_t i;
	int r = 0;

	VITALS_INIT(&info);
	for (i = 0; r == 0 && vitals_snapshot_finding(snapshot, i, &info) == 0; i++) {
		if (info.over)
			continue;
		vt_text_init(&line, buffer, sizeof(buffer));
		if (info.kind == VITALS_EVENT_DEADLOCK) {
			vt_text_add(&line, "deadlock of ");
			vt_text_add_u64(&line, info.threads);
			vt_text_add(&line,
				    info.threads == 1 ? " thread: " : " threads: ");
		}
		vt_text_add(&line, info.doing);
		line_end(&line);
		r = line_write(fd, &line);
	}
	return r;
}

int vitals_snapshot_print(vitals_snapshot *snapshot, int fd)
{
	int r;

	if (!snapshot)
		return -EINVAL;
	if (vt_snapshot_is_late(snapshot))
		return print_threads(snapshot, fd);
	r = print_heartbeats(snapshot, fd);
	if (r == 0)
		r = print_quitters(snapshot, fd);
	if (r == 0)
		r = print_threads(snapshot, fd);
	if (r == 0)
		r = print_findings(snapshot, fd);
	return r;
}
