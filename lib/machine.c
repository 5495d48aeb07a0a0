/* SPDX-License-Identifier: MIT */

#include "machine.h"

#include "text.h"

#include <string.h>

#define PRESSURE_NS 1000000000u
/* Groups in groups; a path longer than that is not followed. */
#define DEPTH_MAX 12
#define GROUP_BYTES 1024

/* Digits at @at. */
static uint64_t number_at(const char *at)
{
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

uint32_t vt_machine_parse_pressure(const char *text)
{
	static const char key[] = "some avg10=";
	const char *point;

	if (strncmp(text, key, sizeof(key) - 1) != 0)
		return UINT32_MAX;
	text += sizeof(key) - 1;
	point = strchr(text, '.');
	if (!point || point == text || point > text + 3 || point[1] < '0' ||
	    point[1] > '9' || point[2] < '0' || point[2] > '9')
		return UINT32_MAX;
	return (uint32_t)(number_at(text) * 100 + (uint64_t)(point[1] - '0') * 10 +
			  (uint64_t)(point[2] - '0'));
}

static uint32_t pressure_of(struct vt_proc *proc, const char *path)
{
	char text[256];

	if (vt_proc_read_path(proc, path, text, sizeof(text)) <= 0)
		return UINT32_MAX;
	return vt_machine_parse_pressure(text);
}

void vt_machine_pressure(struct vt_proc *proc, uint64_t now_ns)
{
	struct vt_pressure *pressure = &proc->pressure;

	if (pressure->at_ns && now_ns - pressure->at_ns < PRESSURE_NS)
		return;
	pressure->at_ns = now_ns;
	pressure->cpu = pressure_of(proc, "/proc/pressure/cpu");
	pressure->io = pressure_of(proc, "/proc/pressure/io");
	pressure->memory = pressure_of(proc, "/proc/pressure/memory");
}

/* What follows @key, which begins a line. Return: NULL: there is none. */
static const char *line_of(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text && *text) {
		if (strncmp(text, key, length) == 0)
			return text + length;
		text = strchr(text, '\n');
		text += text ? 1 : 0;
	}
	return NULL;
}

bool vt_machine_parse_stat(const char *text, struct vt_throttle *throttle)
{
	const char *periods = line_of(text, "nr_periods ");
	const char *us = line_of(text, "throttled_usec ");
	const char *ns = line_of(text, "throttled_time ");

	/* The second version has it without these where no limit can be set. */
	if (!periods)
		return line_of(text, "usage_usec ") != NULL;
	throttle->limited |= number_at(periods) != 0;
	throttle->throttled_ns += us ? number_at(us) * 1000 : ns ? number_at(ns) : 0;
	return true;
}

/* Is "cpu" one of the names between commas up to the colon? */
static bool has_cpu(const char *names)
{
	for (;;) {
		size_t n = strcspn(names, ",:");

		if (n == 3 && strncmp(names, "cpu", 3) == 0)
			return true;
		if (names[n] != ',')
			return false;
		names += n + 1;
	}
}

int vt_machine_parse_cgroup(const char *text, char *path, size_t size)
{
	int version = 0;

	/* "2:cpu,cpuacct:/a/b", and "0::/a/b" that counts where the former is not. */
	while (text && *text) {
		const char *names = strchr(text, ':');
		const char *at = names ? strchr(names + 1, ':') : NULL;
		int found = !at ? 0 : has_cpu(names + 1) ? 1 : at == names + 1 ? 2 : 0;

		if (found && (!version || found == 1)) {
			size_t length = strcspn(++at, "\n");

			if (length >= size)
				return 0;
			memcpy(path, at, length);
			path[length] = 0;
			version = found;
		}
		text = strchr(text, '\n');
		text += text ? 1 : 0;
	}
	return version;
}

/* Where the files of either version are. */
static const char *const mounts[][3] = {
	{ "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", NULL },
	{ "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL },
};

/* Of one group. */
static bool group_read(struct vt_proc *proc, const char *mount, const char *group,
		       struct vt_throttle *throttle)
{
	char path[GROUP_BYTES + 64], text[1024];
	struct vt_text to;

	vt_text_init(&to, path, sizeof(path));
	vt_text_add(&to, mount);
	vt_text_add(&to, group);
	vt_text_add(&to, "/cpu.stat");
	return vt_proc_read_path(proc, path, text, sizeof(text)) > 0 &&
	       vt_machine_parse_stat(text, throttle);
}

/* Of the group and those around it, from the inside; @group is cut on the way. */
static bool groups_read(struct vt_proc *proc, const char *mount, char *group,
			struct vt_throttle *throttle)
{
	unsigned depth;

	for (depth = 0; depth < DEPTH_MAX; depth++) {
		char *slash = strrchr(group, '/');

		if (!group_read(proc, mount, group, throttle))
			return false;
		if (!slash)
			return true;
		*slash = 0;
	}
	return false;
}

void vt_machine_throttle(struct vt_proc *proc, uint32_t tid, struct vt_throttle *throttle)
{
	char text[GROUP_BYTES + 1024], group[GROUP_BYTES];
	bool outermost;
	int version, i;

	memset(throttle, 0, sizeof(*throttle));
	if (vt_proc_read(proc, tid, "cgroup", text, sizeof(text)) <= 0)
		return;
	version = vt_machine_parse_cgroup(text, group, sizeof(group));
	if (!version)
		return;
	outermost = strcmp(group, "/") == 0;
	if (outermost)
		group[0] = 0;
	for (i = 0; mounts[version - 1][i] && !throttle->known; i++) {
		memset(throttle, 0, sizeof(*throttle));
		throttle->known =
			groups_read(proc, mounts[version - 1][i], group, throttle);
	}
	/* A container's own root has limits around it that cannot be seen from inside. */
	if (version == 2 && outermost)
		throttle->known = false;
}
