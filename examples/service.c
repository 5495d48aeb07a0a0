/* SPDX-License-Identifier: MIT */

/*
 * Service
 *
 * A small real service, and the demo: it indexes a directory tree, pass after pass,
 * serves its vital signs meanwhile, breaks when told to, and stops on SIGTERM or SIGINT.
 *
 *	main                             the main quitter
 *	|-- walker                       a thread: goes through the tree, fills the queue
 *	|-- reporter                     a thread: prints what has changed
 *	|-- pool                         a quitter
 *	    |-- worker-1, worker-2, ...  threads: hash the files in the queue
 */

#include "indexer/breakage.h"
#include "indexer/options.h"
#include "indexer/pool.h"
#include "indexer/queue.h"
#include "indexer/report.h"
#include "indexer/walker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vitals-exporter.h>

#ifndef SRCDIR
#define SRCDIR "."
#endif

static struct breakage breakage = { .after_ns = VITALS_S(5) };
static struct options options = {
	.listen = "127.0.0.1:9464",
	.dir = SRCDIR,
	.quit_ns = VITALS_S(2),
	.workers = 4,
	.breakage = &breakage,
};
static struct queue queue;
static struct report report;
static struct walker walker = { .queue = &queue, .report = &report };
static struct pool pool = { .queue = &queue, .report = &report, .breakage = &breakage };

/* What is wrong, and when it no longer is; beats that go on are no news. */
static void tell(const struct vitals_event *event, void *unused)
{
	char line[1024];

	(void)unused;
	if (event->kind == VITALS_EVENT_HEARTBEAT && VITALS_STATE_IS_GOOD(event->to) &&
	    (event->from < 0 || event->from == VITALS_STARTING ||
	     VITALS_STATE_IS_GOOD(event->from)))
		return;
	vitals_event_text(event, line, sizeof(line));
	puts(line);
}

static vitals_quitter *open_main(void)
{
	vitals_quitter *service;
	int r;

	if ((r = breakage_open(&breakage)) ||
	    (r = vitals_quitter_new_main(NULL, options.quit_ns, NULL, &service)) ||
	    (r = vitals_quitter_on_signal(service, SIGTERM, "SIGTERM")) < 0 ||
	    (r = vitals_quitter_on_signal(service, SIGINT, "SIGINT")) < 0 ||
	    (r = vitals_set_ready(NULL, "index", 0)) ||
	    (r = vitals_on_event(NULL, tell, NULL)) ||
	    /* Where systemd has started it, and nowhere else. */
	    (r = vitals_systemd(NULL, 0)))
		give_up("cannot start", strerror(-r));
	return service;
}

static vitals_exporter *serve(void)
{
	vitals_exporter *exporter;
	int r = vitals_exporter_start(NULL, options.listen, NULL, &exporter);

	if (r) {
		/* The environment has the last word. */
		const char *instead = getenv("VITALS_LISTEN");

		give_up(instead ? instead : options.listen, strerror(-r));
	}
	return exporter;
}

static int fork_all(vitals_quitter *service)
{
	uint64_t silence_ns = options.silence_ns;
	int r;

	if ((r = vitals_thread_fork(service, "walker", silence_ns, walker_run, &walker,
				    NULL)) ||
	    (r = vitals_thread_fork(service, "reporter", silence_ns, report_run, &report,
				    NULL)) ||
	    (r = pool_fork(&pool, service, options.workers, options.linger, silence_ns)))
		return r;
	if (breakage.heal_ns)
		r = vitals_thread_fork(service, "healer", 0, breakage_heal, &breakage,
				       NULL);
	return r;
}

/* Waits for the first beats, a second at most: who is told where to look finds all up. */
static void announce(const vitals_exporter *exporter)
{
	struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	struct vitals_process_info process;
	vitals_snapshot *snapshot = NULL;
	int i;

	VITALS_INIT(&process);
	/* The monitor has seen all of them well: the workers, the walker and the reporter. */
	for (i = 0; i < 200 && vitals_snapshot_take(NULL, &snapshot) == 0; i++) {
		if (vitals_snapshot_process(snapshot, &process) ||
		    process.critical[VITALS_HEALTHY] + process.critical[VITALS_IDLE] >=
			    options.workers + 2)
			break;
		nanosleep(&pause, NULL);
	}
	vitals_snapshot_free(snapshot);
	if (exporter)
		printf("listening on http://%s\n", vitals_exporter_address(exporter));
}

/* With somebody late the process ends at once: no destructors under threads that run. */
static int finish(vitals_quitter *service)
{
	struct vitals_result result;
	vitals_snapshot *late;

	VITALS_INIT(&result);
	vitals_quitter_finish(service, &result, &late);
	if (result.late == 0) {
		printf("%s: all threads returned\n", result.text);
		return result.status;
	}
	printf("%s: %u did not return\n", result.text, result.late);
	fflush(stdout);
	vitals_snapshot_print(late, STDERR_FILENO);
	_exit(result.status);
}

int main(int argc, char **argv)
{
	vitals_exporter *exporter;
	vitals_quitter *service;
	int r, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	options_read(&options, argc, argv);
	walker.root = options.dir;
	queue_open(&queue);
	report_open(&report);

	service = open_main();
	exporter = serve();
	r = fork_all(service);
	if (r)
		vitals_quitter_send_quit(service, 2, strerror(-r));
	else
		announce(exporter);
	status = finish(service);

	vitals_exporter_stop(exporter);
	vitals_quitter_free(service);
	report_close(&report);
	queue_close(&queue);
	return status;
}
