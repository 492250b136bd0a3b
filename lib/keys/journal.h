/*
 * journal: the key tree's sealed rows outside the database, on every destination of archives, so that no restore loses a
 * living key. It holds no clear key: without a root it opens nothing, and with a root only what still lives, so it may
 * be kept for ever.
 *
 * DIRECTORY/keys/INSTANCE/NNNNNNNNNN.journal are its segments: signed, each with the hash of the one before; a base holds
 * every row, a step those that were written since. Each destination has a chain of its own.
 */
#ifndef EXPUNGE_KEYS_JOURNAL_H
#define EXPUNGE_KEYS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "keys/journal_segment.h"
#include "svc/db.h"

/* One destination. */
struct journal {
	const char *name, *directory, *instance; /* name: of the destination */
	const struct signer *signer;           /* to write */
	uint8_t public[ED25519_KEY_SIZE];      /* to read */
};

/* The directory of the segments; the caller frees. */
char *journal_directory(const struct journal *journal);

/* Makes that directory: a destination without it is taken for one that is not mounted. */
int journal_mark(const struct journal *journal, struct err *err);
/* ERR_FAILED: it is not there, and what a person does about it. */
int journal_marked(const struct journal *journal, struct err *err);

/* The newest segment: its header and trailer are signed; its rows were not looked at. */
struct journal_head {
	struct journal_header header;
	struct journal_trailer trailer;
};

/* *ret_found false: there is no journal yet. ERR_FAILED: there is, and its newest segment is not a whole one of ours; or the
 * destination is not marked. */
int journal_head(const struct journal *journal, struct journal_head *ret, bool *ret_found, struct err *err);

/* ERR_REFUSED: the journal is ahead of the database, or of another history: the database was restored. Nothing that is then
 * written to the key tree could be told from what was lost: to be asked before that. *ret_found (may be NULL) false:
 * there is no journal yet. */
int journal_check(const struct journal *journal, struct db *db, bool *ret_found, struct err *err);

/* Adds what the database has and the journal has not (nothing: no new segment), as a base if there is no journal yet or
 * `base` is set; durable, read back and verified when this returns 0. As journal_check
 * first. Others may write at the same time. On a connection without a transaction. */
int journal_write(const struct journal *journal, struct db *db, bool base, struct err *err);

/* Reads one segment from its first to its last byte; each row goes to `each` (which may be NULL) before the hash is
 * known to be good. */
int journal_read(const struct journal *journal, int64_t segment, int (*each)(void *ctx, struct journal_row *row, struct err *err),
	void *ctx, struct journal_head *ret, struct err *err);
/* Every segment from the newest base on: whole, signed, in a row. *ret_base, *ret_head: their numbers. */
int journal_verify(const struct journal *journal, int64_t *ret_base, int64_t *ret_head, struct err *err);
/* The same by their first and last lines alone, whatever their size: the rows between were read when they were written, and
 * are whenever journal_verify does. */
int journal_chain(const struct journal *journal, int64_t *ret_base, int64_t *ret_head, struct err *err);

/* The barrier of a change of the root: the newest segment is of this root, and with nothing else every page that the
 * change, or anybody since, has sealed opens, and each key in it that is a leaf's or a page's of the segment is the one that it says. */
int journal_barrier(const struct journal *journal, const struct root_id *root, const struct secret *key, struct err *err);

#endif
