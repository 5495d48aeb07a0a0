/* SPDX-License-Identifier: MIT */

/*
 * Exporter
 *
 * Serves a registry over HTTP: /health as JSON, /livez, /readyz, /startupz for probes, /metrics
 * for Prometheus. Off until started, loopback unless told otherwise, GET and HEAD only.
 */

#ifndef VITALS_EXPORTER_H
#define VITALS_EXPORTER_H

#include <vitals.h>

VITALS_BEGIN_DECLS

typedef struct vitals_exporter vitals_exporter;

/* Addresses beyond loopback are refused without it: the names of threads are nobody's business. */
#define VITALS_EXPORTER_ANY_ADDRESS 0x1u

/**
 * struct vitals_exporter_options - what vitals_exporter_start() may be told
 * @size: set by VITALS_INIT()
 * @flags: VITALS_EXPORTER_...
 * @connections: at once; the oldest goes when one more comes. 0: 64; at most 1 024
 * @max_series: of /metrics; above it heartbeats are left out, worst kept. 0: 10 000
 * @request_ns: for a request to arrive whole; 0: 3 s
 * @connection_ns: for a connection in all; 0: 10 s
 */
struct vitals_exporter_options {
	uint32_t size;
	uint32_t flags;
	uint32_t connections;
	uint32_t max_series;
	uint64_t request_ns;
	uint64_t connection_ns;
};

/**
 * vitals_exporter_start() - serve a registry
 * @registry: NULL: the process's own
 * @address: "127.0.0.1:9464", "[::1]:9464", "localhost:9464"; port 0 picks a free one, see
 *           vitals_exporter_address(). NULL: "127.0.0.1:9464". VITALS_LISTEN in the environment
 *           (secure_getenv) replaces it, "off" means none
 * @options: NULL: the defaults
 * @ret: receives the exporter; NULL: not wanted, it then serves until the process ends
 *
 * Implies vitals_start(). A failure is an errno and nothing else: no reason to stop a service.
 * With VITALS=off or VITALS_LISTEN=off it answers 0 and *@ret is NULL.
 *
 * Threads: any.
 * Return: 0; -EINVAL for a bad address or option; -E2BIG; -EACCES for an address beyond loopback
 * without VITALS_EXPORTER_ANY_ADDRESS, or a port below 1 024; -EADDRINUSE; -EADDRNOTAVAIL; -ENOMEM;
 * -EMFILE; -ENFILE; -EAGAIN if the system gives no thread. *@ret is NULL after an error.
 * In a forked child of a started process it starts afresh, as vitals_start() does.
 */
VITALS_EXPORT
int vitals_exporter_start(vitals_registry *registry, const char *address,
			  const struct vitals_exporter_options *options,
			  vitals_exporter **ret);

/**
 * vitals_exporter_stop() - serve no more
 * @exporter: NULL does nothing
 *
 * Waits for its thread; closes every connection. In a forked child it only forgets.
 *
 * Threads: any; once.
 * Return: NULL.
 */
VITALS_EXPORT
vitals_exporter *vitals_exporter_stop(vitals_exporter *exporter);

/**
 * vitals_exporter_address() - where it listens
 * @exporter: NULL listens nowhere
 *
 * Threads: any.
 * Return: "127.0.0.1:43211", valid until stop; NULL for NULL.
 */
VITALS_EXPORT
const char *vitals_exporter_address(const vitals_exporter *exporter);

VITALS_END_DECLS

#endif
