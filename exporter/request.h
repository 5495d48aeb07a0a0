/* SPDX-License-Identifier: MIT */

/*
 * Request
 *
 * What is asked for: the path of a request's target, decoded, and what its query says.
 */

#ifndef VX_REQUEST_H
#define VX_REQUEST_H

#include <stdbool.h>

/* A longer target is nobody's here. */
#define VX_TARGET_MAX 512u

struct vx_request {
	char path[VX_TARGET_MAX];
	bool verbose;
};

/* @target: "/health?verbose". Return: false if it is too long or not well encoded. */
bool vx_request_parse(const char *target, struct vx_request *ret);

#endif
