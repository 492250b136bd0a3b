/*
 * guard: the safeguards that stand before every destructive step (architecture 7). Each refuses with
 * ERR_REFUSED and says what a person must do.
 */
#ifndef EXPUNGE_ERASURE_GUARD_H
#define EXPUNGE_ERASURE_GUARD_H

#include "base/err.h"
#include "svc/config.h"
#include "svc/db.h"

struct instance {
	char id[37];
	char system_identifier[24];
	char zone[64];
};

/* Makes the binding file state_directory/instance for the database connected to; an existing one
 * must agree. */
int guard_bind(struct db *db, const struct config *config, struct err *err);
/* Refuses a database other than the one the binding file names: a copy, a restored dump, another
 * cluster, another name. */
int guard_binding(struct db *db, const struct config *config, struct err *err);
/* The instance that the binding file names, without a database: uuid and NUL. */
int guard_bound_instance(const struct config *config, char ret[37], struct err *err);
int guard_instance(struct db *db, struct instance *ret, struct err *err);
/* Refuses while a freeze row or the sentinel file state_directory/freeze is there. */
int guard_freeze(struct db *db, const struct config *config, struct err *err);
/* Refuses when host and database disagree on the time, or either has jumped since the last run. */
int guard_clock(struct db *db, const struct config *config, struct err *err);

/* What a run is about to do, against the caps of the configuration. */
struct caps_wanted {
	int64_t subjects, tenants, rows;
	int64_t closings; /* of accounts, that the application's table of subscriptions would open */
	int64_t worst_share_percent; /* of the tenant of whose subjects the largest share goes */
	char worst_tenant[201];
};
/* Above a cap: uses up one raise (expunge cap raise) for this run, or refuses. run_id "": of no run, which has none to use. */
int guard_caps(struct db *db, const struct config *config, const struct caps_wanted *wanted, const char *run_id,
	struct err *err);

/* Refuses unless certificates and ledger can be written where the configuration says: found out
 * before the first delete. */
int guard_directories(const struct config *config, struct err *err);

bool guard_has_sentinel(const struct config *config);
/* Makes or removes the sentinel file. */
int guard_sentinel(const struct config *config, bool frozen, const char *reason, struct err *err);

#endif
