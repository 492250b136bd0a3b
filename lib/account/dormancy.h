/*
 * dormancy: the rows of an account that is closing leave the live database before its purge, because a store keeps copies of it
 * longer than the promise has days (closure.seal_at); they come back, byte for byte, if the practice does.
 *
 *     sealed     a whole archive of its rows is in every destination, and read back; its rows leave, a transaction at a time, each
 *                row compared with the archive under lock. What differs by then is sealed again, into a further archive
 *     dormant    none of its rows is left, and the tables are vacuumed
 *     waking     its closing has ended: its rows are to be loaded
 *     awake      they are, compared with the archives before the COMMIT
 *
 * Which rows of which archive left is recorded with their removal, in one transaction; nothing else is ever loaded. Killed
 * anywhere, the next run goes on.
 */
#ifndef EXPUNGE_ACCOUNT_DORMANCY_H
#define EXPUNGE_ACCOUNT_DORMANCY_H

#include "erasure/run.h"

struct dormancy_done {
	int64_t n_sealed, n_woken, n_rows;
};

/* Every account whose day has come. One that fails is told, kept with its problem, and never stops the rest. */
int dormancy_seal(struct run *run, struct dormancy_done *ret, struct err *err);
/* Loads what is waking, of one tenant or (NULL) of all; the same. */
int dormancy_wake(struct run *run, const char *tenant, struct dormancy_done *ret, struct err *err);

#endif
