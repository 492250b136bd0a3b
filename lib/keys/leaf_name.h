/*
 * leaf_name: whom a leaf is for, sealed under the leaf itself. The journal is kept for ever, and may be: with the leaf,
 * its name goes.
 *
 *     sealed = nonce (12) || AES-256-GCM(name) || tag (16), under HKDF-Expand(leaf key, "expunge/leaf-name/v1"),
 *     additional data: the same text, then the leaf's number (8)
 */
#ifndef EXPUNGE_KEYS_LEAF_NAME_H
#define EXPUNGE_KEYS_LEAF_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "keys/page.h"

#define LEAF_NAME_MAX 1000 /* bytes */
#define LEAF_NAME_SEALED_MAX (12 + LEAF_NAME_MAX + 16)

/* *ret_n bytes into ret. A name that is longer is refused. */
int leaf_name_seal(const uint8_t key[PAGE_KEY_SIZE], int64_t leaf, const char *name, uint8_t ret[LEAF_NAME_SEALED_MAX],
	size_t *ret_n, struct err *err);
/* ret is NUL-terminated, and personal: the caller wipes it. ERR_FAILED: not this leaf's name, or altered. */
int leaf_name_open(const uint8_t key[PAGE_KEY_SIZE], int64_t leaf, const uint8_t *sealed, size_t n,
	char ret[LEAF_NAME_MAX + 1], struct err *err);

#endif
