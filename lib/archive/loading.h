/*
 * loading: in which order tables take the rows of archives, and what is out of the way meanwhile: triggers that would write
 * besides, and foreign keys of a cycle, which are checked behind the last row.
 */
#ifndef EXPUNGE_ARCHIVE_LOADING_H
#define EXPUNGE_ARCHIVE_LOADING_H

#include "archive/archive.h"
#include "map/catalog.h"

struct loading {
	struct db *db;
	struct catalog *catalog; /* of the target */
	int *tables;     /* in the catalogue, by the caller's number; -1: none, as for large objects */
	uint32_t *order; /* of the numbers, parents first */
	size_t n;
	struct db_result *triggers, *constraints;
};

/* Reads the target's catalogue, for n tables. loading_release() also after a failure. */
int loading_begin(struct loading *ret, struct db *db, size_t n, struct err *err);
/* ERR_FAILED names what the target does not have of a table. */
int loading_fit(struct loading *loading, uint32_t number, const struct archive_table *table, struct err *err);
/* The order, and what will be in the way. ERR_REFUSED: a trigger that would fire on INSERT, and may not be disabled. */
int loading_prepare(struct loading *loading, bool disable, struct err *err);
/* In the transaction: before the first row, and behind the last, when nothing waits for its check any more. */
int loading_put_aside(struct loading *loading, struct err *err);
int loading_put_back(struct loading *loading, struct err *err);
void loading_release(struct loading *loading);

#endif
