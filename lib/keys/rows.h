/*
 * rows: pages of the key tree between the database and memory. All of it inside the caller's transaction; who writes
 * holds the lock that rows_lock takes, so that there is one writer at a time.
 */
#ifndef EXPUNGE_KEYS_ROWS_H
#define EXPUNGE_KEYS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/tree.h"
#include "svc/db.h"

/* The epoch that the database is in, locked until the transaction ends; *ret_changing: a change of the root is under way.
 * ERR_FAILED if there is no key tree. */
int rows_lock(struct db *db, int64_t *ret_epoch, bool *ret_changing, struct err *err);
/* The next key_seq, for all rows that this transaction writes. */
int rows_next_seq(struct db *db, char seq[24], struct err *err);
/* Loads these pages and all their ancestors. */
int rows_load(struct db *db, struct tree *tree, const int64_t *pages, size_t n, struct err *err);
/* Loads the directory's top page, if there is one. */
int rows_load_top(struct db *db, struct tree *tree, struct err *err);
/* Loads where n new leaves of a tenant can go, and reserves numbers for new pages. */
int rows_load_room(struct db *db, struct tree *tree, const char *tenant, size_t n, struct err *err);
/* Writes every page that is new or dirty; they are neither afterwards. *ret_n (may be NULL): how many. */
int rows_store(struct db *db, struct tree *tree, const char *seq, size_t *ret_n, struct err *err);
/* n numbers of expunge.key_id; the caller frees. */
int rows_new_ids(struct db *db, size_t n, int64_t **ret, struct err *err);

#endif
