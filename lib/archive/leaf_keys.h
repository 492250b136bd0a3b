/* leaf_keys: every living leaf key of a tenant at hand, by id: who reads an archive knows its leaves by nothing else. */
#ifndef EXPUNGE_ARCHIVE_LEAF_KEYS_H
#define EXPUNGE_ARCHIVE_LEAF_KEYS_H

#include "keys/leaf.h"

struct leaf_keys {
	struct leaf *items; /* by id */
	size_t n;
};

int leaf_keys_load(struct leaf_keys *ret, struct keyring *ring, const char *tenant, struct err *err);
/* NULL: it is shredded, or never was. */
const struct leaf *leaf_keys_find(const struct leaf_keys *keys, int64_t id);
/* For struct archive_reading: ctx is the leaf_keys. */
int leaf_keys_give(void *ctx, int64_t leaf, uint8_t ret_key[PAGE_KEY_SIZE], struct err *err);
void leaf_keys_release(struct leaf_keys *keys);

#endif
