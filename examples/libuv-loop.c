/* SPDX-License-Identifier: MIT */

/*
 * Libuv loop
 *
 * A uv loop in a thread that somebody else has made, adopted. Two descriptors join the
 * loop: the quitter's, which closes every handle, so that uv_run() returns; and the
 * heartbeat's, readable when a pulse is due. A loop that is stuck in a callback does not
 * pulse, and is reported.
 *
 * Prints each pulse. Ctrl-C ends it.
 */

#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>
#include <vitals.h>

struct looper {
	vitals_quitter *quitter;
	vitals_thread *self;
	uv_loop_t loop;
	uv_poll_t quit;
	uv_poll_t due;
	uv_timer_t work;
	unsigned done;
};

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void on_quit(uv_poll_t *quit, int status, int events)
{
	(void)status, (void)events;
	uv_walk(quit->loop, close_handle, NULL);
}

static void on_due(uv_poll_t *due, int status, int events)
{
	struct looper *looper = due->data;
	vitals_heartbeat *heartbeat = vitals_thread_heartbeat(looper->self);

	(void)status, (void)events;
	/* To ask whether it is due makes the descriptor wait for the next. */
	if (vitals_heartbeat_due(heartbeat) && vitals_heartbeat_pulse(heartbeat) == 0)
		puts("pulse");
}

/* Whatever the loop is for. */
static void on_work(uv_timer_t *work)
{
	struct looper *looper = work->data;

	if (looper->done++ == 0)
		puts("at work");
}

/* libuv never closes a descriptor that it polls: they stay the library's. */
static int prepare(struct looper *looper)
{
	int quit_fd = vitals_quitter_fd(looper->quitter);
	int due_fd = vitals_heartbeat_due_fd(vitals_thread_heartbeat(looper->self));

	looper->due.data = looper->work.data = looper;
	return quit_fd < 0 || due_fd < 0 ||
	       uv_poll_init(&looper->loop, &looper->quit, quit_fd) ||
	       uv_poll_start(&looper->quit, UV_READABLE, on_quit) ||
	       uv_poll_init(&looper->loop, &looper->due, due_fd) ||
	       uv_poll_start(&looper->due, UV_READABLE, on_due) ||
	       uv_timer_init(&looper->loop, &looper->work) ||
	       uv_timer_start(&looper->work, on_work, 0, 10);
}

static void run(void *arg)
{
	struct looper *looper = arg;

	/* Refused if the quit came first: there is nothing to do then. */
	if (vitals_thread_adopt(looper->quitter, "looper", VITALS_S(1), NULL,
				&looper->self))
		return;
	if (prepare(looper)) {
		vitals_quitter_send_quit(looper->quitter, 2, "no loop");
		uv_walk(&looper->loop, close_handle, NULL);
	}
	uv_run(&looper->loop, UV_RUN_DEFAULT);
	vitals_thread_leave(looper->self, 0);
}

int main(void)
{
	static struct looper looper;
	struct vitals_result result;
	uv_thread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (vitals_quitter_new_main(NULL, VITALS_S(2), NULL, &looper.quitter) ||
	    vitals_quitter_on_signal(looper.quitter, SIGINT, NULL) < 0 ||
	    vitals_start(NULL) || uv_loop_init(&looper.loop) ||
	    uv_thread_create(&thread, run, &looper))
		return 2;

	VITALS_INIT(&result);
	vitals_quitter_finish(looper.quitter, &result, NULL);
	printf("%s: %u late\n", result.text, result.late);
	if (result.late)
		_exit(result.status); /* no destructors under a thread that still runs */
	uv_thread_join(&thread);
	puts(uv_loop_close(&looper.loop) ? "handles are open" : "all handles closed");
	vitals_quitter_free(looper.quitter);
	return result.status;
}
