/*
 * shred: leaf keys go from every copy, past and present, by one change of the root (formats.md, "Epoch change"):
 *
 *     intent      leaves and a random attempt, committed                      then a root of that attempt, in every place
 *     committed   pages re-keyed, tombstones, the new epoch: one transaction
 *     verified    every rewritten page read back: it opens, and each key in it is the child's
 *     journalled  the barrier: without database and old root, what is left can be had again   then keys.barriers are waited for
 *     destroyed   the old root, and every abandoned one, in every place
 *     drilled     a fresh process found that the old epoch does not open any more
 *     done
 *
 * A tenant goes as a whole by the one slot of the directory that its top page hangs in, however many leaves it has; the
 * rows that open for nobody then are swept up behind the drill. What names it from then on is a tombstone of its own.
 *
 * Each step is recorded before the next begins, and a killed change is gone on with, by whoever comes next, to the same
 * end. Until it is committed it can be abandoned, which is itself a committed change of its row: one attempt wins.
 */
#ifndef EXPUNGE_KEYS_SHRED_H
#define EXPUNGE_KEYS_SHRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keyring.h"

#define SHRED_HASH_SIZE 80

/* What a change needs of others. */
struct shred {
	struct db *db;
	struct root_store *store;
	const char *instance;
	void *ctx;
	/* the keyed hash that a tombstone keeps of a tenant and a name */
	int (*hash)(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err);
	/* returns 0 only if the journal, on every destination, and the new root alone give all that is left */
	int (*journal)(void *ctx, const struct root_id *root, struct err *err);
	/* before a change begins (may be NULL): returns 0 if what `barrier` waits for is there at all */
	int (*ready)(void *ctx, struct err *err);
	/* before anything is destroyed (may be NULL): returns 0 only if all that is configured besides the journal has the pages, too */
	int (*barrier)(void *ctx, const char *attempt, struct err *err);
	/* returns 0 only if nothing that is held opens what is older than this root; the anchor says so first */
	int (*drill)(void *ctx, const struct root_id *root, struct err *err);
	/* what was destroyed, replica by replica; for the certificate */
	struct root_report report;
};

/* What goes by one change. Leaves of a tenant that is named go with it, whether they are named or not. */
struct shred_set {
	const int64_t *leaves;
	size_t n;
	const char *const *tenants;
	size_t n_tenants;
};

void shred_release(struct shred *shred);

/* Makes the first root of a database that has no key tree. Nothing if it has one. Refused if the places hold roots that
 * this database does not know. */
int shred_first_root(struct shred *shred, struct err *err);
/* Shreds all of these (nothing named: only a fresh root); a change that was interrupted is gone on with first. Leaves that
 * are tombstones already, and tenants that are gone, are not counted again. *ret_root (may be NULL): the root that all are
 * gone with; the epoch it had before if there was nothing to do. */
int shred_all(struct shred *shred, const struct shred_set *set, struct root_id *ret_root, struct err *err);
/* Goes on with a change that was interrupted. *ret_any (may be NULL): there was one. */
int shred_resume(struct shred *shred, bool *ret_any, struct err *err);

#endif
