/*
 * external: stores outside the database that the map declares, told of each erasure (UK GDPR Art. 17(2), 19).
 *
 * A store's program runs once for each key under which it may know the subject, after the removal was
 * committed and recounted and before the certificate. It must be idempotent: after a crash it is called again.
 *   exit code 0   the store has erased what it had, and says so: acknowledged
 *   exit code 75  the store was told and will answer later (EX_TEMPFAIL of sysexits.h): not acknowledged yet
 *   any other, no end in time, no start: not told; the request waits without a certificate and the next run
 *   tries again
 */
#ifndef EXPUNGE_ERASURE_EXTERNAL_H
#define EXPUNGE_ERASURE_EXTERNAL_H

#include "erasure/run.h"

/* Refuses (ERR_REFUSED) a store whose program cannot be run or may be replaced by others: found before the
 * first delete. */
int external_check(const struct map *map, struct err *err);
/* Tells every store of every removed and recounted request that it does not know of. A request whose store
 * fails, or that came under hold, is noted and left for the next run; so is one whose approved plan names a store that the map has
 * lost since. Under a freeze nobody is told. */
int external_tell(struct run *run, struct err *err);
/* Tells the stores of a closed account (state `shredded`), each once by its account command; those that have none, a person tells,
 * and they are noted as not told. ERR_FAILED: one that the map or the approved plan says is told could not be, and the next call
 * tells it; the others have been. ERR_REFUSED under a freeze. */
int external_tell_account(struct run *run, const char *closure, struct err *err);
/* The stores' names as text[]. */
void external_names(const struct map *map, struct str *array);

#endif
