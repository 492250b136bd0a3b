/*
 * verify: counts again, by another route than the removal took: from the saved key sets and the
 * catalogue's foreign keys, on a connection of its own, after every transaction older than the
 * removal has ended.
 */
#ifndef EXPUNGE_ERASURE_VERIFY_H
#define EXPUNGE_ERASURE_VERIFY_H

#include "erasure/run.h"

struct left_over {
	char request[37];
	int table;       /* index into map->tables, -1 for a table that the map does not name as owned */
	char name[130];
	int64_t rows;
};

struct recount {
	char as_of[21]; /* RFC 3339, UTC */
	char lsn[24];
	struct left_over *left;
	size_t n_left;
};

/* Counts what is left of these requests. db: run->recount (committed state), or the removing
 * connection inside a rehearsal. */
int verify_recount(const struct run *run, struct db *db, const char *requests, struct recount *ret, struct err *err);
void recount_release(struct recount *recount);

/* Vacuums these tables; rows: name, whether large objects went with its rows. *ret_clean: nothing was skipped. */
int verify_vacuum(struct run *run, const struct db_result *touched, bool *ret_clean, struct err *err);
/* Notes which transactions are open, for removed requests that have no such note yet. */
int verify_note_open(struct run *run, struct err *err);
/* Whether nothing is done between a first recount and the signing: no store outside is told, no file is taken away, no key
 * is destroyed (and nothing is replayed: that needs keys). Then the recount that each batch of certificates is signed after is
 * the only one. */
bool verify_at_signing(const struct run *run);
/* Every request of which something is left fails, with all of that in its reason. */
int verify_note_left(struct run *run, const struct recount *recount, struct err *err);
/* Of removed requests whose older transactions have ended (waits verify.wait_seconds at most), takes the files away, vacuums the
 * touched tables, and recounts, unless verify_at_signing(); those with anything left fail, those still waiting are counted in
 * run->n_waiting. Requests that passed have recounted_at set. */
int verify_removed(struct run *run, struct err *err);

#endif
