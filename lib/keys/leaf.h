/*
 * leaf: the keys that archives are sealed under: of a subject, of a tenant's own rows, of a retained record, of an
 * archive generation. A key is random, is made when it is first asked for, and once shredded is never made again under
 * the same name, unless that is asked for in so many words.
 */
#ifndef EXPUNGE_KEYS_LEAF_H
#define EXPUNGE_KEYS_LEAF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keyring.h"

enum leaf_state {
	LEAF_ABSENT,  /* there never was one, or it was retired, and none was made */
	LEAF_LIVING,
	LEAF_SHREDDED /* by itself or with its whole tenant; whoever backs up leaves the subject out: it is withheld */
};

struct leaf {
	enum leaf_state state;
	int64_t id;
	int incarnation; /* from 1 */
	uint8_t key[PAGE_KEY_SIZE]; /* of a living one */
};

/* Which leaves. hashes: keyed hash of each name (ledger_subject_hash), by which tombstones are found. */
struct leaf_names {
	const char *tenant, *kind; /* kind: subject, tenant, record or generation */
	const char *const *names, *const *hashes;
	size_t n;
};

/* What to do for a name that has no living leaf. */
enum leaf_wish {
	LEAF_FIND, /* nothing */
	LEAF_MAKE, /* make one if it never had one */
	LEAF_AGAIN /* and a next incarnation if it was shredded: the subject lawfully has rows again */
};

/* ret[i] is of names[i]; ret has room for n, and the caller wipes it (leaf_wipe). A transaction of its own: new leaves
 * are committed when this returns 0. ERR_RETRY: the epoch has changed, and the keyring's root with it. */
int leaf_take(struct keyring *ring, const struct leaf_names *names, enum leaf_wish wish, struct leaf *ret, struct err *err);
void leaf_wipe(struct leaf *leaves, size_t n);

#endif
