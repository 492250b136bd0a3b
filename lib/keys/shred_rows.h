/* shred_rows: the steps of a change of the root that are the database's: commit and read back. See shred.h. */
#ifndef EXPUNGE_KEYS_SHRED_ROWS_H
#define EXPUNGE_KEYS_SHRED_ROWS_H

#include "keys/shred.h"

/* A change: which one, and which leaves and tenants it takes; no leaf is of one of the tenants. */
struct shred_change {
	struct root_id ends;    /* the attempt, and the epoch that it ends; 0: the first */
	struct shred_set set;
};

/* One transaction: pages re-keyed from the old root (none for the first) to the new one, tombstones, the new epoch. */
int shred_rows_commit(const struct shred *shred, const struct shred_change *change, const struct secret *old_root,
	const struct secret *new_root, struct err *err);
/* Reads back every page that the change has sealed: it opens with the new root, each key in it is its child's, none is
 * missing and none is there that was to go. */
int shred_rows_verify(const struct shred *shred, const struct shred_change *change, const struct secret *root, struct err *err);
/* Once all is destroyed and drilled: rows of the tenants that open for nobody are taken away. */
int shred_rows_sweep(const struct shred *shred, const struct shred_change *change, struct err *err);

#endif
