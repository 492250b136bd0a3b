/* dormancy_private: what sealing and loading share. */
#ifndef EXPUNGE_ACCOUNT_DORMANCY_PRIVATE_H
#define EXPUNGE_ACCOUNT_DORMANCY_PRIVATE_H

#include "account/dormancy.h"
#include "archive/backup.h"
#include "archive/copy.h"
#include "archive/leaf_keys.h"
#include "erasure/purge_private.h"
#include "keys/keys.h"

#define DORMANCY_DIGEST 16

/* Keys, and connections that nothing else is done with. */
struct dormancy {
	struct run *run;
	struct keys keys;
	struct db *keys_db;
	struct db *reader; /* has tables of its session */
	uint8_t secret[DORMANCY_DIGEST]; /* digests say nothing without it, and it is this process's alone */
};

int dormancy_open(struct dormancy *ret, struct run *run, struct err *err);
void dormancy_release(struct dormancy *dormancy);

/* What a tombstone keeps of a name; ctx: the ledger. */
keys_hash dormancy_hash_name;
/* SHA-256 of a row of a table of this name. */
int dormancy_digest(const struct dormancy *dormancy, const char *table, const char *row, size_t n, uint8_t ret[SHA256_SIZE], struct err *err);
/* What went wrong with an account is told, and kept with it; -1 when nothing can be gone on with. */
int dormancy_keep_problem(struct dormancy *dormancy, const char *closure, const char *tenant, struct err *why, struct err *err);
/* "t.a, t.b" of the archive's columns, quoted as the catalogue has them. */
void dormancy_add_columns(struct str *sql, const struct archive_table *table, const struct cat_table *cat);
/* Pieces of these large objects (a list of oids, SQL), as fill.h has them: a query without its parentheses. */
void dormancy_add_objects(struct str *sql, const char *oids);

/* The keys of a tenant's archives, and the lock of those who hold any. */
struct dormancy_keys {
	struct keyring ring;
	struct leaf_keys leaves;
};
int dormancy_take_keys(struct dormancy *dormancy, const char *tenant, struct dormancy_keys *ret, struct err *err);
void dormancy_release_keys(struct dormancy_keys *keys);
/* An archive, opened wherever it is whole. */
int dormancy_open_archive(struct dormancy *dormancy, const struct dormancy_keys *keys, const struct archive_copy_name *name,
	int64_t generation, struct archive_copy *ret, struct err *err);

#endif
