/* SPDX-License-Identifier: MIT */

/*
 * Options
 *
 * Structs that begin with their size, across versions of the library: options come in, records
 * go out.
 */

#ifndef VT_OPTIONS_H
#define VT_OPTIONS_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

/*
 * Copies what the caller knows of @options, NULL: the defaults, to @to of @known bytes.
 * Return: 0; -EINVAL without a size; -E2BIG if it is larger than @known and not 0 there.
 */
static inline int vt_options_load(void *to, uint32_t known, const void *options)
{
	const unsigned char *bytes = (const unsigned char *)options;
	uint32_t size, i;

	memset(to, 0, known);
	if (!options)
		return 0;
	memcpy(&size, bytes, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (i = known; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(to, bytes, size < known ? size : known);
	return 0;
}

/* Fills @record up to the smaller of its size and @known. Return: 0; -EINVAL without a size. */
static inline int vt_record_fill(void *record, const void *from, uint32_t known)
{
	uint32_t size;

	if (!record)
		return -EINVAL;
	memcpy(&size, record, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	/* The size stays what the caller said. */
	memcpy((unsigned char *)record + sizeof(size), (const unsigned char *)from + sizeof(size),
	       (size < known ? size : known) - sizeof(size));
	return 0;
}

#endif
