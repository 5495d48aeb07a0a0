/* SPDX-License-Identifier: MIT */

#include "request.h"

#include <string.h>

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Undoes %20 and the like. An encoding that is none, or of a 0, is not a path of ours. */
static bool path_decode(const char *from, size_t n, char *to)
{
	const char *end = from + n;
	int high, low;

	while (from < end) {
		if (*from != '%') {
			*to++ = *from++;
			continue;
		}
		if (end - from < 3)
			return false;
		high = hex_value(from[1]);
		low = hex_value(from[2]);
		if (high < 0 || low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 3;
	}
	*to = '\0';
	return true;
}

static bool query_has(const char *query, const char *key)
{
	size_t n = strlen(key);

	while (*query != '\0') {
		query++; /* over '?' or '&' */
		if (strncmp(query, key, n) == 0 && strchr("=&", query[n]))
			return true;
		query += strcspn(query, "&");
	}
	return false;
}

bool vx_request_parse(const char *target, struct vx_request *ret)
{
	size_t n = strcspn(target, "?");

	if (n >= sizeof(ret->path) || !path_decode(target, n, ret->path))
		return false;
	ret->verbose = query_has(target + n, "verbose");
	return true;
}
