/* SPDX-License-Identifier: MIT */

#include "command.h"

#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

static const char *const default_argv[] = { "vitals", "why", "--stacks", "%p", NULL };

/* Return: 0; -ENOENT, -EACCES. */
static int program_try(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return -ENOENT;
	return access(path, X_OK) ? -EACCES : 0;
}

/* In the directories of @path; those that are not from '/' on would be elsewhere by then. */
static int program_search(struct vt_command *command, const char *name, const char *path)
{
	int found = -ENOENT, r;

	while (*path) {
		size_t n = strcspn(path, ":");

		if (*path == '/' && n + strlen(name) + 2 <= sizeof(command->program)) {
			memcpy(command->program, path, n);
			command->program[n] = '/';
			memcpy(command->program + n + 1, name, strlen(name) + 1);
			r = program_try(command->program);
			if (r == 0)
				return 0;
			found = r == -EACCES ? r : found;
		}
		path += n + (path[n] == ':');
	}
	return found;
}

static int program_find(struct vt_command *command, const char *name)
{
	const char *path = secure_getenv("PATH");
	struct vt_text text;

	if (!path || strlen(path) + sizeof("PATH=") > sizeof(command->path))
		path = PATH_DEFAULT;
	vt_text_init(&text, command->path, sizeof(command->path));
	vt_text_add(&text, "PATH=");
	vt_text_add(&text, path);
	if (!*name)
		return -EINVAL;
	if (!strchr(name, '/'))
		return program_search(command, name, path);
	if (*name != '/')
		return -EINVAL;
	if (strlen(name) >= sizeof(command->program))
		return -ENAMETOOLONG;
	memcpy(command->program, name, strlen(name) + 1);
	return program_try(command->program);
}

int vt_command_set(struct vt_command *command, const char *const *argv)
{
	size_t n;

	memset(command, 0, sizeof(*command));
	if (!argv)
		argv = default_argv;
	if (!argv[0])
		return -EINVAL;
	for (; argv[command->n]; command->n++) {
		n = strlen(argv[command->n]) + 1;
		if (command->n == VITALS_CAPTURE_ARGUMENTS ||
		    command->used + n > sizeof(command->bytes))
			return -E2BIG;
		command->at[command->n] = (uint16_t)command->used;
		memcpy(command->bytes + command->used, argv[command->n], n);
		command->used += (uint32_t)n;
	}
	return program_find(command, argv[0]);
}

void vt_command_arguments(const struct vt_command *command, const char *pid,
			  const char *argv[VITALS_CAPTURE_ARGUMENTS + 1])
{
	uint32_t i;

	argv[0] = command->program;
	for (i = 1; i < command->n; i++) {
		argv[i] = command->bytes + command->at[i];
		if (!strcmp(argv[i], "%p"))
			argv[i] = pid;
	}
	argv[command->n] = NULL;
}
