/* SPDX-License-Identifier: MIT */

/*
 * Hash
 *
 * One file in, one number out: FNV-1a over its name and its bytes.
 */

#ifndef INDEXER_HASH_H
#define INDEXER_HASH_H

#include <stdint.h>
#include <vitals.h>

/* Of a larger file the beginning is hashed. */
#define HASH_FILE_MAX ((uint64_t)256 << 20)

/*
 * Beats between reads, so a large file on a slow disk is no silence; a read that hangs
 * is. 0 with *bytes and *hash; -ECANCELED: to leave; or the errno of a file that cannot
 * be read or is none, with *bytes and *hash of what there is.
 */
int hash_file(vitals_thread *self, const char *path, uint64_t *bytes, uint64_t *hash);

#endif
