/*
 * restore: the rows of an archive into a database that has the application's tables: in one transaction, parents before
 * children, each row once although two owners have it, with its identity values; sequences go on behind them. What was
 * sealed under a leaf that is shredded since stays out, and is counted. Files that rows name are durable before the rows are.
 */
#ifndef EXPUNGE_ARCHIVE_RESTORE_H
#define EXPUNGE_ARCHIVE_RESTORE_H

#include "archive/leaf_keys.h"
#include "archive/read.h"
#include "archive/unpack.h"
#include "svc/db.h"

struct restore {
	struct db *db;           /* the target, not in a transaction; read-write */
	struct archive *archive; /* open and unlocked */
	const struct leaf_keys *leaves;
	const char *documents;   /* where files go that rows name; a new directory, or an empty one; NULL: the archive must have none */
	bool disable_triggers;   /* the application's, of the tables that are loaded, until the end of the transaction */
	void (*progress)(int64_t rows); /* so many more; may be NULL */
};

struct restore_result {
	struct archive_tally tally; /* of what was opened; a row of two owners counts twice */
	int64_t rows;               /* that were loaded */
	bool has_documents;         /* the archive's rows name files */
	struct unpack_result documents;
};

/* ERR_FAILED names the first table or column that the target does not have, a trigger that would write besides, or the
 * table whose rows did not go in: all of it is rolled back then. */
int restore_load(struct restore *restore, struct restore_result *ret, struct err *err);

#endif
