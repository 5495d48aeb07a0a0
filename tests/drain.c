/* SPDX-License-Identifier: MIT */

/*
 * An HTTP service under load is told to stop by SIGTERM, and loses no accepted request.
 *
 * usage: drain SERVICE; with VITALS_DRAIN_ROUNDS, VITALS_DRAIN_SECONDS (2 or more),
 * VITALS_DRAIN_SEED
 *
 * A request is *accepted* if, as its client sees it, the connection was made (connect() returned
 * 0) and no answer on it has said "Connection: close". Each such request has to be answered, whole
 * and with 200: a reset, an end of file or an error before that is a loss, also if the request was
 * not written yet. Who is not let in (connect() fails) after the SIGTERM was not accepted. A
 * client that keeps its connection asks the next thing at once: a server that closes an idle one
 * races with its client in HTTP as such.
 *
 * Rounds take turns: clients that stop when /readyz turns 503, as behind a load balancer; clients
 * that do not look; wrk, if there is one, which does not look either. Half of the clients keep
 * their connection, half make one for each request. In each round: the service counts as many
 * answers as its clients do; /readyz turned 503 before the first thread was told, and whoever is
 * told finds the process not ready.
 *
 * First the service is broken in ways that have to be found. VITALS_DRAIN_BREAK=filter breaks it
 * in all rounds, to see what is lost.
 */

#include "chance.h"

#include "vitals.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 32
#define READY_OFF_MS "500"
#define PROBE_NS VITALS_MS(2)
/* A prober that did not run for so long says nothing about when readiness fell. */
#define PROBE_LATE_NS VITALS_MS(250)
#define BROKEN_ROUNDS 20

enum kind {
	POLITE, /* stop when /readyz says so */
	HARSH,
	WRK,
	WRK_ONCE, /* a connection for each request */
	KINDS,
};

static const char *const kinds[] = { "looks at /readyz", "does not look", "wrk",
				     "wrk, Connection: close" };

struct service {
	pid_t pid;
	FILE *out;
	char ledger[64];
	uint16_t port;
	uint64_t answered;     /* what it says itself */
	uint64_t not_ready_ns; /* as well; 0: nobody asked in time */
	uint64_t told_ns;      /* the first of its threads */
	unsigned n_told, n_told_ready;
	int status;
};

struct round {
	enum kind kind;
	struct service service;
	_Atomic uint32_t over, not_ready, terminated;
	_Atomic uint64_t n_answered, n_lost, n_refused;
	uint64_t not_ready_ns; /* the prober's: when it first saw a 503, 0: never */
	uint64_t gap_ns;       /* the longest that it was without an answer, until then */
	uint64_t term_ns, gone_ns, wrk_ended_ns;
};

static struct round round_;
static const char *program;

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * VITALS_S(1) + (uint64_t)now.tv_nsec;
}

static void pause_for(uint64_t ns)
{
	struct timespec left = { .tv_sec = (time_t)(ns / VITALS_S(1)),
				 .tv_nsec = (long)(ns % VITALS_S(1)) };

	while (nanosleep(&left, &left) && errno == EINTR)
		continue;
}

/* Clients */

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Return: the status of a whole answer, *@ret_close if it is the last; 0: there was none. */
static int ask(int fd, const char *path, bool once, bool *ret_close)
{
	char text[512], *body;
	size_t length = 0;
	ssize_t n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n%s\r\n", path,
			     once ? "Connection: close\r\n" : "");

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		return 0;
	for (;;) {
		n = recv(fd, text + length, sizeof(text) - 1 - length, 0);
		if (n <= 0)
			return 0;
		length += (size_t)n;
		text[length] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (body && strlen(body + 4) == 3)
			break;
	}
	*ret_close = strstr(text, "Connection: close\r\n") != NULL;
	return (int)strtol(text + strlen("HTTP/1.1 "), NULL, 10);
}

