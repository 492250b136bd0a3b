/*
 * documents: files outside the database that go with the rows that name them. A file system knows no transactions: which files
 * they are is saved with the key sets before the first delete, they are taken away after the removal's COMMIT, and the recount
 * looks whether they are gone. What was killed in between is gone on with by the next run.
 */
#ifndef EXPUNGE_ERASURE_DOCUMENTS_H
#define EXPUNGE_ERASURE_DOCUMENTS_H

#include "erasure/run.h"
#include "erasure/verify.h"
#include "map/plan.h"

/* Adds the files to plans that plan_read() has filled: how many, of which kinds, and an obstacle for what cannot be taken
 * away, because it is no regular file in its directory. */
int documents_plan(const struct run *run, const char *requests, int round, struct plans *plans, struct err *err);
/* Their tallies, in the removing transaction; again: of a removal after a first one. */
int documents_tally(const struct run *run, const struct plans *plans, const char *const *ids, size_t n, bool again,
	struct err *err);
/* Takes the files of these removed requests (uuid[] text) away. Requests of which one could not be taken have their reason, and this run leaves
 * them alone. */
int documents_remove(struct run *run, const char *requests, struct err *err);
/* The same for the files of one key set, whose rows' removal has committed: ERR_FAILED says why they could not go, by names and
 * counts. */
int documents_remove_set(const struct run *run, const char *set, struct err *err);
/* Adds to a recount what is still there. */
int documents_recount(const struct run *run, struct db *db, const char *requests, struct recount *ret, struct err *err);

#endif
