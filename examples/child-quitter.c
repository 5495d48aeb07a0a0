/* SPDX-License-Identifier: MIT */

/*
 * Child quitter
 *
 * A main heartbeat on the main quitter, two more on a child of it. After five seconds the
 * children are asked to leave and given two seconds to do so; Ctrl-C ends the rest.
 * Always fork through a quitter, and nobody is forgotten.
 *
 *	child-quitter [--second-ms N] [--stubborn]
 *
 * --second-ms N makes a second N milliseconds long, for the impatient and for tests;
 * --stubborn makes child_heartbeat_b stay when it is asked to leave.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vitals.h>

static uint64_t second_ns = VITALS_S(1);
static int stubborn;

static int run_child(vitals_thread *self, void *name)
{
	while (vitals_thread_go_on(self))
		if (vitals_thread_sleep(self, second_ns) == 0)
			printf("Heartbeat from '%s'\n", (const char *)name);

	while (stubborn && strcmp(name, "child_heartbeat_b") == 0)
		sleep(1);
	return 0;
}

/* A second child is refused when the first, or main, was told to quit: no harm done. */
static int fork_children(vitals_quitter *child)
{
	static char a[] = "child_heartbeat_a";
	static char b[] = "child_heartbeat_b";
	int r = vitals_thread_fork(child, a, 2 * second_ns, run_child, a, NULL);

	return r ? r : vitals_thread_fork(child, b, 2 * second_ns, run_child, b, NULL);
}

static int run_main(vitals_thread *self, void *name)
{
	vitals_quitter *child;
	int alive_in_sec;

	if (vitals_quitter_new(vitals_thread_quitter(self), "childQuitter", NULL, &child))
		return 0;
	if (fork_children(child) == 0) {
		for (alive_in_sec = 1; vitals_thread_go_on(self); alive_in_sec++) {
			if (vitals_thread_sleep(self, second_ns))
				break;
			printf("Heartbeat from '%s'\n", (const char *)name);

			if (alive_in_sec == 5) {
				vitals_quitter_send_quit(child, 0, "5 seconds are over");
				if (vitals_quitter_wait_done(child, 2 * second_ns, NULL))
					puts("Quitter timeout waiting done");
			}
		}
	}
	vitals_quitter_free(child);
	return 0;
}

static void print_late(vitals_snapshot *late)
{
	struct vitals_thread_info row;
	char quitter[VITALS_PATH_MAX] = "";
	uint32_t i;

	VITALS_INIT(&row);
	for (i = 0; vitals_snapshot_thread(late, i, &row) == 0; i++) {
		if (strcmp(quitter, row.quitter_path) != 0) {
			strcpy(quitter, row.quitter_path);
			printf("Timeout waiting done on quitter '%s'", quitter);
			puts(" due to the following threads:");
		}
		printf("\t-  %s\n", row.name);
	}
}

/* The index of an event is the order of the on_ calls; its text is the seed's map. */
static int exit_main(vitals_quitter *main_quitter)
{
	struct vitals_result result;
	vitals_snapshot *late;

	VITALS_INIT(&result);
	vitals_quitter_finish(main_quitter, &result, &late);
	printf("Received quit from channel '%s'\n", result.text);
	if (result.late == 0) {
		puts("Successfully quit application, all forked threads returned");
		return result.status;
	}
	puts("Failed to quit application, not all forked threads returned");
	print_late(late);
	fflush(stdout);
	_exit(result.status); /* no destructors under threads that still run */
}

int main(int argc, char **argv)
{
	static char name[] = "main_heartbeat";
	vitals_quitter *main_quitter;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--stubborn") == 0)
			stubborn = 1;
		else if (strcmp(argv[i], "--second-ms") == 0 && i + 1 < argc)
			second_ns = VITALS_MS(strtoul(argv[++i], NULL, 10));
		else
			return 2;
	}

	if (vitals_quitter_new_main(NULL, 2 * second_ns, NULL, &main_quitter) ||
	    vitals_quitter_on_signal(main_quitter, SIGINT, "OS interrupt signal") < 0 ||
	    vitals_thread_fork(main_quitter, name, 5 * second_ns, run_main, name, NULL))
		return 2;
	return exit_main(main_quitter);
}
