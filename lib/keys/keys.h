/*
 * keys: the key tree as the configuration declares it: where its root is kept, where its journal goes, what signs that.
 *
 * A change of the root runs through two drills, each in a process of its own that is given nothing but the configuration
 * (`expunge drill`): that journal and new root give all that is left, and that nothing held opens what is older.
 */
#ifndef EXPUNGE_KEYS_KEYS_H
#define EXPUNGE_KEYS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "keys/journal.h"
#include "keys/keyring.h"
#include "keys/root_config.h"
#include "keys/shred.h"

struct keys {
	const struct config *config;
	struct root_config roots;
	struct root_store *store;
	struct signer *signer;
	struct journal *journals; /* one for each destination that is a directory */
	size_t n_journals;
	char instance[TREE_INSTANCE_SIZE];
};

/* Whether keys.shares are declared at all. */
bool keys_declared(const struct config *config);
/* Opens places and signing key; problems (may be NULL) gets a line for each fault of the configuration. The instance is the
 * database's. `init`: makes the signing key if there is none. */
int keys_open(struct keys *ret, const struct config *config, const char *instance, bool init, struct str *problems,
	struct err *err);
void keys_close(struct keys *keys);

/* Brings the journal of every destination up to date. */
int keys_journal(const struct keys *keys, struct db *db, bool base, struct err *err);
/* What a tombstone keeps of a name: see struct shred. */
typedef int keys_hash(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err);
/* The first root, with marked places and a journal. Nothing if there is one. */
int keys_first_root(const struct keys *keys, struct db *db, struct err *err);
/* Shreds leaves and whole tenants (nothing named: a fresh root only); an interrupted change is gone on with first. See
 * shred_all. */
int keys_shred(const struct keys *keys, struct db *db, const struct shred_set *set, keys_hash *hash, void *hash_ctx,
	struct root_id *ret_root, struct err *err);
/* Goes on with an interrupted change, if there is one. */
int keys_resume(const struct keys *keys, struct db *db, keys_hash *hash, void *hash_ctx, struct err *err);

/* Writes the living root's records again where they are absent, from other replicas. Nothing while a change of the root is
 * interrupted. *ret_n: how many. */
int keys_heal(const struct keys *keys, struct db *db, size_t *ret_n, struct err *err);
/* Marks a directory of keys.shares or a destination of archives, by its name there, which a person says is new. ERR_USAGE:
 * there is none of this name. */
int keys_mark(const struct keys *keys, const char *directory, struct err *err);

/* What a drill that passed without a destination that had an archive to open says, in the process that it runs in. */
#define KEYS_DRILL_UNTRIED "no archive to open yet"
/* `expunge drill` in a process of its own, all of it. The error is what it says. *ret_opened: some archive was opened. */
int keys_run_drill(const struct keys *keys, bool *ret_opened, struct err *err);
/* The drills; without a database. KEYS_CHANGE: of the journals' segments only those that the last change of the root has to do
 * with are read, so that it does not cost more where there are more keys; the others have to be there, signed, in a row. */
enum keys_extent { KEYS_ALL, KEYS_CHANGE };
/* Every destination's journal is whole, its newest segment is of the newest root, and the two give all that the last
 * change has left. */
int keys_drill_positive(const struct keys *keys, enum keys_extent extent, struct err *err);
/* No place holds a record of another root than the one that the journals end with, whether it is whole or not, and that
 * one opens no top page of an earlier epoch, of whatever time the journals know; KEYS_CHANGE: of the newest of these. *ret_pages:
 * how many were tried. */
int keys_drill_negative(const struct keys *keys, enum keys_extent extent, int64_t *ret_pages, struct err *err);

#endif
