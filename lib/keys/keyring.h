/*
 * keyring: the key tree of this database, opened: which epoch it is in, and the root that opens it. Whoever has one
 * holds the lock of keys, shared, or alone for a change of the root, because clear keys in memory are copies, too.
 */
#ifndef EXPUNGE_KEYS_KEYRING_H
#define EXPUNGE_KEYS_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "keys/root.h"
#include "keys/tree.h"
#include "svc/db.h"

/* What the database says of the key tree. */
struct keyring_state {
	struct root_id root; /* epoch 0: there is no tree */
	int64_t key_seq;
	int64_t serial; /* of the last certificate */
	char nonce[33];
	struct root_id change; /* the attempt under way, and the epoch that it ends; attempt "": none */
	char change_state[12];
	int64_t *leaves; /* that it shreds; of whoever asked */
	size_t n_leaves;
};

/* The connection is a keyring's own (READ COMMITTED, so that a tombstone is seen as soon as it is committed), and stays
 * the caller's. */
struct keyring {
	struct db *db;
	char instance[TREE_INSTANCE_SIZE];
	int64_t epoch;
	struct secret root;
	bool locked;
};

int keyring_state(struct db *db, struct keyring_state *ret, struct err *err);
void keyring_state_release(struct keyring_state *state);

/* The lock of those who hold keys, of the session: shared, or alone, for a change of the root. It may be taken again while it
 * is held, and is given back as often. Waits for the others for a good while: as long as one tenant's backup may take, or a
 * change of the root. ERR_RETRY: they had it all the time. */
int keyring_lock(struct db *db, bool alone, struct err *err);
void keyring_unlock(struct db *db, bool alone);

/* Takes the lock and reads the root. ERR_RETRY: a change of the root has the lock. ERR_FAILED: there is no tree, or its
 * root cannot be had, and why. */
int keyring_open(struct keyring *ret, struct db *db, struct root_store *store, const char *instance, struct err *err);
/* Wipes the root and gives the lock back. */
void keyring_close(struct keyring *ring);

#endif
