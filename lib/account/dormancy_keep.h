/*
 * dormancy_keep: what is in an archive, as digests of its rows in a table of a session, and which of its rows the removal of an
 * account takes: every row that leaves the live database must be one of them, byte for byte, and is taken once.
 */
#ifndef EXPUNGE_ACCOUNT_DORMANCY_KEEP_H
#define EXPUNGE_ACCOUNT_DORMANCY_KEEP_H

#include "account/dormancy_private.h"

/* Rows of one table of the archive that a transaction takes. */
struct dormancy_taking {
	uint32_t number;  /* in the archive */
	int table;        /* of the map; -1: pieces of large objects */
	int64_t rows;
	char *firsts, *lasts; /* bigint[] */
};

struct dormancy_keep {
	struct purge_keep steps;
	struct dormancy *dormancy;
	const char *closure, *tenant;
	char archive[2 * ARCHIVE_ID_SIZE + 1];
	struct archive_table *tables; /* of the archive; names and columns */
	size_t n_tables;
	bool changed;     /* rows are there that are not as they were sealed */
	char pending[37]; /* the chunk whose rows are taken out of the table, and may have to be put back; "" without */
	struct dormancy_taking *taken; /* of that */
	size_t n_taken;
	struct str row_hashes, birth_hashes;
};
#define DORMANCY_KEEP_INIT { .pending = "" }

/* Reads the archive whole. Its keys are given back before this returns. */
int dormancy_keep_open(struct dormancy_keep *ret, struct dormancy *dormancy, const char *closure, const char *tenant,
	const struct archive_copy_name *name, int64_t generation, struct err *err);
void dormancy_keep_release(struct dormancy_keep *keep);

#endif