static void *client_run(void *arg)
{
	bool once = *(const bool *)arg, last;
	int fd = -1;

	while (!atomic_load(&round_.over)) {
		if (round_.kind == POLITE && atomic_load(&round_.not_ready))
			break;
		if (fd < 0)
			fd = connect_to(round_.service.port);
		if (fd < 0) {
			if (atomic_load(&round_.terminated))
				break;
			atomic_fetch_add(&round_.n_refused, 1);
			pause_for(VITALS_MS(1));
			continue;
		}
		last = true;
		atomic_fetch_add(ask(fd, "/", once, &last) == 200 ? &round_.n_answered
								  : &round_.n_lost,
				 1);
		if (last) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* A load balancer: asks all the time, each time anew. */
static void *prober_run(void *arg)
{
	uint64_t asked_ns = clock_now(), now_ns;
	bool was_ready = false, last;

	(void)arg;
	while (!atomic_load(&round_.over)) {
		int fd = connect_to(round_.service.port), status = 0;

		if (fd >= 0) {
			status = ask(fd, "/readyz", true, &last);
			close(fd);
		}
		now_ns = clock_now();
		if (now_ns - asked_ns > round_.gap_ns)
			round_.gap_ns = now_ns - asked_ns;
		asked_ns = now_ns;
		was_ready |= status == 200;
		if (status != 200 && was_ready) {
			round_.not_ready_ns = status == 503 ? now_ns : 0;
			atomic_store(&round_.not_ready, 1);
			return NULL;
		}
		pause_for(PROBE_NS);
	}
	return NULL;
}

/* The service */

static void service_start(struct service *service, const char *broken)
{
	char line[128];
	int fds[2];

	memset(service, 0, sizeof(*service));
	snprintf(service->ledger, sizeof(service->ledger), "/tmp/vitals-drain-%d.ledger",
		 (int)getpid());
	if (pipe(fds)) {
		perror("pipe");
		exit(2);
	}
	service->pid = fork();
	if (service->pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl(program, program, "--port", "0", "--ready-off-ms", READY_OFF_MS,
		      "--ledger", service->ledger, "--break", broken, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	service->out = fdopen(fds[0], "r");
	if (!service->out || !fgets(line, sizeof(line), service->out) ||
	    sscanf(line, "Listening on http://127.0.0.1:%hu", &service->port) != 1) {
		fprintf(stderr, "%s does not start\n", program);
		exit(2);
	}
}

/* What it has said, and how it ended. */
static void service_end(struct service *service)
{
	unsigned long long number;
	char line[128], name[32];
	int is_ready;
	FILE *ledger;

	while (fgets(line, sizeof(line), service->out)) {
		if (sscanf(line, "not ready at %llu", &number) == 1) {
			/* Not at first either, until its threads have beaten. */
			if (number >= round_.term_ns && !service->not_ready_ns)
				service->not_ready_ns = number;
		} else if (sscanf(line, "%31s told at %llu, ready %d", name, &number,
				  &is_ready) == 3) {
			if (!service->told_ns || number < service->told_ns)
				service->told_ns = number;
			service->n_told++;
			service->n_told_ready += is_ready != 0;
		}
	}
	fclose(service->out);
	waitpid(service->pid, &service->status, 0);
	ledger = fopen(service->ledger, "r");
	if (!ledger || fscanf(ledger, "answered %llu", &number) != 1)
		number = 0;
	service->answered = number;
	if (ledger)
		fclose(ledger);
	unlink(service->ledger);
}

/* Rounds */

/*
 * wrk counts as "write" whom it could not connect; "read" is what is lost. It counts answers.
 */
static void *wrk_run(void *arg)
{
	char command[200], line[200];
	unsigned long long n, lost = 0, requests = 0;
	FILE *out;

	snprintf(command, sizeof(command),
		 "wrk -t2 -c%d -d%llus %s http://127.0.0.1:%u/ 2>&1", CLIENTS,
		 (unsigned long long)(*(uint64_t *)arg / VITALS_S(1)),
		 round_.kind == WRK_ONCE ? "-H 'Connection: close'" : "",
		 round_.service.port);
	out = popen(command, "r");
	while (out && fgets(line, sizeof(line), out)) {
		unsigned long long r, w, t;

		if (sscanf(line,
			   " Socket errors: connect %llu, read %llu, write %llu, timeout "
			   "%llu",
			   &n, &r, &w, &t) == 4)
			lost = r + t;
		else if (sscanf(line, " Non-2xx or 3xx responses: %llu", &r) == 1)
			lost += r;
		else if (sscanf(line, " %llu requests in", &r) == 1)
			requests = r;
	}
	if (!out || pclose(out))
		lost++;
	round_.wrk_ended_ns = clock_now();
	atomic_store(&round_.n_answered, requests);
	atomic_store(&round_.n_lost, lost);
	return NULL;
}

static void load_run(uint64_t length_ns, uint64_t until_ns)
{
	static const bool once[2] = { false, true };
	pthread_t clients[CLIENTS], prober;
	unsigned n = round_.kind < WRK ? CLIENTS : 1, i;

	pthread_create(&prober, NULL, prober_run, NULL);
	for (i = 0; i < n; i++)
		pthread_create(&clients[i], NULL, n > 1 ? client_run : wrk_run,
			       n > 1 ? (void *)(uintptr_t)&once[i % 2] : &length_ns);
	pause_for(until_ns);
	atomic_store(&round_.terminated, 1);
	round_.term_ns = clock_now();
	kill(round_.service.pid, SIGTERM);
	service_end(&round_.service);
	round_.gone_ns = clock_now();
	for (i = 0; i < n; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&round_.over, 1);
	pthread_join(prober, NULL);
}

static double since_term(uint64_t ns)
{
	return ns ? ((double)ns - (double)round_.term_ns) / 1e6 : -1;
}

/* Do both say the same? wrk that ends before the service does leaves requests behind. */
static bool counts_agree(void)
{
	uint64_t there = round_.service.answered, here = round_.n_answered;
	bool left = round_.wrk_ended_ns && round_.wrk_ended_ns < round_.gone_ns;

	return here && there >= here && there - here <= (left ? CLIENTS : 0);
}

/* Return: what is wrong; NULL: nothing. */
static const char *verdict(void)
{
	const struct service *service = &round_.service;

	if (!WIFEXITED(service->status) || WEXITSTATUS(service->status))
		return "the service did not end well";
	if (round_.n_lost)
		return "requests were lost";
	if (round_.n_refused)
		return "refused before the SIGTERM";
	if (!counts_agree())
		return "the service has counted other answers";
	if (!service->n_told || service->n_told_ready)
		return "a thread was told while the process was ready";
	if (service->not_ready_ns > service->told_ns ||
	    round_.not_ready_ns > service->told_ns)
		return "a thread was told before readiness fell";
	if (!round_.not_ready_ns && round_.gap_ns < PROBE_LATE_NS)
		return "readiness never fell";
	return NULL;
}

static const char *round_run(enum kind kind, const char *broken, uint64_t length_ns,
			     uint64_t until_ns)
{
	memset(&round_, 0, sizeof(round_));
	round_.kind = kind;
	service_start(&round_.service, broken);
	load_run(length_ns, until_ns);
	return verdict();
}

static void round_print(uint64_t i, const char *wrong)
{
	printf("%3llu %-22s %7llu answered, %llu lost; told to stop, then after ms: "
	       "not ready %.1f, first thread %.1f, gone %.1f%s%s\n",
	       (unsigned long long)i, kinds[round_.kind],
	       (unsigned long long)round_.n_answered, (unsigned long long)round_.n_lost,
	       since_term(round_.not_ready_ns), since_term(round_.service.told_ns),
	       since_term(round_.gone_ns), wrong ? ": FAILED, " : "", wrong ? wrong : "");
}

/* A way to break it is found in some round; what is rare needs more of them. */
static int broken_run(const char *broken, struct chance *chance)
{
	const char *wrong = NULL;
	uint64_t i;

	for (i = 1; i <= BROKEN_ROUNDS && !round_.n_lost; i++)
		wrong = round_run(HARSH, broken, VITALS_S(1),
				  VITALS_MS(200) + chance_below(chance, VITALS_MS(100)));
	printf("broken (%s): %llu lost in round %llu%s\n", broken,
	       (unsigned long long)round_.n_lost, (unsigned long long)i - 1,
	       wrong ? "" : ": FAILED, nobody noticed");
	memset(&round_, 0, sizeof(round_));
	return wrong ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint64_t rounds = number_from("VITALS_DRAIN_ROUNDS", 100), i;
	uint64_t length_ns = VITALS_S(number_from("VITALS_DRAIN_SECONDS", 10));
	unsigned n_kinds = system("command -v wrk >/dev/null") == 0 ? KINDS : WRK;
	struct chance chance = { chance_seed("VITALS_DRAIN_SEED") };
	const char *broken = getenv("VITALS_DRAIN_BREAK");
	uint64_t good = 0, total = 0;
	int bad = 0;

	if (argc < 2)
		return 2;
	program = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu%s\n", (unsigned long long)chance.state,
	       n_kinds == WRK ? "; no wrk: rounds without it" : "");
	bad += broken_run("stage", &chance);
	bad += broken_run("listener", &chance);
	for (i = 1; i <= rounds; i++) {
		/* Somewhere in the middle, with a second left for the end. */
		uint64_t until_ns =
			length_ns / 4 +
			chance_below(&chance, length_ns * 3 / 4 - VITALS_S(1));
		const char *wrong = round_run((enum kind)(i % n_kinds),
					      broken ? broken : "", length_ns, until_ns);

		round_print(i, wrong);
		total += round_.n_answered;
		good += wrong == NULL;
	}
	printf("%llu of %llu rounds were good, %llu requests\n", (unsigned long long)good,
	       (unsigned long long)rounds, (unsigned long long)total);
	return bad || good != rounds;
}
