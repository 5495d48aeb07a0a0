/* SPDX-License-Identifier: MIT */

#include "vitals-exporter.h"

#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_ADDRESS "127.0.0.1:9464"
#define DEFAULT_CONNECTIONS 64u
#define MOST_CONNECTIONS 1024u
#define DEFAULT_SERIES 10000u
#define DEFAULT_REQUEST_NS VITALS_S(3)
#define DEFAULT_CONNECTION_NS VITALS_S(10)

struct vitals_exporter {
	struct vx_server *server;
	char address[VX_ADDRESS_MAX];
	pid_t pid;
	bool forgotten; /* by a fork: this is the child's copy */
	struct vitals_exporter *next;
};

/* Those that serve, so that a fork can tell the child to forget them. */
static struct {
	pthread_mutex_t lock;
	struct vitals_exporter *first; /* guarded by lock */
} exporters = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
	pthread_mutex_lock(&exporters.lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&exporters.lock);
}

/*
 * The child has no thread of ours. It closes its copies of the sockets, for it may
 * outlive the parent, whose port would stay taken, and leaves all else as it is. Only
 * calls that are async-signal-safe.
 */
static void fork_child(void)
{
	struct vitals_exporter *exporter;

	for (exporter = exporters.first; exporter; exporter = exporter->next) {
		exporter->forgotten = true;
		vx_server_forget(exporter->server);
	}
	exporters.first = NULL;
	pthread_mutex_unlock(&exporters.lock);
}

static void fork_watch(void)
{
	/* Without memory for it a child is still told by its pid. */
	(void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void exporter_add(struct vitals_exporter *exporter)
{
	pthread_mutex_lock(&exporters.lock);
	exporter->next = exporters.first;
	exporters.first = exporter;
	pthread_mutex_unlock(&exporters.lock);
}

static void exporter_remove(struct vitals_exporter *exporter)
{
	struct vitals_exporter **at;

	pthread_mutex_lock(&exporters.lock);
	for (at = &exporters.first; *at; at = &(*at)->next)
		if (*at == exporter) {
			*at = exporter->next;
			break;
		}
	pthread_mutex_unlock(&exporters.lock);
}

static int options_read(const struct vitals_exporter_options *from,
			struct vitals_exporter_options *ret)
{
	const char *rest = (const char *)from;
	size_t i;

	VITALS_INIT(ret);
	if (from) {
		if (from->size < sizeof(from->size))
			return -EINVAL;
		for (i = sizeof(*ret); i < from->size; i++)
			if (rest[i])
				return -E2BIG;
		memcpy(ret, from, from->size < sizeof(*ret) ? from->size : sizeof(*ret));
	}
	if (ret->flags & ~VITALS_EXPORTER_ANY_ADDRESS ||
	    ret->connections > MOST_CONNECTIONS)
		return -EINVAL;
	if (!ret->connections)
		ret->connections = DEFAULT_CONNECTIONS;
	if (!ret->max_series)
		ret->max_series = DEFAULT_SERIES;
	if (!ret->request_ns)
		ret->request_ns = DEFAULT_REQUEST_NS;
	if (!ret->connection_ns)
		ret->connection_ns = DEFAULT_CONNECTION_NS;
	return 0;
}

static bool switch_is_off(const char *name)
{
	const char *value = secure_getenv(name);

	return value && strcmp(value, "off") == 0;
}

/* Copied: the environment may change while it is being shown. */
static void switch_read(const char *name, char copy[VX_SWITCH_MAX])
{
	const char *value = secure_getenv(name);

	if (value)
		strncpy(copy, value, VX_SWITCH_MAX - 1);
}

static void switches_read(struct vx_environment *ret)
{
	switch_read("VITALS", ret->vitals);
	switch_read("VITALS_LISTEN", ret->listen);
	switch_read("VITALS_TIMEOUT_SCALE", ret->timeout_scale);
	switch_read("VITALS_ABORT", ret->abort);
}

static int address_read(const char *text, uint32_t flags, struct vx_address *ret)
{
	int r = vx_address_parse(text, ret);

	if (r)
		return r;
	if (!(flags & VITALS_EXPORTER_ANY_ADDRESS) && !vx_address_is_loopback(ret))
		return -EACCES;
	return 0;
}

static int exporter_serve(struct vitals_exporter *exporter, struct vx_address *address,
			  const struct vx_server_options *options)
{
	int started, r;

	r = vx_server_new(address, options, &exporter->server);
	if (r)
		return r;
	vx_address_text(address, exporter->address);
	started = vitals_start(options->registry);
	r = started == -EALREADY ? 0 : started;
	if (!r)
		r = vx_server_start(exporter->server);
	if (!r)
		return 0;
	exporter->server = vx_server_free(exporter->server);
	if (!started)
		(void)vitals_stop(options->registry);
	return r;
}

static int exporter_start(struct vitals_exporter *exporter, vitals_registry *registry,
			  const char *text, const struct vitals_exporter_options *options)
{
	struct vx_server_options server = {
		.registry = registry,
		.connections = options->connections,
		.max_series = options->max_series,
		.request_ns = options->request_ns,
		.connection_ns = options->connection_ns,
	};
	struct vx_address address;
	int r;

	switches_read(&server.environment);
	if (*server.environment.listen)
		text = server.environment.listen;
	r = address_read(text ? text : DEFAULT_ADDRESS, options->flags, &address);
	if (r)
		return r;
	exporter->pid = getpid();
	pthread_once(&fork_once, fork_watch);
	return exporter_serve(exporter, &address, &server);
}

int vitals_exporter_start(vitals_registry *registry, const char *address,
			  const struct vitals_exporter_options *options,
			  vitals_exporter **ret)
{
	struct vitals_exporter_options known;
	struct vitals_exporter *exporter;
	int r;

	if (ret)
		*ret = NULL;
	r = options_read(options, &known);
	if (r)
		return r;
	if (switch_is_off("VITALS") || switch_is_off("VITALS_LISTEN"))
		return 0;
	exporter = calloc(1, sizeof(*exporter));
	if (!exporter)
		return -ENOMEM;
	r = exporter_start(exporter, registry, address, &known);
	if (r) {
		free(exporter);
		return r;
	}
	exporter_add(exporter);
	if (ret)
		*ret = exporter;
	return 0;
}

vitals_exporter *vitals_exporter_stop(vitals_exporter *exporter)
{
	/* In a child nothing is touched, the parent's least of all. */
	if (!exporter || exporter->forgotten || exporter->pid != getpid())
		return NULL;
	exporter_remove(exporter);
	vx_server_free(exporter->server);
	free(exporter);
	return NULL;
}

const char *vitals_exporter_address(const vitals_exporter *exporter)
{
	return exporter ? exporter->address : NULL;
}
