/*
 * remove: deletes, masks or cuts loose the rows of a key set, in one transaction of the removing
 * connection, and proves inside it that exactly these rows were touched and no other.
 *
 * Order: what refers goes before what is referred to, cycles in one statement, log tables last;
 * rows that the removal itself creates (triggers) are collected again and removed, to a fixpoint.
 * Every count is compared with the plan; pg_stat_xact_user_tables must agree for every table.
 */
#ifndef EXPUNGE_ERASURE_REMOVE_H
#define EXPUNGE_ERASURE_REMOVE_H

#include "erasure/tally.h"

/* requests: "{uuid,...}", already collected with `round`. Fills tallies (planned and arrived are
 * set by the caller). Any difference is an error and the caller rolls back. */
int remove_rows(const struct program *program, struct db *db, const char *requests, int round,
	struct tallies *tallies, struct err *err);

#endif
