/*
 * footprint: what a transaction really did to every table of the database, by the server's own
 * count (pg_stat_xact_user_tables), against what it was meant to do.
 *
 * The view also counts what earlier transactions of the session have not reported yet, therefore
 * the difference of two readings is taken.
 */
#ifndef EXPUNGE_ERASURE_FOOTPRINT_H
#define EXPUNGE_ERASURE_FOOTPRINT_H

#include "map/program.h"

struct footprint {
	const struct catalog *catalog;
	char files[72]; /* a hash of which files the tables lie in */
	int64_t *counts; /* inserted, updated, deleted per catalogue table */
};

int footprint_take(struct footprint *ret, const struct catalog *catalog, struct db *db, struct err *err);
void footprint_release(struct footprint *footprint);
/* done: per map table the rows deleted or updated by our statements; created: of them, those that the
 * removal itself made. Refuses any table with another count, and any row left in a removed table
 * that this transaction wrote. */
int footprint_compare(const struct footprint *before, const struct program *program, struct db *db,
	const int64_t *done, const int64_t *created, struct err *err);

#endif
