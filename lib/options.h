/* SPDX-License-Identifier: MIT */

/*
 * Options
 *
 * Structs that begin with their size, between programs and libraries of different ages.
 */

#ifndef VT_OPTIONS_H
#define VT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Copies what a caller was told (@from, NULL: nothing) into the @size bytes this library knows.
 * Return: 0; -EINVAL for a size below 4; -E2BIG if what it does not know is not 0.
 */
int vt_options_load(void *to, size_t size, const void *from);

/*
 * Fills a caller's record up to the smaller of its size and @size; its size stays what it was.
 * Return: 0; -EINVAL for NULL or a size below 4.
 */
int vt_record_store(void *to, const void *from, size_t size);

#endif
