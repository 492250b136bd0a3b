/*
 * session: what the map says about the removing connection: constraints checked at once, schemas that
 * triggers need in the search path, rules and triggers disabled, all for the one transaction, and the
 * proof that rules and triggers are as they were.
 */
#ifndef EXPUNGE_ERASURE_SESSION_H
#define EXPUNGE_ERASURE_SESSION_H

#include "map/map.h"
#include "svc/db.h"

/* Inside the transaction, before the first delete. state (72 bytes): a hash of which rules and
 * triggers of the database are enabled. */
int session_prepare(struct db *db, const struct map *map, char *state, struct err *err);
/* After the last delete: enables again what prepare disabled and compares with `state`. */
int session_restore(struct db *db, const struct map *map, const char *state, struct err *err);

#endif
