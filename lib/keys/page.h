/*
 * page: a key page as bytes. A page holds the keys of up to 64 children (pages or leaves), sealed as one AES-256-GCM
 * blob under a key derived from the page's own. What says where the page stands in the tree is authenticated with it,
 * so that no row can be put in another's place.
 *
 *     sealed = nonce (12, fresh at each write) || AES-256-GCM(live (8) || 64 keys of 32) || tag (16)
 *     key    = HKDF-Expand(page key, "expunge/page/v1")                     (RFC 5869 section 2.3, SHA-256)
 */
#ifndef EXPUNGE_KEYS_PAGE_H
#define EXPUNGE_KEYS_PAGE_H

#include <stdint.h>

#include "base/err.h"
#include "keys/kcv.h"

#define PAGE_SLOTS 64
#define PAGE_KEY_SIZE 32
#define PAGE_SEALED_SIZE (12 + 8 + PAGE_SLOTS * PAGE_KEY_SIZE + 16)

/* Where a page stands; every field is additional data of its seal. */
struct page_place {
	const char *instance; /* uuid as text */
	const char *tenant;   /* "" for the directory */
	int64_t id, parent;   /* parent 0: sealed under the root */
	int slot, level;      /* in the parent; 0 is the level that holds leaf keys */
	int64_t epoch;        /* of this page's last write */
	uint8_t kcv[KCV_SIZE]; /* of the page's key: it commits the seal to that one key */
};

/* Clear. Whoever holds one wipes it. */
struct page_keys {
	uint64_t live; /* bit n: slot n is taken */
	uint8_t slots[PAGE_SLOTS][PAGE_KEY_SIZE];
};

enum page_verdict {
	PAGE_OPEN,
	PAGE_OTHER_KEY, /* the key is not the page's: destroyed since, or never it */
	PAGE_ALTERED    /* the key is the page's, and place or bytes are not what it sealed */
};

/* Seals under a fresh nonce; writes PAGE_SEALED_SIZE bytes. place->kcv must be the key's. */
int page_seal(const struct page_place *place, const uint8_t key[PAGE_KEY_SIZE], const struct page_keys *keys,
	uint8_t sealed[PAGE_SEALED_SIZE], struct err *err);
/* 0 with a verdict; ret holds keys only if it is PAGE_OPEN. -1 when it could not be tried. */
int page_open(const struct page_place *place, const uint8_t key[PAGE_KEY_SIZE], const uint8_t sealed[PAGE_SEALED_SIZE],
	struct page_keys *ret, enum page_verdict *ret_verdict, struct err *err);

#endif
